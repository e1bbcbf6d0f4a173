"""From a list of edges to a prior: what all priors do last, and how they check their arguments."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import igraph
import numpy as np

from graphtask.errors import ArgumentError
from graphtask.graph import NAME, STAGE, IntArray, stage_sizes, with_initial_size, with_provenance
from graphtask.priors.repair import repair_orphans

DEFAULT_STAGES = 3


def build_prior(
    n_nodes: int, edges: IntArray, *, stages: int | Sequence[int] | None, name: str, arguments: dict[str, Any]
) -> igraph.Graph:
    """A valid graph of edges that all lead from a smaller to a larger index; orphans are repaired.

    Args:
        n_nodes: Number of nodes, at least 2.
        edges: Array of shape (edges, 2), without repetitions.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.
        name: The prior's name, for the provenance.
        arguments: What the caller asked for, as JSON values, for the provenance.

    Raises:
        ArgumentError: ``stages`` does not fit ``n_nodes``.
    """
    sizes = prior_stages(n_nodes, stages)
    # igraph reads a list of pairs twice as fast as an array.
    pairs = list(zip(*edges.T.tolist(), strict=True))
    graph, n_added = repair_orphans(igraph.Graph(n=n_nodes, edges=pairs, directed=True))
    graph.vs[NAME] = [f"v{index}" for index in range(n_nodes)]
    graph.vs[STAGE] = np.repeat(np.arange(len(sizes)), sizes).tolist()
    prior = {
        "name": name,
        "arguments": {"n_nodes": n_nodes, **arguments, "stages": sizes},
        "repaired_edges": n_added,
    }
    return with_initial_size(with_provenance(graph, prior=prior))


def prior_stages(n_nodes: int, stages: int | Sequence[int] | None) -> list[int]:
    """The size of every stage; three equal parts by default, or as many as there are nodes.

    Raises:
        ArgumentError: ``stages`` does not fit ``n_nodes``.

    Example:
        >>> prior_stages(60, None), prior_stages(2, None)
        ([20, 20, 20], [1, 1])
    """
    return stage_sizes(n_nodes, min(DEFAULT_STAGES, n_nodes) if stages is None else stages)


def whole_number(value: object, *, name: str, least: int) -> int:
    """``value`` as an int.

    Raises:
        ArgumentError: It is not a whole number, or less than ``least``.
    """
    if not isinstance(value, Integral) or int(value) < least:
        raise ArgumentError(f"{name}={value!r} does not work; give a whole number of at least {least}")
    return int(value)


def real_number(value: object, *, name: str, least: float, most: float = np.inf) -> float:
    """``value`` as a float.

    Raises:
        ArgumentError: It is not a number from ``least`` to ``most``, or not finite.
    """
    number = float(value) if isinstance(value, Real) else np.nan
    if not least <= number <= most or np.isinf(number):
        bounds = f"of at least {least:g}" if most == np.inf else f"from {least:g} to {most:g}"
        raise ArgumentError(f"{name}={value!r} does not work; give a number {bounds}")
    return number


def one_of(value: object, *, name: str, choices: Sequence[str]) -> None:
    """Raise unless ``value`` is one of ``choices``.

    Raises:
        ArgumentError: It is something else.
    """
    if value not in choices:
        raise ArgumentError(f"{name}={value!r} is unknown; use one of {', '.join(choices)}")
