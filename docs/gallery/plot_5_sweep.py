"""
Accuracy over the threshold
===========================

`graphtask.sweep` tests a trained network at many thresholds; several runs share one picture.
The table here is made up.
"""

import numpy as np
import pandas as pd

import graphtask as gt

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
    for dataset, best, scale in (("cmnist", 0.99, 0.2), ("cifar10", 0.91, 0.09))
    for seed in range(4)
    for threshold in thresholds
]
gt.plot.draw_sweep(pd.DataFrame(rows))
