import pytest

import graphtask as gt


@pytest.fixture
def graphs(tmp_path):
    """Twelve small graphs in a folder: their files in order, and the graphs."""
    folder = tmp_path / "graphs"
    folder.mkdir()
    found = {}
    for seed in range(12):
        graph = gt.random_dag(8 + seed % 3, seed=seed, stages=2 + seed % 2)
        graph = gt.graph.with_provenance(graph, data="cdigits", seed=seed, threshold=0.006)
        path = folder / f"{seed:02}.graphml"
        gt.write(graph, path)
        found[str(path)] = graph
    return found
