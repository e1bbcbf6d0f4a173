import numpy as np
import pytest
from helpers import InlineEngine

import graphtask as gt


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
def inline():
    return InlineEngine()
