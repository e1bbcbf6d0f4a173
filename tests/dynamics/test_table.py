import math
import statistics

import numpy as np
import pytest
from dynamics.builders import trained
from run_folders import accept

import graphtask as gt
from graphtask.dynamics.table import Recording, open_recording, overlap_table, top_k_graphs
from graphtask.graph import with_provenance
from graphtask.storage.graphml import write


def recording(*, data, seed, last, prior=None, first=None):
    graph = prior or gt.full_dag(4, stages=1)
    graph, history = trained(graph, first or last, last)
    return Recording(with_provenance(graph, data=data, seed=seed), history)


FALL = [0.9, 0.001, 0.002, 0.8, 0.001, 0.7]  # v0 → v1 → v2 → v3 stays
KEEP = [0.9, 0.5, 0.002, 0.8, 0.6, 0.7]


@pytest.fixture
def runs():
    return {
        "a0": recording(data="a", seed=0, last=FALL, first=KEEP),
        "a1": recording(data="a", seed=1, last=KEEP),
        "b0": recording(data="b", seed=0, last=FALL),
        "banded": recording(data="b", seed=0, last=[0.9] * 5, prior=gt.banded_dag(4, bandwidth=2, stages=1)),
    }


def test_there_is_one_row_for_each_run(runs):
    table = gt.dynamics.dynamics_table(runs)
    assert table["run"].tolist() == list(runs)
    assert table["dataset"].tolist() == ["a", "a", "b", "b"]
    assert table["prior"].tolist() == ["full", "full", "full", "banded-2"]
    assert table["edges"].tolist() == [3, 5, 3, 5]
    for name, run in runs.items():
        fates = gt.dynamics.edge_dynamics(run.history, retained=gt.prune(run.graph))
        row = table.set_index("run").loc[name]
        assert row["d_epochs"] == pytest.approx(fates.d_epochs, nan_ok=True)
        assert row["a_percent"] == fates.a_percent


def test_the_name_of_a_run_that_is_not_valid_unicode_is_escaped(runs):
    named = {"a\udcff": runs["a0"]}
    for table in (gt.dynamics.dynamics_table(named), overlap_table(named)):
        assert set(table["run"]) == {"a\\udcff"}


def test_the_size_of_top_k_graphs_comes_from_the_mean_sparsity_of_their_group(runs):
    table = gt.dynamics.dynamics_table(runs).set_index("run")
    assert table.loc["a0", "top_k"] == 4  # (3 + 5) / 2
    assert table.loc["a1", "top_k"] == 4
    assert table.loc["b0", "top_k"] == 3  # its prior alone
    assert table.loc["banded", "top_k"] == 5
    top = top_k_graphs(runs)
    assert top["a1"].k == 4
    assert (
        table.loc["a1", "dsc_top_k"]
        == gt.dice_similarity(gt.prune(runs["a1"].graph), top["a1"].graph)
        == 8 / 9
    )


def test_a_mean_size_between_two_numbers_is_rounded_up(runs):
    del runs["b0"], runs["banded"]
    runs["a2"] = recording(data="a", seed=2, last=FALL)
    assert gt.dynamics.dynamics_table(runs)["top_k"].tolist() == [4, 4, 4]  # 11 / 3


def test_early_edges_are_compared_with_the_thresholded_graph(runs):
    table = gt.dynamics.dynamics_table(runs).set_index("run")
    # After the first epoch v0 → v1, v1 → v2 and v2 → v3 were largest, v0 → v3, v0 → v2 and v1 → v3 smallest.
    assert table.loc["a0", "dsc_largest_first"] == 1.0
    assert table.loc["a0", "dsc_smallest_first"] == 0.0


def test_a_run_that_falls_apart_has_a_row_with_reasons(runs):
    row = gt.dynamics.dynamics_table(runs, threshold=0.95).iloc[0]
    assert (row["edges"], row["eliminated"]) == (0, 6)
    for name in ("a_percent", "dsc_largest_first", "dsc_top_k"):
        assert math.isnan(row[name])
        assert f"{name}: no edge is retained" in row["undefined"]


def test_the_summary_has_means_and_deviations_by_data_set_and_prior(runs):
    table = gt.dynamics.dynamics_table(runs)
    summary = gt.dynamics.dynamics_summary(table)
    assert summary[["dataset", "prior", "runs"]].values.tolist() == [
        ["a", "full", 2], ["b", "full", 1], ["b", "banded-2", 1],
    ]  # fmt: skip
    first = table[table["dataset"] == "a"]
    for name in ("b_epochs", "edges", "dsc_top_k"):
        values = first[name].tolist()
        assert summary[f"{name}_mean"][0] == pytest.approx(statistics.mean(values))
        assert summary[f"{name}_std"][0] == pytest.approx(statistics.stdev(values))
    assert math.isnan(summary["edges_std"][1])


def test_the_summary_has_the_columns_of_the_table_in_the_paper(runs):
    paper = [
        f"{name}_{kind}"
        for name in ("a_percent", "b_epochs", "c_percent", "d_epochs", "edges")
        for kind in ("mean", "std")
    ]
    paper.insert(0, "dataset")
    columns = gt.dynamics.dynamics_summary(gt.dynamics.dynamics_table(runs)).columns
    assert [column for column in columns if column in paper] == paper


def test_overlaps_of_all_runs_stand_in_one_table(runs):
    table = overlap_table(runs)
    assert len(table) == 2 * len(runs)
    own = table[table["run"] == "a0"].reset_index(drop=True)
    alone = gt.dynamics.edge_overlap(runs["a0"].history, retained=gt.prune(runs["a0"].graph))
    assert own[list(alone.columns)].equals(alone)


def write_run(folder, run):
    folder.mkdir(exist_ok=True)
    write(run.graph, folder / "trained.graphml")
    run.history.save(folder / "history.npz")
    accept(folder)


def test_a_recording_is_read_from_the_folder_of_a_run(runs, tmp_path):
    write_run(tmp_path, runs["a0"])
    read = open_recording(tmp_path)
    assert read.history.edges == runs["a0"].history.edges
    assert np.array_equal(read.history.w, runs["a0"].history.w)
    assert gt.dynamics.dynamics_table({"a0": read}).equals(gt.dynamics.dynamics_table({"a0": runs["a0"]}))


def test_a_folder_without_a_finished_run_is_refused(runs, tmp_path):
    with pytest.raises(gt.errors.RunError, match="not a run folder"):
        open_recording(tmp_path)
    write_run(tmp_path, runs["a0"])
    runs["banded"].history.save(tmp_path / "history.npz")
    with pytest.raises(gt.errors.RunError, match=r"history\.npz: damaged .*; intact: config"):
        open_recording(tmp_path)
    accept(tmp_path)
    with pytest.raises(gt.errors.RunError, match="not of one run"):
        open_recording(tmp_path)
    (tmp_path / "history.npz").write_bytes(b"PK")
    accept(tmp_path)
    with pytest.raises(gt.errors.RunError, match=r"history\.npz: damaged"):
        open_recording(tmp_path)
