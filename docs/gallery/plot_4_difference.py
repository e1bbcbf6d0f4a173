"""
Difference of two graphs
========================

Edges of both graphs are gray; those of one graph only differ in color and in dashes.
"""

import numpy as np

import graphtask as gt


def trained(seed):
    graph, rng = gt.full_dag(12, stages=2), np.random.default_rng(seed)
    strong = rng.random(graph.ecount()) < 0.35
    graph.es["weight"] = np.where(strong, rng.uniform(0.1, 0.9, len(strong)), 0.001)
    return graph


found = gt.diff(trained(1), trained(2), threshold=0.006)
print(found)
print(found.summary().to_string(index=False))

# %%
# The same as a picture; ``gt.plot.draw_diff(first, second)`` needs no table.

found.plot(names=["seed 1", "seed 2"], labels="name")
