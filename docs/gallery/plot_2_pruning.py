"""
Before and after pruning
========================

A threshold marks the edges that pruning removes: light gray below it, and red where a path is then dead.
"""

import numpy as np

import graphtask as gt

graph = gt.full_dag(14, stages=3)
rng = np.random.default_rng(1)
strong = rng.random(graph.ecount()) < 0.35
graph.es["weight"] = np.where(strong, rng.uniform(0.1, 0.9, len(strong)), 0.002)

gt.draw(graph, threshold=0.006, layout="kamada-kawai")

# %%
# Two graphs next to each other have their nodes in the same places.

gt.draw(graph, gt.prune(graph))

# %%
# Weak edges can be hidden.

gt.draw(graph, threshold=0.006, weak="hidden", labels="name")
