import numpy as np
import pytest

from graphtask.data.dataset import ImageData


@pytest.fixture
def make_data():
    """Random images with the labels 0 … n_classes-1 in turn."""

    def make(n_train=12, n_test=8, *, size=(8, 8), channels=1, n_classes=4, seed=0):
        rng = np.random.default_rng(seed)
        return ImageData(
            name="random",
            x_train=rng.integers(0, 256, (n_train, *size, channels), dtype=np.uint8),
            y_train=np.arange(n_train) % n_classes,
            x_test=rng.integers(0, 256, (n_test, *size, channels), dtype=np.uint8),
            y_test=np.arange(n_test) % n_classes,
            class_names=tuple(f"class {label}" for label in range(n_classes)),
            origin={"source": "random"},
        )

    return make
