"""
Edges during training
=====================

The history of a run has the weight of every edge after every epoch: the paper's Fig. 6, and its categories A to D.
The weights here are made up.
"""

import numpy as np

import graphtask as gt
from graphtask.dynamics.table import overlap_table
from graphtask.graph import edge_names, with_provenance


def recording(seed, data, share):
    graph, rng = with_provenance(gt.full_dag(12, stages=2), data=data), np.random.default_rng(seed)
    start = rng.uniform(0.01, 0.1, graph.ecount())
    final = np.where(rng.random(graph.ecount()) < share, rng.uniform(0.2, 0.9, graph.ecount()), 1e-3)
    time = np.linspace(0, 1, 31)[:, None]
    w = (start ** (1 - time) * final**time) * np.exp(rng.normal(0, 1.5, (31, len(start))) * (1 - time))
    history = gt.EdgeHistory(tuple(edge_names(graph)), w.astype(np.float32))
    graph.es["weight"] = history.magnitudes[-1]
    return gt.dynamics.Recording(graph, history)


runs = {
    f"{data}-{seed}": recording(seed, data, share)
    for data, share in (("cmnist", 0.35), ("cifar10", 0.6))
    for seed in range(3)
}
gt.plot.draw_history(runs["cmnist-0"].history)

# %%
# Overlap of early edges with the final ones.

table = gt.dynamics.dynamics_table(runs)
gt.plot.draw_dynamics(table, overlap_table(runs), runs["cmnist-0"].history)

# %%
# The epochs as an animation: nodes stay in their places.

gt.animate(runs["cmnist-0"], out="training.gif", dpi=90)

# %%
# The categories of the paper's Table 4.

print(gt.dynamics.dynamics_summary(table).iloc[:, [0, 3, 5, 7, 9, 11]].round(1).to_string(index=False))
