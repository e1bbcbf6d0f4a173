import numpy as np
import pytest
from helpers import layout_distances
from scipy.optimize import minimize

from graphtask.layout import lbfgs as optimizer
from graphtask.layout.kamada_kawai import stress_cost
from graphtask.layout.lbfgs import LayoutProblem, minimize_all


def problems(*, sizes=(20, 20, 33, 20, 20, 20, 33, 20, 2)):
    rng = np.random.default_rng(0)
    return [
        LayoutProblem(layout_distances(n, seed=seed), rng.standard_normal(2 * n))
        for seed, n in enumerate(sizes)
    ]


def test_descents_side_by_side_end_where_scipy_ends_to_the_last_bit():
    for problem, found in zip(problems(), minimize_all(problems()), strict=True):
        expected = minimize(stress_cost(problem.distances), problem.start, jac=True, method="L-BFGS-B")
        assert found.cost == expected.fun
        assert (found.position == expected.x).all()


def test_the_public_function_of_scipy_leads_to_the_same_bits(monkeypatch):
    directly = minimize_all(problems())
    monkeypatch.setattr(optimizer, "_stepper", lambda: None)
    for found, expected in zip(minimize_all(problems()), directly, strict=True):
        assert found.cost == expected.cost
        assert (found.position == expected.position).all()


@pytest.mark.parametrize("way", ["directly", "publicly"])
def test_a_descent_gives_up_after_its_calls_and_the_others_go_on(monkeypatch, way):
    if way == "publicly":
        monkeypatch.setattr(optimizer, "_stepper", lambda: None)
    free = problems(sizes=(20,) * 6)
    expected = minimize_all(free)
    some = [problem._replace(max_calls=5 if index % 2 else None) for index, problem in enumerate(free)]
    for index, found in enumerate(minimize_all(some)):
        if index % 2:
            assert found is None
        else:
            assert (found.position == expected[index].position).all()


def test_many_more_than_there_are_lanes_end_where_each_ends_alone():
    """So many that batch are filled again, become fewer, and end in the other way to evaluate costs."""
    many = problems(sizes=(12,) * 70)
    many = [problem._replace(max_calls=30 if index % 7 == 0 else None) for index, problem in enumerate(many)]
    for problem, found in zip(many, minimize_all(many), strict=True):
        (alone,) = minimize_all([problem])
        if alone is None:
            assert found is None
        else:
            assert found.cost == alone.cost
            assert (found.position == alone.position).all()


def test_nothing_to_do_is_done():
    assert minimize_all([]) == []
