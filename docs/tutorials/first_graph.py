# %% [markdown]
# # Your first learned graph
#
# A network is a directed acyclic graph: nodes are convolution blocks, edges carry tensors, and every edge has one
# trainable weight. This tutorial trains such a network with a penalty on the edges, removes the edges it does not
# use, and looks at what is left. It takes less than a minute on a laptop.

# %%
import graphtask as gt

graph = gt.full_dag(12, stages=3)
gt.draw(graph)

# %% [markdown]
# The full DAG has an edge from every node to every later one: 66 edges between 12 nodes, in three stages of falling
# resolution. It bounds which edges training can select; it is called the prior, or initial graph.
#
# `gt.train` compiles the graph into a `torch.nn.Module` and trains it. `cdigits` is made from the digits that come
# with scikit-learn, so nothing is downloaded. The paper uses λ = 0.001 and tens of thousands of steps; with 16 short
# epochs a larger penalty shows the effect.

# %%
config = gt.TrainConfig(data="cdigits", channels=4, epochs=16, batch_size=32, edge_l1=0.02, threads=1)
run = gt.train(graph, config, progress=False)
run.metrics[["epoch", "train_loss", "test_accuracy", "live_edges"]].tail(4)

# %% [markdown]
# `run.graph` is a copy of the graph with the trained weights on its edges. Pruning removes the edges below the
# threshold τ, and then everything that lies on no path from the input to the output.

# %%
pruned = gt.prune(run.graph, threshold=0.006)
print(graph.ecount(), "edges before,", pruned.ecount(), "after pruning")
gt.draw(pruned)

# %% [markdown]
# Measure it. One row per graph, one column per metric:

# %%
gt.measure_all({"initial": graph, "pruned": pruned}, channels=4)[
    ["edges", "sparsity", "log_paths", "mean_path", "edge_connectivity", "pca_elongation"]
]

# %% [markdown]
# Does pruning cost accuracy? A sweep evaluates the pruned network at many thresholds, without further training.

# %%
sweep = gt.sweep(run)
sweep.plot()

# %% [markdown]
# Next: many runs as a [study](../studies.md).
