import numpy as np
import pytest
import torch
from helpers import random_graphs, shuffled
from torch import nn

import graphtask as gt
from graphtask.inference.gin import Networks, Recipe, collect, fitted_logits


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class PlainNetwork(nn.Module):
    """One of the networks, node by node after Xu et al.: h_v ← MLP((1 + ε)·h_v + Σ h_u), ε = 0, both directions."""

    def __init__(self, networks, index, layers):
        super().__init__()
        self.parts = nn.ModuleList()
        for layer in range(layers):
            for side in (networks.along[layer].nn, networks.against[layer].nn):
                first, second = (
                    nn.Linear(side.n_inputs, side.first.shape[2]),
                    nn.Linear(*side.second.shape[1:]),
                )
                with torch.no_grad():
                    first.weight.copy_(side.first[index].T)
                    second.weight.copy_(side.second[index].T)
                    first.bias.copy_(side.first_bias[index, 0])
                    second.bias.copy_(side.second_bias[index, 0])
                self.parts.append(nn.ModuleList([first, second]))
        self.head = nn.Linear(networks.head.shape[1], 1)
        with torch.no_grad():
            self.head.weight.copy_(networks.head[index].T)
            self.head.bias.copy_(networks.head_bias[index])
        self.layers, self.scale = layers, networks.along[0].nn.scale

    def forward(self, collection):
        h = collection.features
        n = len(h)
        adjacency = torch.zeros(n, n)
        adjacency[collection.edges[1], collection.edges[0]] = 1  # row: target, column: source
        sums = []
        for layer in range(self.layers):
            h = torch.relu(
                sum(
                    second(torch.relu(first((h + matrix @ h) * self.scale)))
                    for (first, second), matrix in zip(
                        self.parts[2 * layer : 2 * layer + 2], (adjacency, adjacency.T), strict=True
                    )
                )
            )
            sums.append(
                torch.stack([h[collection.owner == graph].sum(dim=0) for graph in range(collection.n_graphs)])
            )
        return self.head(torch.cat(sums, dim=1) / collection.mean_nodes)[:, 0]


def test_networks_side_by_side_learn_what_each_would_learn_alone():
    collection = collect(random_graphs(7, seed=3))
    rng = np.random.default_rng(0)
    labels = np.stack([rng.permutation(7) < 3 for _ in range(4)])
    training = rng.random((4, 7)) < 0.8
    recipe = Recipe(layers=2, width=5, steps=6, seed=1)
    networks = Networks(collection, 4, recipe)

    found = fitted_logits(collection, labels, training, recipe=recipe)

    for index in range(4):
        plain = PlainNetwork(networks, index, 2)
        optimizer = torch.optim.AdamW(plain.parameters(), lr=0.02, weight_decay=0.01)
        for _ in range(recipe.steps):
            logits = plain(collection)
            loss = torch.zeros(())
            for label in (True, False):
                chosen = torch.from_numpy(training[index] & (labels[index] == label))
                if chosen.any():
                    target = torch.full((int(chosen.sum()),), float(label))
                    loss = loss + 0.5 * nn.functional.binary_cross_entropy_with_logits(logits[chosen], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        np.testing.assert_allclose(found[index], plain(collection).detach().numpy(), atol=1e-4)


def test_logits_do_not_depend_on_the_numbering_of_the_vertices():
    graphs = random_graphs(6, seed=5)
    labels, training = np.asarray([[True, False] * 3]), np.ones((1, 6), dtype=bool)

    first = fitted_logits(collect(graphs), labels, training, recipe=Recipe(steps=5))
    others = [shuffled(graph, seed) for seed, graph in enumerate(graphs)]
    second = fitted_logits(collect(others), labels, training, recipe=Recipe(steps=5))

    np.testing.assert_allclose(first, second, atol=1e-4)


def test_a_graph_that_is_held_out_teaches_nothing():
    collection = collect(random_graphs(6, seed=5))
    training = np.asarray([[True, True, True, True, False, False]])
    labels = np.asarray([[True, False, True, False, True, True]])
    changed = np.asarray([[True, False, True, False, False, False]])

    first, second = (
        fitted_logits(collection, chosen, training, recipe=Recipe(steps=8)) for chosen in (labels, changed)
    )
    np.testing.assert_array_equal(first, second)


def test_the_features_are_stage_ends_and_degrees():
    collection = collect([gt.chain_dag(4, stages=2), gt.full_dag(4, stages=2)])

    assert collection.features.shape == (8, 2 + 2 + 2)
    torch.testing.assert_close(collection.features.mean(dim=0), torch.zeros(6), atol=1e-6, rtol=0)
    assert collection.owner.tolist() == [0] * 4 + [1] * 4
    assert collection.edges.T.tolist()[:4] == [[0, 1], [1, 2], [2, 3], [4, 5]]
    # Same stage, both in the middle, one predecessor each: only the numbers of successors differ.
    assert (collection.features[1] == collection.features[5]).tolist() == [True] * 5 + [False]
