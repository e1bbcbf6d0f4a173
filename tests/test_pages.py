"""What README and docs print can be pasted: commands parse, Python runs, anchors exist, words are spelled in American English."""

import os
import re
import shlex
import shutil
import subprocess
import sys
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


PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TRAINING = {"README.md", "docs/studies.md"}  # a minute and more


def python_pages():
    for page in PAGES:
        if PYTHON.search(page.read_text(encoding="utf-8")):
            name = str(page.relative_to(ROOT))
            yield pytest.param(page, id=name, marks=[pytest.mark.slow] if name in TRAINING else [])


@pytest.mark.parametrize("page", list(python_pages()))
def test_the_python_of_a_page_runs_top_to_bottom(page, tmp_path):
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    code = "\n".join(PYTHON.findall(page.read_text(encoding="utf-8")))
    done = run([sys.executable, "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_ten_lines_of_the_first_screen_print_what_it_shows(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [(code, shown)] = re.findall(
        r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    done = run([sys.executable, "-c", code], cwd=tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        line.split()[0] for line in shown.splitlines()[1:]
    ]
    before, after = re.search(r"(\d+) edges before, (\d+) after", done.stdout).groups()
    assert int(after) < int(before)


@pytest.mark.slow
def test_the_commands_of_the_readme_run_in_their_order(tmp_path):
    """All but `make`, and the section of the paper's runs, which download data and need a GPU."""
    text, _, _ = (ROOT / "README.md").read_text(encoding="utf-8").partition("## The paper's runs")
    blocks = [block for _, block in BLOCK.findall(text) if "make demo" not in block]
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    (tmp_path / "runs").mkdir()
    script = "set -e\n" + "\n".join(blocks)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = run(["bash", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "report.html").stat().st_size > 100_000


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)
