"""What README and docs print can be pasted: commands parse, Python runs, anchors exist, words are spelled in American English."""

import re
import shlex
from pathlib import Path

import click
import pytest

from graphtask_cli.main import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "_build" not in page.parts and "reference" not in page.parts
)
BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTINGS = cli.context_settings


def commands(page):
    for _, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["graphtask"] and "|" not in words:
                yield words[1:]


CALLS = [
    pytest.param(words, id=f"{page.relative_to(ROOT)}: {shlex.join(words)[:80]}")
    for page in PAGES
    for words in commands(page)
]


@pytest.mark.parametrize("words", CALLS)
def test_every_command_in_the_pages_is_a_valid_call(words):
    command, rest = cli, list(words)
    if rest[:1] == ["--version"]:
        return
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        command = command.get_command(click.Context(command), rest.pop(0))
        assert command is not None
    if rest == ["--help"]:
        return
    if ">" in rest:
        rest = rest[: rest.index(">")]
    command.make_context(shlex.join(words), rest, **SETTINGS)


def headings(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", heading.lower())
        yield kept.strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_headings_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if anchor and "://" not in target:
            other = page if not file else (page.parent / file)
            assert anchor in set(headings(other)), f"{page}: {target}"
