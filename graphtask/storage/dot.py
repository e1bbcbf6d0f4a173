"""Graphs in the DOT language of Graphviz.

The parser is our own, a loop over tokens without recursion and without code execution: pydot needs pyparsing, which
is slow on large files, and pygraphviz runs compiled code on hostile input. Layout attributes are read as text; HTML
labels are kept as text; ports of nodes are ignored.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts
from graphtask.storage.builder import GraphBuilder, number_or_text, text_of
from graphtask.storage.foreign import MARKER
from graphtask.storage.limits import check_bytes
from graphtask.storage.values import one_line

MAX_BYTES = 64 << 20
_MAX_DEPTH = 64
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MAX_FAN = 1_000_000  # edges that all arrows such as { a b } -> { c d } may make, next to one for each

_TOKEN = re.compile(
    r"""(?: [ \t\n\f\v\ufeff]++ | //[^\n]*+ | /\*(?:[^*]|\*(?!/))*+\*/ | (?m:^)\#[^\n]*+ )*+
    (?: (?P<text> "(?:[^"\\]|\\.)*+" )
      | (?P<html> < )
      | (?P<arrow> -> | -- )
      | (?P<word> -? (?: \.[0-9]++ | [0-9]++ (?:\.[0-9]*+)?+ ) (?![\w.]) | [^\W\d]\w*+ )
      | (?P<mark> [{}\[\]=;,:+] )
      | (?P<end> \Z ) )""",
    re.VERBOSE | re.DOTALL,
)
_TEXTS = frozenset({"label", "xlabel", "name", "group", "tooltip", "provenance"})
_KEYWORDS = frozenset({"node", "edge", "graph", "subgraph"})


class _Token(NamedTuple):
    kind: str
    value: str
    place: int


class _Scope(NamedTuple):
    """One pair of braces: default attributes, the nodes inside, and its name."""

    node: dict[str, Any]
    edge: dict[str, Any]
    members: dict[str, None]
    name: str


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in a DOT file.

    Nodes are named by their ids. Attributes are numbers where their text is one. Nodes in a subgraph whose name
    begins with ``cluster`` have the attribute ``group``. A graph is directed if it is a ``digraph``.

    Raises:
        FormatError: The text is not DOT; the message names the line.

    Example:
        >>> parts = parse(b"digraph { a -> {b c} [weight=0.5]; b -> c; }")
        >>> parts.edges, parts.edge_columns
        ([(0, 1), (0, 2), (1, 2)], {'weight': [0.5, 0.5, None]})
    """
    check_bytes(len(content), limit=MAX_BYTES)
    return _Parser(text_of(content)).parts()


class _Parser:
    """One text and the graph in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenized()
        self._token = next(self._tokens)
        self._builder = GraphBuilder(n_bytes=len(text))
        self._scopes: list[_Scope] = []
        self._arrow = "->"
        self._fanned = 0  # edges that arrows between subgraphs make, next to one for each

    def parts(self) -> Parts:
        if self._token.value.lower() == "strict":
            self._advance()
        kind = self._advance().value.lower()
        if kind not in {"graph", "digraph"}:
            self._refuse("a DOT file begins with graph or digraph")
        self._arrow = "->" if kind == "digraph" else "--"
        if self._token.kind in {"word", "text"}:
            self._advance()
        self._expect("{")
        self._open("")
        self._statements()
        is_ours = self._builder.graph_values.pop(MARKER, None) is not None
        return self._builder.parts(directed=kind == "digraph", is_ours=is_ours)

    def _statements(self) -> None:
        """Read everything up to the last brace; the only loop over statements."""
        chain: list[list[str]] = []  # ends of the edge statement at hand
        suspended: list[tuple[list[list[str]], bool]] = []
        pending = False  # the statement at hand waits for its next end
        while self._scopes:
            if self._is("{") or (self._is_word("subgraph") and self._token.kind == "word"):
                if not pending:  # a statement without semicolon has ended
                    self._finish(chain, {}, pending=False)
                    chain = []
                suspended.append((chain, pending))
                self._open(self._subgraph_name())
                chain, pending = [], False
                continue
            if self._is("}"):
                self._finish(chain, {}, pending=pending)
                self._advance()
                members = list(self._scopes.pop().members)
                if not self._scopes:
                    break
                chain, pending = suspended.pop()
                self._scopes[-1].members.update(dict.fromkeys(members))
                chain.append(members)
                pending = False
            elif self._is(";") or self._is(","):
                self._advance()
                self._finish(chain, {}, pending=pending)
                chain, pending = [], False
                continue
            elif not chain and self._is_defaults():
                continue
            else:
                if chain and not pending:  # a statement without semicolon has ended
                    self._finish(chain, {}, pending=False)
                    chain = []
                end = self._node_or_assignment()
                if end is None:
                    continue
                chain.append([end])
                pending = False
            chain, pending = self._after_end(chain)
        if self._token.kind != "end":
            self._refuse(f"{one_line(self._token.value)} stands after the graph")

    def _after_end(self, chain: list[list[str]]) -> tuple[list[list[str]], bool]:
        """Read what follows a node or a subgraph: an arrow, attributes, or the end of the statement."""
        if self._token.kind == "arrow":
            if self._token.value != self._arrow:
                self._refuse(f"the edges of this graph are written {self._arrow}")
            self._advance()
            return chain, True
        if self._is("["):
            self._finish(chain, self._attributes(), pending=False)
            return [], False
        return chain, False

    def _finish(self, chain: list[list[str]], values: dict[str, Any], *, pending: bool) -> None:
        if pending:
            self._refuse("an edge has no target")
        if len(chain) == 1 and values:
            for node in chain[0]:
                self._builder.add_node(node, values)
        if len(chain) < 2:
            return
        record = {**self._scopes[-1].edge, **values}
        for sources, targets in itertools.pairwise(chain):
            self._fanned += max(len(sources) * len(targets) - 1, 0)
            if self._fanned > _MAX_FAN:
                self._refuse(f"edges between subgraphs make more than {_MAX_FAN:,} edges")
            for source in sources:
                for target in targets:
                    self._builder.add_edge(source, target, dict(record))

    def _is_defaults(self) -> bool:
        """Read ``node [...]``, ``edge [...]`` or ``graph [...]``, if that is next."""
        word = self._token.value.lower()
        if self._token.kind != "word" or word not in _KEYWORDS:
            return False
        self._advance()
        values = self._attributes() if self._is("[") else {}
        if word == "node":
            self._scopes[-1].node.update(values)
        elif word == "edge":
            self._scopes[-1].edge.update(values)
        elif len(self._scopes) == 1:
            self._builder.graph_values.update(values)
        return True

    def _node_or_assignment(self) -> str | None:
        name = self._identifier()
        if self._is("="):
            self._advance()
            value = self._value(name)
            if len(self._scopes) == 1:
                self._builder.graph_values[name] = value
            return None
        while self._is(":"):  # a port, and a compass point
            self._advance()
            self._identifier()
        is_new = name not in self._builder.position
        scope = self._scopes[-1]
        groups = [one.name for one in self._scopes if one.name.startswith("cluster")]
        self._builder.add_node(name, dict(scope.node) if is_new else None)
        if groups:
            self._builder.add_node(name, {"group": groups[-1]})
        scope.members[name] = None
        return name

    def _subgraph_name(self) -> str:
        if not self._is("{"):
            self._advance()
            name = self._identifier() if self._token.kind in {"word", "text"} else ""
        else:
            name = ""
        self._expect("{")
        return name

    def _open(self, name: str) -> None:
        if len(self._scopes) == _MAX_DEPTH:
            self._refuse(f"subgraphs are nested more than {_MAX_DEPTH} deep")
        outer = self._scopes[-1] if self._scopes else _Scope({}, {}, {}, "")
        self._scopes.append(_Scope(dict(outer.node), dict(outer.edge), {}, name))

    def _attributes(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while self._is("["):
            self._advance()
            while not self._is("]"):
                name = self._identifier()
                if self._is("="):
                    self._advance()
                    values[name] = self._value(name)
                else:
                    values[name] = True
                if self._is(",") or self._is(";"):
                    self._advance()
            self._advance()
        return values

    def _value(self, name: str) -> Any:
        text = self._identifier()
        return text if name in _TEXTS else number_or_text(text)

    def _identifier(self) -> str:
        token = self._advance()
        if token.kind == "html":
            return token.value
        if token.kind == "word":
            return token.value
        if token.kind != "text":
            self._refuse(
                f"{one_line(token.value) if token.value else 'the end of the file'} is not a name", token
            )
        text = _unquoted(token.value)
        while self._is("+"):
            self._advance()
            text += _unquoted(self._advance().value)
        return text

    # Tokens ----------------------------------------------------------------------------------------------------

    def _tokenized(self) -> Iterator[_Token]:
        place = 0
        while True:
            match = _TOKEN.match(self._text, place)
            if match is None or match.lastgroup is None:
                line = self._text.count("\n", 0, place) + 1
                raise FormatError(f"line {line}: {one_line(self._text[place : place + 20])} is not DOT")
            place, kind = match.end(), match.lastgroup
            value = match[kind]
            if kind == "html":
                end = self._end_of_html(place)
                value, place = self._text[place - 1 : end], end
            yield _Token(kind, value, match.start(kind))
            if kind == "end":
                while True:
                    yield _Token("end", "", place)

    def _end_of_html(self, start: int) -> int:
        depth = 1
        for match in re.compile("[<>]").finditer(self._text, start):
            depth += 1 if match[0] == "<" else -1
            if depth == 0:
                return match.end()
        raise FormatError("an HTML label has no end")

    def _advance(self) -> _Token:
        token, self._token = self._token, next(self._tokens)
        return token

    def _is(self, mark: str) -> bool:
        return self._token.kind == "mark" and self._token.value == mark

    def _is_word(self, word: str) -> bool:
        return self._token.value.lower() == word

    def _expect(self, mark: str) -> None:
        if not self._is(mark):
            shown = one_line(self._token.value) if self._token.value else "the end of the file"
            self._refuse(f"{mark} is expected, not {shown}")
        self._advance()

    def _refuse(self, message: str, token: _Token | None = None) -> NoReturn:
        line = self._text.count("\n", 0, (token or self._token).place) + 1
        raise FormatError(f"line {line}: {message}")


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        raise FormatError("only quoted texts are joined with +")
    return _ESCAPE.sub(
        lambda match: match[1] if match[1] in '\\"' else "" if match[1] == "\n" else match[0], text[1:-1]
    )
