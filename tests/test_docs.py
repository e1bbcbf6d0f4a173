"""The documentation of commands and metrics is made from them, and examples can be pasted."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

import graphtask as gt
from graphtask.metrics.registry import all_metrics
from graphtask_cli.command import SETTINGS
from graphtask_cli.main import cli

ROOT = Path(__file__).parents[1]


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_commands, make_metrics = load_script("make_commands"), load_script("make_metrics")
make_layers = load_script("make_layers")
COMMANDS = dict(make_commands.walk(cli, "graphtask"))


def example_lines(command):
    return [
        line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith("graphtask ")
    ]


EXAMPLES = sorted({line for command in COMMANDS.values() for line in example_lines(command)})


def test_the_page_of_commands_is_what_help_says():
    stale = "docs/commands.md is stale; run .venv/bin/python docs/make_commands.py"
    assert make_commands.PAGE.read_text(encoding="utf-8") == make_commands.page(), stale


def test_the_page_of_metrics_is_what_their_registry_says():
    stale = "docs/metrics.md is stale; run .venv/bin/python docs/make_metrics.py"
    assert make_metrics.PAGE.read_text(encoding="utf-8") == make_metrics.page(), stale


def test_the_picture_of_the_layers_is_the_contract():
    stale = "docs/layers.svg is stale; run .venv/bin/python docs/make_layers.py"
    assert make_layers.PICTURE.read_text(encoding="utf-8") == make_layers.picture(), stale


def test_every_file_and_package_on_the_page_of_architecture_exists_and_no_package_is_missing():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    sources = [path for top in ("graphtask", "cli", "docs") for path in (ROOT / top).rglob("*")]
    known = [f"/{path.relative_to(ROOT).as_posix()}" for path in [*sources, ROOT / "pyproject.toml"]]
    for name in re.findall(r"`([\w/]+(?:\.pyi?|\.toml|\.md|\.svg|/))`", page):
        assert any(path.endswith(f"/{name.rstrip('/')}") for path in known), name
    for layer in make_layers.layers():
        for package in layer:
            assert f"`{package}`" in page, package


def test_every_optional_dependency_is_on_the_page_of_installation():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert named == set(extras)


def test_nothing_installs_the_other_package_that_is_called_graphtask():
    """On PyPI ``graphtask`` is a different project; the distribution is ``graphtask-nn``."""
    places = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.py")]
    places += [
        path for top in ("graphtask", "cli", ".github") for path in (ROOT / top).rglob("*") if path.is_file()
    ]
    wrong = re.compile(r"pip install [^\n`]*?(?<![\w/.])graphtask(?!-nn|[\w./])")
    texts = {
        path: path.read_bytes().decode(errors="replace") for path in places if "_build" not in path.parts
    }
    assert {path: found[0] for path, text in texts.items() if (found := wrong.search(text))} == {}
    assert wrong.search("pip install 'graphtask[umap]'")


def test_every_kind_of_picture_is_in_the_gallery():
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "gallery").glob("*.py"))
    names = [name for name in gt.plot.__all__ if name.startswith("draw")]
    assert [name for name in [*names, "animate"] if f"{name}(" not in scripts] == []


def test_every_metric_is_compared_with_something_independent_on_500_graphs():
    compared = [name for oracle in make_metrics.ORACLES for name in oracle.metrics.split()]
    assert sorted(compared) == sorted(metric.name for metric in all_metrics())
    for oracle in make_metrics.ORACLES:
        file, name = oracle.test.split("::")
        assert f"def {name}(" in (ROOT / "tests" / "metrics" / file).read_text(encoding="utf-8")
        assert oracle.n_graphs >= 500


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_ends_in_an_example(name):
    command = COMMANDS[name]
    assert command.help
    assert any(line.startswith(name) for line in example_lines(command))
    context = click.Context(command, info_name=name, **SETTINGS)
    last = command.get_help(context).rstrip().splitlines()[-1].strip()
    assert last.startswith("graphtask ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_has_a_help_text(name):
    options = [parameter for parameter in COMMANDS[name].params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_a_valid_call(line):
    command, words = cli, shlex.split(line.partition(" | ")[0])[1:]
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None
    command.make_context(line, words)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(name):
    context = click.Context(COMMANDS[name], info_name=name, terminal_width=80, **SETTINGS)
    text = COMMANDS[name].get_help(context).split("\n  Example")[0]
    assert max(map(len, text.splitlines())) <= 80
