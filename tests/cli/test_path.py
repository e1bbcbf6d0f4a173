import json

import numpy as np

import graphtask as gt


def test_a_path_of_lambda_and_the_stability_of_its_edges(call, tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4))
    np.savez(tmp_path / "table.npz", x=x, y=x[:, 0] - x[:, 1])
    gt.write(gt.full_dag(4, stages=1), tmp_path / "g.graphml")
    words = ("--task", "regression", "--block", "mlp", "--channels", 2, "--epochs", 1, "--threads", 1)
    words = (
        *words,
        "--learning-rate",
        0.01,
        "--edge-l1s",
        "0.1,0.01",
        "--metrics",
        "edges",
        "--format",
        "json",
    )
    result = call("path", "g.graphml", "--data", "table.npz", *words, "-o", "runs", "--plot", "path.svg")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["edge_l1"] for row in rows] == [0.01, 0.1]
    assert all("test_r2" in row for row in rows)
    assert "test r2" in (tmp_path / "path.svg").read_text()
    found = call("dynamics", "runs", "--stability", "stable.graphml", "--threshold", 0.001)
    assert found.exit_code == 0, found.output
    assert gt.read(tmp_path / "stable.graphml").es["stability"] == [1.0] * 6
    assert (tmp_path / "stable-data.csv").read_text().startswith("source_node,target_node,stability")
    swept = call("sweep", "runs", "--thresholds", "0,0.1", "--threads", 1)
    assert swept.exit_code == 0, swept.output
    assert "test_r2" in swept.stdout
    report = call("report", "runs", "--sweep", "-o", "report.html")
    assert report.exit_code == 0, report.output
    assert "test r2" in (tmp_path / "report.html").read_text()
