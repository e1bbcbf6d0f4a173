"""``graphtask new``: make a graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.options import examples, out_option, reading_options, stages_option
from graphtask_cli.sources import read_graph

if TYPE_CHECKING:
    import igraph

_ORDERS = ("ids", "x", "radius", "bifocal")

nodes_option = click.option(
    "--nodes", "n_nodes", type=int, required=True, help="Number of nodes, at least 2."
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed, the same graph."
)
order_option = click.option(
    "--order",
    type=click.Choice(_ORDERS),
    default="ids",
    show_default=True,
    help="How the nodes are put in order: as numbered, or by a Kamada-Kawai layout.",
)
file_option = out_option(
    text="GraphML file to write; a file that is there already is replaced.", required=True
)


@click.group(epilog=examples("graphtask new full --nodes 60 --stages 3 -o full.graphml"))
def new() -> None:
    """Make a graph: dense, banded, random, or from a file.

    Each graph is directed and acyclic, with one input and one output, and its nodes are cut into stages.
    """


@new.command(epilog=examples("graphtask new full --nodes 60 --stages 3 -o full.graphml"))
@nodes_option
@stages_option()
@file_option
def full(n_nodes: int, stages: int | Sequence[int] | None, out: Path) -> None:
    """An edge from every node to every later one."""
    import graphtask as gt

    _write(gt.full_dag(n_nodes, stages=stages), out)


@new.command(epilog=examples("graphtask new banded --nodes 60 --bandwidth 10 -o banded.graphml"))
@nodes_option
@click.option("--bandwidth", type=int, required=True, help="The farthest that an edge leads, in nodes.")
@stages_option()
@file_option
def banded(n_nodes: int, bandwidth: int, stages: int | Sequence[int] | None, out: Path) -> None:
    """An edge from every node to the next few."""
    import graphtask as gt

    _write(gt.banded_dag(n_nodes, bandwidth=bandwidth, stages=stages), out)


@new.command(epilog=examples("graphtask new chain --nodes 20 -o chain.graphml"))
@nodes_option
@stages_option()
@file_option
def chain(n_nodes: int, stages: int | Sequence[int] | None, out: Path) -> None:
    """One path through all nodes."""
    import graphtask as gt

    _write(gt.chain_dag(n_nodes, stages=stages), out)


@new.command(
    "erdos-renyi", epilog=examples("graphtask new erdos-renyi --nodes 60 --p 0.1 --seed 0 -o er.graphml")
)
@nodes_option
@click.option("--p", type=float, required=True, help="Probability of each possible edge.")
@seed_option
@order_option
@stages_option()
@file_option
def erdos_renyi(out: Path, **arguments: Any) -> None:
    """Each possible edge with the same probability."""
    import graphtask as gt

    _write(gt.erdos_renyi_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "watts-strogatz",
    epilog=examples("graphtask new watts-strogatz --nodes 60 --neighbors 4 --p 0.3 --order x -o ws.graphml"),
)
@nodes_option
@click.option(
    "--neighbors", type=int, required=True, help="Neighbors of each node on the ring, an even number."
)
@click.option("--p", type=float, required=True, help="Probability that an edge is rewired.")
@seed_option
@order_option
@stages_option()
@file_option
def watts_strogatz(out: Path, **arguments: Any) -> None:
    """A ring of neighbors, partly rewired."""
    import graphtask as gt

    _write(gt.watts_strogatz_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "barabasi-albert",
    epilog=examples("graphtask new barabasi-albert --nodes 60 --attachments 3 -o ba.graphml"),
)
@nodes_option
@click.option("--attachments", type=int, required=True, help="Edges that each new node brings.")
@seed_option
@order_option
@stages_option()
@file_option
def barabasi_albert(out: Path, **arguments: Any) -> None:
    """Grown node by node; new nodes prefer hubs."""
    import graphtask as gt

    _write(gt.barabasi_albert_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "random-dag",
    epilog=examples("graphtask new random-dag --nodes 60 --out-degree 4 --seed 1 -o random.graphml"),
)
@nodes_option
@click.option(
    "--out-degree",
    type=float,
    default=3,
    show_default=True,
    help="Mean number of later nodes that a node feeds.",
)
@click.option(
    "--law",
    type=click.Choice(["constant", "uniform", "poisson", "geometric"]),
    default="constant",
    show_default=True,
    help="Distribution of the out-degree.",
)
@click.option(
    "--decay",
    type=click.Choice(["none", "exponential", "power"]),
    default="exponential",
    show_default=True,
    help="How the probability of an edge falls with its length.",
)
@click.option("--rate", type=float, default=2.0, show_default=True, help="How fast it falls.")
@click.option(
    "--block", type=int, default=5, show_default=True, help="Length in nodes over which it stays the same."
)
@click.option(
    "--attraction",
    type=float,
    default=0.5,
    show_default=True,
    help="Exponent of the target's own out-degree.",
)
@seed_option
@stages_option()
@file_option
def random_dag(out: Path, **arguments: Any) -> None:
    """Out-degrees from a law; near nodes preferred."""
    import graphtask as gt

    _write(gt.random_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "from",
    epilog=examples(
        "graphtask new from gephi.graphml --stages 3 --join -o valid.graphml",
        "graphtask new from karate.gml --order ids --stages 3 -o karate.graphml",
    ),
)
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
@reading_options
@file_option
def from_file(source: Path, *, out: Path, **options: Any) -> None:
    """A valid graph of another program's file.

    Reads the GraphML of igraph, networkx, Gephi and yEd, edge lists (.csv, .tsv, .txt, .edges), adjacency matrices
    (.npz, .csv), GML, and node-link JSON. Vertices keep their names and other attributes; edge weights that are no
    shares in [0, 1] are kept as `file_weight`.
    """
    _write(read_graph(source, **options), out)


def _write(graph: "igraph.Graph", out: Path) -> None:
    import graphtask as gt

    gt.write(graph, out)
    click.echo(f"{out}: {_summary(graph)}")


def _summary(graph: "igraph.Graph") -> str:
    import graphtask as gt
    from graphtask.graph import size_by_stage

    sizes = size_by_stage(graph)["nodes_per_stage"]
    per_stage = f" ({'/'.join(map(str, sizes))})" if len(sizes) > 1 else ""
    repaired = (gt.provenance(graph).get("prior") or {}).get("repaired_edges", 0)
    added = f"; orphans repaired with {counted(repaired, 'edge')}" if repaired else ""
    stages = f"{counted(len(sizes), 'stage')}{per_stage}"
    return f"{counted(graph.vcount(), 'node')}, {counted(graph.ecount(), 'edge')}, {stages}{added}"
