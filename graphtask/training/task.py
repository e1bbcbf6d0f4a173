"""Task of a training configuration."""

from graphtask.tasks import Task, load_task
from graphtask.training.config import CLASSIFICATION, TrainConfig


def task_of(config: TrainConfig) -> Task:
    """Return the task of a configuration, with its loss, score and head; code of the user is imported.

    Raises:
        ArgumentError: A name is unknown, or names something else.

    Example:
        >>> task_of(TrainConfig(task="regression", loss="l1_loss")).score.name
        'r2'
    """
    return load_task(
        config.data.task or CLASSIFICATION,
        loss=config.optimization.loss,
        score=config.optimization.score,
        head=config.model.head,
    )
