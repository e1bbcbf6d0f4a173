from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_info

from graphtask.layout.blas import _controller, one_thread


def n_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture
def two_threads():
    with _controller().limit(limits=2):
        yield n_threads()


def test_inside_every_blas_has_one_thread_and_outside_what_it_had(two_threads):
    with one_thread():
        assert set(n_threads()) == {1}
        with one_thread():
            assert set(n_threads()) == {1}
        assert set(n_threads()) == {1}
    assert n_threads() == two_threads


def test_an_error_inside_takes_the_limit_back(two_threads):
    with pytest.raises(ValueError, match="inside"), one_thread():
        raise ValueError("inside")
    assert n_threads() == two_threads


def test_who_goes_out_last_takes_the_limit_back(two_threads):
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(n_threads()) == {1}
    second.__exit__(None, None, None)
    assert n_threads() == two_threads


def test_threads_of_python_that_are_inside_at_the_same_time_leave_the_number_as_it_was(two_threads):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(enter, range(40))) == [True] * 40
    assert n_threads() == two_threads


def enter(_):
    with one_thread():
        return set(n_threads()) <= {1, 2}
