import pytest

import graphtask as gt


@pytest.fixture(scope="session")
def digits():
    """A small, balanced part of the embedded digits."""
    return gt.load_data("cdigits").subset(n_train=120, n_test=60, seed=0)


@pytest.fixture(scope="session")
def quick():
    """Two epochs of three steps, the last one short."""
    return gt.TrainConfig(epochs=2, batch_size=50, learning_rate=0.05, threshold=0.3)


@pytest.fixture(scope="session")
def run(digits, quick, tmp_path_factory):
    """A finished run of a full DAG of six nodes, in a folder."""
    folder = tmp_path_factory.mktemp("run")
    return gt.train(gt.full_dag(6), data=digits, out=folder, channels=2, seed=3, config=quick, progress=False)
