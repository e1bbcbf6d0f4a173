"""Fitted distributions as JSON files: their parameters, and the observed counts."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphtask.distribution.distances import CLASS_STARTS, DistanceRates
from graphtask.distribution.model import GraphDistribution
from graphtask.distribution.normalizer import LogNormalizer
from graphtask.distribution.pair_model import PairCounts, PairModel
from graphtask.distribution.sampling import Tilt
from graphtask.distribution.size_factor import SizeFactor
from graphtask.distribution.sizes import SizeDistribution
from graphtask.distribution.stage_model import StageModel
from graphtask.distribution.support import Support
from graphtask.errors import ArgumentError, FormatError
from graphtask.storage.atomic import write_atomically
from graphtask.storage.content import about, load

FORMAT = "graphtask distribution of graphs"
VERSION = 3

_MOST_NODES = 10_000  # of a stage
_MOST_GRAPHS = 1 << 40
_LARGEST_FACTOR = 1e9
_DAMAGED = "is not a complete distribution of graphs"

Document = dict[str, Any]


def write_distribution(distribution: GraphDistribution, path: str | os.PathLike[str]) -> None:
    """Write the distribution to a ``.json`` file; floats keep every bit.

    Raises:
        GraphtaskError: The file cannot be written.
        ArgumentError: The suffix is another one.
    """
    if Path(path).suffix != ".json":
        raise ArgumentError(f"path must end in .json, got {str(path)!r}", argument="path")
    model = distribution.model
    document: Document = {
        "format": FORMAT,
        "version": VERSION,
        "n_graphs": distribution.n_graphs,
        "mean_nodes": distribution.mean_nodes,
        "mean_edges": distribution.mean_edges,
        "tilt": list(distribution.tilt),
        "size_factor": list(distribution.size_factor),
        "log_normalizer": list(distribution.log_normalizer),
        "facts": dict(distribution.facts),
        "model": _of_pairs(model) if isinstance(model, PairModel) else _of_stages(model),
    }
    with write_atomically(path) as file:
        file.write((json.dumps(document) + "\n").encode())


def read_distribution(path: str | os.PathLike[str]) -> GraphDistribution:
    """Read a file that `write_distribution` wrote.

    Raises:
        FormatError: The file cannot be read, or is not a distribution.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "p.json"
        >>> fitted = gt.GraphDistribution.fit([gt.full_dag(5), gt.full_dag(5)])
        >>> fitted.save(path)
        >>> gt.GraphDistribution.load(path).log_normalizer == fitted.log_normalizer
        True
    """
    try:
        return _distribution(_document(load(path)))
    except FormatError as error:
        raise FormatError(about(path, error)) from None
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise FormatError(about(path, FormatError(f"{_DAMAGED} ({type(error).__name__}: {error})"))) from None


def _document(content: bytes) -> Document:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise FormatError("is not a JSON file; write a distribution with `graphtask sample --save`") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FormatError("is not a distribution of graphs; write one with `graphtask sample --save`")
    if document.get("version") != VERSION:
        raise FormatError(
            f"has version {document.get('version')!r} of the format; this graphtask reads {VERSION}"
        )
    return document


def _distribution(document: Document) -> GraphDistribution:
    stored = document["model"]
    model = _pair_model(stored) if stored["kind"] == "pairs" else _stage_model(stored)
    facts = document["facts"]
    n_graphs, means = int(document["n_graphs"]), _numbers([document["mean_nodes"], document["mean_edges"]], 2)
    _require(isinstance(facts, dict) and n_graphs >= 1)
    tilt, (value, error) = Tilt(*_numbers(document["tilt"], 2)), _numbers(document["log_normalizer"], 2)
    _require(max(map(abs, tilt)) <= 100 and value <= 0.5 and error >= 0)
    factor = SizeFactor(*_numbers(document["size_factor"], 4))
    _require(min(factor) >= 0 and max(factor) <= _LARGEST_FACTOR and value >= -_LARGEST_FACTOR)
    mean_nodes, mean_edges = means
    result = GraphDistribution(model, n_graphs, mean_nodes, mean_edges, facts, tilt, factor)
    # Estimated once; the file keeps it, so that it is the same for all who read it.
    result.__dict__["log_normalizer"] = LogNormalizer(value, error)
    return result


def _of_pairs(model: PairModel) -> Document:
    support, counts = model.support, model.counts
    return {
        "kind": "pairs",
        "names": list(support.names),
        "stage": support.stage.tolist(),
        "source": support.pairs[:, 0].tolist(),
        "target": support.pairs[:, 1].tolist(),
        "presence": model.presence.tolist(),
        "edge": model.edge.tolist(),
        "class_rate": model.class_rate.tolist(),
        "counts": {
            "n_graphs": counts.n_graphs,
            "nodes": counts.nodes.tolist(),
            "both_present": counts.together.tolist(),
            "edges": counts.edges.tolist(),
        },
    }


def _pair_model(stored: Document) -> PairModel:
    names, counts = stored["names"], stored["counts"]
    _require(
        len(names) >= 2 and len(set(names)) == len(names) and all(isinstance(name, str) for name in names)
    )
    n_nodes = len(names)
    stage = _whole(stored["stage"], n_nodes)
    pairs = np.stack([_whole(stored["source"]), _whole(stored["target"])], axis=1)
    n_pairs = len(pairs)
    _require(n_pairs >= 1 and pairs.max() < n_nodes and bool((np.diff(pairs @ [n_nodes, 1]) > 0).all()))
    _require(bool((pairs[:, 0] < pairs[:, 1]).all() and (np.diff(stage) >= 0).all()))
    return PairModel(
        support=Support(tuple(names), stage, pairs),
        presence=_rates(stored["presence"], (n_nodes,)),
        edge=_rates(stored["edge"], (n_pairs,)),
        counts=PairCounts(
            int(counts["n_graphs"]),
            _whole(counts["nodes"], n_nodes),
            _whole(counts["both_present"], n_pairs),
            _whole(counts["edges"], n_pairs),
        ),
        class_rate=_rates(stored["class_rate"], (n_pairs,)),
    )


def _of_stages(model: StageModel) -> Document:
    return {
        "kind": "stages",
        "ends": model.ends.tolist(),
        "times": model.times.tolist(),
        "sizes": [
            {
                "values": sizes.values.tolist(),
                "times": sizes.times.tolist(),
                "least": sizes.least,
                "q": sizes.q,
                "tilt": sizes.tilt,
            }
            for sizes in model.sizes
        ],
        "rate": model.rates.rate.tolist(),
        "edges": model.rates.edges.tolist(),
        "pairs": model.rates.pairs.tolist(),
    }


def _stage_model(stored: Document) -> StageModel:
    sizes = tuple(_size_distribution(own) for own in stored["sizes"])
    n_classes = len(stored["rate"][0][0])
    shape = (len(sizes) + 2, len(sizes) + 2, n_classes)
    _require(1 <= n_classes < len(CLASS_STARTS))
    edges, pairs = (np.asarray(stored[key], dtype=np.int64) for key in ("edges", "pairs"))
    _require(edges.shape == pairs.shape == shape)
    ends = np.asarray(stored["ends"], dtype=np.int64)
    times = _whole(stored["times"], len(ends))
    _require(ends.ndim == 2 and ends.shape[1] == 2 and len(ends) >= 1 and times.min() >= 1)
    _require(bool((ends[:, 0] >= 0).all() and (ends[:, 0] <= ends[:, 1]).all() and ends.max() < len(sizes)))
    _require(all(own.least == 0 for own in sizes))
    return StageModel(ends, times, sizes, DistanceRates(_rates(stored["rate"], shape), edges, pairs))


def _size_distribution(stored: Document) -> SizeDistribution:
    values = _whole(stored["values"])
    times = _whole(stored["times"], len(values))
    least, q, tilt = int(stored["least"]), float(stored["q"]), float(stored["tilt"])
    _require(len(values) >= 1 and 0 <= least <= values.min() and times.min() >= 1 and 0 < q <= 0.9)
    _require(values.max() <= _MOST_NODES and times.max() <= _MOST_GRAPHS)
    _require(abs(tilt) <= 100 and np.exp(tilt) * q < 0.99)
    return SizeDistribution(values, times, least, q, tilt)


def _whole(values: Any, length: int | None = None) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    _require(array.ndim == 1 and (array.dtype.kind == "i" or array.size == 0))
    _require(length is None or len(array) == length)
    _require(array.min(initial=0) >= 0)
    return array.astype(np.int64)


def _rates(values: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    _require(array.shape == shape and bool(((array >= 0) & (array <= 1)).all()))
    return array


def _numbers(values: Any, length: int) -> list[float]:
    found = [float(value) for value in values]
    _require(len(found) == length and bool(np.isfinite(found).all()))
    return found


def _require(holds: bool) -> None:
    if not holds:
        raise FormatError(f"{_DAMAGED}; fit and save it again")
