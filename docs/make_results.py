"""Write the results of a study into a folder: tables, figures, the learned graphs, and a report.

    python docs/make_results.py studies/laptop.toml --data-root FOLDER -o docs/results/laptop

Everything is computed from the finished runs; each command is printed before it runs. Tables are written with full
precision, and rounded once, in ``tables.md``. Tables 1, 2, 4 and 5 and Figs. 2 to 8 refer to Janik & Nowak,
*Connectivity Properties of Neural Networks Under Performance-Resources Trade-off*.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import graphtask as gt
from graphtask.drawing.picture import rendered
from graphtask.reporting.palette import with_few_colors

ORDER = ["cmnist", "ckmnist", "cfashionmnist", "cifar10", "cifar10_t8"]
TITLES = dict(zip(ORDER, ["CMNIST", "CKMNIST", "CFashionMNIST", "CIFAR10", "CIFAR10_T8"], strict=True))

ROWS = {  # column of the results: title, means of the paper's Tables 1 and 2 in the order above, digits
    "sparsity": ("sparsity", (0.988, 0.982, 0.935, 0.831, 0.788), 3),
    "sparsity_stage_0": ("sparsity, stage 0", (0.981, 0.983, 0.905, 0.791, 0.712), 3),
    "sparsity_stage_1": ("sparsity, stage 1", (0.989, 0.989, 0.936, 0.725, 0.754), 3),
    "sparsity_stage_2": ("sparsity, stage 2", (0.952, 0.905, 0.822, 0.678, 0.573), 3),
    "nodes": ("nodes", (12.5, 17.0, 26.9, 48.5, 48.2), 1),
    "nodes_stage_0": ("nodes, stage 0", (3.6, 3.5, 8.8, 15.6, 16.5), 1),
    "nodes_stage_1": ("nodes, stage 1", (2.9, 3.7, 7.4, 17.3, 14.9), 1),
    "nodes_stage_2": ("nodes, stage 2", (6.0, 9.8, 10.7, 15.6, 16.8), 1),
    "log_paths": ("ln paths", (4.03, 5.50, 11.76, 18.47, 21.37), 2),
    "mean_path": ("mean path", (7.44, 8.95, 11.28, 16.42, 18.21), 2),
    "max_path": ("longest path", (9.60, 12.00, 18.80, 28.00, 32.60), 2),
    "ln_communicability": ("ln communicability", (-3.26, -3.86, 5.52, 11.03, 14.59), 2),
    "edge_connectivity": ("edge connectivity", (1.30, 1.30, 4.80, 13.60, 20.20), 2),
    "mean_degree": ("mean degree", (3.48, 3.75, 8.53, 12.31, 15.58), 2),
    "pca_elongation": ("elongation", (0.78, 0.72, 0.52, 0.37, 0.44), 2),
}
ORDERINGS = {  # the seven orderings of the paper from CMNIST to CIFAR10_T8, then two that it does not report
    "sparsity": "fall",
    "nodes": "rise",
    "log_paths": "rise",
    "mean_path": "rise",
    "max_path": "rise",
    "ln_communicability": "rise",
    "edge_connectivity": "rise",
}
ALSO = {"gates": "rise", "live_edges": "rise"}
TABLE_4 = {  # A to D of the paper's Table 4
    "cmnist": (50.00, 3.79, 49.33, 1.64),
    "ckmnist": (48.37, 3.82, 52.76, 2.19),
    "cfashionmnist": (61.95, 5.78, 47.44, 1.90),
    "cifar10": (53.75, 5.34, 74.93, 5.93),
    "cifar10_t8": (63.41, 6.61, 76.08, 5.38),
}
TABLE_5 = {"full": (92.849, 92.786, 92.967), "banded": (92.901, 92.886, 93.265)}


class Place(NamedTuple):
    """Study, folder of its runs, data and results."""

    study: Path
    data_root: Path | None
    runs: Path
    out: Path

    def run(self, *arguments: str | Path, data: bool = False) -> str:
        """Run a graphtask command, and return its standard output."""
        words = [str(argument) for argument in arguments]
        if data and self.data_root is not None:
            words += ["--data-root", str(self.data_root)]
        print("graphtask", shlex.join(words), flush=True)  # noqa: T201
        command = [sys.executable, "-m", "graphtask", *words]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def main() -> None:
    """Write everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--runs", type=Path, help="folder of the runs; default: as in the study")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument(
        "--retrained", type=Path, help="folder of the retrained runs; default: RUNS-retrained"
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args()
    runs = given.runs or Path(gt.Study.read(given.study).out)
    place = Place(given.study, given.data_root, runs, given.out)
    place.out.mkdir(parents=True, exist_ok=True)
    retrained = given.retrained or runs.with_name(f"{runs.name}-retrained")

    table = results(place)
    parts = [
        f"# Tables of the {gt.Study.read(given.study).name} study",
        "",
        f"Written by `python docs/make_results.py {given.study} --data-root FOLDER -o {given.out}`.",
        "",
        *features_part(table[table["prior"] == "full"]),
        *orderings_part(place, table[table["prior"] == "full"]),
        *similarity_part(place, table),
        *distributions_part(place, table),
        *dynamics_part(place),
        *retraining_part(place, retrained),
        *bias_part(table, retrained),
    ]
    figures(place, table)
    downloads(place, table)
    (place.out / "tables.md").write_text("\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {place.out}")  # noqa: T201


def results(place: Place) -> pd.DataFrame:
    """Write and return the table of the runs, with two columns of the last epoch."""
    path = place.out / "runs.csv"
    place.run("study", "results", place.study, "--runs", place.runs, "-o", path, "-q", data=True)
    table = pd.read_csv(path)
    table = table[table["status"].isin(["finished", "disconnected"])].reset_index(drop=True)
    last = [metrics_of(place, row).iloc[-1] for row in table.to_dict("records")]
    table["gates"] = [row["resource_loss"] for row in last]
    table["live_edges"] = [row["live_edges"] for row in last]
    table["edge_change"] = [row["edge_change"] for row in last]
    table["minutes"] = [metrics_of(place, row)["seconds"].sum() / 60 for row in table.to_dict("records")]
    table.to_csv(path, index=False)
    return table


def run_folder(place: Place, row: dict[str, Any]) -> Path:
    """Return the folder of a run."""
    return place.runs / str(row["dataset"]) / str(row["prior"]) / f"seed-{row['seed']}"


def metrics_of(place: Place, row: dict[str, Any]) -> pd.DataFrame:
    """Return the metrics of a run by epoch."""
    return pd.read_csv(run_folder(place, row) / "metrics.csv")


def data_sets(table: pd.DataFrame) -> list[str]:
    """Return the data sets of a table in the paper's order."""
    return [name for name in ORDER if name in set(table["dataset"])]


def spread(values: Iterable[float], digits: int, *, scale: float = 1, unit: str = "") -> str:
    """Return mean ± standard deviation (n − 1), rounded once from full precision."""
    known = pd.Series(list(values), dtype="float64").dropna() * scale
    if known.empty:
        return "undefined"
    deviation = f" ± {known.std():.{digits}f}" if len(known) > 1 else ""
    return f"{known.mean():.{digits}f}{deviation}{unit}".replace("-", "−")


def p_text(value: float) -> str:
    """Return a p-value with three digits, "undefined" if there is none."""
    return "undefined" if pd.isna(value) else f"{value:.3g}"


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def features_part(table: pd.DataFrame) -> list[str]:
    """Return Tables 1 and 2."""
    names = data_sets(table)
    rows = []
    for column, (title, paper, digits) in ROWS.items():
        cells = [
            f"{spread(table.loc[table['dataset'] == name, column], digits)} ({paper[ORDER.index(name)]})"
            for name in names
        ]
        rows.append([title, *cells])
    for column, title, scale, digits, unit in (
        ("gates", "Σ\\|tanh w\\|", 1, 2, ""),
        ("live_edges", "edges ≥ 0.006, last epoch", 1, 1, ""),
        ("edge_change", "change of the gates in the last epoch", 100, 2, " %"),
        ("test_accuracy", "accuracy, trained", 100, 1, " %"),
        ("test_accuracy_pruned", "accuracy, pruned", 100, 1, " %"),
        ("minutes", "minutes a run", 1, 0, ""),
    ):
        rows.append(
            [
                title,
                *(
                    spread(table.loc[table["dataset"] == name, column], digits, scale=scale, unit=unit)
                    for name in names
                ),
            ]
        )
    counts = ", ".join(f"{TITLES[name]} {(table['dataset'] == name).sum()}" for name in names)
    return [
        "## Tables 1 and 2",
        "",
        f"Mean ± standard deviation over seeds, and the paper's mean in brackets. Runs: {counts}.",
        "",
        *markdown(["", *(TITLES[name] for name in names)], rows),
    ]


def orderings_part(place: Place, table: pd.DataFrame) -> list[str]:
    """Return Page's test of the orderings: one-sided in the paper's direction, then for either direction."""
    complete = table.groupby("seed").filter(lambda rows: set(rows["dataset"]) >= set(ORDER))
    if complete["seed"].nunique() < 2:
        return []
    found = []
    for family in (ORDERINGS, ALSO):
        options: dict[str, Any] = {
            "by": "dataset", "order": ORDER, "block": "seed", "features": list(family), "seed": 0
        }  # fmt: skip
        one = gt.inference.trend_test(complete, direction=family, **options)
        either = gt.inference.trend_test(complete, direction="any", **options)
        one["p_either"], one["p_holm_either"] = either["p_value"], either["p_holm"]
        found.append(one)
    tests = pd.concat(found, ignore_index=True)
    tests.to_csv(place.out / "trends.csv", index=False)
    rows = [
        [
            str(row["metric"]), "falls" if (ORDERINGS | ALSO)[row["metric"]] == "fall" else "rises",
            spread([row["trend"]], 2), *(p_text(row[name]) for name in ("p_value", "p_holm", "p_holm_either")),
        ]
        for row in tests.to_dict("records")
    ]  # fmt: skip
    return [
        "## Orderings",
        "",
        (
            f"Page's test of trend from CMNIST to CIFAR10_T8, blocked by seed ({complete['seed'].nunique()} seeds), 9,999 permutations; "
            "Holm's correction over the seven orderings of the paper, and over the other two."
        ),
        "",
        *markdown(
            ["feature", "in the paper", "trend", "p, paper's way", "p, Holm", "p, either way, Holm"], rows
        ),
    ]


def similarity_part(place: Place, table: pd.DataFrame) -> list[str]:
    """Return similarities, leave-one-out accuracy and two-sample tests (Figs. 4 and 8)."""
    names = data_sets(table)
    folders = [run_folder(place, row) for row in table[table["prior"] == "full"].to_dict("records")]
    printed = place.run(
        "compare", *folders, "--threshold", "0.006", "--groups", ",".join(names), "--test", "mmd", "--test", "wl",
        "--test", "metrics", "--embedding", "pca", "--embedding", "umap", "--type", "png", "--format", "json",
        "-o", place.out / "compared",
    )  # fmt: skip
    parts = json.loads(printed)
    groups = [
        [
            TITLES.get(row["label"], row["label"]), str(row["graphs"]),
            *(f"{row[name]:.2f}" for name in ("similarity_within", "similarity_between", "dsc_within", "dsc_between")),
            *(f"{row[name]:.0%}" for name in ("recall_centroid", "recall_knn")),
        ]
        for row in parts["groups"]
    ]  # fmt: skip
    accuracies = [
        [
            row["method"],
            *(f"{row[name]:.0%}" for name in ("accuracy", "low", "high", "chance")),
            f"{row['p_value']:.3g}",
        ]
        for row in parts["separability"]
    ]
    tests = pd.DataFrame(parts["tests"])
    pairs = [
        [
            f"{TITLES[a]} – {TITLES[b]}",
            *(f"{rows.loc[rows['method'] == method, 'p_value'].iloc[0]:.3g}" for method in ("mmd", "wl")),
            *(f"{rows.loc[rows['method'] == method, 'p_holm'].iloc[0]:.3g}" for method in ("mmd", "wl")),
        ]
        for (a, b), rows in tests.groupby(["a", "b"], sort=False)
    ]
    return [
        "## Do graphs of one data set resemble each other?",
        "",
        "Similarity of features (RBF) and of edges (Dice), within a data set and with others; recall of the leave-one-out guess.",
        "",
        *markdown(
            ["", "graphs", "features within", "between", "edges within", "between", "centroid", "neighbors"],
            groups,
        ),
        "Leave-one-out accuracy of predicting the data set from the graph:",
        "",
        *markdown(["method", "accuracy", "low", "high", "chance", "p"], accuracies),
        "Two-sample tests of all pairs, 9,999 permutations:",
        "",
        *markdown(["", "MMD, p", "WL, p", "MMD, Holm", "WL, Holm"], pairs),
    ]


def distributions_part(place: Place, table: pd.DataFrame) -> list[str]:
    """Return P(G) of each data set: its fit, and the leave-one-out probability of its graphs under each data set."""
    groups = {
        name: graphs
        for name in data_sets(table)
        if len(graphs := pruned_graphs(place, table[(table["prior"] == "full") & (table["dataset"] == name)]))
        >= 2
    }
    rows, records = [], []
    for name, graphs in groups.items():
        fitted = gt.GraphDistribution.fit(graphs)
        own = gt.GraphDistribution.log_prob_leave_one_out(graphs)
        others = {
            other: [fitted.log_prob(graph) for graph in many]
            for other, many in groups.items()
            if other != name
        }
        record = {
            "dataset": name,
            "graphs": len(graphs),
            "mean_edges": fitted.mean_edges,
            "log_prob_leave_one_out": own.mean(),
            **{f"log_prob_{other}": pd.Series(values).mean() for other, values in others.items()},
        }
        records.append(record)
        edges = sum(graph.ecount() for graph in graphs) / len(graphs)
        rows.append(
            [
                TITLES[name],
                str(len(graphs)),
                f"{edges:.1f}",
                spread(own, 1),
                f"{own.mean() / edges:.2f}".replace("-", "−"),
                *("—" if other == name else spread(others[other], 1) for other in groups),
            ]
        )
        observed, sampled = gt.measure_all(graphs), gt.measure_all(fitted.sample(20, seed=0))
        if (observed != observed.iloc[0]).to_numpy().any():
            figure = gt.plot.draw_observed_sampled(observed, sampled)
            gt.plot.save(figure, place.out / f"sampled_{name}.png")
    pd.DataFrame(records).to_csv(place.out / "distributions.csv", index=False)
    return [
        "## P(G) of each data set",
        "",
        "ln P in nats of the graphs of the row under its own fit, leave one out, and of the graphs of the column under the fit of the row.",
        "",
        *markdown(
            [
                "fitted to",
                "graphs",
                "edges",
                "ln P, own",
                "per edge",
                *(f"ln P, {TITLES[n]}" for n in groups),
            ],
            rows,
        ),
    ]


def pruned_graphs(place: Place, table: pd.DataFrame) -> list[Any]:
    """Return the pruned graphs of runs that pruning does not disconnect."""
    graphs = []
    for row in table.to_dict("records"):
        try:
            graphs.append(gt.prune(gt.read(run_folder(place, row) / "trained.graphml"), threshold=0.006))
        except gt.errors.DisconnectedError:
            continue
    return graphs


def dynamics_part(place: Place) -> list[str]:
    """Return Table 4 (Figs. 6 and 7)."""
    place.run(
        "dynamics", *sorted(place.runs.glob("*/full")), "-o", place.out / "dynamics.csv",
        "--plot", place.out / "dynamics.png",
    )  # fmt: skip
    table = pd.read_csv(place.out / "dynamics.csv")
    letters = {"a_percent": 1, "b_epochs": 2, "c_percent": 1, "d_epochs": 2}
    rows = [
        [
            TITLES[name],
            *(
                f"{spread(table.loc[table['dataset'] == name, column], digits)} ({paper:.{digits}f})"
                for (column, digits), paper in zip(letters.items(), TABLE_4[name], strict=True)
            ),
            *(
                spread(table.loc[table["dataset"] == name, column], 2)
                for column in ("dsc_largest_first", "dsc_smallest_first")
            ),
        ]
        for name in data_sets(table)
    ]
    return [
        "## Table 4: edges during training",
        "",
        "Epochs number 40 here and 100 in the paper (in brackets).",
        "",
        *markdown(
            ["", "A, %", "B, epochs", "C, %", "D, epochs", "overlap, largest", "overlap, smallest"], rows
        ),
    ]


def retraining_part(place: Place, retrained: Path) -> list[str]:
    """Return Table 3 and Fig. 5; runs of `graphtask retrain` that exist are not repeated."""
    if not retrained.is_dir():
        return []
    place.run(
        "retrain", place.runs, "-o", retrained, "--table", place.out / "retrained.csv",
        "--plot", place.out / "retrained.png", "-q", data=True,
    )  # fmt: skip
    table = pd.read_csv(place.out / "retrained.csv")
    full = table[table["prior"] == "full"]
    rows = [
        [TITLES[name], *(spread(full.loc[(full["dataset"] == name) & (full["network"] == network), "test_accuracy"], 1, scale=100, unit=" %")
                         for network in dict.fromkeys(full["network"]))]
        for name in data_sets(full)
    ]  # fmt: skip
    return [
        "## Retraining from scratch",
        "",
        *markdown(["test accuracy", *dict.fromkeys(full["network"])], rows),
    ]


def bias_part(table: pd.DataFrame, retrained: Path) -> list[str]:
    """Return Table 5: the full DAG against the banded one."""
    del retrained
    if table["prior"].nunique() < 2:
        return []
    rows = []
    for name in data_sets(table):
        for prior in ("full", "banded"):
            own = table[(table["dataset"] == name) & (table["prior"] == prior)]
            rows.append(
                [
                    TITLES[name], prior, str(len(own)),
                    *(spread(own[column], 1, scale=100, unit=" %") for column in ("test_accuracy", "test_accuracy_pruned")),
                    *(spread(own[column], 1) for column in ("edges", "nodes")),
                ]
            )  # fmt: skip
    return [
        "## Table 5: the full DAG against edges that span at most a third of the nodes",
        "",
        *markdown(["", "prior", "runs", "accuracy, trained", "accuracy, pruned", "edges", "nodes"], rows),
    ]


def figures(place: Place, table: pd.DataFrame) -> None:
    """Draw accuracy and sparsity over thresholds (Fig. 2), and the learned graphs (Figs. 3 and 9)."""
    place.run(
        "sweep", *sorted(place.runs.glob("*/full")), "--thresholds", "0,0.003,0.006,0.012,0.025,0.05,0.1,0.2,0.4",
        "-o", place.out / "sweep.csv", "--plot", place.out / "sweep.png", data=True,
    )  # fmt: skip
    full = table[table["prior"] == "full"]
    graphs = {
        f"{TITLES[row['dataset']]}, seed {row['seed']}": gt.read(run_folder(place, row) / "trained.graphml")
        for row in full.sort_values(
            ["seed", "dataset"],
            key=lambda column: column.map(ORDER.index) if column.name == "dataset" else column,
        ).to_dict("records")
    }
    options: dict[str, Any] = {"threshold": 0.006, "same_layout": True, "weak": "hidden"}
    save_small(gt.plot.draw_grid(graphs, **options), place.out / "graphs.png")
    first = {
        name.partition(",")[0]: graph
        for name, graph in graphs.items()
        if name.endswith(f" {full['seed'].min()}")
    }
    save_small(gt.plot.draw_grid(first, **options), place.out / "data_sets.png")


def save_small(figure: Any, path: Path) -> None:
    """Save a picture with few colors, a third of the size."""
    path.write_bytes(with_few_colors(rendered(figure, "png")))


def downloads(place: Place, table: pd.DataFrame) -> None:
    """Pack the trained graphs, with their provenance, and write the report."""
    with tarfile.open(place.out / "graphs.tar.gz", "w:gz") as archive:
        for row in table.to_dict("records"):
            name = f"{row['dataset']}_{row['prior']}_seed-{row['seed']}.graphml"
            archive.add(run_folder(place, row) / "trained.graphml", arcname=name)
    place.run("report", place.runs, "-o", place.out / "report.html", "--title", f"{place.runs.name} study")


if __name__ == "__main__":
    main()
