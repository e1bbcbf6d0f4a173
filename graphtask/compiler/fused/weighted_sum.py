"""Weighted sums over the rows of a stage's table, their transposes, and the gradients of the weights.

`DenseSum` and `SparseSum` have the same methods. Legend: S sources, N nodes, M elements of an activation; weights w as
`prepare` returns them; sources (S, M), values (N, M) and table (S + N, M) are activations; sums (N, M) and d_sums (N, M)
their weighted sums and the gradients of these. Nodes are completed in order: `clear` or `start`, then for each block of
nodes ``low … high`` `add_block`, then for each of its nodes `add_node`. Backward: `pull_block` and `pull_node` in
reverse, and at last `weight_gradient` and `pull_sources`.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from graphtask.compiler.fused.stages import StagePlan
from graphtask.types import IntArray

_PIECE = 4096  # elements: a long sparse sum is computed in pieces that stay in the cache, in parallel
_FEW = 6  # rows that are added one by one: the sum stays in the cache meanwhile
_SIZES = 6  # sizes of activations whose indices are kept: full and last batches of training, validation, test


class Weights(NamedTuple):
    """Weights of a stage in one step."""

    values: Tensor
    """Matrix (N, S + N) of a dense sum, vector (edges) of a sparse one."""
    each: tuple[Tensor, ...]
    """Scalars of a sparse sum."""


class DenseSum:
    """Sums as matrix products.

    Args:
        stage: Plan of the stage.
        device: Device of the indices.
    """

    def __init__(self, stage: StagePlan, device: torch.device) -> None:
        self.n_nodes, self.n_rows, self.n_sources, self.width = (
            stage.n_nodes, stage.n_rows, stage.n_sources, stage.width
        )  # fmt: skip
        self.edges = torch.from_numpy(stage.edges).to(device)
        self.entries = torch.from_numpy(stage.targets * stage.n_rows + stage.rows).to(device)

    def prepare(self, gates: Tensor) -> Weights:
        """Return the matrix (N, S + N) of weights."""
        matrix = gates.new_zeros(self.n_nodes * self.n_rows)
        matrix[self.entries] = gates[self.edges]
        return Weights(matrix.view(self.n_nodes, self.n_rows), ())

    def clear(self, sums: Tensor) -> None:
        """Zero the sums that are added to before they are written."""
        sums[: None if self.n_sources else self.width].zero_()

    def start(self, w: Weights, sources: Tensor, sums: Tensor) -> None:
        """Write the terms of all sources."""
        if self.n_sources:
            torch.mm(w.values[:, : self.n_sources], sources, out=sums)
        else:
            self.clear(sums)

    def add_sources(self, w: Weights, low: int, high: int, sources: Tensor, sums: Tensor) -> None:
        """Add the terms of the sources low … high, of which ``sources`` holds the values."""
        sums.addmm_(w.values[:, low:high], sources)

    def add_block(self, w: Weights, low: int, high: int, values: Tensor, sums: Tensor) -> None:
        """Add the terms of the nodes before ``low`` to the sums low … high."""
        if low:
            inside, out = w.values[low:high, self.n_sources : self.n_sources + low], sums[low:high]
            torch.addmm(out, inside, values[:low], beta=bool(self.n_sources), out=out)

    def add_node(self, w: Weights, low: int, node: int, values: Tensor, sums: Tensor) -> None:
        """Add the terms of the nodes low … node to the sum of ``node``."""
        if node > low:
            inside = w.values[node : node + 1, self.n_sources + low : self.n_sources + node]
            sums[node : node + 1].addmm_(inside, values[low:node])

    def pull_block(self, w: Weights, low: int, high: int, d_sums: Tensor, out: Tensor) -> None:
        """Write the gradients that the nodes from ``high`` on pass to the values of the nodes low … high."""
        if high < self.n_nodes:
            torch.mm(w.values[high:, self.n_sources + low : self.n_sources + high].t(), d_sums[high:], out=out)
        else:
            out.zero_()

    def pull_node(self, w: Weights, low: int, node: int, high: int, d_sums: Tensor, out: Tensor) -> None:
        """Add the gradient that the nodes up to ``high`` pass to the value of ``node``, row node − low of ``out``."""
        if node + 1 < high:
            inside = w.values[node + 1 : high, self.n_sources + node : self.n_sources + node + 1]
            out[node - low : node - low + 1].addmm_(inside.t(), d_sums[node + 1 : high])

    def pull_sources(self, w: Weights, d_sums: Tensor, out: Tensor) -> None:
        """Write the gradients of the sources."""
        if self.n_sources:
            torch.mm(w.values[:, : self.n_sources].t(), d_sums, out=out)

    def weight_gradient(self, w: Weights, table: Tensor, d_sums: Tensor) -> Tensor:  # noqa: ARG002  # see `SparseSum`
        """Return the gradient of the weight of each of ``edges``."""
        return (d_sums @ table.t()).view(-1)[self.entries]


class SparseSum:
    """Sums edge by edge; a block is one node.

    Args:
        stage: Plan of the stage.
        device: Device of the indices.
    """

    def __init__(self, stage: StagePlan, device: torch.device) -> None:
        self.edges = torch.from_numpy(stage.edges).to(device)
        self.n_sources = n = stage.n_sources
        across = stage.rows < n
        self.across = _terms(stage.targets, stage.rows, across, device)
        self.inside = _terms(stage.targets, stage.rows - n, ~across, device)
        self.all = _terms(stage.targets, stage.rows, across | ~across, device)
        self.back = _terms(stage.rows, stage.targets, across | ~across, device)
        places = [place for terms in self.all.values() for place in terms.places]
        self.places = torch.tensor(places, dtype=torch.int64, device=device)

    def prepare(self, gates: Tensor) -> Weights:
        """Return the vector of weights, one for each of ``edges``."""
        vector = gates[self.edges]
        return Weights(vector, vector.unbind())

    def clear(self, sums: Tensor) -> None:
        """Zero the sums that are added to before they are written."""
        for node in self.across:
            sums[node].zero_()

    def start(self, w: Weights, sources: Tensor, sums: Tensor) -> None:
        """Write the terms of all sources."""
        for node, terms in self.across.items():
            terms.gather(w, sources, sums[node], add=False)

    def add_sources(self, w: Weights, low: int, high: int, sources: Tensor, sums: Tensor) -> None:
        """Add the terms of the sources low … high, of which ``sources`` holds the values."""
        for row in range(low, high):
            for target, place in zip(self.back[row].rows, self.back[row].places, strict=True):
                sums[target].addcmul_(sources[row - low], w.each[place])

    def add_block(self, w: Weights, low: int, high: int, values: Tensor, sums: Tensor) -> None:  # noqa: ARG002
        """Add the terms of the nodes before ``low`` to its sum."""
        if low in self.inside:
            self.inside[low].gather(w, values, sums[low], add=low in self.across)

    def add_node(self, w: Weights, low: int, node: int, values: Tensor, sums: Tensor) -> None:
        """Do nothing: a block has one node."""

    def pull_block(self, w: Weights, low: int, high: int, d_sums: Tensor, out: Tensor) -> None:  # noqa: ARG002
        """Write the gradient of the value of the node ``low``."""
        if self.n_sources + low in self.back:
            self.back[self.n_sources + low].gather(w, d_sums, out[0], add=False)
        else:
            out.zero_()

    def pull_node(self, w: Weights, low: int, node: int, high: int, d_sums: Tensor, out: Tensor) -> None:
        """Do nothing: a block has one node."""

    def pull_sources(self, w: Weights, d_sums: Tensor, out: Tensor) -> None:
        """Write the gradients of the sources."""
        for row in range(self.n_sources):
            self.back[row].gather(w, d_sums, out[row], add=False)

    def weight_gradient(self, w: Weights, table: Tensor, d_sums: Tensor) -> Tensor:
        """Return the gradient of the weight of each of ``edges``."""
        result = torch.zeros_like(w.values)
        if self.all:
            dots = [terms.dots(d_sums[target], table) for target, terms in self.all.items()]
            result[self.places] = torch.cat(dots)
        return result


WeightedSum: TypeAlias = DenseSum | SparseSum


def weighted_sum(stage: StagePlan, device: torch.device) -> WeightedSum:
    """Return the sums of a stage by its strategy."""
    return (DenseSum if stage.strategy == "dense" else SparseSum)(stage, device)


class _Bag(NamedTuple):
    """A sparse sum as embedding bags, one for each piece of the sum."""

    rows: Tensor
    """Pieces to read."""
    offsets: Tensor
    """Place where each bag begins among them."""
    owners: Tensor
    """Bag of each piece to read."""
    places: Tensor
    """Weight of each piece to read."""


class _Terms:
    """Terms of one sparse sum: the rows to read, and the places of their weights."""

    def __init__(self, rows: list[int], places: list[int], device: torch.device) -> None:
        self.rows, self.places, self._device = rows, places, device
        self._bags: dict[int, _Bag] = {}

    def gather(self, w: Weights, table: Tensor, out: Tensor, *, add: bool) -> None:
        """Write, or add, the weighted sum of the rows of ``table``."""
        if len(self.rows) > _FEW and len(out):
            bag = self._bag(len(out))
            pieces = table.view(-1, len(out) // len(bag.offsets))
            found = torch.embedding_bag(pieces, bag.rows, bag.offsets, False, 0, False, w.values[bag.places])[
                0
            ].view(-1)
            if add:
                out.add_(found)
            else:
                out.copy_(found)
            return
        for row, place in zip(self.rows, self.places, strict=True):
            if add:
                out.addcmul_(table[row], w.each[place])
            else:
                torch.mul(table[row], w.each[place], out=out)
            add = True

    def dots(self, vector: Tensor, table: Tensor) -> Tensor:
        """Return the products of the rows with a vector, the gradients of the weights."""
        if len(self.rows) == 1 or not len(vector):
            return torch.stack([torch.dot(vector, table[row]) for row in self.rows])
        bag = self._bag(len(vector))
        size = len(vector) // len(bag.offsets)
        products: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(  # noqa: SLF001  # autograd's own
            vector.view(-1, size), table.view(-1, size), bag.rows, bag.offsets, bag.owners, 0
        )
        return products.view(-1, len(self.rows)).sum(dim=0)

    def _bag(self, numel: int) -> _Bag:
        """Return the bags for rows of ``numel`` elements."""
        if numel not in self._bags:
            if len(self._bags) >= _SIZES:
                self._bags.clear()
            n = n_pieces(numel)
            pieces = np.arange(n)
            rows = (np.array(self.rows) * n + pieces[:, None]).reshape(-1)
            places = np.tile(self.places, n)
            indices = (rows, pieces * len(self.rows), pieces.repeat(len(self.rows)), places)
            self._bags[numel] = _Bag(*(torch.from_numpy(index).to(self._device) for index in indices))
        return self._bags[numel]


def n_pieces(numel: int) -> int:
    """Return the number of equal pieces, of at most 4,096 elements, of a row."""
    found = -(-numel // _PIECE)
    while numel % found:
        found += 1
    return found


def _terms(groups: IntArray, rows: IntArray, chosen: np.ndarray, device: torch.device) -> dict[int, _Terms]:
    """Return the terms of each group of the chosen edges."""
    found: dict[int, _Terms] = {}
    places = chosen.nonzero()[0]
    for group, row, place in zip(
        groups[places].tolist(), rows[places].tolist(), places.tolist(), strict=True
    ):
        terms = found.setdefault(group, _Terms([], [], device))
        terms.rows.append(row)
        terms.places.append(place)
    return found
