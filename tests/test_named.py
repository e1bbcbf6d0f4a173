"""Code by name: the only way to an import, which a file from a stranger never takes."""

import ast
import sys
from pathlib import Path

import pytest

import graphtask as gt
from graphtask.named import import_named, load_named, name_of

PACKAGES = [Path(gt.__file__).parent, Path(__file__).parents[1] / "cli" / "graphtask_cli"]


def test_a_module_of_the_current_folder_is_found_after_installed_ones(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("class Thing: pass\n")
    (tmp_path / "this.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "this", raising=False)
    thing = load_named("only_here:Thing", name="block")
    assert name_of(thing, name="block") == "only_here:Thing"
    assert sys.path[-1] == str(tmp_path)
    assert not Path(import_named("this").__file__).is_relative_to(tmp_path)


@pytest.mark.parametrize("code", ["1 / 0", "import no_such_module", "raise ValueError('two\\nlines')", "x ="])
def test_a_module_that_fails_is_one_line(tmp_path, monkeypatch, code):
    (tmp_path / "failing.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(gt.errors.ArgumentError, match="module 'failing' cannot be imported") as raised:
        import_named("failing")
    assert "\n" not in str(raised.value)


def calls(path):
    """Names of the functions that a module calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "id", "") or "." + getattr(node.func, "attr", "")


def test_no_other_place_imports_or_evaluates_code_by_a_variable_name():
    wanted = {".import_module", "__import__", "exec", "eval", ".run_module", ".run_path"}
    found = {
        path.relative_to(package.parent).as_posix()
        for package in PACKAGES
        for path in package.rglob("*.py")
        if wanted & set(calls(path))
    }
    # The last three import modules of graphtask by their names: its commands, and the workers of an engine.
    own = {"graphtask_cli/command.py", "graphtask/__main__.py", "graphtask/engines/ray.py"}
    assert found == {"graphtask/named.py"} | own
