import pytest

from graphtask.distribution import normalizer, sampling


@pytest.fixture(scope="module")
def rough_sizes():
    """Calibrate sizes and estimate ln Z with few and short steps, for tests that are not about them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_STEPS": 2, "_AVERAGED": 3, "_BURN": 1, "_MOST_SWEEPS": 24}.items():
            patch.setattr(sampling, name, value)
        for name, value in {"N_SWEEPS": 2, "N_WARM": 1}.items():
            patch.setattr(normalizer, name, value)
        yield
