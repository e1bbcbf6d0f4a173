"""Cells of neural architecture search as graphs whose nodes have an operation, the attribute ``op``.

NAS-Bench-101 (matrix and operations), NAS-Bench-201 (architecture string), DARTS (genotype) and NEAT (genome of
nodes and connections). Operations that stand on the edges of a cell become nodes, so that every node computes one
operation on the sum of its inputs. Nothing is executed: a genotype is read by `ast.literal_eval` on its parts.
"""

import ast
import re
from collections import defaultdict
from typing import Any

from graphtask.errors import FormatError
from graphtask.graph import NAME
from graphtask.storage.assembly import Parts
from graphtask.storage.cell_exports import genotype_fields, nasbench201_string
from graphtask.storage.foreign import without_isolated
from graphtask.storage.values import one_line

OP = "op"
_MAX_TEXT = 1 << 20
_MAX_STEPS = 64

_NASBENCH201 = re.compile(r"\s*['\"]?(\|([^|]+~\d{1,9}\|)+)(\s*\+\s*\|([^|]+~\d{1,9}\|)+)*['\"]?\s*")
_GENOTYPE = re.compile(r"\bGenotype\(")
_RANGE = re.compile(r"range\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\)")
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")


def is_text_cell(text: str) -> bool:
    """Return True for a NAS-Bench-201 string or a DARTS genotype."""
    head = text[:_MAX_TEXT].lstrip(" \t\r\n'\"")
    return (head.startswith("|") and "~" in head[:200]) or _GENOTYPE.search(head) is not None


def parse_text(text: str) -> Parts:
    """Return the parts of the cell in a NAS-Bench-201 string or a DARTS genotype.

    Raises:
        FormatError: The text is neither.

    Example:
        >>> parts = parse_text("|conv~0|+|skip~0|none~1|")
        >>> parts.vertex_columns["name"], parts.vertex_columns["op"]
        (['0', '0>1', '1', '0>2', '2'], ['input', 'conv', 'sum', 'skip', 'output'])
    """
    if len(text) > _MAX_TEXT:
        raise FormatError("is too long for a cell")
    return _darts(text) if _GENOTYPE.search(text) else _nasbench201(text)


# NAS-Bench-201 and DARTS: operations on edges -----------------------------------------------------------------------


class _Cell:
    """Nodes and edges of a cell, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.ops: list[str] = []
        self.edges: list[tuple[int, int]] = []
        self._position: dict[str, int] = {}
        self._used: defaultdict[str, int] = defaultdict(lambda: 1)  # numbers of names that were wished twice

    def node(self, name: str, op: str) -> None:
        self._position[name] = len(self.names)
        self.names.append(name)
        self.ops.append(op)

    def edge(self, source: str, target: str) -> None:
        self.edges.append((self._position[source], self._position[target]))

    def operation(self, source: str, target: str, op: str, *, name: str = "") -> str:
        """Add a node for an operation on the edge source→target; the edge to the target is added by `link`."""
        label = name or f"{source}>{target}"
        if label in self._position:
            label = f"{label}.{op}"
        wish = label
        while label in self._position:
            self._used[wish] += 1
            label = f"{wish}.{self._used[wish]}"
        self.node(label, op)
        self.edge(source, label)
        return label

    def parts(self, **values: Any) -> Parts:
        found = Parts(
            n_nodes=len(self.names),
            edges=self.edges,
            graph_values=values,
            vertex_columns={NAME: self.names, OP: self.ops},
            edge_columns={},
        )
        return without_isolated(_without_dead_ends(found))


def _without_dead_ends(parts: Parts) -> Parts:
    """Return the parts without nodes that no path from an input reaches (inputs have the operation ``input``)."""
    ops = parts.vertex_columns[OP]
    reached = {node for node, op in enumerate(ops) if op == "input"}
    successors: dict[int, list[int]] = {}
    for source, target in parts.edges:
        successors.setdefault(source, []).append(target)
    waiting = list(reached)
    while waiting:
        for target in successors.get(waiting.pop(), ()):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return parts._replace(edges=[edge for edge in parts.edges if edge[0] in reached])


def _nasbench201(text: str) -> Parts:
    if not _NASBENCH201.fullmatch(text):
        raise FormatError("is not a NAS-Bench-201 string, such as |conv~0|+|skip~0|conv~1|")
    groups = [re.findall(r"([^|~]+)~(\d{1,9})", group) for group in text.split("+")]
    if len(groups) > _MAX_STEPS:
        raise FormatError(f"has more than {_MAX_STEPS} nodes")
    cell = _Cell()
    cell.node("0", "input")
    for number, group in enumerate(groups, start=1):
        ends = []
        for op, source in group:
            if int(source) >= number:
                raise FormatError(f"the node {number} has the input {source}, which is not before it")
            if op != "none":
                ends.append(cell.operation(str(int(source)), str(number), op))
        cell.node(str(number), "output" if number == len(groups) else "sum")
        for end in ends:
            cell.edge(end, str(number))
    return cell.parts(format="NAS-Bench-201")


def _darts(text: str) -> Parts:
    """Return the parts of the one genotype in a text, such as a line of a log or a Python file."""
    starts = [match.end() for match in _GENOTYPE.finditer(text)]
    if len(starts) > 1:
        raise FormatError(f"holds {len(starts)} genotypes; a file may hold one")
    fields = _genotype_fields(_until_closed(text[starts[0] :]))
    if fields is None:
        raise FormatError("is not a DARTS genotype, such as Genotype(normal=[('skip_connect', 0), …], …)")
    return _genotype(fields)


def _until_closed(text: str) -> str:
    """Return the text before the parenthesis that closes the one before it."""
    depth = 1
    for match in re.finditer(r"[()]", text):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return text[: match.start()]
    return ""


def _genotype(fields: dict[str, Any]) -> Parts:
    cell = _Cell()
    for kind in ("normal", "reduce"):
        if fields.get(kind):
            alone = not (fields.get("normal") and fields.get("reduce"))
            _darts_cell(cell, kind, fields[kind], fields.get(f"{kind}_concat"), alone=alone)
    if fields.get("normal") and fields.get("reduce"):
        # The cells of a network alternate; here the reduction cell reads the output of the normal cell twice.
        cell.edge("normal:output", "reduce:c_{k-2}")
        cell.edge("normal:output", "reduce:c_{k-1}")
    return cell.parts(format="DARTS")


def _genotype_fields(text: str) -> dict[str, Any] | None:
    text = _RANGE.sub(lambda match: str(list(range(*(int(end) for end in match.groups() if end)))), text)
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call):
            return None
        values = dict(zip(_FIELDS, map(ast.literal_eval, call.args), strict=False))
        values |= {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return values if "normal" in values else None


def _darts_cell(cell: _Cell, kind: str, steps: Any, concat: Any, *, alone: bool) -> None:
    pairs = _flat_pairs(steps)
    sources = [f"{kind}:c_{{k-2}}", f"{kind}:c_{{k-1}}"]
    entry = "input" if kind == "normal" or alone else "skip_connect"
    for source in sources:
        cell.node(source, entry)
    for number in range(len(pairs) // 2):
        name, ends = f"{kind}:{number + 2}", []
        for op, index in pairs[2 * number : 2 * number + 2]:
            if not 0 <= index < len(sources):
                raise FormatError(f"the step {number + 2} has the input {index}, which is not before it")
            if op != "none":
                ends.append(cell.operation(sources[index], name, op, name=f"{name}<{index}"))
        cell.node(name, "sum")
        for end in ends:
            cell.edge(end, name)
        sources.append(name)
    used = concat if isinstance(concat, list | tuple) else range(2, len(sources))
    output = f"{kind}:output"
    cell.node(output, "output" if alone or kind == "reduce" else "concat")
    for index in dict.fromkeys(used):
        if not isinstance(index, int) or not 0 <= index < len(sources):
            raise FormatError(f"{kind}_concat names the step {one_line(index)}, which does not exist")
        cell.edge(sources[index], output)


def _flat_pairs(steps: Any) -> list[tuple[str, int]]:
    """Return the pairs (operation, input), also where they are grouped by step."""
    flat: list[Any] = []
    for step in steps if isinstance(steps, list | tuple) else ():
        is_group = isinstance(step, list | tuple) and all(isinstance(pair, list | tuple) for pair in step)
        flat += (
            [tuple(pair) for pair in step] if is_group else [tuple(step) if isinstance(step, list) else step]
        )
    if not flat or len(flat) % 2 or len(flat) > 2 * _MAX_STEPS:
        raise FormatError("a cell of a genotype must be a list of pairs (operation, input), two a step")
    for pair in flat:
        if not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], int)
        ):
            raise FormatError(f"a step of a genotype must be a pair (operation, input), got {one_line(pair)}")
    return flat


# Cells in JSON ------------------------------------------------------------------------------------------------------


def parse_document(document: Any) -> Parts | None:
    """Return the parts of a cell in a JSON document, or None if it is not a cell.

    - NAS-Bench-101: ``module_adjacency`` (or ``matrix``, ``adjacency``) and ``module_operations`` (``ops``), or a list
      of both; a square list of lists alone is an adjacency matrix.
    - A NAS-Bench-201 string or a DARTS genotype as a text; a genotype as an object.
    - Exports of NNI and NASLib; see `graphtask.storage.cell_exports`.
    - NEAT: ``connections`` with ``in``, ``out`` (or ``source``, ``target``), ``weight`` and ``enabled``; ``nodes``.
    - An object that holds one of these texts or genotypes as ``genotype``, ``arch_str``, ``arch`` or ``architecture``.

    Raises:
        FormatError: The object is a damaged cell.

    Example:
        >>> parse_document({"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}).vertex_columns["op"]
        ['input', 'output']
    """
    if isinstance(document, dict) and "nodes" not in document:
        document = next((document[key] for key in _WRAPPERS if _is_wrapped(document.get(key))), document)
    if isinstance(document, str) and is_text_cell(document):
        return parse_text(document)
    text, fields = nasbench201_string(document), genotype_fields(document)
    if text is not None:
        return _nasbench201(text)
    if fields is not None:
        return _genotype(fields)
    if isinstance(document, list):
        return _from_list(document)
    if not isinstance(document, dict):
        return None
    matrix = next((document[key] for key in _MATRICES if key in document), None)
    ops = next((document[key] for key in _OPERATIONS if key in document), None)
    if matrix is not None and (ops is not None or "nodes" not in document):
        return _nasbench101(matrix, ops)
    connections = next(
        (document[key] for key in _CONNECTIONS if isinstance(document.get(key), list | dict)), None
    )
    if connections is not None:
        return _neat(connections, document.get("nodes", document.get("node_genes")))
    return None


def _from_list(document: list[Any]) -> Parts | None:
    """Return the parts of an adjacency matrix, alone or with operations; None for any other list."""
    if len(document) == 2 and _is_square(document[0]) and _are_texts(document[1]):
        return _nasbench101(*document)
    if not _is_square(document) or any(row[index] for index, row in enumerate(document)):
        return None
    is_pair_list = len(document) == 2 and document[1][0]  # two edges
    return None if is_pair_list else _nasbench101(document, None)


def _is_square(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(row, list) and len(row) == len(value) for row in value)
        and all(isinstance(entry, int | float) for row in value for entry in row)
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_wrapped(value: Any) -> bool:
    return (isinstance(value, str) and is_text_cell(value)) or (
        isinstance(value, dict) and genotype_fields(value) is not None
    )


_WRAPPERS = ("genotype", "arch_str", "arch", "architecture")
_CONNECTIONS = ("connections", "connection_genes")
_MATRICES = ("module_adjacency", "fixed_module_adjacency", "adjacency", "adjacency_matrix", "matrix")
_OPERATIONS = ("module_operations", "operations", "ops", "labels", "labeling")


def _nasbench101(matrix: Any, ops: Any) -> Parts:
    if not isinstance(matrix, list) or any(
        not isinstance(row, list) or len(row) != len(matrix) for row in matrix
    ):
        raise FormatError("the matrix of a cell must be a square list of lists")
    if any(not isinstance(entry, int | float) for row in matrix for entry in row):
        raise FormatError("the matrix of a cell must hold numbers")
    if ops is not None and (
        not isinstance(ops, list) or len(ops) != len(matrix) or not all(isinstance(op, str) for op in ops)
    ):
        raise FormatError(f"a cell of {len(matrix)} nodes must have as many operations, as texts")
    edges = [(i, j) for i, row in enumerate(matrix) for j, entry in enumerate(row) if entry]
    weights = [float(matrix[i][j]) for i, j in edges]
    return Parts(
        n_nodes=len(matrix),
        edges=edges,
        graph_values={"format": "NAS-Bench-101"} if ops is not None else {},
        vertex_columns={
            NAME: [str(index) for index in range(len(matrix))],
            **({OP: ops} if ops is not None else {}),
        },
        edge_columns={} if all(weight == 1 for weight in weights) else {"weight": weights},
    )


def _neat(connections: Any, nodes: Any) -> Parts:
    position: dict[str, int] = {}
    columns: list[dict[str, Any]] = []
    for identity, record in _identified(nodes):
        if position.setdefault(identity, len(columns)) == len(columns):
            columns.append({key: value for key, value in record.items() if key not in {*_NODE_IDS, NAME}})
    edges, records = [], []
    for key, gene in connections.items() if isinstance(connections, dict) else enumerate(connections):
        ends = _gene_ends(key, gene)
        if not gene.get("enabled", True):
            continue
        for end in ends:
            if position.setdefault(end, len(columns)) == len(columns):
                columns.append({})
        edges.append((position[ends[0]], position[ends[1]]))
        records.append(
            {key: gene[key] for key in ("weight", "innovation", "innovation_number") if key in gene}
        )
    names = list(dict.fromkeys(name for record in columns for name in record))
    edge_names = list(dict.fromkeys(name for record in records for name in record))
    return Parts(
        n_nodes=len(columns),
        edges=edges,
        graph_values={"format": "NEAT"},
        vertex_columns={NAME: list(position)}
        | {name: [record.get(name) for record in columns] for name in names},
        edge_columns={name: [record.get(name) for record in records] for name in edge_names},
    )


def _identified(nodes: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return id and attributes of each node gene: of a list, or of an object whose keys are ids."""
    pairs = nodes.items() if isinstance(nodes, dict) else enumerate(nodes) if isinstance(nodes, list) else ()
    found = []
    for key, node in pairs:
        record = node if isinstance(node, dict) else {}
        other = node if isinstance(nodes, list) and not record else key
        found.append((_identity(next((record[name] for name in _NODE_IDS if name in record), other)), record))
    return found


def _gene_ends(key: Any, gene: Any) -> tuple[str, str]:
    if not isinstance(gene, dict):
        raise FormatError(f"a connection must be an object, got {one_line(gene)}")
    key = gene.get("key", key)
    if isinstance(key, list) and len(key) == 2:
        return _identity(key[0]), _identity(key[1])
    ends = [next((gene[name] for name in names if name in gene), None) for names in _GENE_ENDS]
    if None not in ends:
        return _identity(ends[0]), _identity(ends[1])
    match = (
        _GENE_KEY.fullmatch(key) if isinstance(key, str) else None
    )  # a tuple of Python as the key of an object
    if match is not None:
        return match[1], match[2]
    raise FormatError("a connection must have the keys in and out (or source and target)")


_GENE_KEY = re.compile(r"\(?\s*([\w-]+)\s*(?:,|->)\s*([\w-]+)\s*\)?")
_NODE_IDS = ("id", "key", "index")
_GENE_ENDS = (("in", "source", "from", "in_node", "input"), ("out", "target", "to", "out_node", "output"))


def _identity(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise FormatError(f"the id of a node must be a number or a text, got {one_line(value)}")
    return str(value)
