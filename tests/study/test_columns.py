"""One name, one meaning and one dtype of a column in all tables of runs."""

from pathlib import Path

import pytest
from helpers import InlineEngine

import graphtask as gt
from graphtask.columns import KINDS
from graphtask.dynamics.table import overlap_table
from graphtask.metrics.registry import select
from graphtask.metrics.view import Options

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
DTYPES = {str: "text", int: "Int64", float: "float64", bool: "boolean"}
METRICS = {"number": "float64", "count": "Int64", "flag": "boolean"}


@pytest.fixture
def tables(values):
    """Every table of runs that the library makes, of a study of one run."""
    study = gt.Study.read({**values, "seeds": 1})
    study.run(engine=InlineEngine(), progress=False)
    run = gt.Run.open(study.jobs[0].folder)
    return {
        "results": study.results(threshold=0.0),
        "disconnected": study.results(threshold=1.0),
        "status": study.status(),
        "cost": study.cost(),
        "sweep": gt.sweep(run, thresholds=[0.0, 1.0], progress=False).table,
        "retrained": gt.training.compare_retrained(run, {}, threshold=1.0, device="cpu").table,
        "dynamics": gt.dynamics.dynamics_table({"first": run}),
        "overlaps": overlap_table({"first": run}),
        "checks": gt.check_runs(study.out),
    }


def test_every_column_has_the_dtype_of_its_name(tables):
    metrics = {
        column: METRICS[metric.kind]
        for column, metric, _ in select("paper", options=Options()).cells([0, 1, 2])
    }
    for name, table in tables.items():
        for column, dtype in table.dtypes.items():
            expected = DTYPES[KINDS[column]] if column in KINDS else metrics[column]
            assert str(dtype) in ({"object", "str"} if expected == "text" else {expected}), (name, column)


def test_tables_of_the_same_runs_can_be_joined(tables):
    keys = ["dataset", "prior", "seed"]
    for name in ("status", "sweep", "retrained", "dynamics", "overlaps"):
        joined = tables["results"].merge(tables[name], on=keys, suffixes=("", "_other"))
        assert len(joined) == len(tables[name]), name


def test_the_page_of_columns_lists_each_of_them_with_its_dtype():
    rows = [line.split(" | ") for line in PAGE.read_text().split("| content |")[-1].splitlines()[2:]]
    assert {row[0].strip("| `"): row[1] for row in rows} == {
        name: DTYPES[kind] for name, kind in KINDS.items()
    }
