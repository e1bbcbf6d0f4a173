"""Callbacks of training: the base class, the progress bar and loggers; reached as ``graphtask.callbacks``.

Example:
    >>> import graphtask as gt
    >>> gt.callbacks.Callback is gt.Callback
    True
"""

from graphtask.training.callbacks import Callback, ProgressBar
from graphtask.training.logging import TensorBoard, WandB

__all__ = ["Callback", "ProgressBar", "TensorBoard", "WandB"]
