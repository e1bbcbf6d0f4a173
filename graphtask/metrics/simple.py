"""Requirements and arrays shared by the extended metrics: simple DAGs, and a limit on work."""

from typing import NamedTuple

import numpy as np

from graphtask.metrics.view import SMALL, GraphView, UndefinedMetricError
from graphtask.types import FloatArray, IntArray

SIMPLE = "a DAG without parallel edges"
CONNECTED = f"{SIMPLE}, in one piece"
ONE_PATH = f"{SIMPLE}, with one input and one output"

_MOST_STEPS = 3e9  # of a metric not selected by name; about ten seconds


class Degrees(NamedTuple):
    """Number of edges at, into, and out of every vertex."""

    total: IntArray
    incoming: IntArray
    outgoing: IntArray


def degrees(view: GraphView) -> Degrees:
    """The degrees of a simple DAG with at least one vertex."""
    return view.cached(_degrees)


def symmetric(view: GraphView) -> FloatArray:
    """A + Aᵀ of a simple DAG, of shape (nodes, nodes): 1 where two vertices are neighbors, or else 0."""
    return view.cached(_symmetric)


def neighbors(view: GraphView) -> FloatArray:
    """A + Aᵀ of a simple DAG, for products only: dense if small, or else sparse."""
    return view.cached(_neighbors)


def require_simple(view: GraphView, *, least: int = 1) -> None:
    """Raise unless the graph is a DAG without parallel edges that has at least so many vertices."""
    view.cached(_check_simple)
    if view.n_nodes < least:
        raise UndefinedMetricError(f"the graph has fewer than {least} nodes")


def require_connected(view: GraphView, *, least: int = 1) -> None:
    """Raise unless, besides that, every vertex can be reached from every other when directions do not matter."""
    require_simple(view, least=least)
    if not view.cached(_is_connected):
        raise UndefinedMetricError("the graph is not connected")


def require_edge(view: GraphView) -> None:
    """Raise unless the graph is a DAG without parallel edges that has an edge."""
    require_simple(view)
    if view.n_edges == 0:
        raise UndefinedMetricError("the graph has no edges")


def require_budget(view: GraphView, steps: float) -> None:
    """Raise if a metric that was not selected by name would need more steps than the limit."""
    if steps > _MOST_STEPS and not view.allow_slow:
        raise UndefinedMetricError(f"skipped, it needs {steps:.0e} steps (select it by name to compute it)")


def _check_simple(view: GraphView) -> None:
    _ = view.order
    if view.graph.has_multiple():
        raise UndefinedMetricError("the graph has parallel edges")


def _is_connected(view: GraphView) -> bool:
    return bool(view.graph.is_connected(mode="weak"))


def _degrees(view: GraphView) -> Degrees:
    require_simple(view)
    incoming = np.bincount(view.edges[:, 1], minlength=view.n_nodes)
    outgoing = np.bincount(view.edges[:, 0], minlength=view.n_nodes)
    return Degrees(incoming + outgoing, incoming, outgoing)


def _symmetric(view: GraphView) -> FloatArray:
    require_simple(view)
    return view.adjacency + view.adjacency.T


def _neighbors(view: GraphView) -> FloatArray:
    if view.n_nodes <= SMALL:
        return view.cached(_symmetric)
    from scipy.sparse import csr_array

    require_simple(view)
    both = np.concatenate([view.edges, view.edges[:, ::-1]])
    matrix: FloatArray = csr_array(
        (np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(view.n_nodes, view.n_nodes)
    )
    return matrix
