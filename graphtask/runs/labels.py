"""What a trained graph came from, in words for the rows of tables."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import igraph

from graphtask.graph import provenance
from graphtask.priors.registry import INCIDENTAL


class Origin(NamedTuple):
    """Data set, prior and seed of a trained graph; empty or None where the graph does not know."""

    data: str
    prior: str
    seed: int | None


def origin(graph: igraph.Graph) -> Origin:
    """What the provenance of a graph says about where it came from.

    Example:
        >>> import graphtask as gt
        >>> origin(gt.banded_dag(60, bandwidth=10, stages=3))
        Origin(data='', prior='banded-10', seed=None)
    """
    known = provenance(graph)
    return Origin(
        data=str(known.get("data") or ""), prior=prior_label(known.get("prior")), seed=known.get("seed")
    )


def prior_label(prior: Any) -> str:
    """The name of a prior with the numbers that define it, such as ``full`` or ``banded-10``.

    Example:
        >>> prior_label({"name": "erdos-renyi", "arguments": {"n_nodes": 60, "p": 0.2, "seed": 3}})
        'erdos-renyi-0.2'
    """
    if not isinstance(prior, Mapping):
        return str(prior or "")
    arguments = prior.get("arguments")
    values = [
        f"{value:g}"
        for name, value in (arguments.items() if isinstance(arguments, Mapping) else ())
        if name not in INCIDENTAL and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return "-".join([str(prior.get("name", "")), *values])
