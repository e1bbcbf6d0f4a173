"""Weighted sums over the rows of a stage's table, their transposes, and the gradients of the weights.

`DenseSum` and `SparseSum` have the same methods. Legend: S sources, N nodes, E edges, M elements of an activation;
sources (S, M), nodes (N, M) and table (S + N, M) hold values, sums (N, M) the weighted sums, and d_sums (N, M) their
gradients; w holds the weights as `prepare` returns them.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from graphtask.compiler.fused.stages import StagePlan
from graphtask.types import IntArray

_PIECE = 4096  # elements: a long sparse sum is computed in pieces that stay in the cache, in parallel
_FEW = 6  # up to this number of rows are added one by one: the sum stays in the cache meanwhile


class DenseSum:
    """Sums as matrix products: blocks of nodes share one over everything before the block."""

    def __init__(self, stage: StagePlan, device: torch.device) -> None:
        self.n_sources, self.width, n = stage.n_sources, stage.width, stage.n_nodes
        self.shape = n, stage.n_rows
        self.blocks = [(low, min(low + self.width, n)) for low in range(0, n, self.width)]
        self.edges = torch.from_numpy(stage.edges).to(device)
        self.entries = torch.from_numpy(stage.targets * stage.n_rows + stage.rows).to(device)

    def prepare(self, gates: Tensor) -> Tensor:
        """Return the matrix (N, S + N) of weights."""
        matrix = gates.new_zeros(self.shape)
        matrix.view(-1)[self.entries] = gates[self.edges]
        return matrix

    def clear(self, sums: Tensor) -> None:
        """Zero the sums that sources are added to."""
        if self.n_sources:
            sums.zero_()

    def add_sources(self, w: Tensor, low: int, high: int, sources: Tensor, sums: Tensor) -> None:
        """Add the terms of the sources low … high, of which ``sources`` holds the values."""
        sums.addmm_(w[:, low:high], sources)

    def fill(self, w: Tensor, table: Tensor, sums: Tensor, *, brought: bool = False) -> Iterator[int]:
        """Compute the sums: yield each node whose sum is complete; its value must be in the table before the next.

        With ``brought``, the sums hold the terms of the sources already, and the table has the nodes only.
        """
        n = self.n_sources
        across, inside, nodes = w[:, :n], w[:, n:], table if brought else table[n:]
        if n and not brought:
            torch.mm(across, table[:n], out=sums)
        for low, high in self.blocks:
            out = sums[low:high]
            if low or not n:  # a product over nothing writes zeros
                torch.addmm(out, inside[low:high, :low], nodes[:low], beta=bool(n), out=out)
            for node in range(low, high):
                if node > low:
                    sums[node : node + 1].addmm_(inside[node : node + 1, low:node], nodes[low:node])
                yield node

    def pull(self, w: Tensor, d_sums: Tensor, out: Tensor) -> Iterator[int]:
        """Compute the gradients of the nodes' values in reverse: yield each node whose gradient is complete.

        Its row of ``d_sums`` must be final before the next one. The gradient of the first node of a block is row 0 of ``out``, and so on.
        """
        inside = w[:, self.n_sources :].t()
        for low, high in reversed(self.blocks):
            torch.mm(inside[low:high, high:], d_sums[high:], out=out[: high - low])
            for node in reversed(range(low, high)):
                if node + 1 < high:
                    row = out[node - low : node - low + 1]
                    row.addmm_(inside[node : node + 1, node + 1 : high], d_sums[node + 1 : high])
                yield node

    def pull_sources(self, w: Tensor, d_sums: Tensor, out: Tensor) -> None:
        """Write the gradients of the sources."""
        if self.n_sources:
            torch.mm(w[:, : self.n_sources].t(), d_sums, out=out)

    def weight_gradient(self, table: Tensor, d_sums: Tensor) -> Tensor:
        """Return the gradient of the weight of each of ``edges``."""
        return (d_sums @ table.t()).view(-1)[self.entries]


class SparseSum:
    """Sums edge by edge."""

    def __init__(self, stage: StagePlan, device: torch.device) -> None:
        self.n_sources = n = stage.n_sources
        self.edges = torch.from_numpy(stage.edges).to(device)
        self.terms = _terms(stage.targets, stage.rows, device)
        self.inside = _terms(stage.targets, stage.rows - n, device)
        self.back = _terms(stage.rows, stage.targets, device)
        self.cleared = set(stage.targets[stage.rows < n].tolist())

    def prepare(self, gates: Tensor) -> Tensor:
        """Return the vector (E) of weights."""
        return gates[self.edges]

    def clear(self, sums: Tensor) -> None:
        """Zero the sums that sources are added to."""
        for node in self.cleared:
            sums[node].zero_()

    def add_sources(self, w: Tensor, low: int, high: int, sources: Tensor, sums: Tensor) -> None:
        """Add the terms of the sources low … high, of which ``sources`` holds the values."""
        for row in range(low, high):
            for target, place in zip(self.back[row].rows, self.back[row].places, strict=True):
                sums[target].addcmul_(sources[row - low], w[place])

    def fill(self, w: Tensor, table: Tensor, sums: Tensor, *, brought: bool = False) -> Iterator[int]:
        """Compute the sums as `DenseSum.fill`."""
        terms = self.inside if brought else self.terms
        for node, out in enumerate(sums.unbind()):
            if node in terms:
                terms[node].gather(w, table, out, add=brought and node in self.cleared)
            yield node

    def pull(self, w: Tensor, d_sums: Tensor, out: Tensor) -> Iterator[int]:
        """Compute the gradients of the nodes' values as `DenseSum.pull`; a block has one node."""
        for node in reversed(range(len(d_sums))):
            if self.n_sources + node in self.back:
                self.back[self.n_sources + node].gather(w, d_sums, out[0], add=False)
            else:
                out.zero_()
            yield node

    def pull_sources(self, w: Tensor, d_sums: Tensor, out: Tensor) -> None:
        """Write the gradients of the sources."""
        for row in range(self.n_sources):
            self.back[row].gather(w, d_sums, out[row], add=False)

    def weight_gradient(self, table: Tensor, d_sums: Tensor) -> Tensor:
        """Return the gradient of the weight of each of ``edges``."""
        dots = (terms.dots(d_sums[target], table) for target, terms in self.terms.items())
        return torch.cat([table.new_zeros(0), *dots])  # edges are ordered by target


WeightedSum: TypeAlias = DenseSum | SparseSum


class _Terms:
    """Terms of one sparse sum: the rows to read, and the places of their weights."""

    def __init__(self, rows: list[int], places: list[int], device: torch.device) -> None:
        self.rows, self.places, self._device = rows, places, device
        self._last: tuple[int, list[Tensor]] | None = None

    def gather(self, w: Tensor, table: Tensor, out: Tensor, *, add: bool) -> None:
        """Write, or add, the weighted sum of the rows of ``table``."""
        if len(self.rows) > _FEW and len(out):
            rows, offsets, _, places = self._bags(len(out))
            pieces = table.view(-1, len(out) // len(offsets))
            found = torch.embedding_bag(pieces, rows, offsets, False, 0, False, w[places])[0].view(-1)
            if add:
                out.add_(found)
            else:
                out.copy_(found)
            return
        for row, place in zip(self.rows, self.places, strict=True):
            if add:
                out.addcmul_(table[row], w[place])
            else:
                torch.mul(table[row], w[place], out=out)
            add = True

    def dots(self, vector: Tensor, table: Tensor) -> Tensor:
        """Return the products of the rows with a vector, the gradients of the weights."""
        if len(self.rows) == 1 or not len(vector):
            return torch.stack([torch.dot(vector, table[row]) for row in self.rows])
        rows, offsets, owners, _ = self._bags(len(vector))
        size = len(vector) // len(offsets)
        products: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(  # noqa: SLF001  # autograd's own
            vector.view(-1, size), table.view(-1, size), rows, offsets, owners, 0
        )
        return products.view(-1, len(self.rows)).sum(dim=0)

    def _bags(self, numel: int) -> list[Tensor]:
        """Return the sum of rows of ``numel`` elements as embedding bags, one for each piece of a row.

        These are the pieces to read, the place where each bag begins among them, and for each piece to read its bag and
        the place of its weight. Those of the last call are kept.
        """
        last = self._last
        if last is None or last[0] != numel:
            n = n_pieces(numel)
            pieces, k = np.arange(n), len(self.rows)
            rows = (np.array(self.rows) * n + pieces[:, None]).reshape(-1)
            indices = (rows, pieces * k, pieces.repeat(k), np.tile(self.places, n))
            last = self._last = numel, [torch.from_numpy(index).to(self._device) for index in indices]
        return last[1]


def n_pieces(numel: int) -> int:
    """Return the number of equal pieces, of at most 4,096 elements, of a row."""
    fewest = -(-numel // _PIECE)
    return next(n for n in range(fewest, numel + 1) if numel % n == 0)


def _terms(groups: IntArray, rows: IntArray, device: torch.device) -> dict[int, _Terms]:
    """Return the terms of each group, of the edges whose row is not negative."""
    found: dict[int, _Terms] = {}
    for place, (group, row) in enumerate(zip(groups.tolist(), rows.tolist(), strict=True)):
        if row >= 0:
            terms = found.setdefault(group, _Terms([], [], device))
            terms.rows.append(row)
            terms.places.append(place)
    return found
