# %% [markdown]
# # Measure graphs from elsewhere
#
# Graphs from networkx, igraph, files and existing models become architecture graphs, and are measured like learned
# ones.

# %%
import graphtask as gt
import networkx as nx

watts = nx.connected_watts_strogatz_graph(24, 4, 0.3, seed=1)
graph = gt.from_networkx(watts, order="ids", stages=3, join=True)
gt.draw(graph)

# %% [markdown]
# `order` gives undirected edges a direction, `join` connects several inputs or outputs, and `stages` divides the
# topological order into equal parts. An error names the options that are missing.

# %%
try:
    gt.from_networkx(watts)
except gt.GraphtaskError as error:
    print(error)

# %% [markdown]
# The wiring of an existing model, traced without running it:

# %%
from torch import nn


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x).relu()


import torch

model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Residual(8), Residual(8), Residual(8))
resnet = gt.trace(model, torch.zeros(1, 3, 16, 16), granularity="layer")
gt.measure_all({"Watts-Strogatz": graph, "residual network": resnet})[
    ["nodes", "edges", "log_paths", "max_path", "edge_connectivity", "pca_elongation"]
]
