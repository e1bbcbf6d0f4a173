"""
Layouts of one graph
====================

The input is on the left, nodes have the color of their stage, and edges are as wide as their weight.
A sparse graph is drawn in layers, with few crossings and the stages in bands.
"""

import numpy as np

import graphtask as gt

graph = gt.random_dag(30, seed=3, stages=3)
graph.es["weight"] = np.random.default_rng(0).uniform(0.05, 1, graph.ecount())

gt.draw(graph, labels="name")

# %%
# Kamada-Kawai is the layout of the paper's figures, and the default for dense graphs.

gt.draw(graph, layout="kamada-kawai")

# %%
# One row per stage, in topological order.

gt.draw(graph, layout="stages")

# %%
# A circle shows long edges.

gt.draw(graph, layout="circle", figsize=(4.5, 4.5))
