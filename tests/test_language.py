"""The language of the project: openings of docstrings, and words that have a standard term (CONTRIBUTING.md)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    [*(ROOT / "graphtask").rglob("*.py"), *(ROOT / "cli").rglob("*.py"), *(ROOT / "docs").glob("*.py")]
)
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not {"_build", "reference"} & set(page.parts)
)

OPENING = re.compile(r"(What|How|Whether|Which|Where|Why|Of)\b")

# Each pattern with the term to use instead; matched in docstrings, strings, comments and pages.
WORDS = {
    r"made if need be": "created if missing",
    r"\bgo(es)? on where\b|\bbegun again\b|\bbegins? again\b": "resume, retry",
    r"\bhas to be\b|\bhave to be\b": "must be",
    r"\bdoes not work\b|\bdo not work\b": "is invalid; name the requirement",
    r"(?<![Tt]here )\b(is|are) no (TOML|path|weight|node|table|folder|cache|graph|number|probability|source|run|file)\b": "is not a …",
    r"\bas ever\b": "as usual",
    r"\banew\b": "from scratch, again",
    r"\bone after the other\b": "sequentially",
    r"\bdealt? out\b": "permuted",
    r"\bfalls? apart\b|\bcomes? apart\b": "becomes disconnected",
    r"\bpassed over\b": "skipped",
    r"\bof (one's|your) own\b": "custom, user-defined",
    r"\bfull of junk\b": "uninitialized",
    r"\bresource price\b|\bprice of (a|the|every) (connection|edge)": "L1 penalty on the edges",
    r"\bthe regime\b|\ba regime\b|\bregime\b(?!\")": "training configuration",
    r"\brelabell?ings?\b": "permutation",
    r"\bguessed right\b": "accuracy",
    r"\b(tell|tells|told|hear|hears|nobody|somebody|everybody|whoever)\b": "report, receive; name the subject",
    r"\bbeside\b(?! it\b)": "next to",
    r"\bmany_springs\b|\bspring cost\b": "Kamada-Kawai stress",
    r"\buniverse\b": "node support",
    r"\bskeleton\b": "edge-probability matrix",
    r"\bfates\b": "edge categories A-D",
    r"\b(colour|neighbour|behaviour|summaris|normalis|initialis|optimis(?!t)|standardis|randomis|centre\b|licence)": "American spelling",
}
QUOTES = {"CHANGELOG.md"}  # names what was renamed


def texts(path):
    """Docstrings, other strings and comments of a source file, with their lines."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for number, line in enumerate(source.splitlines(), 1):
        if (match := re.search(r"(?:^|\s)# (.*)$", line)) and not re.search(r"[\"'].*# .*[\"']", line):
            yield number, match[1]


def found_words(text):
    return [f"{match[0]!r} -> {term}" for word, term in WORDS.items() for match in re.finditer(word, text)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_words_of_a_source_file_are_standard_terms(path):
    bad = [f"{path.name}:{line}: {word}" for line, text in texts(path) for word in found_words(text)]
    assert bad == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_words_of_a_page_are_standard_terms(path):
    lines = [] if path.name in QUOTES else enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    assert [f"{path.name}:{number}: {word}" for number, line in lines for word in found_words(line)] == []


def test_docstrings_open_with_an_imperative_or_a_noun_phrase():
    docstrings = [
        (path, node, ast.get_docstring(node))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    written = [(path, node, text) for path, node, text in docstrings if text]
    bad = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path, _, text in written
        if OPENING.match(text)
    ]
    assert len(bad) < len(written) / 100, "\n".join(bad)
