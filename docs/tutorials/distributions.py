# %% [markdown]
# # From data sets to distributions of graphs
#
# One trained network gives one graph. Several seeds give a sample of graphs, and two data sets give two samples: do
# they differ, and in what? This tutorial runs a small study, compares its graphs, and fits a distribution to each
# data set. It trains six small networks, about two minutes on two cores.

# %%
import tempfile

import graphtask as gt

study = gt.Study.read(
    {
        "name": "digits",
        "out": tempfile.mkdtemp(),
        "seeds": 3,
        "channels": 4,
        "threads": 1,
        "device": "cpu",
        "epochs": 12,
        "batch_size": 32,
        "edge_l1": 0.02,
        "priors": {"full": {"nodes": 10, "stages": 3}},
        "data": {"cdigits": {}, "cdigits_t8": {}},
    }
)
study.run(progress=False)

# %% [markdown]
# `cdigits_t8` shows the same digits cut into tiles, which are shuffled and turned: a harder task. One row per run:

# %%
table = study.results()
table[["dataset", "seed", "test_accuracy_pruned", "edges", "sparsity", "log_paths", "mean_path"]]

# %% [markdown]
# The graphs themselves, with every node at the same position:

# %%
graphs = gt.read_all([study.out], threshold=0.006)
names = [f"{label}, seed {seed}" for label, seed in zip(graphs.labels, graphs.known("seed"), strict=True)]
gt.plot.draw_grid(dict(zip(names, graphs.graphs, strict=True)), same_layout=True)

# %% [markdown]
# `gt.compare` standardizes the features, and asks how well the data set of a graph can be predicted from the other
# graphs. With three graphs each it also states how small a p-value can become at all.

# %%
compared = gt.compare(list(graphs.graphs), graphs.labels)
print(compared)
compared.groups()

# %%
first, second = graphs.groups().values()
gt.two_sample_test(first, second, seed=0)

# %% [markdown]
# A distribution over architectures for each data set. `log_prob` is the probability of a graph among the valid ones, in
# nats; a graph is more likely under the distribution of its own data set if the two differ.

# %%
fitted = {name: gt.GraphDistribution.fit(own) for name, own in graphs.groups().items()}
{name: [round(own.log_prob(graph), 1) for graph in (first[0], second[0])] for name, own in fitted.items()}

# %% [markdown]
# Samples are architectures that can be compiled and trained like any other.

# %%
samples = next(iter(fitted.values())).sample(4, seed=0)
gt.plot.draw_grid({f"sample {number}": graph for number, graph in enumerate(samples)})

# %% [markdown]
# Next: [studies](../studies.md) from a file on several GPUs or machines, and the
# [definitions and error rates](../science.md) behind these tests.
