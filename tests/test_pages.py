"""What README, docs and help print can be pasted: commands run, Python runs, pictures have a command, links lead on."""

import contextlib
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import igraph
import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import graphtask as gt
from graphtask.training.config import read_config_file
from graphtask_cli.main import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not {"_build", "reference", "auto_gallery"} & set(page.parts)
)
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TRAINING = {"README.md", "docs/studies.md"}  # their Python takes a minute and more

# The commands that no test runs, each with the reason.
NOT_RUN = {
    r"make |pip |python -m venv|\. ": "sets up an environment",
    r"ray |chmod |RAY_AUTH_MODE|.*--engine ray": "needs a cluster; tests/engines has one",
    r".*(--download|--data cifar10|studies/(paper|ladder|laptop)|runs/(paper|ladder))": "needs data and a GPU, or hours",
    r".*--scheme https": "needs a network; tests/corpus/test_urls.py has a server",
    r".*FOLDER": "needs data that are downloaded",
    r"python (-m tests\.benchmarks|docs/make_results)": "takes minutes to hours",
    r".*tests\.benchmarks": "takes minutes to hours",
    r"graphtask demo": "tests/cli/test_demo.py",
}
READY = {  # what takes the place of data sets: a tiny one, and names in the study of the stock
    r"--data \w+\b(?!\.)": "--data tiny.npz",
    r"\bcmnist\b": "cdigits",
    r"\bcifar10\b": "cdigits_t8",
}


def named(page):
    return str(page.relative_to(ROOT))


def blocks(page, *languages):
    return [
        code for language, code in BLOCK.findall(page.read_text(encoding="utf-8")) if language in languages
    ]


def lines(page):
    """The lines of the shell blocks of a page."""
    code = "".join(blocks(page, "sh")).replace("\\\n", " ")
    return [line for line in code.splitlines() if shlex.split(line, comments=True)]


def examples(command):
    return [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]


def walk(command, *names):
    yield " ".join(names), command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from walk(command.get_command(click.Context(command), name), *names, name)


COMMANDS = dict(walk(cli, "graphtask"))


def is_run(line):
    return not any(re.match(pattern, line) for pattern in NOT_RUN)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_is_of_a_kind_that_a_test_checks(page):
    """Commands, Python and TOML are run; Python that needs other packages is compiled; text is compared."""
    text = page.read_text(encoding="utf-8")
    for language, code in BLOCK.findall(text):
        assert language in ("sh", "python", "py", "toml", "text") or language.startswith("{"), code
        assert language != "text" or page.name in ("README.md", "commands.md"), code
    assert not re.search(r"^    (graphtask|python|pip|make) ", BLOCK.sub("", text), re.MULTILINE), "use ```sh"


LINES = [pytest.param(line, id=f"{named(page)}: {line[:80]}") for page in PAGES for line in lines(page)]


@pytest.mark.parametrize("line", LINES)
def test_every_command_in_the_pages_is_a_valid_call(line):
    for part in line.split(" | "):
        words = shlex.split(part, comments=True)
        if words[:1] == ["graphtask"]:
            command, rest = cli, words[1:]
            while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
                command = command.get_command(click.Context(command), rest.pop(0))
                assert command is not None
            if not {"--version", "--help"} & set(rest):
                command.make_context(line, rest, **cli.context_settings)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_options_in_the_text_exist(page):
    """Those in backticks; the changelog also names old ones."""
    if page.name == "CHANGELOG.md":
        return
    known = {"--nproc-per-node", "--node-ip-address"}  # of torchrun and ray
    known |= {"--device", "--quick", "--long"}  # of tests/benchmarks
    known |= {option for command in COMMANDS.values() for option in options(command)}
    for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        words = code.replace("…", " ").split()
        if words[:1] == ["graphtask"]:
            name = " ".join(words[: 3 if " ".join(words[:3]) in COMMANDS else 2])
            assert name in COMMANDS or words[1].startswith("-"), code
            allowed = options(COMMANDS[name]) if name in COMMANDS and " " in name else known
        else:
            allowed = known
        if not words or words[0] in ("pip", "python", "make", "ray") or "`" in code:
            continue
        assert {word for word in words if re.fullmatch(r"--[a-z][\w-]*", word)} <= set(allowed), code


def options(command):
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = [name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]]
    return [*own, "--help", *(name for one in below for name in options(one))]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_picture_has_its_command_in_the_same_section(page):
    for section in re.split(r"^#+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        for markdown, directive in re.findall(r"!\[[^]]*\]\(([^)]+)\)|\{(?:image|figure)\} (\S+)", section):
            picture = Path(markdown or directive)
            if "://" in str(picture):
                continue
            made = rf"docs/make_\w+\.py|graphtask [^\n]*(/{picture.name}|{picture.parent.name or picture.name})\b"
            assert re.search(made, section), f"{picture}: name the command that makes it"


def headings(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_to_files_and_headings_lead_somewhere(page):
    """`make links` checks the others, with a network; Sphinx checks references."""
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", page.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" not in target:
            other = page.parent / file if file else page
            assert other.exists(), target
            assert not anchor or anchor in set(headings(other)), target


# One process for all pages: it imports PyTorch once.
RUN_PAGES = """
import json, os, sys, traceback
failures = []
for page, folder, code in json.load(sys.stdin):
    os.chdir(folder)
    try:
        exec(compile(code, page, "exec"), {"__name__": "__main__"})
    except BaseException:
        failures.append(f"{page}: {traceback.format_exc()}")
sys.exit("".join(failures) or 0)
"""


def python_of(page, folder):
    """Name, folder and Python of a page."""
    shutil.copytree(ROOT / "studies", folder / "studies")
    return named(page), str(folder), "\n".join(blocks(page, "python"))


def test_the_python_of_all_quick_pages_runs_top_to_bottom(tmp_path):
    pages = [page for page in PAGES if blocks(page, "python") and named(page) not in TRAINING]
    ready = [python_of(page, tmp_path / page.stem) for page in pages]
    done = run_python(RUN_PAGES, tmp_path, input=json.dumps(ready))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_the_python_of_a_page_runs_in_a_process_of_its_own(page, tmp_path):
    done = run_python(python_of(page, tmp_path / "page")[-1], tmp_path / "page")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "py")], ids=named)
def test_python_that_needs_other_packages_compiles(page):
    compile("\n".join(blocks(page, "py")), page, "exec")


@pytest.mark.slow
def test_the_ten_lines_of_the_first_screen_print_what_it_shows(tmp_path):
    code, shown = blocks(ROOT / "README.md", "python", "text")[:2]
    done = run_python(code, tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        line.split()[0] for line in shown.splitlines()[1:]
    ]
    before, after = re.search(r"(\d+) edges before, (\d+) after", done.stdout).groups()
    assert int(after) < int(before)


def run_python(code, folder, **options):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder, **options
    )


def test_the_configuration_file_on_the_page_of_runs_is_valid(tmp_path):
    (code,) = blocks(ROOT / "docs" / "runs.md", "toml")
    (tmp_path / "run.toml").write_text(code, encoding="utf-8")
    assert gt.TrainConfig(**read_config_file(tmp_path / "run.toml")).optimization.epochs == 16


def test_the_study_file_on_the_page_of_studies_is_valid(tmp_path):
    (code,) = blocks(ROOT / "docs" / "studies.md", "toml")
    (tmp_path / "studies").mkdir()
    gt.write(gt.full_dag(5), tmp_path / "studies" / "mine.graphml")
    (tmp_path / "studies" / "paper.toml").write_text(code, encoding="utf-8")
    status = gt.Study.read(tmp_path / "studies" / "paper.toml").status()
    assert set(status["prior"]) == {"full", "narrow", "wired", "mine"}


def tables_of_toml():
    return [named(page) for page in PAGES for _ in blocks(page, "toml")]


def test_no_other_page_has_toml():
    assert tables_of_toml() == ["docs/runs.md", "docs/studies.md"]


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A folder with a small study and everything else that the commands of pages and help read."""
    folder = tmp_path_factory.mktemp("stock")
    for name in ("studies", "fixtures"):
        shutil.copytree(ROOT / name, folder / name)
    text = (folder / "studies" / "digits.toml").read_text(encoding="utf-8")
    small = text.replace("nodes = 12", "nodes = 6").replace("channels = 4", 'channels = 4\ndata_root = ".."')
    small = re.sub(r"^(\[data\.\w+\])", r'\1\nsource = "tiny.npz"', small, flags=re.MULTILINE)
    small = re.sub(
        r"^edge_l1 = .*", "edge_l1 = 0.3", small, flags=re.MULTILINE
    )  # so that pruned graphs differ
    (folder / "studies" / "digits.toml").write_text(small, encoding="utf-8")
    (folder / "mypackage").mkdir()
    code = next(code for code in blocks(ROOT / "docs" / "blocks.md", "python") if "def gated" in code)
    (folder / "mypackage" / "blocks.py").write_text(code.partition("\n\n\nnet =")[0], encoding="utf-8")
    (folder / "mypackage" / "models.py").write_text(
        "from torch import nn\n\n\ndef make_net():\n    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())\n",
        encoding="utf-8",
    )
    rng = np.random.default_rng(0)
    np.savez(folder / "tiny.npz", x=rng.random((80, 8, 8, 3), np.float32), y=np.arange(80) % 4)
    np.savez(folder / "houses.npz", x=rng.random((60, 5), np.float32), y=rng.random(60, np.float32))
    graph = gt.full_dag(6, stages=3)
    corpus = folder / "corpus" / "a"
    corpus.mkdir(parents=True)
    gt.write(graph, corpus / "a.gml")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(corpus / "a.gml", "b.gml")
    cell = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|"
    (folder / "cell.txt").write_text(cell, encoding="utf-8")
    pq.write_table(pa.table({"edges": ["0 1\n1 2", "0 1\n0 2\n1 2"]}), folder / "graphs.parquet")
    igraph.Graph.Famous("Zachary").write_gml(str(folder / "karate.gml"))
    igraph.Graph([(0, 2), (1, 2), (2, 3)], directed=True).write_graphml(str(folder / "gephi.graphml"))
    for name in ("full", "pruned"):
        gt.write(graph, folder / f"{name}.graphml")
    gt.write(gt.full_dag(5, stages=1), folder / "flat.graphml")
    cell = nx.node_link_data(nx.DiGraph([(0, 1), (0, 2), (1, 2)]), edges="links")
    (folder / "cell.json").write_text(json.dumps(cell), encoding="utf-8")
    with contextlib.chdir(folder):
        shell("graphtask study run studies/digits.toml --jobs 1")
        shutil.copy("runs/digits/cdigits/full/seed-0/trained.graphml", "trained.graphml")
        for k, name in enumerate(["graphs/thin", "graphs/thick"]):
            Path(name).mkdir(parents=True)
            for seed in range(3):
                gt.write(gt.priors.erdos_renyi_dag(8, p=0.3 + 0.4 * k, seed=seed), f"{name}/{seed}.graphml")
                gt.write(gt.priors.erdos_renyi_dag(8, p=0.5, seed=seed), f"graphs/{k}{seed}.graphml")
        shell("graphtask metrics runs/digits --threshold 0 -o features.csv")
        shell("graphtask sample runs/digits --label cdigits -n 1 --save cdigits.json -o samples")
    return folder


def shell(line):
    """Run a line in this process if it is one command, otherwise in bash."""
    words = shlex.split(line, comments=True)
    if words[0] == "graphtask" and not {"|", ">"} & set(words):
        quoted = re.findall(r"'([^']*)'", line)
        expanded = [
            sorted(map(str, Path().glob(word))) if "*" in word and word not in quoted else [word]
            for word in words[1:]
        ]
        result = CliRunner().invoke(cli, list(itertools.chain(*expanded)))
        assert result.exit_code == 0, f"{line}\n{result.output}"
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"


def provide(path):
    """Copy a run, or two of them, to a path that a command reads and that does not exist."""
    stored = sorted(Path("runs/digits/cdigits/full").iterdir())
    if path.exists():
        return
    if path.name == "custom":
        options = "--channels 2 --epochs 1 --block mypackage.blocks:gated"
        shell(f"graphtask train full.graphml --data tiny.npz {options} -o {path}")
    elif path.name in ("seeds", "cdigits", "banded", "old-runs"):
        for run in stored[:2]:
            shutil.copytree(run, path / run.name)
    else:
        shutil.copytree(stored[path.name[-1] in "1b"], path)


def paste(script, folder, monkeypatch):
    """Run the lines that can be run, in their order; runs of their own replace those of the stock."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    own = set()
    for line in filter(is_run, script):
        for name, ready in READY.items():
            line = re.sub(name, ready, line)  # noqa: PLW2901 - the line as it is run
        for name in re.findall(r"(?<!-o )\b(runs/[\w-]+|old-runs)", line):
            provide(Path(name))
        target = re.search(r" -o (runs/\S+|retrained)\s*", line)
        if target and target[1] not in own and (" train " in line or " path " in line or " retrain " in line):
            shutil.rmtree(target[1], ignore_errors=True)
            own.add(target[1])
        shell(line)


RUN = [pytest.param(page, id=named(page)) for page in PAGES if any(map(is_run, lines(page)))]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_in_their_order(page, stock, tmp_path, monkeypatch):
    shutil.copytree(stock, tmp_path, dirs_exist_ok=True)
    paste(lines(page), tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name", [name for name, command in COMMANDS.items() if any(map(is_run, examples(command)))]
)
def test_the_examples_of_the_help_of_a_command_run(name, stock, tmp_path, monkeypatch):
    shutil.copytree(stock, tmp_path, dirs_exist_ok=True)
    paste(examples(COMMANDS[name]), tmp_path, monkeypatch)
