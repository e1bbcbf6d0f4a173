import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graphtask.comparison.leave_one_out import folds_of
from graphtask.features.table import center, spread, standardize

NAN, INF = np.nan, np.inf

features = arrays(
    float,
    st.tuples(st.integers(2, 7), st.integers(1, 3)),
    elements=st.sampled_from([NAN, 0.0, 1.0, -2.5, 7.0, 1e6, 1e-6, 0.1 + 0.2, 0.3]),
)


@given(features)
def test_each_fold_is_what_the_other_rows_alone_give(values):
    folds = folds_of(values)
    shift = center(values)
    for index in range(len(values)):
        rest = np.delete(values, index, axis=0)
        has = ~np.isnan(rest).all(axis=0)
        np.testing.assert_allclose((folds.means[index] + shift)[has], center(rest)[has], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(folds.spreads[index], spread(rest), rtol=1e-6)


@given(features)
def test_points_lie_as_far_apart_as_standardised_by_the_others(values):
    folds = folds_of(values)
    for index in range(len(values)):
        points = folds.others(index)
        expected = standardize(values, by=np.delete(values, index, axis=0))
        np.testing.assert_allclose(
            points - points[index],
            expected - expected[index],
            rtol=1e-5,
            atol=1e-6 * (1 + np.abs(expected).max()),
        )


def test_one_graph_far_out_does_not_blur_the_rest():
    values = np.array([[1e12], [1.0], [2.0], [4.0]])
    assert folds_of(values).spreads[0, 0] == pytest.approx(np.std([1, 2, 4]), rel=1e-12)


def test_a_feature_in_which_one_graph_differs_tells_nothing_about_it():
    found = folds_of(np.array([[7.0], [7.0], [9.0], [7.0]]))
    assert found.spreads[2, 0] == INF
    assert np.isfinite(found.spreads[[0, 1, 3], 0]).all()
