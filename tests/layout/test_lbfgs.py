import numpy as np
import pytest
from helpers import spring_lengths
from scipy.optimize import minimize

from graphtask.layout import lbfgs as descent
from graphtask.layout.kamada_kawai import spring_cost
from graphtask.layout.lbfgs import Task, minima


def tasks(*, sizes=(20, 20, 33, 20, 20, 20, 33, 20, 2)):
    rng = np.random.default_rng(0)
    return [Task(spring_lengths(n, seed=seed), rng.standard_normal(2 * n)) for seed, n in enumerate(sizes)]


def test_descents_side_by_side_end_where_scipy_ends_to_the_last_bit():
    for task, found in zip(tasks(), minima(tasks()), strict=True):
        expected = minimize(spring_cost(task.distances), task.start, jac=True, method="L-BFGS-B")
        assert found.cost == expected.fun
        assert (found.position == expected.x).all()


def test_the_public_function_of_scipy_leads_to_the_same_bits(monkeypatch):
    directly = minima(tasks())
    monkeypatch.setattr(descent, "_stepper", lambda: None)
    for found, expected in zip(minima(tasks()), directly, strict=True):
        assert found.cost == expected.cost
        assert (found.position == expected.position).all()


@pytest.mark.parametrize("way", ["directly", "publicly"])
def test_a_descent_gives_up_after_its_calls_and_the_others_go_on(monkeypatch, way):
    if way == "publicly":
        monkeypatch.setattr(descent, "_stepper", lambda: None)
    free = tasks(sizes=(20,) * 6)
    expected = minima(free)
    some = [task._replace(max_calls=5 if index % 2 else None) for index, task in enumerate(free)]
    for index, found in enumerate(minima(some)):
        if index % 2:
            assert found is None
        else:
            assert (found.position == expected[index].position).all()


def test_many_more_than_there_are_lanes_end_where_each_ends_alone():
    """So many that lanes are filled again, become fewer, and end in the other way to evaluate costs."""
    many = tasks(sizes=(12,) * 70)
    many = [task._replace(max_calls=30 if index % 7 == 0 else None) for index, task in enumerate(many)]
    for task, found in zip(many, minima(many), strict=True):
        (alone,) = minima([task])
        if alone is None:
            assert found is None
        else:
            assert found.cost == alone.cost
            assert (found.position == alone.position).all()


def test_nothing_to_do_is_done():
    assert minima([]) == []
