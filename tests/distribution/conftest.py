import pytest

from graphtask.distribution import sampling


@pytest.fixture(scope="module")
def rough_sizes():
    """Calibrate the sizes with few and short steps, for tests that are not about sizes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_STEPS": 2, "_AVERAGED": 3, "_BURN": 1, "_MOST_SWEEPS": 24}.items():
            patch.setattr(sampling, name, value)
        yield
