"""Batches of the splits of a data set, prepared as a training configuration asks."""

from typing import NamedTuple

import torch

from graphtask.data.batches import Batches, ChannelStatistics, channel_statistics
from graphtask.data.dataset import ImageData
from graphtask.training.config import TrainConfig


class SplitBatches(NamedTuple):
    """Batches of each split."""

    train: Batches
    """Training images, augmented."""
    test: Batches
    """Test images."""
    validation: Batches | None
    """Validation images; None if there are none."""


def with_splits(images: ImageData, config: TrainConfig) -> ImageData:
    """Return the data set with the validation images that a configuration asks for."""
    share = config.data.validation
    return images if share is None else images.with_validation(share, seed=config.data.seed)


def split_batches(images: ImageData, config: TrainConfig, *, device: torch.device) -> SplitBatches:
    """Return the batches of a data set on a device; channels are normalized by the training images.

    Raises:
        DataError: The validation share holds out no image.
    """
    images = with_splits(images, config)
    statistics = channel_statistics(images.x_train)
    is_image = min(images.size) > 1  # tables and sequences are neither shifted nor mirrored
    train = Batches(
        images.x_train,
        images.y_train,
        batch_size=config.optimization.batch_size,
        mean=statistics.mean,
        std=statistics.std,
        device=device,
        padding=config.data.crop_padding if is_image else 0,
        flip=config.data.flip and is_image,
    )
    held_out = (
        evaluation_batches(images, "val", config, statistics, device=device)
        if images.x_val is not None
        else None
    )
    return SplitBatches(
        train, evaluation_batches(images, "test", config, statistics, device=device), held_out
    )


def evaluation_batches(
    images: ImageData, split: str, config: TrainConfig, statistics: ChannelStatistics, *, device: torch.device
) -> Batches:
    """Return the batches of one split, for evaluation."""
    return Batches(
        getattr(images, f"x_{split}"),
        getattr(images, f"y_{split}"),
        batch_size=config.optimization.batch_size,
        mean=statistics.mean,
        std=statistics.std,
        device=device,
    )
