import numpy as np
import pytest

import graphtask as gt


def symmetric(n, seed=0):
    values = np.random.default_rng(seed).random((n, n))
    return (values + values.T) / 2


def image_of(figure):
    return figure.axes[0].images[0]


def test_the_matrix_is_ordered_by_group_and_stays_a_matrix_of_the_same_pairs():
    matrix, labels = symmetric(5), ["b", "a", "b", "a", "c"]
    figure = gt.plot.draw_similarity(matrix, labels, title="five graphs", quantity="dsc")
    order = [0, 2, 1, 3, 4]
    np.testing.assert_array_equal(image_of(figure).get_array(), matrix[np.ix_(order, order)])
    assert image_of(figure).get_clim() == (0, 1)
    axes, bar = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["b", "a", "c"]
    assert axes.get_yticks().tolist() == [0.5, 2.5, 4]
    assert (axes.get_title(), bar.get_ylabel()) == ("five graphs", "dsc")


def test_every_group_has_its_brackets():
    figure = gt.plot.draw_similarity(symmetric(6), list("aabbbc"))
    lines = figure.axes[0].lines
    assert len(lines) == 2 * 2 + 3 * 2  # between the groups, and beside and below each
    across = [tuple(line.get_xdata()) for line in lines if len(set(line.get_xdata())) == 2]
    spans = sorted(span for span in across if span != (0, 1))
    assert all(start < middle < end for (start, end), middle in zip(spans, (0.5, 3, 5), strict=True))


def test_missing_values_are_grey():
    matrix = symmetric(2)
    matrix[0, 1] = matrix[1, 0] = np.nan
    image = image_of(gt.plot.draw_similarity(matrix, ["a", "b"]))
    assert image.cmap(np.ma.masked_invalid(matrix))[0, 1].tolist() == pytest.approx([217 / 255] * 3 + [1])


def test_every_group_has_its_points_and_its_look():
    points, labels = np.random.default_rng(0).normal(size=(60, 2)), [f"g{index % 20}" for index in range(60)]
    figure = gt.plot.draw_embedding(points, labels, axes_labels=("PC 1", "PC 2"), title="sixty")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("PC 1", "PC 2", "sixty")
    assert len(axes.collections) == 20
    for index, group in enumerate(axes.collections):
        np.testing.assert_array_equal(group.get_offsets(), points[index::20])
    looks = {
        (group.get_facecolor().tobytes(), group.get_paths()[0].vertices.tobytes())
        for group in axes.collections
    }
    assert len(looks) == 20
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [f"g{index} (3)" for index in range(20)]
    assert axes.get_aspect() == 1


def test_thousands_of_points_become_pixels(tmp_path):
    points = np.random.default_rng(0).normal(size=(6_000, 2))
    path = gt.plot.save(gt.plot.draw_embedding(points, ["a", "b"] * 3_000), tmp_path / "many.svg")
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("points", [[[0, 0]], [[0, 0], [0, 0]], [[0, 0], [5, 0]], [[0, 0], [0, 5]]])
def test_points_on_top_of_each_other_and_in_line_can_be_drawn(points, tmp_path):
    figure = gt.plot.draw_embedding(points, ["a"] * len(points))
    assert gt.plot.save(figure, tmp_path / "few.png").stat().st_size > 1_000
    assert figure.get_figheight() > 1.5


@pytest.mark.parametrize(
    ("draw", "values"),
    [
        (gt.plot.draw_similarity, np.ones((2, 2))),
        (gt.plot.draw_similarity, np.ones(3)),
        (gt.plot.draw_embedding, np.ones((2, 2))),
        (gt.plot.draw_embedding, np.ones((3, 3))),
    ],
)
def test_shapes_have_to_fit(draw, values):
    with pytest.raises(gt.errors.ArgumentError, match=r"^(similarities|points) must be "):
        draw(values, ["a", "b", "c"])
