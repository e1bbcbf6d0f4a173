# %% [markdown]
# # A prior of your own: |i − j| ≤ k against the full DAG
#
# Does a network need long-range edges? Compare the full DAG with one whose edges span at most a third of the nodes.
# Any predicate on pairs of nodes defines a prior.

# %%
import graphtask as gt

full = gt.full_dag(12, stages=3)
banded = gt.dag_from_predicate(12, lambda i, j: j - i <= 4, stages=3)
gt.plot.draw_grid({"full": full, "|i − j| ≤ 4": banded})

# %% [markdown]
# Train both with the same configuration and two seeds each.

# %%
runs = {}
for name, graph in {"full": full, "banded": banded}.items():
    for seed in range(2):
        runs[name, seed] = gt.train(
            graph, data="cdigits", channels=4, epochs=10, batch_size=32, edge_l1=0.02, seed=seed, threads=1, progress=False
        )

# %%
import pandas as pd

rows = []
for (name, seed), run in runs.items():
    values = gt.measure(gt.prune(run.graph, threshold=0.006))
    accuracy = run.metrics["test_accuracy"].iloc[-1]
    rows.append({"prior": name, "seed": seed, "test_accuracy": accuracy, **values})
pd.DataFrame(rows)[["prior", "seed", "test_accuracy", "sparsity", "log_paths", "mean_path", "pca_elongation"]]

# %% [markdown]
# Two seeds decide nothing; a [study](../studies.md) runs more of them from one file and resumes when interrupted.
