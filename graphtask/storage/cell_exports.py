"""Cells that NNI and NASLib export, as the fields of a genotype or the string of NAS-Bench-201.

==============================  =========================================================================
export                          form
==============================  =========================================================================
NNI (`nni.nas.hub`)             ``{"normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": 1, …}``
NNI before 2.0                  ``{"normal_n2_p0": "sepconv3x3", "normal_n2_p1": [], …}``
NNI, NAS-Bench-201              ``{"cell/0_1": "conv_3x3", "cell/0_2": "none", …}``, also without ``cell/``
NASLib, NAS-Bench-201           ``[4, 0, 3, 1, 4, 3]``: indices of the operations on the six edges
DARTS (genotype as an object)   ``{"normal": [["sep_conv_3x3", 0], …], "normal_concat": [2, 3, 4, 5], "reduce": …}``
NASLib, DARTS (compact)         ``[[[0, 1], …], [[0, 3], …]]``: input and index of the operation
NAS-Bench-301 (configuration)   ``{"NetworkSelectorDatasetInfo:darts:edge_normal_0": "skip_connect", …}``
==============================  =========================================================================
"""

import re
from typing import Any

from graphtask.errors import FormatError
from graphtask.storage.values import one_line

Pairs = list[tuple[str, int]]  # operation and input, two of them for each step

_KINDS = ("normal", "reduce")
_NNI_OP = re.compile(r"(normal|reduce)/op_(\d{1,2})_(\d{1,2})")
_OLD_NNI_OP = re.compile(r"(normal|reduce)_n(\d{1,2})_p(\d{1,2})")
_NNI_EDGE = re.compile(r"(?:\w+/)?(\d{1,2})_(\d{1,2})")
_CONFIGURED = re.compile(r"(?:NetworkSelectorDatasetInfo:darts:)?edge_(normal|reduce)_(\d{1,3})")
_NASBENCH201 = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_NNI_201 = {"conv_3x3": "nor_conv_3x3", "conv_1x1": "nor_conv_1x1"}
_NASBENCH201_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_COMPACT = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
_OLD_NNI = ("maxpool", "avgpool", "skipconnect", "sepconv3x3", "sepconv5x5", "dilconv3x3", "dilconv5x5")
_USUAL_NAMES = dict(zip(_OLD_NNI, _COMPACT, strict=True))


def genotype_fields(document: Any) -> dict[str, Any] | None:
    """Return the fields of a genotype: the pairs (operation, input) of its cells; None if it is another document.

    Raises:
        FormatError: An operation or an input is invalid.

    Example:
        >>> genotype_fields({"normal/op_2_0": "conv", "normal/input_2_0": 1})
        {'normal': [('conv', 1)]}
        >>> genotype_fields({"normal_n2_p0": "sepconv3x3", "normal_n2_p1": []})
        {'normal': [('sep_conv_3x3', 0)]}
        >>> genotype_fields([[[0, 2], [1, 3]], [[1, 0], [0, 0]]])["reduce"]
        [('max_pool_3x3', 1), ('max_pool_3x3', 0)]
    """
    if _is_compact(document):
        cells = ([(_operation(op, _COMPACT), _input(source)) for source, op in cell] for cell in document)
        return dict(zip(_KINDS, cells, strict=True))
    if not isinstance(document, dict):
        return None
    listed = [document.get(kind) for kind in _KINDS]
    if any(isinstance(cell, list) and cell and isinstance(cell[0], list) for cell in listed):
        return document
    entries = [entry for key, value in document.items() if (entry := _entry(str(key), value, document))]
    fields: dict[str, Pairs] = {}
    for kind, _, _, pair in sorted(entries, key=lambda entry: entry[:3]):
        fields.setdefault(kind, []).append(pair)
    return fields or None


def nasbench201_string(document: Any) -> str | None:
    """Return the string of NAS-Bench-201 of the exports of NASLib and NNI; None if it is another document.

    Raises:
        FormatError: An operation is unknown.

    Example:
        >>> nasbench201_string({"cell/0_1": "conv", "cell/0_2": "none", "cell/1_2": "skip"})
        '|conv~0|+|none~0|skip~1|'
        >>> nasbench201_string([2, 1, 0, 3, 4, 2])
        '|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|'
    """
    if _are_indices(document, size=6):
        ops = dict(zip(_NASBENCH201_EDGES, document, strict=True))
    elif _are_nni_edges(document):
        pairs = (key.rpartition("/")[2].split("_") for key in document)
        ops = {
            (int(i), int(j)): _NNI_201.get(op, op)
            for (i, j), op in zip(pairs, document.values(), strict=True)
        }
    else:
        return None
    groups = (
        "".join(
            f"{_operation(ops.get((source, target), 'none'), _NASBENCH201)}~{source}|"
            for source in range(target)
        )
        for target in range(1, 1 + max(target for _, target in ops))
    )
    return "+".join(f"|{group}" for group in groups)


def _entry(key: str, value: Any, document: dict[str, Any]) -> tuple[str, int, int, tuple[str, int]] | None:
    """Return cell, step, place and pair (operation, input) of one entry; None if it has no operation."""
    if match := _NNI_OP.fullmatch(key):
        kind, step, place = match[1], int(match[2]), int(match[3])
        return (
            kind,
            step,
            place,
            (_operation(value, ()), _input(document.get(f"{kind}/input_{step}_{place}"))),
        )
    if (match := _OLD_NNI_OP.fullmatch(key)) and value != []:
        source = int(match[3])
        return match[1], int(match[2]), source, (_operation(value, _COMPACT), source)
    if match := _CONFIGURED.fullmatch(key):
        step, source = _step_and_input(int(match[2]))
        return match[1], step, source, (_operation(value, ()), source)
    return None


def _step_and_input(edge: int) -> tuple[int, int]:
    """Return the step (from 2) and the input of an edge of the DARTS cell; step s has s possible inputs."""
    step = 2
    while edge >= step:
        edge, step = edge - step, step + 1
    return step, edge


def _are_nni_edges(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and len(document) > 0
        and all(map(_NNI_EDGE.fullmatch, document))
        and all(isinstance(op, str) for op in document.values())
    )


def _operation(value: Any, known: tuple[str, ...]) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(known):
        return known[value]
    if not isinstance(value, str):
        raise FormatError(f"the operation {one_line(value)} of a cell is unknown")
    return _USUAL_NAMES.get(value, value)


def _input(value: Any) -> int:
    found = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(found, bool) or not isinstance(found, int):
        raise FormatError(f"the input of an operation must be one number, got {one_line(value)}")
    return found


def _is_compact(document: Any) -> bool:
    return (
        isinstance(document, list)
        and len(document) == len(_KINDS)
        and all(isinstance(cell, list) and cell for cell in document)
        and all(_are_indices(pair, size=2) for cell in document for pair in cell)
    )


def _are_indices(value: Any, *, size: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == size
        and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    )
