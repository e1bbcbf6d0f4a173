"""What the tests of sources share: a tiny data set, and what is said of one that is wrong."""

import numpy as np
import pytest

from graphtask.errors import DataError

ARRAYS = {
    "x_train": np.random.default_rng(0).integers(0, 256, (12, 7, 6), dtype=np.uint8),
    "y_train": np.arange(12) % 3,
    "x_test": np.random.default_rng(1).integers(0, 256, (6, 7, 6), dtype=np.uint8),
    "y_test": np.arange(6) % 3,
}


def message_of(call):
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)
