import math

import pytest

from graphtask.errors import ArgumentError
from graphtask.training.config import TrainConfig


def test_the_default_is_appendix_a_of_the_paper():
    config = TrainConfig()
    assert (config.epochs, config.batch_size, config.momentum) == (100, 128, 0.9)
    assert (config.weight_decay, config.edge_l1, config.threshold) == (1e-4, 1e-3, 0.006)
    rates = [config.learning_rate_at(epoch) for epoch in range(100)]
    assert rates == pytest.approx([0.1] * 80 + [0.01] * 10 + [0.001] * 10)


def test_a_milestone_within_an_epoch_counts_from_the_next_one():
    config = TrainConfig(epochs=5)
    assert [config.learning_rate_at(epoch) for epoch in range(5)] == pytest.approx([0.1] * 4 + [0.01])
    tight = TrainConfig(epochs=100, milestones=(0.07,))
    assert tight.learning_rate_at(7) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("momentum", 1.0),
        ("weight_decay", -1e-9),
        ("milestones", (0.5, 1.5)),
        ("learning_rate_decay", 0.0),
        ("edge_l1", math.inf),
        ("crop_padding", -1),
        ("threshold", -0.1),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(name, value):
    with pytest.raises(ArgumentError, match=rf"{name} is .*; it has to be "):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", "32"),
        ("crop_padding", None),
        ("threshold", None),
        ("learning_rate", "fast"),
        ("flip", 3),
        ("milestones", 0.8),
        ("milestones", ("late",)),
    ],
)
def test_a_value_of_another_kind_is_an_error_that_names_its_field(field, value):
    with pytest.raises(ArgumentError, match=f"{field} is .* it has to be"):
        TrainConfig(**{field: value})
