"""Pictures: every ``draw_*`` function, and `save`; reached as ``graphtask.plot``.

Example:
    >>> import graphtask as gt
    >>> gt.plot.draw is gt.draw
    True
"""

from graphtask.drawing.comparison import draw_embedding, draw_similarity
from graphtask.drawing.curves import draw_curves, draw_history, draw_progress
from graphtask.drawing.difference import draw_diff
from graphtask.drawing.distributions import draw_distribution, draw_features, draw_observed_sampled
from graphtask.drawing.dynamics import draw_dynamics
from graphtask.drawing.graphs import draw, draw_grid
from graphtask.drawing.path import draw_path
from graphtask.drawing.picture import save_figure
from graphtask.drawing.placement import LAYOUTS
from graphtask.drawing.retrain import draw_retraining
from graphtask.drawing.sweeps import draw_sweep

save = save_figure

__all__ = [
    "LAYOUTS",
    "draw",
    "draw_curves",
    "draw_diff",
    "draw_distribution",
    "draw_dynamics",
    "draw_embedding",
    "draw_features",
    "draw_grid",
    "draw_history",
    "draw_observed_sampled",
    "draw_path",
    "draw_progress",
    "draw_retraining",
    "draw_similarity",
    "draw_sweep",
    "save",
]
