"""Laws of all options: one meaning a word, ranges in their types, help that stands alone."""

import re
from collections import defaultdict

import click
import pytest
from click.shell_completion import BashComplete

from graphtask.data.catalog import CATALOG
from graphtask.metrics.registry import all_metrics
from graphtask.types import PAPER_THRESHOLD
from graphtask_cli import options as shared
from graphtask_cli.command import SECTIONS
from graphtask_cli.main import cli
from graphtask_cli.param_types import DATA_SETS


def walk(command, *names):
    yield " ".join(names), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), *names, name)


COMMANDS = dict(walk(cli, "graphtask"))
OPTIONS = [
    (name, param)
    for name, command in COMMANDS.items()
    for param in command.params
    if isinstance(param, click.Option)
]

METRICS = [metric.name for metric in all_metrics()]

# Options whose file format depends on the command; their meaning is the same.
FORMATS = {"--format", "--type"}


def meaning(option):
    """Everything that a caller has to know of an option but its default and its help text."""
    kind = option.type
    choices = tuple(kind.choices) if isinstance(kind, click.Choice) else ()
    bounds = (kind.min, kind.max) if isinstance(kind, click.IntRange | click.FloatRange) else ()
    name = type(kind).__name__, kind.name
    return option.name, name, choices, bounds, option.is_flag, option.multiple, option.nargs


def test_an_option_means_the_same_in_every_command():
    meanings = defaultdict(lambda: defaultdict(list))
    for command, option in OPTIONS:
        for word in option.opts:
            if word not in FORMATS and word not in {"-o", "--out"}:
                meanings[word][meaning(option)].append(command)
    assert {word: dict(found) for word, found in meanings.items() if len(found) > 1} == {}


def test_python_names_are_those_of_the_options_but_for_counts():
    counts = {"--nodes": "n_nodes", "--jobs": "n_jobs", "--classes": "n_classes"}
    found = {word: option.name for _, option in OPTIONS for word in option.opts if word in counts}
    assert found == counts


@pytest.mark.parametrize("name", COMMANDS)
def test_results_go_to_o_and_every_command_knows_q_and_v(name):
    words = [set(option.opts) for command, option in OPTIONS if command == name]
    assert {"-q", "--quiet"} in words
    assert {"-v", "--verbose"} in words
    assert all(("-o" in own) == ("--out" in own) for own in words)


def test_out_is_a_file_or_a_folder():
    outs = [option for _, option in OPTIONS if "--out" in option.opts]
    assert {option.name for option in outs} == {"out"}
    assert {option.metavar for option in outs} == {"FILE", "FOLDER", "FILE|FOLDER/"}
    assert len(outs) > 15


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda value: getattr(value, "name", value))
def test_a_help_text_stands_alone(command, option):
    assert getattr(option, "section", "Output") in SECTIONS, command
    first = option.help.split()[0]
    assert first not in {"Of", "Whether", "Where", "What", "How", "Which", "Why"}
    assert option.help[0].isupper()
    assert re.sub(r"  \[.*", "", option.help).endswith((".", "…", "]"))
    assert "[default:" not in option.help  # click adds it
    assert all(len(sentence.split()) <= 30 for sentence in re.split(r"[.;] ", option.help))


def test_numbers_have_ranges_and_no_type_of_click_words_its_own_errors():
    plain = [
        (command, option.opts)
        for command, option in OPTIONS
        if option.type in {click.INT, click.FLOAT} or type(option.type) in {click.IntRange, click.Choice}
    ]
    assert plain == []


def test_defaults_are_shown(call):
    text = re.sub(r"\s+", " ", call("train", "--help").stdout)
    for shown in ("[default: 0; x>=0]", "[default: fp32]", "[default: tanh]", "[default: 300; x>=0]"):
        assert shown in text
    titles = re.findall(r"^(\w[\w ]+):$", call("train", "--help").stdout, re.MULTILINE)
    assert titles == [
        "Options", "Data", "Model", "Optimization", "Pruning", "Reading graphs", "Runtime", "Output",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["metric"], "unknown command 'metric'; did you mean 'metrics'?"),
        (["studdy"], "unknown command 'studdy'; did you mean 'study'?"),
        (["study", "statis"], "unknown command 'statis'; did you mean 'status'?"),
        (["new", "ful"], "unknown command 'ful'; did you mean 'full'?"),
        (["xyz"], "unknown command 'xyz' (see graphtask --help)"),
        (["train", "--dada", "x"], "unknown option --dada; did you mean --data?"),
        (["--verison"], "unknown option --verison; did you mean --version?"),
        (["new", "full", "--nodes", "1", "-o", "x.graphml"], "--nodes must be an integer >= 2, got 1"),
        (["new", "full", "--nodes", "ten", "-o", "x.graphml"], "--nodes must be an integer >= 2, got 'ten'"),
        (
            ["new", "erdos-renyi", "--nodes", "5", "--p", "1.5", "-o", "x.graphml"],
            "--p must be a number in [0, 1], got 1.5",
        ),
        (["prune", "x", "--threshold", "nan"], "--threshold must be a number >= 0, got nan"),
        (
            ["metrics", "x", "--format", "yaml"],
            "--format must be one of table, csv, json, got 'yaml' (see graphtask metrics --help)",
        ),
        (
            ["new", "full", "--nodes", "5", "--stages", "a,b", "-o", "x.graphml"],
            "--stages must be a number of stages (3) or their sizes (30,20,10), got 'a,b'",
        ),
        (["train", "x.graphml", "--data", "cdigits"], "missing option --out"),
        (["draw"], "missing argument GRAPH|RUN|FOLDER"),
        (
            ["metrics", "x.graphml", "--metrics", "nodes", "edges"],
            "file not found: 'edges'; separate metrics by commas, --metrics …,edges",
        ),
    ],
)
def test_wrong_usage_names_the_option_and_what_was_meant(call, arguments, message):
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"graphtask: error: {message}")
    assert result.stderr.count("\n") == 1


def test_an_argument_that_the_library_refuses_has_the_name_of_its_option(call):
    call("new", "full", "--nodes", 5, "--stages", 2, "-o", "two.graphml")
    result = call("compile", "two.graphml", "--size", 1)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "graphtask: error: two.graphml: --size must be at least 2×2 pixels for stage 1, got "
    )


@pytest.mark.parametrize("place", ["group", "command"])
def test_quiet_hides_messages_but_neither_results_nor_warnings(call, place):
    call("new", "full", "--nodes", 5, "--stages", 2, "-o", "two.graphml")
    arguments = ["metrics", "two.graphml", "missing.graphml", "--metrics", "edges"]
    before, after = (["-q"], []) if place == "group" else ([], ["-q"])
    result = call(*before, *arguments, *after)
    assert "10" in result.stdout
    assert "missing.graphml" in result.stderr
    listed = call(*before, "metrics", "--list", *after)
    assert listed.stderr == ""
    assert call("metrics", "--list").stderr != ""


def test_verbose_adds_the_traceback(call):
    short, long = call("prune", "none.graphml"), call("-v", "prune", "none.graphml")
    assert short.stderr.count("\n") == 1
    assert "Traceback" in long.stderr
    assert long.stderr.splitlines()[-1] == short.stderr.strip()
    assert short.exit_code == long.exit_code == 1


def completed(words, incomplete):
    complete = BashComplete(cli, {}, "graphtask", "_GRAPHTASK_COMPLETE")
    return [(item.type, item.value) for item in complete.get_completions(words, incomplete)]


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "tra", [("plain", "trace"), ("plain", "train")]),
        (["train", "--data"], "cdig", [("plain", "cdigits"), ("plain", "cdigits_t8")]),
        (["train", "--data"], "./im", [("file", "./im")]),
        (["train"], "--edge-l", [("plain", "--edge-l1"), ("plain", "--edge-learning-rate")]),
        (["metrics"], "gr", [("file", "gr")]),
        (["compare"], "ru", [("file", "ru")]),
        (["sample"], "ru", [("file", "ru")]),
        (
            ["metrics", "--metrics"],
            "nodes,edg",
            [("plain", f"nodes,{name}") for name in METRICS if name.startswith("edg")],
        ),
        (["metrics", "--metrics"], "pap", [("plain", "paper")]),
        (["train", "x", "-o"], "ru", [("dir", "ru")]),
        (["new", "full", "-o"], "x", [("file", "x")]),
    ],
)
def test_the_shell_completes_commands_files_data_sets_and_metrics(words, incomplete, expected):
    assert sorted(completed(words, incomplete)) == sorted(expected)


def test_help_has_the_line_that_switches_completion_on(call):
    assert "_GRAPHTASK_COMPLETE=bash_source graphtask" in call("--help").stdout


def test_words_that_are_repeated_here_to_import_less_are_those_of_the_library():
    assert set(DATA_SETS) == set(CATALOG)
    assert shared.PAPER_THRESHOLD == PAPER_THRESHOLD
