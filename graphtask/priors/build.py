"""Construction of an initial graph (prior) from its edges, and the bounds on its size."""

from collections.abc import Sequence
from typing import Any

import igraph
import numpy as np

from graphtask.errors import ArgumentError
from graphtask.graph import NAME, STAGE, stage_sizes, with_initial_size, with_provenance
from graphtask.priors.repair import repair_orphans
from graphtask.types import IntArray

DEFAULT_STAGES = 3
MAX_EDGES = 8_000_000
"""Most edges of a prior; files of larger graphs are not read back (`graphtask.storage.limits`)."""

_BYTES_PER_EDGE = 250  # arrays, pairs and the igraph graph, measured on full DAGs
_MAX_BYTES = 16 << 30


def build_prior(
    n_nodes: int, edges: IntArray, *, stages: int | Sequence[int] | None, name: str, arguments: dict[str, Any]
) -> igraph.Graph:
    """Return a valid graph of edges from smaller to larger indices, with orphans repaired.

    Args:
        n_nodes: Number of nodes, at least 2.
        edges: Array of shape (edges, 2), without duplicates.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.
        name: Name of the prior, for the provenance.
        arguments: Arguments of the caller, as JSON values, for the provenance.

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


def check_size(n_nodes: int, *, n_edges: int = 0, n_bytes: int = 0) -> None:
    """Raise if a prior takes too much memory.

    Args:
        n_nodes: Number of nodes.
        n_edges: Number of edges, at least.
        n_bytes: Memory that its construction takes besides the edges.

    Raises:
        ArgumentError: It has more than `MAX_EDGES` edges, or takes more than 16 GiB.

    Example:
        >>> check_size(200_000, n_edges=19_999_900_000)
        Traceback (most recent call last):
        ...
        graphtask.errors.ArgumentError: n_nodes must give at most 8,000,000 edges and 16 GiB of memory, got 200000, with at least 19,999,900,000 edges and about 4,656 GiB; use fewer nodes or a sparser prior
    """
    needed = n_edges * _BYTES_PER_EDGE + n_bytes
    if n_edges > MAX_EDGES or needed > _MAX_BYTES:
        raise ArgumentError(
            f"n_nodes must give at most {MAX_EDGES:,} edges and {_MAX_BYTES >> 30} GiB of memory, got {n_nodes}, "
            f"with at least {n_edges:,} edges and about {max(needed >> 30, 1):,} GiB; "
            f"use fewer nodes or a sparser prior",
            argument="n_nodes",
        )


def prior_stages(n_nodes: int, stages: int | Sequence[int] | None) -> list[int]:
    """Return the size of every stage; by default three equal parts, or as many as there are nodes.

    Raises:
        ArgumentError: ``stages`` does not fit ``n_nodes``.

    Example:
        >>> prior_stages(60, None), prior_stages(2, None)
        ([20, 20, 20], [1, 1])
    """
    return stage_sizes(n_nodes, min(DEFAULT_STAGES, n_nodes) if stages is None else stages)
