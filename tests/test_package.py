"""What is shipped: the wheel works on its own, and declares what it imports."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import tomllib
import types
import venv
import zipfile
from pathlib import Path

import pytest

import graphtask
from graphtask.types import DISTRIBUTION

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A clean environment with the wheel; its dependencies are lent by the one that runs the tests."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A path line does not process the .pth files of that folder, so the editable graphtask stays invisible.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(environment, code, cwd):
    return subprocess.run(
        [environment / "bin" / "python", "-c", code], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout


def test_the_installed_wheel_runs_from_another_folder(environment, tmp_path):
    where = run(environment, "import graphtask, graphtask_cli; print(graphtask.__file__)", tmp_path)
    assert Path(where.strip()).is_relative_to(environment)
    code = (
        "from graphtask_cli.main import cli;"
        "cli(['new', 'full', '--nodes', '6', '-o', 'full.graphml'], standalone_mode=False);"
        "cli(['metrics', 'full.graphml', '--format', 'csv'], standalone_mode=False)"
    )
    assert "log_paths" in run(environment, code, tmp_path)


def test_the_wheel_has_the_command_the_types_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = archive.read(
            next(name for name in names if name.endswith("entry_points.txt"))
        ).decode()
    assert "graphtask = graphtask_cli.main:cli" in entry_points
    for expected in ("graphtask/py.typed", "graphtask/__init__.pyi", "graphtask_cli/py.typed"):
        assert expected in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_declares_every_package_that_the_code_imports(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
        sources = [archive.read(name).decode() for name in names if name.endswith(".py")]
    required = re.findall(r"^Requires-Dist: ([A-Za-z0-9_.-]+)(?!.*extra == 'dev')", metadata, re.MULTILINE)
    declared = {name.lower().replace("_", "-") for name in required}
    providers = importlib.metadata.packages_distributions()
    imported = {name for source in sources for name in imported_packages(source)}
    third_party = imported - set(sys.stdlib_module_names) - {"graphtask", "graphtask_cli"}
    missing = {
        name
        for name in third_party
        if not declared & {provider.lower().replace("_", "-") for provider in providers.get(name, [name])}
    }
    assert not missing


def imported_packages(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_every_public_name_can_be_loaded_and_has_a_docstring():
    for name in graphtask.__all__:
        found = getattr(graphtask, name)
        assert found.__doc__, name
        if isinstance(found, types.ModuleType):
            for inner in getattr(found, "__all__", ()):
                assert getattr(found, inner).__doc__, f"{name}.{inner}"


def test_the_root_has_few_names():
    assert len(graphtask.__all__) <= 65, "move names that belong together to a namespace, such as gt.priors"


def test_a_name_of_a_namespace_is_not_hidden_by_its_module():
    """Both `graphtask.priors.randomize` and a module of it have this name."""
    code = (
        "import graphtask.priors.randomize, graphtask.training.parity, graphtask.comparison.compare;"
        "import graphtask as gt;"
        "assert all(map(callable, (gt.priors.randomize, gt.training.parity, gt.comparison.compare)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_version_is_the_one_of_the_distribution():
    assert graphtask.__version__ == importlib.metadata.version(DISTRIBUTION)


@pytest.mark.parametrize(
    "code",
    [
        "import graphtask",
        "import graphtask as gt; gt.prune, gt.read, gt.full_dag, gt.draw",
        "import graphtask as gt; gt.measure(gt.full_dag(5))",
    ],
)
def test_graphs_are_read_pruned_and_measured_without_loading_torch(code):
    command = [sys.executable, "-c", code + "; import sys; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(command, check=False).returncode == 0


def test_folders_that_commands_write_are_not_spell_checked():
    """`make demo` writes a page with the code of others, and `make test` comes after it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    folders = {f".{line.rstrip('/')}" for line in ignored if line.startswith("/") and line.endswith("/")}
    assert folders <= set(settings["tool"]["codespell"]["skip"].split(","))
