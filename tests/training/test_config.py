import json
import math

import numpy as np
import pytest

import graphtask as gt
from graphtask.errors import ArgumentError
from graphtask.training.config import OPTIONS, OptimizationConfig, TrainConfig, option_field


def test_the_default_is_appendix_a_of_the_paper():
    config = TrainConfig()
    optimization = config.optimization
    assert (optimization.epochs, optimization.batch_size, optimization.momentum) == (100, 128, 0.9)
    assert (optimization.weight_decay, optimization.edge_l1, optimization.threshold) == (1e-4, 1e-3, 0.006)
    assert (config.model.channels, config.model.gate) == (11, "tanh")
    assert (config.data.crop_padding, config.data.flip, config.data.validation) == (4, True, None)
    rates = [optimization.learning_rate_at(epoch) for epoch in range(100)]
    assert rates == pytest.approx([0.1] * 80 + [0.01] * 10 + [0.001] * 10)


def test_a_milestone_within_an_epoch_counts_from_the_next_one():
    config = OptimizationConfig(epochs=5)
    assert [config.learning_rate_at(epoch) for epoch in range(5)] == pytest.approx([0.1] * 4 + [0.01])
    tight = OptimizationConfig(epochs=100, milestones=(0.07,))
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
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", "32"),
        ("crop_padding", None),
        ("threshold", None),
        ("learning_rate", "fast"),
        ("flip", 3),
        ("milestones", 0.8),
        ("milestones", ("late",)),
        ("channels", 0),
        ("gate", "relu"),
        ("seed", -1),
        ("data_seed", -1),
        ("validation", 0.6),
        ("transforms", "color"),
        ("device", "tpu"),
        ("precision", "fp8"),
        ("threads", 0),
        ("edge_update", "both"),
        ("edge_learning_rate", 0.0),
        ("early_stopping", -1),
        ("warm_up", -1),
        ("warm_up", "slow"),
        ("gradient_clip", 0.0),
        ("gradient_clip", math.inf),
        ("ema", 1.0),
        ("ema", -0.1),
        ("optimizer_options", 3),
        ("checkpoint_seconds", -1),
    ],
)
def test_a_value_out_of_range_is_named_with_its_requirement(name, value):
    with pytest.raises(ArgumentError, match=rf"{name} must be .*, got ") as caught:
        TrainConfig(**{name: value})
    assert caught.value.argument == name
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keyword", OPTIONS)
def test_every_option_has_a_help_text_and_survives_json(keyword):
    assert option_field(keyword).metadata["about"]
    config = TrainConfig()
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_keywords_sections_and_their_mixture_make_the_same_configuration():
    flat = TrainConfig(data="cdigits", data_name="d", data_seed=3, channels=4, epochs=8, threads=2)
    nested = TrainConfig(
        model={"channels": 4},
        data={"source": "cdigits", "name": "d", "seed": 3},
        optimization=OptimizationConfig(epochs=8),
        runtime={"threads": 2},
    )
    mixed = TrainConfig(data={"source": "cdigits", "seed": 3}, data_name="d", channels=4, epochs=8, threads=2)
    assert flat == nested == mixed
    assert hash(flat) == hash(nested)
    assert flat.replace(data={"seed": 4}).data.source == "cdigits"
    assert flat.replace(optimization={"epochs": 9}, channels=5) == flat.replace(epochs=9, channels=5)


def test_every_option_that_is_stored_is_read_back():
    config = TrainConfig(
        data="cdigits", transforms=["pad"], optimizer="AdamW", optimizer_options={"betas": [0.5, 0.9]},
        edge_learning_rate=1, milestones=[0.5], warm_up=1, gradient_clip=2, ema=0.9,
    )  # fmt: skip
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.data.transforms == ("pad:2",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chanels": 3}, "unknown option 'chanels'; did you mean 'channels'"),
        ({"optimization": {"epoch": 3}}, r"\[optimization\] unknown option 'epoch'; did you mean 'epochs'"),
        ({"data": {"sauce": "cdigits"}}, r"\[data\] unknown option 'sauce'; did you mean 'source'"),
        ({"runtime": 3}, "runtime must be a RuntimeConfig or a table of its fields, got 3"),
    ],
)
def test_an_unknown_option_comes_with_the_nearest_known_one(options, message):
    with pytest.raises(ArgumentError, match=message):
        TrainConfig(**options)
    with pytest.raises(ArgumentError, match=message):
        TrainConfig().replace(**options)


def test_arrays_are_a_data_source_by_keyword_and_are_not_stored():
    images, labels = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2
    config = TrainConfig(data=(images, labels))
    assert isinstance(config.data.source, gt.data.ImageData)
    assert config.to_json()["data"]["source"] is None
    named = TrainConfig(data={"x_train": images, "y_train": labels})
    assert isinstance(named.data.source, gt.data.ImageData)
