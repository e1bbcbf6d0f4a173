"""``graphtask new``: new graphs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.messages import note, say
from graphtask_cli.options import (
    Decorator,
    examples,
    group,
    in_turn,
    option,
    order_option,
    out_option,
    reading_options,
    seed_option,
    stages_option,
)
from graphtask_cli.param_types import PATH, Choice, Integer, Number
from graphtask_cli.sources import read_graph
from graphtask_cli.streams import is_stream, write_graph

if TYPE_CHECKING:
    import igraph

nodes_option = option("--nodes", "n_nodes", type=Integer(2), required=True, help="Number of nodes.")
file_options = in_turn(
    stages_option(default="3"),
    out_option(text="GraphML file to write; - for standard output.", required=True),
)
random_options = in_turn(seed_option, order_option(default="ids", section="Options"), file_options)


def probability_option(text: str) -> Decorator:
    """Return ``--p``."""
    return option("--p", type=Number(0, 1), required=True, help=text)


@group(
    epilog=examples(
        "graphtask new full --nodes 60 --stages 3 -o full.graphml",
        "graphtask new full --nodes 12 -o - | graphtask compile - --channels 4",
    )
)
def new() -> None:
    """Make a graph: dense, banded, random, or from a file.

    Each graph is directed and acyclic, with one input and one output, and its nodes are divided into stages.
    """


@new.command(epilog=examples("graphtask new full --nodes 60 --stages 3 -o full.graphml"))
@nodes_option
@file_options
def full(n_nodes: int, stages: int | Sequence[int], out: Path) -> None:
    """Connect every node to every later one."""
    import graphtask as gt

    _write(gt.full_dag(n_nodes, stages=stages), out)


@new.command(epilog=examples("graphtask new banded --nodes 60 --bandwidth 10 -o banded.graphml"))
@nodes_option
@option("--bandwidth", type=Integer(1), required=True, help="Length of the longest edge, in nodes.")
@file_options
def banded(n_nodes: int, bandwidth: int, stages: int | Sequence[int], out: Path) -> None:
    """Connect every node to the next few."""
    import graphtask as gt

    _write(gt.banded_dag(n_nodes, bandwidth=bandwidth, stages=stages), out)


@new.command(epilog=examples("graphtask new chain --nodes 20 -o chain.graphml"))
@nodes_option
@file_options
def chain(n_nodes: int, stages: int | Sequence[int], out: Path) -> None:
    """Connect every node to the next one."""
    import graphtask as gt

    _write(gt.chain_dag(n_nodes, stages=stages), out)


@new.command(
    "erdos-renyi", epilog=examples("graphtask new erdos-renyi --nodes 60 --p 0.1 --seed 0 -o er.graphml")
)
@nodes_option
@probability_option("Probability of each possible edge.")
@random_options
def erdos_renyi(out: Path, **arguments: Any) -> None:
    """Draw each possible edge with the same probability."""
    import graphtask as gt

    _write(gt.priors.erdos_renyi_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "watts-strogatz",
    epilog=examples("graphtask new watts-strogatz --nodes 60 --neighbors 4 --p 0.3 --order x -o ws.graphml"),
)
@nodes_option
@option(
    "--neighbors", type=Integer(2), required=True, help="Neighbors of each node on the ring, an even number."
)
@probability_option("Probability of rewiring each edge.")
@random_options
def watts_strogatz(out: Path, **arguments: Any) -> None:
    """Rewire some edges of a ring of neighbors."""
    import graphtask as gt

    _write(gt.priors.watts_strogatz_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "barabasi-albert",
    epilog=examples("graphtask new barabasi-albert --nodes 60 --attachments 3 -o ba.graphml"),
)
@nodes_option
@option("--attachments", type=Integer(1), required=True, help="Edges of each new node.")
@random_options
def barabasi_albert(out: Path, **arguments: Any) -> None:
    """Attach node after node, preferably to hubs."""
    import graphtask as gt

    _write(gt.priors.barabasi_albert_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "random-dag",
    epilog=examples("graphtask new random-dag --nodes 60 --out-degree 4 --seed 1 -o random.graphml"),
)
@nodes_option
@option("--out-degree", type=Number(0), default=3, help="Mean number of later nodes that a node feeds.")
@option(
    "--law",
    type=Choice(["constant", "uniform", "poisson", "geometric"]),
    default="constant",
    help="Distribution of the out-degree.",
)
@option(
    "--decay",
    type=Choice(["none", "exponential", "power"]),
    default="exponential",
    help="Decay of the edge probability with the length of the edge.",
)
@option("--rate", type=Number(0), default=2.0, help="Rate of the decay.")
@option(
    "--block-length",
    "block",
    type=Integer(1),
    default=5,
    help="Lengths, in nodes, that share one probability.",
)
@option("--attraction", type=Number(), default=0.5, help="Exponent of the target's own out-degree.")
@seed_option
@file_options
def random_dag(out: Path, **arguments: Any) -> None:
    """Draw out-degrees from a law; prefer short edges."""
    import graphtask as gt

    _write(gt.random_dag(arguments.pop("n_nodes"), **arguments), out)


@new.command(
    "from",
    epilog=examples(
        "graphtask new from gephi.graphml --stages 3 --join -o valid.graphml",
        "graphtask new from karate.gml --order ids --stages 3 -o karate.graphml",
    ),
)
@click.argument("source", type=PATH, metavar="FILE")
@reading_options
@out_option(text="GraphML file to write; - for standard output.", required=True)
def from_file(source: Path, *, out: Path, **options: Any) -> None:
    """Read a graph file of another program.

    Reads the GraphML of igraph, networkx, Gephi and yEd, edge lists (.csv, .tsv, .txt, .edges), adjacency matrices
    (.npz, .csv), GML, and node-link JSON. Vertices keep their names and other attributes; edge weights outside [0, 1]
    are renamed to `file_weight`.
    """
    _write(read_graph(source, **options), out)


def _write(graph: "igraph.Graph", out: Path) -> None:
    import graphtask as gt

    if is_stream(out):
        write_graph(graph, out)
        note(_summary(graph))
        return
    gt.write(graph, out)
    say(f"{out}: {_summary(graph)}")


def _summary(graph: "igraph.Graph") -> str:
    import graphtask as gt
    from graphtask.graph import size_by_stage

    sizes = size_by_stage(graph)["nodes_per_stage"]
    per_stage = f" ({'/'.join(map(str, sizes))})" if len(sizes) > 1 else ""
    repaired = (gt.provenance(graph).get("prior") or {}).get("repaired_edges", 0)
    added = f" ({repaired:,} added by repair)" if repaired else ""
    stages = f"{counted(len(sizes), 'stage')}{per_stage}"
    return f"{counted(graph.vcount(), 'node')}, {counted(graph.ecount(), 'edge')}{added}, {stages}"
