"""``graphtask compare``: comparison of groups of graphs."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from graphtask.validation import counted
from graphtask_cli.collection import Collection, from_files, from_table
from graphtask_cli.messages import note, say, warn
from graphtask_cli.options import (
    command,
    examples,
    graphs_argument,
    option,
    out_option,
    picture_type_option,
    reading_options,
    relative_option,
    seed_option,
    threshold_option,
)
from graphtask_cli.param_types import METRIC_NAMES, NAMES, PATH, Choice, Integer
from graphtask_cli.render import rounded, show, show_rows
from graphtask_cli.sources import listed
from graphtask_cli.tables import column_names, records_of, write_table

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.comparison.compare import Comparison

_OF_FEATURES = ("mmd", "energy", "metrics")
_OF_GRAPHS = ("wl", "classifier")
_MOST_FOR_NETWORKS = 199  # permutations of the classifier, each of which trains networks
_MOST_FOR_ACCURACIES = 999
_SHOWN = ("a", "b", "method", "n_a", "n_b", "paired", "p_value", "p_holm", "effect", "effect_size")
_SHOWN_METRICS = (
    *("a", "b", "metric", "mean_a", "mean_b", "hedges_g", "p_value", "p_holm", "p_westfall_young"),
    "excluded",
)
_LEVEL = 0.05


@command(
    epilog=examples(
        "graphtask compare runs --threshold 0.006 -o compared",
        "graphtask compare runs --threshold 0.006 --groups cmnist,cifar10 --test mmd --test wl --paired-by seed -o compared",
        "graphtask compare graphs/thin graphs/thick --by argument --embedding umap --type png -o compared",
        "graphtask compare --from-table features.csv --by dataset --test metrics -o compared",
    )
)
@graphs_argument
@option(
    "--from-table",
    "table_path",
    type=PATH,
    metavar="FILE",
    section="Data",
    help="Compare the features in a .csv, .json or .parquet table instead of graphs.",
)
@option(
    "--by",
    default="dataset",
    metavar="KEY",
    section="Data",
    help="Key of the groups: folder, argument, or a key of the provenance (data, prior, seed …) or of the prior (p …); "
    "for a table, a column.",
)
@option(
    "--groups",
    type=NAMES,
    section="Data",
    show_default="all",
    help="Compare these groups only, in this order.",
)
@option(
    "--features",
    type=METRIC_NAMES,
    section="Data",
    show_default="the 15 of the paper's Tables 1 and 2",
    help="Metrics, or columns of a table, to compare by.",
)
@threshold_option(text="Prune the graphs at this threshold first; trained graphs have all their edges.")
@relative_option
@option(
    "--embedding",
    "embeddings",
    type=Choice(["pca", "umap", "mds"]),
    multiple=True,
    default=("pca",),
    help="Embedding of the graphs in the plane; may be repeated.",
)
@option(
    "--test",
    "tests",
    type=Choice([*_OF_FEATURES, *_OF_GRAPHS]),
    multiple=True,
    help="Test each pair of groups for a difference: of features (mmd, energy), of single metrics (metrics), by a "
    "graph kernel (wl) or by training networks (classifier). May be repeated.",
)
@option(
    "--paired-by",
    metavar="KEY",
    help="Pair the graphs that have the same value of this key, such as seed, and test within pairs.",
)
@option(
    "--permutations",
    type=Integer(1),
    default=9_999,
    help=f"Permutations for p-values; at most {_MOST_FOR_ACCURACIES} for accuracies, {_MOST_FOR_NETWORKS} for classifier.",
)
@seed_option
@reading_options
@out_option(
    folder=True,
    text="Write tables and pictures to this folder; created if missing, files of the same name are replaced.",
)
@picture_type_option
@option(
    "--format",
    "form",
    type=Choice(["table", "json"]),
    default="table",
    section="Output",
    help="Format of the summary on standard output; json has full precision.",
)
def compare(
    paths: tuple[str, ...],
    *,
    table_path: Path | None,
    threshold: float | None,
    relative: bool,
    by: str,
    groups: list[str] | None,
    features: list[str] | None,
    embeddings: tuple[Any, ...],
    tests: tuple[str, ...],
    paired_by: str | None,
    permutations: int,
    seed: int,
    out: Path | None,
    suffix: str,
    form: str,
    **reading: Any,
) -> None:
    """Compare groups of graphs, such as those of different data sets.

    Reports the mean similarity of graphs within and between groups, by features (RBF kernel of the standardized
    features, Fig. 4 of the paper) and by edges (2|A∩B|/(|A|+|B|)); an embedding in the plane; and the accuracy of
    predicting the group of a graph from the other graphs, by the nearest centroid and by the three nearest graphs.
    Chance is the accuracy with permuted labels.

    The folder of -o gets features, similarity, dsc, groups, separability, guesses, confusion, embedding and tests as
    .csv, and pictures. Graphs that cannot be read, or that the threshold disconnects, are left out.
    """
    import graphtask as gt
    from graphtask.comparison.embedding import check_installed
    from graphtask.features.samples import PAPER_FEATURES

    if paired_by is not None and not tests:
        raise click.UsageError("--paired-by requires --test")
    _check(
        paths,
        table_path,
        tests=tests,
        is_read=_is_given("threshold", "relative", *reading),
    )
    for method in embeddings:
        check_installed(method)
    if table_path is not None:
        collection = from_table(table_path, by=by, pair_by=paired_by, features=features)
    else:
        collection = from_files(
            list(listed(paths)),
            by=by,
            pair_by=paired_by,
            metrics=features or PAPER_FEATURES,
            threshold=threshold,
            relative=relative,
            **reading,
        )
    if groups:
        collection = collection.of(groups)
    compared = gt.compare(
        collection.features,
        collection.labels,
        graphs=collection.graphs,
        features=list(collection.features.columns),
        embeddings=embeddings,
        n_permutations=min(permutations, _MOST_FOR_ACCURACIES),
        seed=seed,
    )
    tested = _tested(collection, tests, paired_by=paired_by, permutations=permutations, seed=seed)
    _report(compared, tested)
    if out is not None:
        _write(out, collection, compared, tested, suffix=suffix)
    _print(compared, tested, form=form)


def _is_given(*names: str) -> bool:
    context = click.get_current_context()
    return any(context.get_parameter_source(name) is not ParameterSource.DEFAULT for name in names)


def _check(paths: Sequence[str], table: Path | None, *, tests: Iterable[str], is_read: bool) -> None:
    if bool(paths) == (table is not None):
        raise click.UsageError("pass either graph files, runs and folders, or --from-table")
    if table is None:
        return
    if is_read:
        raise click.UsageError(
            "--from-table excludes --threshold, --relative and the options for reading graphs"
        )
    for test in tests:
        if test in _OF_GRAPHS:
            raise click.UsageError(f"--test {test} requires graphs; --from-table has features only")


def _tested(
    collection: Collection,
    tests: Sequence[str],
    *,
    paired_by: str | None,
    permutations: int,
    seed: int,
) -> "dict[str, pd.DataFrame]":
    """Return the tables ``tests``, of whole graphs, and ``metric_tests``, of single metrics."""
    import pandas as pd

    import graphtask as gt

    if not tests:
        return {}
    chosen = _testable(collection if paired_by is None else collection.in_pairs(paired_by))
    options: dict[str, Any] = {"paired": paired_by is not None, "seed": seed, "n_permutations": permutations}
    names = list(chosen.features.columns)
    tables = {name: group.features for name, group in _by_group(chosen)}
    whole = []
    for method in dict.fromkeys(tests):
        if method == "classifier":
            few = options | {"n_permutations": min(permutations, _MOST_FOR_NETWORKS)}
            whole.append(
                gt.inference.pairwise_tests(_graphs(chosen), test=gt.inference.classifier_test, **few)
            )
        elif method == "wl":
            whole.append(gt.inference.pairwise_tests(_graphs(chosen), method="wl", **options))
        elif method != "metrics":
            whole.append(gt.inference.pairwise_tests(tables, method=method, features=names, **options))
    found = {"tests": pd.concat(whole, ignore_index=True)} if whole else {}
    if "metrics" in tests:
        found["metric_tests"] = _metric_tests(tables, features=names, **options)
    return found


def _testable(collection: Collection) -> Collection:
    """Return the groups of at least two graphs; a message reports the others.

    Raises:
        ArgumentError: There are fewer than two.
    """
    from graphtask.errors import ArgumentError

    sizes = Counter(collection.labels)
    alone = [name for name, size in sizes.items() if size < 2]
    if not alone:
        return collection
    if len(sizes) - len(alone) < 2:
        raise ArgumentError(
            f"tests require two groups of at least two graphs; only one graph: {', '.join(alone)}"
        )
    warn(f"not tested, only one graph: {', '.join(alone)}")
    return collection.of([name for name in sizes if name not in alone])


def _metric_tests(tables: "Mapping[str, pd.DataFrame]", **options: Any) -> "pd.DataFrame":
    """Test each metric of each pair of groups; p-values are corrected for the number of metrics, not of pairs."""
    from itertools import combinations

    import pandas as pd

    import graphtask as gt

    found = []
    for first, second in combinations(tables, 2):
        table = gt.inference.metric_tests(tables[first], tables[second], **options)
        table.insert(0, "a", first)
        table.insert(1, "b", second)
        found.append(table)
    return pd.concat(found, ignore_index=True)


def _by_group(collection: Collection) -> Iterator[tuple[str, Collection]]:
    for name in dict.fromkeys(collection.labels):
        yield name, collection.of([name])


def _graphs(collection: Collection) -> dict[str, Any]:
    return {name: group.graphs for name, group in _by_group(collection)}


def _write(
    folder: Path,
    collection: Collection,
    compared: "Comparison",
    tested: "Mapping[str, pd.DataFrame]",
    *,
    suffix: str,
) -> None:
    import graphtask as gt
    from graphtask.storage.atomic import check_folder
    from graphtask_cli.compared import figures, tables

    pictures = figures(compared)
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (tables(compared, names=collection.names) | dict(tested)).items():
        write_table(records_of(table), folder / f"{name}.csv")
    for name, figure in pictures.items():
        gt.plot.save(figure, folder / f"{name}.{suffix}")
    note(f"wrote tables and {counted(len(pictures), 'picture')} to {folder}")


def _print(compared: "Comparison", tested: "Mapping[str, pd.DataFrame]", *, form: str) -> None:
    parts = {"groups": records_of(compared.groups())}
    parts["separability"] = [found.row() for found in compared.classifications]
    parts |= {name: records_of(table) for name, table in tested.items()}
    if form == "json":
        _print_json(parts)
        return
    show(parts["groups"], form=form)
    click.echo()
    for row in parts["separability"]:
        say(_sentence(row))
    if "tests" in parts:
        click.echo()
        show([{name: row[name] for name in _SHOWN} for row in parts["tests"]], form=form)
    if "metric_tests" in parts:
        click.echo()
        _show_metrics(parts["metric_tests"])


def _print_json(parts: Mapping[str, list[dict[str, Any]]]) -> None:
    """Print one JSON object with a list of rows for each name."""
    for index, (name, rows) in enumerate(parts.items()):
        click.echo(f"{',' if index else '{'}{json.dumps(name)}: ", nl=False)
        show_rows(column_names(rows[:1]), rows, form="json")
    click.echo("}")


def _show_metrics(rows: list[dict[str, Any]]) -> None:
    """Print all tests of metrics of one pair of groups; of several pairs, the significant ones."""
    several = len({(row["a"], row["b"]) for row in rows}) > 1
    chosen = [row for row in rows if min(row["p_holm"], row["p_westfall_young"]) <= _LEVEL or not several]
    if several:
        note(
            f"{len(chosen)} of {len(rows)} tests of metrics have a corrected p-value <= {_LEVEL}; "
            f"--format json and metric_tests.csv list all"
        )
    if chosen:
        show([{name: row.get(name) for name in _SHOWN_METRICS} for row in chosen], form="table")


def _report(compared: "Comparison", tested: "Mapping[str, pd.DataFrame]") -> None:
    """Report how features were treated, and the limits of the tests."""
    for text in compared.notes:
        warn(text)
    if "tests" not in tested:
        return
    rows = tested["tests"]["notes"].tolist()
    counts = Counter(text for texts in rows for text in texts.split("; ") if text)
    for text, n_tests in counts.items():
        if text not in compared.notes:
            warn(f"{text} ({n_tests} of {counted(len(rows), 'test')})")


def _sentence(row: Mapping[str, Any]) -> str:
    classifier = {"centroid": "nearest-centroid", "knn": "nearest-neighbors"}[row["method"]]
    return (
        f"{classifier} accuracy {row['accuracy']:.0%} of {row['n_graphs']} graphs "
        f"({row['confidence']:.0%} interval {row['low']:.0%} to {row['high']:.0%}; chance {row['chance']:.0%}; "
        f"p = {rounded(row['p_value'])})"
    )
