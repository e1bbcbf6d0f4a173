"""
Runs as curves
==============

Training, thresholds, penalties and retraining of several runs, each in one picture with a color per data set.
The tables here are made up; those of graphtask have the same columns.
"""

import numpy as np
import pandas as pd

import graphtask as gt

sets = (("cmnist", 0.99, 0.2), ("cifar10", 0.91, 0.09))
epochs = np.arange(1, 31)
progress = pd.concat(
    pd.DataFrame(
        {
            "epoch": epochs,
            "train_loss": 2.3 * np.exp(-epochs / (6 + seed)),
            "test_loss": 2.3 * np.exp(-epochs / (6 + seed)) + 0.1,
            "train_accuracy": 1 - np.exp(-epochs / (4 + seed)),
            "test_accuracy": best * (1 - np.exp(-epochs / (4 + seed))),
            "live_edges": 66 - (40 * epochs / 30 * (1 - scale)).astype(int) - seed,
            **{"run": f"{dataset}-{seed}", "dataset": dataset, "prior": "full"},
        }
    )
    for dataset, best, scale in sets
    for seed in range(4)
)

# %%
# One run: ``run.metrics`` has this table.

gt.plot.draw_curves(progress[progress["run"] == "cmnist-0"])

# %%
# All runs of a study, also while it is running.

gt.plot.draw_progress(progress)

# %%
# A threshold sweep (`graphtask.sweep`): the mean over the runs, and a band of one standard deviation.

thresholds = [0, *np.logspace(-3, -0.3, 25)]
rows = [
    {
        "run": f"{dataset}-{seed}",
        "dataset": dataset,
        "prior": "full",
        "threshold": threshold,
        "test_accuracy": np.nan if threshold > 0.3 else best - (threshold / scale) ** 2 / 5 - 0.004 * seed,
        "sparsity": 1 - 1 / (1 + 40 * threshold / scale / 3),
        "critical_threshold": 0.3,
        "suggested_threshold": scale / 10,
    }
    for dataset, best, scale in sets
    for seed in range(4)
    for threshold in thresholds
]
gt.plot.draw_sweep(pd.DataFrame(rows))

# %%
# A path of the penalty λ (`graphtask.l1_path`), each run started from the one before.

rows = [
    {
        "run": f"{dataset}-{penalty:g}",
        "dataset": dataset,
        "prior": "full",
        "edge_l1": penalty,
        "test_accuracy": best - penalty / scale / 4,
        "edges": round(66 / (1 + 30 * penalty / scale)),
        "mean_path": 4 + 20 * penalty,
    }
    for dataset, best, scale in sets
    for penalty in np.geomspace(0.002, 0.1, 8)
]
gt.plot.draw_path(pd.DataFrame(rows), metrics=["mean_path"])

# %%
# Pruned networks that are trained from scratch (`graphtask.retrain`), next to the full ones: the paper's Fig. 5.

kinds = (("full", 0.0, 1.0), ("thresholded", -0.002, np.nan), ("retrained", -0.015, 0.45), ("retrained_fit", 0.004, 0.7))
rows = [
    {
        "run": f"{dataset}-{seed}",
        "dataset": dataset,
        "prior": "full",
        "network": network,
        "test_accuracy": best + gain - 0.004 * seed,
        "epoch_time_ratio": time + 0.02 * seed * (network != "full"),
    }
    for dataset, best, _ in sets
    for seed in range(4)
    for network, gain, time in kinds
]
gt.plot.draw_retraining(pd.DataFrame(rows))
