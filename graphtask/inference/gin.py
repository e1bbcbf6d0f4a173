"""Many small graph isomorphism networks in parallel: the same graphs, different labels, trained on the CPU.

The networks are independent: a parameter has one slice for each network, products are batched over them, and the loss
is their sum. Axes: nodes N of all graphs together, networks M, width D.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import igraph
import torch
from torch import Tensor, nn

from graphtask.storage.geometric import to_geometric
from graphtask.types import BoolArray, FloatArray


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Disjoint union of graphs, the input of the networks."""

    features: Tensor
    """Features of the vertices: the stage (one-hot), indicators of input and output, and the logarithms of 1 + in- and
    out-degree, each with mean 0 and variance 1 over all graphs."""
    edges: Tensor
    """Source and target of every edge, shape (2, edges)."""
    owner: Tensor
    """Index of the graph of every vertex, shape (N,)."""
    n_graphs: int
    """Number of graphs."""

    @property
    def n_nodes(self) -> int:
        """Vertices of all graphs."""
        return len(self.owner)

    @property
    def mean_nodes(self) -> float:
        """Vertices per graph."""
        return self.n_nodes / self.n_graphs

    @property
    def mean_degree(self) -> float:
        """Edges per vertex."""
        return self.edges.shape[1] / self.n_nodes


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Architecture and training of the networks."""

    layers: int = 2
    """Rounds of message passing."""
    width: int = 8
    """Channels of every layer."""
    steps: int = 40
    """Steps of Adam, each on all training graphs."""
    learning_rate: float = 0.02
    """Learning rate of Adam."""
    weight_decay: float = 0.01
    """Decoupled weight decay of Adam."""
    seed: int = 0
    """Random seed of the initial parameters."""


def collect(graphs: Sequence[igraph.Graph]) -> Collection:
    """Return the disjoint union of the graphs.

    Raises:
        GraphError: A graph breaks a rule.
        GraphtaskError: torch-geometric is not installed.
    """
    data = [to_geometric(graph) for graph in graphs]
    sizes = torch.tensor([item.num_nodes for item in data])
    starts = torch.cumsum(sizes, 0) - sizes
    edges = torch.cat([item.edge_index + start for item, start in zip(data, starts, strict=True)], dim=1)
    n_nodes = int(sizes.sum())
    stage = torch.cat([item.stage for item in data])
    degrees = torch.stack([torch.bincount(ends, minlength=n_nodes) for ends in (edges[1], edges[0])], dim=1)
    columns = torch.cat(
        [(stage[:, None] == torch.unique(stage)).double(), (degrees == 0).double(), degrees.double().log1p()],
        dim=1,
    )
    spread = columns.std(dim=0, correction=0)
    scaled = (columns - columns.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
    owner = torch.repeat_interleave(torch.arange(len(data)), sizes)
    return Collection(features=scaled.float(), edges=edges, owner=owner, n_graphs=len(data))


class Perceptrons(nn.Module):
    """Two linear maps with a ReLU between, one pair for each network; on rows of shape (N, networks · inputs)."""

    def __init__(
        self, n_networks: int, n_inputs: int, width: int, *, scale: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.n_networks, self.n_inputs, self.scale = n_networks, n_inputs, scale
        self.first = _parameter(n_networks, n_inputs, width, generator=generator)
        self.first_bias = nn.Parameter(torch.zeros(n_networks, 1, width))
        self.second = _parameter(n_networks, width, width, generator=generator)
        self.second_bias = nn.Parameter(torch.zeros(n_networks, 1, width))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the rows after both maps."""
        x = rows.view(-1, self.n_networks, self.n_inputs).transpose(0, 1) * self.scale
        x = torch.relu(torch.baddbmm(self.first_bias, x, self.first))
        x = torch.baddbmm(self.second_bias, x, self.second)
        return x.transpose(0, 1).reshape(len(rows), -1)


class Networks(nn.Module):
    """M networks for directed graphs: in each layer one GIN convolution along the edges and one against them.

    The logit is linear in the outputs of each layer, summed over the vertices (in units of the mean number of vertices).
    """

    def __init__(self, collection: Collection, n_networks: int, recipe: Recipe) -> None:
        super().__init__()
        convolution = _gin_convolution()
        generator = torch.Generator().manual_seed(recipe.seed)
        self.n_networks = n_networks
        # Sums over many neighbors start at the size of one.
        scale = 1 / (1 + collection.mean_degree)
        widths = [collection.features.shape[1], *[recipe.width] * recipe.layers]
        self.along, self.against = (
            nn.ModuleList(
                convolution(Perceptrons(n_networks, n_in, n_out, scale=scale, generator=generator))
                for n_in, n_out in pairwise(widths)
            )
            for _ in range(2)
        )
        self.head = _parameter(n_networks, recipe.layers * recipe.width, 1, generator=generator)
        self.head_bias = nn.Parameter(torch.zeros(n_networks, 1))

    def forward(self, collection: Collection) -> Tensor:
        """Return the logits of the graphs."""
        n_graphs, n_networks = collection.n_graphs, self.n_networks
        rows, backwards = collection.features.repeat(1, n_networks), collection.edges.flip(0)
        sums = []
        for along, against in zip(self.along, self.against, strict=True):
            rows = torch.relu(along(rows, collection.edges) + against(rows, backwards))
            pooled = rows.new_zeros(n_graphs, rows.shape[1]).index_add_(0, collection.owner, rows)
            sums.append(pooled.view(n_graphs, n_networks, -1) / collection.mean_nodes)
        pooled = torch.cat(sums, dim=2).transpose(0, 1)
        return (pooled @ self.head).squeeze(2) + self.head_bias


def fitted_logits(
    collection: Collection, labels: BoolArray, training: BoolArray, *, recipe: Recipe
) -> FloatArray:
    """Return the logits of all graphs after training M networks, each on its own graphs and labels.

    Args:
        collection: The graphs.
        labels: True for graphs of the first set, shape (M, graphs).
        training: True for the training graphs of a network, shape (M, graphs); both classes weigh the same.
        recipe: Architecture and training.

    Returns:
        Shape (M, graphs); above 0 where the network predicts the first set.
    """
    networks = Networks(collection, len(labels), recipe)
    target, weight = (
        torch.from_numpy(labels).float(),
        torch.from_numpy(_class_weights(labels, training)).float(),
    )
    optimizer = torch.optim.AdamW(
        networks.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    for _ in range(recipe.steps):
        optimizer.zero_grad()
        losses = nn.functional.binary_cross_entropy_with_logits(
            networks(collection), target, weight, reduction="sum"
        )
        losses.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        logits: FloatArray = networks(collection).double().numpy()
    return logits


def _class_weights(labels: BoolArray, training: BoolArray) -> FloatArray:
    """Return weights that sum to ½ for each class of the training graphs; 0 for graphs that are held out."""
    weights = (labels & training) / (labels & training).sum(axis=1, keepdims=True).clip(1)
    weights += (~labels & training) / (~labels & training).sum(axis=1, keepdims=True).clip(1)
    halves: FloatArray = 0.5 * weights
    return halves


def _parameter(*shape: int, generator: torch.Generator) -> nn.Parameter:
    # All networks have the same initial parameters (He et al. 2015), so that only their labels differ.
    start = torch.randn(1, *shape[1:], generator=generator) * (2 / shape[1]) ** 0.5
    return nn.Parameter(start.repeat(shape[0], 1, 1))


def _gin_convolution() -> type[nn.Module]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of torch
        from torch_geometric.nn import GINConv
    convolution: type[nn.Module] = GINConv
    return convolution
