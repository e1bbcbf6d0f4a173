"""
Seeds in the same places
========================

Networks that start from one initial graph share the names of their nodes, so their graphs can be compared by eye.
"""

import numpy as np

import graphtask as gt


def trained(seed, share):
    graph, rng = gt.full_dag(17, stages=3), np.random.default_rng(seed)
    reach = np.array([edge.target - edge.source for edge in graph.es])
    strong = (rng.random(graph.ecount()) < share) | (reach == 2)
    graph.es["weight"] = np.where(strong, rng.uniform(0.1, 0.9, len(strong)), 0.001)
    return gt.prune(graph)


graphs = {f"seed {seed}": trained(seed, 0.12) for seed in range(1, 7)}
gt.plot.draw_grid(graphs, same_layout=True, title="Six seeds")
