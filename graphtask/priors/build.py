"""From a list of edges to a prior: what all priors do last, and how they check their arguments."""

from collections.abc import Sequence
from typing import Any

import igraph
import numpy as np

from graphtask.graph import NAME, STAGE, stage_sizes, with_initial_size, with_provenance
from graphtask.priors.repair import repair_orphans
from graphtask.types import IntArray

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
