"""``graphtask compare``: groups of graphs beside each other."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.collection import Collection, from_files, from_table
from graphtask_cli.options import (
    examples,
    join_option,
    merge_option,
    order_option,
    stages_option,
    threshold_option,
)
from graphtask_cli.output import TEXTS, note, records_of, rounded, show, write_table
from graphtask_cli.sources import listed

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.comparison.compare import Comparison

_OF_FEATURES = ("mmd", "energy", "metrics")
_OF_GRAPHS = ("wl", "classifier")
_MOST_FOR_NETWORKS = 199  # permutations of the classifier, each of which trains networks
_MOST_FOR_GUESSES = 999  # of the accuracies
_SHOWN = ("a", "b", "method", "n_a", "n_b", "paired", "p_value", "p_holm", "effect", "effect_size")
_SHOWN_METRICS = (
    *("a", "b", "metric", "mean_a", "mean_b", "hedges_g", "p_value", "p_holm", "p_westfall_young"),
    "excluded",
)
_LEVEL = 0.05


def read_names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[str] | None:
    """Names with commas between them."""
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


@click.command(
    epilog=examples(
        "graphtask compare runs --threshold 0.006 -o compared",
        "graphtask compare runs --threshold 0.006 --groups cmnist,cifar10 --test mmd --test wl --paired-by seed -o compared",
        "graphtask compare graphs/thin graphs/thick --by argument --embedding umap --type png -o compared",
        "graphtask compare --table features.csv --by data --test metrics -o compared",
    )
)
@click.argument("paths", metavar="GRAPH|RUN|FOLDER|ARCHIVE|-...", nargs=-1)
@click.option(
    "--table",
    "table_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare the features in this .csv, .json or .parquet file, of `graphtask metrics -o` or a study, instead.",
)
@threshold_option(
    default=None, text="Prune the graphs with this threshold first; trained graphs have all their edges."
)
@click.option(
    "--by",
    default="data",
    show_default=True,
    metavar="KEY",
    help="What groups are: folder, argument, or a key of the provenance (data, prior, seed …) or of the prior (p …); of "
    "a table, a column.",
)
@click.option(
    "--groups",
    callback=read_names,
    metavar="NAMES",
    help="Compare these groups only, in this order.  [default: all, as they come up]",
)
@click.option(
    "--features",
    callback=read_names,
    metavar="NAMES",
    help="Metrics (of a table: columns) to compare by.  [default: the 15 of the paper's Tables 1 and 2]",
)
@click.option(
    "--embedding",
    "embeddings",
    type=click.Choice(["pca", "umap", "mds"]),
    multiple=True,
    default=("pca",),
    show_default=True,
    help="How graphs are placed in the plane; several times for several pictures.",
)
@click.option(
    "--test",
    "tests",
    type=click.Choice([*_OF_FEATURES, *_OF_GRAPHS]),
    multiple=True,
    help="Test every two groups for a difference, too: by features (mmd, energy), metric by metric (metrics), by a "
    "graph kernel (wl) or by training networks (classifier). Several times for several tests.",
)
@click.option(
    "--paired-by",
    metavar="KEY",
    help="Graphs with the same value of this (seed) belong together; tests then compare within pairs.",
)
@click.option(
    "--permutations",
    type=click.IntRange(min=1),
    default=9_999,
    show_default=True,
    help=f"Permutations behind p-values; at most {_MOST_FOR_GUESSES} for accuracies, {_MOST_FOR_NETWORKS} for classifier.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random."
)
@stages_option(foreign=True)
@join_option
@merge_option
@order_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write tables and pictures here; made if need be, files of the same name are replaced.",
)
@click.option(
    "--type",
    "suffix",
    type=click.Choice(["svg", "pdf", "png"]),
    default="svg",
    show_default=True,
    help="Of the pictures.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How the summary is printed: for people, or in full precision for programs.",
)
def compare(
    paths: tuple[str, ...],
    *,
    table_path: Path | None,
    threshold: float | None,
    by: str,
    groups: list[str] | None,
    features: list[str] | None,
    embeddings: tuple[Any, ...],
    tests: tuple[str, ...],
    paired_by: str | None,
    permutations: int,
    seed: int,
    stages: int | Sequence[int] | None,
    join: bool,
    merge: bool,
    order: Any,
    out: Path | None,
    suffix: str,
    form: str,
) -> None:
    """Compare groups of graphs, such as those of different data sets.

    How alike graphs are, by their features (RBF kernel of the standardized features, Fig. 4 of the paper) and by
    their edges (2|A∩B|/(|A|+|B|)), on average within a group and with other groups; where they lie in the plane; and
    how often the group of a graph is guessed right from the other graphs (recall), with the nearest centroid and
    with the three nearest graphs. Chance is the accuracy with labels dealt out anew.

    Prints a summary. In the folder: features, similarity, dsc, groups, separability, guesses, confusion, embedding
    and tests as .csv, and pictures. Graphs that cannot be read, or that fall apart at the threshold, are left out.
    """
    import graphtask as gt
    from graphtask.comparison.embedding import check_installed
    from graphtask.features.samples import PAPER_FEATURES

    if paired_by is not None and not tests:
        raise click.UsageError("--paired-by pairs the graphs of tests; ask for one with --test")
    _check(
        paths,
        table_path,
        tests=tests,
        foreign=threshold is not None or join or merge or bool(stages or order),
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
            stages=stages,
            join=join,
            merge=merge,
            order=order,
        )
    if groups:
        collection = collection.of(groups)
    compared = gt.compare(
        collection.features,
        collection.labels,
        graphs=collection.graphs,
        features=list(collection.features.columns),
        embeddings=embeddings,
        n_permutations=min(permutations, _MOST_FOR_GUESSES),
        seed=seed,
    )
    tested = _tested(collection, tests, paired_by=paired_by, permutations=permutations, seed=seed)
    _say(compared, tested)
    if out is not None:
        _write(out, collection, compared, tested, suffix=suffix)
    _print(compared, tested, form=form)


def _check(paths: Sequence[str], table: Path | None, *, tests: Iterable[str], foreign: bool) -> None:
    if bool(paths) == (table is not None):
        raise click.UsageError("name graph files, runs or folders, or a table with --table, and not both")
    if table is None:
        return
    if foreign:
        raise click.UsageError("--threshold and how graphs are read are of no use with --table")
    for test in tests:
        if test in _OF_GRAPHS:
            raise click.UsageError(f"--test {test} needs graphs, not only their features")


def _tested(
    collection: Collection,
    tests: Sequence[str],
    *,
    paired_by: str | None,
    permutations: int,
    seed: int,
) -> "dict[str, pd.DataFrame]":
    """The tables of tests: ``tests`` of the graphs as a whole, ``metric_tests`` of single metrics."""
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
    """The groups of at least two graphs; which are not is said.

    Raises:
        ArgumentError: There are fewer than two.
    """
    from graphtask.errors import ArgumentError

    sizes = Counter(collection.labels)
    alone = [name for name, size in sizes.items() if size < 2]
    if not alone:
        return collection
    if len(sizes) - len(alone) < 2:
        raise ArgumentError(f"tests need two groups of at least two graphs; {', '.join(alone)} has only one")
    note(f"not tested, for there is one graph only: {', '.join(alone)}")
    return collection.of([name for name in sizes if name not in alone])


def _metric_tests(tables: "Mapping[str, pd.DataFrame]", **options: Any) -> "pd.DataFrame":
    """Every metric of every two groups; p-values are corrected for the number of metrics, not of pairs."""
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
    from graphtask_cli.compared import figures, tables

    pictures = figures(compared)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (tables(compared, names=collection.names) | dict(tested)).items():
        write_table(records_of(table), folder / f"{name}.csv")
    for name, figure in pictures.items():
        gt.save_figure(figure, folder / f"{name}.{suffix}")
    note(f"wrote tables and {counted(len(pictures), 'picture')} to {folder}")


def _print(compared: "Comparison", tested: "Mapping[str, pd.DataFrame]", *, form: str) -> None:
    parts = {"groups": records_of(compared.groups())}
    parts["separability"] = [found.row() for found in compared.classifications]
    parts |= {name: records_of(table) for name, table in tested.items()}
    if form == "json":
        texts = (
            f'"{name}": {"".join(TEXTS["json"](list(rows[0]), rows)).rstrip()}'
            for name, rows in parts.items()
        )
        click.echo("{" + ",\n".join(texts) + "}")
        return
    show(parts["groups"], form=form)
    click.echo()
    for row in parts["separability"]:
        click.echo(_sentence(row))
    if "tests" in parts:
        click.echo()
        show([{name: row[name] for name in _SHOWN} for row in parts["tests"]], form=form)
    if "metric_tests" in parts:
        click.echo()
        _show_metrics(parts["metric_tests"])


def _show_metrics(rows: list[dict[str, Any]]) -> None:
    """The tests of metrics of one pair of groups, or of several pairs those that found something."""
    several = len({(row["a"], row["b"]) for row in rows}) > 1
    chosen = [row for row in rows if min(row["p_holm"], row["p_westfall_young"]) <= _LEVEL or not several]
    if several:
        note(
            f"{len(chosen)} of {len(rows)} tests of metrics have a corrected p-value of at most {_LEVEL}; "
            f"--format json and metric_tests.csv in the folder of -o have all"
        )
    if chosen:
        show([{name: row.get(name) for name in _SHOWN_METRICS} for row in chosen], form="table")


def _say(compared: "Comparison", tested: "Mapping[str, pd.DataFrame]") -> None:
    """What was done about features, and what limits the tests, on stderr."""
    for text in compared.notes:
        note(text)
    if "tests" not in tested:
        return
    rows = tested["tests"]["notes"].tolist()
    counts = Counter(text for texts in rows for text in texts.split("; ") if text)
    for text, n_tests in counts.items():
        if text not in compared.notes:
            note(f"{text} ({n_tests} of {counted(len(rows), 'test')})")


def _sentence(row: Mapping[str, Any]) -> str:
    how = {"centroid": "nearest centroid", "knn": "nearest neighbors"}[row["method"]]
    return (
        f"{how}: {row['accuracy']:.0%} of {row['n_graphs']} graphs guessed right "
        f"({row['confidence']:.0%} interval {row['low']:.0%} to {row['high']:.0%}; chance {row['chance']:.0%}; "
        f"p = {rounded(row['p_value'])})"
    )
