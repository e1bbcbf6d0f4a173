"""Size of a graph, and sparsity relative to its initial graph."""

import math
from collections import Counter
from typing import Any

import numpy as np

from graphtask.metrics.view import GraphView, UndefinedMetricError
from graphtask.parameters import polynomial_of
from graphtask.types import IntArray

_MAX_STAGE = 48  # channels double with every stage


def sparsity(view: GraphView) -> float:
    """1 − m/m0: the share of the edges of the initial graph that are gone.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(5)
        >>> graph.delete_edges([(0, 4)])
        >>> gt.measure(graph)["sparsity"]
        0.1
    """
    return share_gone(view.n_edges, view.initial.get("edges"))


def sparsity_of_stage(view: GraphView, stage: int) -> float:
    """1 − m/m0 of the edges that have both ends in ``stage``."""
    per_stage = view.initial.get("edges_per_stage")
    if not isinstance(per_stage, list | tuple) or stage >= len(per_stage):
        raise UndefinedMetricError("the provenance has no initial edge count for this stage")
    return share_gone(view.cached(_edges_per_stage)[stage], per_stage[stage])


def nodes(view: GraphView) -> int:
    """n, the number of nodes."""
    return view.n_nodes


def nodes_of_stage(view: GraphView, stage: int) -> int:
    """The number of nodes in ``stage``."""
    return view.cached(_nodes_per_stage)[stage]


def edges(view: GraphView) -> int:
    """m, the number of edges."""
    return view.n_edges


def mean_degree(view: GraphView) -> float:
    """2m/n, the mean number of edges at a node."""
    if view.n_nodes == 0:
        raise UndefinedMetricError("the graph has no nodes")
    return 2 * view.n_edges / view.n_nodes


def parameters(view: GraphView) -> int:
    """Trainable parameters of the compiled network; see `graphtask.parameters`."""
    channels = _setting(view, "channels")
    if channels is None:
        raise UndefinedMetricError("unknown channel count (pass channels=11, or --channels 11)")
    in_channels, n_classes = _setting(view, "in_channels"), _setting(view, "n_classes")
    view.cached(_require_stages)
    polynomial = polynomial_of(
        view.edges,
        view.stage,
        in_channels=3 if in_channels is None else in_channels,
        n_classes=10 if n_classes is None else n_classes,
    )
    return polynomial.at(channels)


def share_gone(now: float, before: Any) -> float:
    """1 − now/before, where ``before`` comes from the provenance and may be anything."""
    if isinstance(before, bool) or not isinstance(before, int | float) or not math.isfinite(before):
        raise UndefinedMetricError("the provenance has no initial edge count")
    if before <= 0:
        raise UndefinedMetricError("the initial graph had no edges here")
    return (before - now) / before


def _nodes_per_stage(view: GraphView) -> Counter[int]:
    return _tally(view.stage)


def _edges_per_stage(view: GraphView) -> Counter[int]:
    source, target = view.edge_stages
    return _tally(source[source == target])


def _tally(stages: IntArray) -> Counter[int]:
    """Count how often each stage occurs; stages are few and small except in malformed files."""
    if len(stages) == 0 or stages.max() > 1_000:
        return Counter(stages.tolist())
    return Counter({stage: count for stage, count in enumerate(np.bincount(stages).tolist()) if count})


def _setting(view: GraphView, name: str) -> int | None:
    value = getattr(view.options, name)
    if value is None:
        value = view.facts.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer) or not value >= 1:
        raise UndefinedMetricError(f"{name} in the provenance is {value!r}")
    if value != math.floor(value):
        raise UndefinedMetricError(f"{name} in the provenance is {value!r}")
    return int(value)


def _require_stages(view: GraphView) -> None:
    _ = view.ends
    source, target = view.edge_stages
    if bool((source > target).any()):
        raise UndefinedMetricError("the stage falls along an edge")
    if int(view.stage.max()) > _MAX_STAGE:
        raise UndefinedMetricError(
            f"stage {int(view.stage.max())} would have 2^{int(view.stage.max())} channels"
        )
