from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import InlineEngine, roughen
from hypothesis import HealthCheck, settings

import graphtask as gt

# No law is a matter of time: machines are shared. `make test` tries the same few examples whenever it runs; new ones,
# and more of them, are for `make test-explore`.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", parent=_PATIENT, derandomize=True, max_examples=25)
settings.register_profile("explore", parent=_PATIENT)
settings.load_profile("repeatable")

_PUBLISHED = Path(__file__).parents[1] / "fixtures" / "published" / "tables_1_2.csv"


@pytest.fixture(scope="session")
def paper_tables():
    """Features of 10 graphs for each of the paper's data sets, drawn around its published means; and their labels."""
    published = pd.read_csv(_PUBLISHED, index_col="feature").drop(index="parameters")
    names = [column.removesuffix("_mean") for column in published.columns if column.endswith("_mean")]
    rng = np.random.default_rng(0)
    drawn = [
        rng.normal(published[f"{name}_mean"], published[f"{name}_std"], size=(10, len(published)))
        for name in names
    ]
    table = pd.DataFrame(np.concatenate(drawn), columns=list(published.index))
    return table, [name for name in names for _ in range(10)]


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    """A file of 64 and 32 images of 8×8 pixels in two classes."""
    path = tmp_path_factory.mktemp("data") / "scans.npz"
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 64), ("test", 32)):
        labels = np.arange(n) % 2
        images = rng.integers(0, 256, size=(n, 8, 8, 3), dtype=np.uint8)
        images[labels == 1, :, :4] //= 3
        arrays |= {f"x_{part}": images, f"y_{part}": labels}
    np.savez(path, **arrays)
    return path


@pytest.fixture
def values(scans, tmp_path):
    """A study of three tiny runs, as the dictionary of a study file."""
    return {
        "name": "tiny",
        "out": str(tmp_path / "runs"),
        "seeds": 3,
        "channels": 1,
        "device": "cpu",
        "optimization": {"epochs": 2, "batch_size": 16},
        "priors": {"full": {"nodes": 4}},
        "data": {"scans": {"source": str(scans)}},
    }


@pytest.fixture
def study(values):
    return gt.Study.read(values)


@pytest.fixture
def rough_once(monkeypatch):
    """`roughen` for one test."""
    roughen(monkeypatch)


@pytest.fixture
def inline():
    return InlineEngine()
