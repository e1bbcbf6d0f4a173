"""Write docs/metrics.md, the reference of the metrics, from their registry and the table of oracles.

Run it after changing a metric: ``.venv/bin/python docs/make_metrics.py``. A test compares the page with the
registry, and requires a comparison with an independent oracle on at least 500 random graphs for every metric.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from graphtask.metrics.metric import Metric
from graphtask.metrics.registry import all_metrics

PAGE = Path(__file__).with_name("metrics.md")
PAPER = "Janik & Nowak, Connectivity properties of neural networks under performance-resources trade-off"
AUTHORS = "Nowak & Janik, arXiv:2002.08104"


class Oracle(NamedTuple):
    """Independent oracle of a set of metrics."""

    metrics: str
    """Names of the metrics."""
    what: str
    n_graphs: int
    """Random DAGs on which they are compared; their sizes and densities differ."""
    test: str
    """File in tests/metrics, and the name of the test."""
    also: str = ""
    """Further checks."""


ORACLES = (
    Oracle(
        "sparsity sparsity_stage_k nodes nodes_stage_k edges mean_degree parameters",
        "counts, one by one; parameters block by block, and those of the compiled PyTorch network",
        500,
        "test_size.py::test_sizes_and_sparsities_of_pruned_graphs_equal_counts_one_by_one",
        "863,300 parameters of the full DAG of 60 nodes",
    ),
    Oracle(
        "log_paths mean_path std_path min_path max_path",
        "all paths, enumerated",
        500,
        "test_paths.py::test_statistics_equal_those_of_all_enumerated_paths",
        "arithmetic in whole numbers on up to 2,000 nodes, where counts are beyond float64; full DAG, chain",
    ),
    Oracle(
        "ln_communicability ln_communicability_directed",
        "the exponential series in whole numbers; networkx where it is right",
        500,
        "test_communicability.py::test_undirected_equals_the_series_in_whole_numbers",
        "Bessel functions on chains, closed form of the full DAG of 2,000 nodes, cliques on long tails",
    ),
    Oracle(
        "edge_connectivity",
        "networkx",
        500,
        "test_connectivity.py::test_edge_connectivity_equals_networkx",
        "full DAG, chain",
    ),
    Oracle(
        "pca_elongation q1d",
        "layout and minimum cut of networkx, principal component of scikit-learn, within 1e-12 before rounding",
        500,
        "test_layout.py::test_elongation_and_q1d_equal_networkx_and_scikit_learn_on_small_graphs",
        "36 graphs of 60 nodes of all densities; the cost and its gradient, lane by lane",
    ),
    Oracle(
        "pca_elongation_spread",
        "layouts of networkx from the same starts, within 1e-12",
        500,
        "test_layout.py::test_the_spread_over_starts_equals_networkx_from_the_same_starts",
    ),
    Oracle(
        "edges_per_node mean_in_degree mean_out_degree std_degree std_in_degree std_out_degree min_degree max_degree "
        "max_in_degree max_out_degree span_degree edge_density degree_assortativity s_metric modularity_trace",
        "networkx, numpy",
        600,
        "test_degrees.py::test_everything_equals_networkx_where_it_is_defined_and_is_said_to_be_undefined_elsewhere",
        "chain, full DAG",
    ),
    Oracle(
        "triads_021D triads_021U triads_021C triads_030T transitivity mean_clustering mean_effective_size mean_constraint",
        "networkx",
        500,
        "test_triads.py::test_everything_equals_networkx",
        "chain, full DAG",
    ),
    Oracle(
        " ".join(metric.name for metric in all_metrics() if "motifs" in metric.sets),
        "all subsets of three and four nodes, up to isomorphism",
        500,
        "test_motifs.py::test_counts_equal_those_of_all_subsets",
        "igraph and products of matrices agree; triads of networkx; chain, full DAG",
    ),
    Oracle(
        "reduce_fraction intrastage interstage outer_edges hops_per_node edges_stage_a_b",
        "counts, edge by edge",
        500,
        "test_stages.py::test_everything_equals_a_count_edge_by_edge",
        "the blocks of the compiled network",
    ),
    Oracle(
        "span_path",
        "networkx",
        500,
        "test_cuts.py::test_the_span_is_the_longest_path_over_the_shortest",
        "chain, full DAG",
    ),
    Oracle(
        "bottlenecks",
        "edges over every position, in two topological orders",
        500,
        "test_cuts.py::test_bottlenecks_are_the_positions_that_one_edge_crosses_in_any_order",
        "chain, full DAG",
    ),
    Oracle(
        "mean_cut_width max_cut_width cut_width_profile",
        "edges over every generation of networkx",
        500,
        "test_cuts.py::test_cut_widths_count_the_edges_that_lead_over_every_depth",
        "chain, full DAG",
    ),
    Oracle(
        "mean_shortest_path closeness_output mean_closeness mean_betweenness global_reaching_centrality wiener_index radius "
        "diameter global_efficiency efficiency local_efficiency mean_closeness_vitality",
        "networkx",
        600,
        "test_distances.py::test_everything_equals_networkx_where_it_is_defined_and_is_said_to_be_undefined_elsewhere",
        "60 nodes of three densities; chain, full DAG",
    ),
    Oracle(
        "mean_node_connectivity",
        "Menger's theorem by brute force; networkx (500 graphs of up to 12 nodes)",
        700,
        "test_node_connectivity.py::test_it_equals_mengers_theorem_by_brute_force",
        "25 nodes; chain, full DAG",
    ),
    Oracle(
        "mean_current_flow_closeness mean_current_flow_betweenness mean_second_order",
        "networkx",
        500,
        "test_current_flow.py::test_everything_equals_networkx",
        "60 nodes; chain, full DAG; a simulated walk",
    ),
    Oracle(
        "ln_communicability_start_mean ln_communicability_end_mean ln_communicability_directed_mean",
        "the exponential series in whole numbers",
        600,
        "test_communicability_means.py::test_everything_equals_the_series_in_whole_numbers",
        "published values; full DAG, chain",
    ),
    Oracle(
        "mean_communicability_betweenness",
        "networkx; whole numbers where it has only rounding left",
        600,
        "test_communicability_betweenness.py::test_it_equals_networkx_on_small_graphs",
        "full DAG",
    ),
    Oracle(
        "pagerank_output mean_pagerank",
        "networkx",
        500,
        "test_pagerank.py::test_the_rank_of_the_output_equals_networkx",
        "chain",
    ),
    Oracle(
        "total_weight weighted_sparsity mean_strength std_strength max_in_strength max_out_strength",
        "sums, edge by edge",
        500,
        "test_weighted.py::test_strengths_equal_sums_edge_by_edge",
    ),
    Oracle(
        "log_weighted_paths mean_weighted_path",
        "all paths with their weights, enumerated",
        500,
        "test_weighted.py::test_weighted_paths_equal_those_enumerated",
        "2,000 nodes, where products vanish or overflow; weights of 1 count paths",
    ),
    Oracle(
        "invariant_hash",
        "isomorphism by networkx, for 11,175 pairs; renumbered copies",
        600,
        "test_invariant.py::test_copies_in_another_order_with_other_names_and_weights_have_the_same_hash",
        "the 31 DAGs of four nodes; graphs that refined colors cannot distinguish",
    ),
)

_HEADER = """\
# Metrics

What `graphtask metrics` and `graphtask.measure` can compute: n nodes, m edges, input u, output v; logarithms are natural, path lengths count edges.
`--metrics paper` (the default), `--metrics extended` and `--metrics motifs` are sets; any names of metrics and sets with commas between them do, too.
A metric that a graph does not have is NaN (or −∞ where that is the logarithm of nothing), and the column `undefined` says why.
This page is made by `docs/make_metrics.py` from the registry, which `graphtask metrics --list --format json` prints.
"""

_OWN = """\
## A metric of your design

A metric is a function of a view of the graph (`graphtask.metrics.view`), which has what metrics share: `graph` itself, `n_nodes`, `n_edges`, `edges`, `ends`, `order`, `stage`, `adjacency`.

```python
import graphtask as gt


def mean_skip(view):
    \"""Mean over the edges of the number of nodes that they pass, in the order of the nodes.\"""
    if view.n_edges == 0:
        raise gt.metrics.UndefinedMetricError("the graph has no edges")
    place = view.order.argsort()
    return float((place[view.edges[:, 1]] - place[view.edges[:, 0]] - 1).mean())


gt.metrics.register_metric(
    gt.metrics.Metric(
        name="mean_skip", compute=mean_skip, formula="mean of j − i − 1 over the edges (i, j)", sets=("mine",)
    )
)
gt.measure(gt.full_dag(4), metrics="mine")  # {'mean_skip': 0.6666666666666666, 'undefined': ''}
```

It is selected by its name or by its sets, which may be new ones, as in `metrics=["edges", "mean_skip"]`; an error in it costs one value, not the table.
In a module, here `skips.py` in the current folder, it serves the command, too: `graphtask metrics graphs --import skips --metrics mine`.
"""

_PROOF = """\
## What they were compared with

Each metric is compared with something independent of it on random DAGs of all densities and at the extremes ("also").
For all metrics: values stay in their range, one graph gives the same as a table of many, weights matter exactly to those that say so, and renumbering the vertices of 60 graphs changes nothing but the elongation of the layout (and `q1d` with it), which depends on the order that it starts from (`tests/metrics/test_registry.py`; [science.md](science.md) has the figures).
Values are rounded to the error of the metric. Measured on graphs of up to 200 nodes, renumbering moves sums, logarithms and roots by at most 5e-14; a test holds every metric to a hundredth of its error. Layouts: one unit in the last place of the start moves `pca_elongation` by less than 1e-6 for 51 of 56 graphs; the optimizer's tolerance leaves about 1e-5; single graphs change to another local minimum (up to 0.02).
The published values of 340 graphs come back with `GRAPHTASK_PUBLISHED=published_30.json .venv/bin/pytest -s tests/metrics/test_published.py`.
Readers are tested on damaged files: `.venv/bin/pytest -m slow -s tests/storage/test_fuzz.py` changes 5,500 files of all formats, each of which must be read as a valid graph or refused in one line, and 5,500 more, which must be read as another program reads them.
"""


def page() -> str:
    """Return the whole page."""
    metrics = all_metrics()
    parts = {
        "The set `paper`": [metric for metric in metrics if "paper" in metric.sets],
        "More in the set `extended`": [metric for metric in metrics if metric.sets == ("extended",)],
        "The set `motifs`": [metric for metric in metrics if metric.sets == ("motifs",)],
        "By name only": [metric for metric in metrics if not metric.sets],
    }
    sections = [f"## {title}\n\n{_table(chosen)}" for title, chosen in parts.items()]
    return "\n".join([_HEADER, *sections, _OWN, _PROOF, _oracles()])


def _table(metrics: Iterable[Metric]) -> str:
    rows = [
        (
            f"`{metric.name}`",
            metric.formula,
            f"{_number(metric.low)} … {_number(metric.high)}",
            metric.meaning,
            metric.defined_when,
            metric.cost
            + (f", up to {metric.max_nodes:,} nodes unless asked for by name" if metric.max_nodes else ""),
            f"{metric.error:g}" if metric.error else "exact",
            "yes" if metric.reads_weights else "no",
            metric.source.replace(PAPER, "the paper").replace(AUTHORS, "N&J 2020"),
        )
        for metric in metrics
    ]
    head = (
        "metric",
        "formula",
        "range",
        "larger is",
        "defined for",
        "cost",
        "error",
        "reads weights",
        "source",
    )
    return _lines(head, rows)


def _oracles() -> str:
    rows = [
        (
            ", ".join(f"`{name}`" for name in oracle.metrics.split()),
            oracle.what,
            str(oracle.n_graphs),
            oracle.also,
            f"`{oracle.test.partition('::')[0]}`",
        )
        for oracle in ORACLES
    ]
    return _lines(("metrics", "compared with", "graphs", "also", "test"), rows)


def _lines(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, ("---",) * len(head), *rows]
    escaped = ([cell.replace("|", r"\|") for cell in row] for row in cells)
    return "".join(f"| {' | '.join(row)} |\n" for row in escaped)


def _number(value: float) -> str:
    return f"{value:g}".replace("inf", "∞").replace("-", "−")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
