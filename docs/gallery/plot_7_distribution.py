"""
Distribution of graphs
======================

A distribution P(G) is fitted to the graphs of a data set, and new graphs are sampled from it.
"""

import numpy as np

import graphtask as gt


def trained(seed):
    graph, rng = gt.full_dag(14, stages=2), np.random.default_rng(seed)
    reach = np.array([edge.target - edge.source for edge in graph.es])
    strong = rng.random(graph.ecount()) < 0.9 * np.exp(-reach / 4)
    graph.es["weight"] = np.where(strong | (reach == 1), rng.uniform(0.1, 0.9, len(strong)), 0.001)
    return gt.prune(graph)


graphs = [trained(seed) for seed in range(12)]
fitted = gt.GraphDistribution.fit(graphs)
gt.plot.draw_distribution(fitted.edge_probabilities(), fitted.mean_graph())

# %%
# Sampled graphs next to the observed ones.

samples = fitted.sample(12, seed=0)
metrics = ["edges", "nodes", "mean_path", "log_paths", "max_path"]
gt.plot.draw_observed_sampled(gt.measure_all(graphs), gt.measure_all(samples), metrics=metrics)

# %%
# Three of the samples, with their nodes in the same places.

gt.plot.draw_grid({f"sample {k + 1}": samples[k] for k in range(3)}, same_layout=True)
