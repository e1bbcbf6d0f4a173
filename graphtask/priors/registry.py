"""Registry of the initial graphs (priors): one table for studies, distributions, labels and the command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

import igraph

from graphtask.priors.dense import banded_dag, chain_dag, full_dag
from graphtask.priors.orient import Order
from graphtask.priors.random import (
    Decay,
    OutDegreeLaw,
    barabasi_albert_dag,
    erdos_renyi_dag,
    random_dag,
    watts_strogatz_dag,
)

INCIDENTAL = frozenset({"n_nodes", "stages", "seed"})
"""Arguments that differ between runs without making another prior; labels leave them out."""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a prior."""

    name: str
    """Name in Python."""
    type: type[int] | type[float] | type[str]
    """Type of the value."""
    help: str
    """One sentence that stands alone."""
    least: float | None = None
    """Smallest value."""
    most: float | None = None
    """Largest value."""
    choices: tuple[str, ...] = ()
    """Allowed values of a string."""
    default: Any = None
    """Default value; None for a required argument."""

    @property
    def option(self) -> str:
        """Name on the command line."""
        return "--" + self.name.removeprefix("n_").replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class Prior:
    """One kind of initial graph."""

    name: str
    """Name in studies, on the command line and in the provenance."""
    function: Callable[..., igraph.Graph]
    """Function that makes the graph; takes ``n_nodes`` and the arguments by keyword, and ``stages``."""
    help: str
    """One sentence that stands alone."""
    arguments: tuple[Argument, ...]
    """Arguments other than ``stages``, which every prior takes."""

    @property
    def is_random(self) -> bool:
        """Whether the graph depends on a seed."""
        return any(argument.name == "seed" for argument in self.arguments)


_NODES = Argument(name="n_nodes", type=int, least=2, help="Number of nodes.")
_SEED = Argument(name="seed", type=int, least=0, help="Random seed; the same seed gives the same graph.")
_ORDER = Argument(
    name="order",
    type=str,
    choices=get_args(Order),
    default="ids",
    help="Order of the nodes in which edges lead forward: as numbered, or by a Kamada-Kawai layout.",
)

_ALL = (
    Prior(
        name="full",
        function=full_dag,
        help="An edge from every node to every later one.",
        arguments=(_NODES,),
    ),
    Prior(
        name="banded",
        function=banded_dag,
        help="An edge from every node to the next few.",
        arguments=(
            _NODES,
            Argument(
                name="bandwidth", type=int, least=1, help="Longest edge, in positions of the node order."
            ),
        ),
    ),
    Prior(name="chain", function=chain_dag, help="One path through all nodes.", arguments=(_NODES,)),
    Prior(
        name="erdos-renyi",
        function=erdos_renyi_dag,
        help="Each possible edge with the same probability.",
        arguments=(
            _NODES,
            Argument(name="p", type=float, least=0, most=1, help="Probability of each possible edge."),
            _SEED,
            _ORDER,
        ),
    ),
    Prior(
        name="watts-strogatz",
        function=watts_strogatz_dag,
        help="A ring of neighbors, partly rewired.",
        arguments=(
            _NODES,
            Argument(
                name="neighbors",
                type=int,
                least=2,
                help="Neighbors of each node on the ring, an even number.",
            ),
            Argument(name="p", type=float, least=0, most=1, help="Probability that an edge is rewired."),
            _SEED,
            _ORDER,
        ),
    ),
    Prior(
        name="barabasi-albert",
        function=barabasi_albert_dag,
        help="Preferential attachment: new nodes prefer hubs.",
        arguments=(
            _NODES,
            Argument(name="attachments", type=int, least=1, help="Edges that each new node brings."),
            _SEED,
            _ORDER,
        ),
    ),
    Prior(
        name="random-dag",
        function=random_dag,
        help="Out-degrees drawn from a law; near nodes are preferred.",
        arguments=(
            _NODES,
            Argument(
                name="out_degree",
                type=float,
                least=1,
                default=3,
                help="Mean number of later nodes that a node feeds.",
            ),
            Argument(
                name="law",
                type=str,
                choices=get_args(OutDegreeLaw),
                default="constant",
                help="Distribution of the out-degree.",
            ),
            Argument(
                name="decay",
                type=str,
                choices=get_args(Decay),
                default="exponential",
                help="Form of the decay of the edge probability with the length of the edge.",
            ),
            Argument(name="rate", type=float, least=0, most=1000, default=2.0, help="Rate of the decay."),
            Argument(
                name="block",
                type=int,
                least=1,
                default=5,
                help="Length, in nodes, within which the edge probability is constant.",
            ),
            Argument(
                name="attraction",
                type=float,
                least=0,
                most=1000,
                default=0.5,
                help="Exponent of the out-degree of the target in the edge probability.",
            ),
            _SEED,
        ),
    ),
)

PRIORS: Mapping[str, Prior] = MappingProxyType({prior.name: prior for prior in _ALL})
"""Every prior by its name."""


def make_prior(name: str, arguments: Mapping[str, Any]) -> igraph.Graph:
    """Return the prior with these arguments, as the provenance of a graph records them.

    Raises:
        KeyError: The prior is unknown.
        ArgumentError: An argument is invalid.
        TypeError: An argument is missing or unknown.

    Example:
        >>> make_prior("banded", {"n_nodes": 4, "bandwidth": 2, "stages": [2, 2]}).ecount()
        5
    """
    return PRIORS[name].function(**arguments)
