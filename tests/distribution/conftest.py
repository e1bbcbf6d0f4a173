import pytest
from helpers import roughen


@pytest.fixture(scope="module")
def rough_sizes():
    """`roughen` for all tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        roughen(patch)
        yield
