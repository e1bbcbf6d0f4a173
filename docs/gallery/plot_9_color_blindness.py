"""
Colors for everyone
===================

The same picture for a reader with deuteranopia, with protanopia, and in gray print.
Stages differ in lightness, dead paths are dashed as well, and edges below the threshold are light.
"""

import io

import numpy as np
from PIL import Image

import graphtask as gt
from graphtask.drawing.picture import new_figure

graph = gt.full_dag(12, stages=3)
rng = np.random.default_rng(1)
strong = rng.random(graph.ecount()) < 0.35
graph.es["weight"] = np.where(strong, rng.uniform(0.1, 0.9, len(strong)), 0.002)
picture = gt.draw(graph, threshold=0.006, layout="kamada-kawai", figsize=(4, 4.2))
seen = np.asarray(Image.open(io.BytesIO(picture._repr_png_())).convert("RGB")) / 255

# %%
# Linear RGB of dichromats (Machado, Oliveira & Fernandes, IEEE TVCG 15, 2009), and the luminance.

views = {
    "normal": np.eye(3),
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "gray": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}
figure = new_figure(figsize=(6.4, 6.8), layout="constrained")
for axes, (name, matrix) in zip(figure.subplots(2, 2).flat, views.items()):
    axes.imshow(np.clip(seen**2.2 @ np.transpose(matrix), 0, 1) ** (1 / 2.2), interpolation="auto")
    axes.set_title(name, fontsize=9)
    axes.set_axis_off()
figure
