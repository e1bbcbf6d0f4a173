"""Labels of a trained graph for the rows of tables: data set, initial graph (prior) and seed, from its provenance."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import igraph

from graphtask.graph import provenance
from graphtask.priors.registry import INCIDENTAL


class ProvenanceLabels(NamedTuple):
    """Data set, prior and seed of a trained graph; empty or None where its provenance has none."""

    dataset: str
    prior: str
    seed: int | None


def provenance_labels(graph: igraph.Graph) -> ProvenanceLabels:
    """Return data set, prior and seed from the provenance of a graph.

    Example:
        >>> import graphtask as gt
        >>> provenance_labels(gt.banded_dag(60, bandwidth=10, stages=3))
        ProvenanceLabels(dataset='', prior='banded-10', seed=None)
    """
    known = provenance(graph)
    return ProvenanceLabels(
        dataset=_text(known.get("data")), prior=prior_label(known.get("prior")), seed=known.get("seed")
    )


def prior_label(prior: Any) -> str:
    """Return the name of a prior with the numbers that define it, such as ``full`` or ``banded-10``.

    Example:
        >>> prior_label({"name": "erdos-renyi", "arguments": {"n_nodes": 60, "p": 0.2, "seed": 3}})
        'erdos-renyi-0.2'
    """
    if not isinstance(prior, Mapping):
        return _text(prior)
    arguments = prior.get("arguments")
    values = [
        f"{float(value):g}"
        for name, value in (arguments.items() if isinstance(arguments, Mapping) else ())
        if name not in INCIDENTAL and _is_number(value)
    ]
    return "-".join([_text(prior.get("name")), *values])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_number(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 1 << 1000  # larger ones are not floats
    return isinstance(value, float)
