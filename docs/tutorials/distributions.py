# %% [markdown]
# # From data sets to distributions of graphs
#
# Trained several times, a data set yields several graphs. Are the graphs of two data sets different? This tutorial
# trains small networks on two variants of the digits: whole, and cut into shuffled tiles.

# %%
import graphtask as gt

study = gt.Study.read(
    {
        "name": "tutorial",
        "out": "runs",
        "seeds": 4,
        "channels": 3,
        "epochs": 5,
        "batch_size": 64,
        "edge_l1": 0.03,
        "priors": {"full": {"nodes": 9, "stages": 3}},
        "data": {"cdigits": {}, "cdigits_t8": {}},
    }
)
report = study.run(n_jobs=2, progress=False)
report.n_finished

# %%
study.results()[["dataset", "seed", "test_accuracy", "edges", "sparsity", "mean_path"]]

# %% [markdown]
# Read the graphs back, pruned, with their data set as label.

# %%
found = gt.read_all(["runs"], threshold=0.006)
groups = found.groups()
{name: len(graphs) for name, graphs in groups.items()}

# %% [markdown]
# Do both data sets give the same distribution of graphs? A permutation test, exact for so few graphs. The result
# names the smallest p-value that this many graphs can give.

# %%
gt.two_sample_test(*groups.values())

# %% [markdown]
# A distribution P(G) fitted to one data set gives the probability of a graph, and samples new valid graphs that
# compile and train like any other.

# %%
distribution = gt.GraphDistribution.fit(groups["cdigits"])
new = distribution.sample(3, seed=0)
gt.plot.draw_grid(new, titles=["sampled"] * 3)
