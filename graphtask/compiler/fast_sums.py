"""Weighted sums over the rows of a stage's table, their transposes, and the gradients of the weights."""

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from graphtask.compiler.planner import StagePlan
from graphtask.graph import BoolArray

_PIECE = 4096  # elements: a gathered sum is computed in pieces that stay in the cache, and in parallel
_FEW = 2  # rows that are added one after the other rather than gathered


class Bags(NamedTuple):
    """A gathered sum in the terms of an embedding bag: one bag for each piece of the sum."""

    rows: Tensor
    """The pieces to read."""
    offsets: Tensor
    """Where each bag begins among them."""
    owners: Tensor
    """Of each piece to read: its bag."""


class Terms(NamedTuple):
    """The terms of one gathered sum."""

    rows: list[int]
    """The rows to read."""
    places: list[int]
    """Where their weights stand among the stage's weights."""
    row_index: Tensor
    place_index: Tensor
    bags: dict[int, Bags]
    """By the number of pieces that a row is cut into."""


Gathered: TypeAlias = dict[int, Terms]


class SumPlan:
    """The static indices of a stage's sums on one device.

    The stage's weights are the module's, taken at ``edges``.
    """

    def __init__(self, stage: StagePlan, device: torch.device) -> None:
        self.stage = stage
        self.edges = torch.from_numpy(stage.edges).to(device)
        across = stage.rows < stage.n_sources
        multiplied = (across & (stage.across == "product")) | (~across & (stage.inside == "product"))
        self.multiplied = torch.from_numpy(multiplied.nonzero()[0]).to(device)
        self.entries = torch.from_numpy((stage.targets * stage.n_rows + stage.rows)[multiplied]).to(device)
        self.inside = _gathered(stage, ~across & ~multiplied, device, offset=stage.n_sources, transpose=False)
        self.inside_back = _gathered(
            stage, ~across & ~multiplied, device, offset=stage.n_sources, transpose=True
        )
        self.across = _gathered(stage, across & ~multiplied, device, offset=0, transpose=False)
        self.across_back = _gathered(stage, across & ~multiplied, device, offset=0, transpose=True)


class Sums:
    """The sums of one stage in one step. All matrices have one activation in a row.

    Args:
        plan: The indices.
        gates: What the module's edges multiply by, in the dtype of the activations.
    """

    def __init__(self, plan: SumPlan, gates: Tensor) -> None:
        self.plan = plan
        stage = plan.stage
        self.weights = gates[plan.edges]
        matrix = gates.new_zeros(stage.n_nodes * stage.n_rows if len(plan.entries) else 0)
        if len(plan.entries):
            matrix[plan.entries] = self.weights[plan.multiplied]
            matrix = matrix.view(stage.n_nodes, stage.n_rows)
            self.across, self.inside = matrix[:, : stage.n_sources], matrix[:, stage.n_sources :]
        self.by_product_across = stage.across == "product"
        self.by_product_inside = stage.inside == "product"
        self.matrix = matrix

    def start(self, sources: Tensor, sums: Tensor) -> None:
        """Write what comes from all sources together to all sums, if it is computed so."""
        if self.by_product_across:
            torch.mm(self.across, sources, out=sums)

    def start_part(self, low: int, high: int, sources: Tensor, sums: Tensor) -> None:
        """Add what comes from the sources low … high to sums that hold numbers already."""
        if self.by_product_across:
            sums.addmm_(self.across[:, low:high], sources)
        for row in range(low, high):
            terms = self.plan.across_back.get(row)
            for target, place in zip(terms.rows, terms.places, strict=True) if terms else ():
                sums[target].addcmul_(sources[row - low], self.weights[place])

    def fill_block(self, low: int, high: int, values: Tensor, sums: Tensor, *, started: bool) -> bool:
        """Add what comes from the nodes before ``low`` to the sums low … high; whether these are started."""
        if not self.by_product_inside or low == 0:
            return started
        _multiply(self.inside[low:high, :low], values[:low], out=sums[low:high], add=started)
        return True

    def fill_node(self, low: int, node: int, values: Tensor, sums: Tensor, *, started: bool) -> bool:
        """Add what comes from the nodes low … node, and all that is gathered, to one sum."""
        if self.by_product_inside and node > low:
            _multiply(
                self.inside[node : node + 1, low:node],
                values[low:node],
                out=sums[node : node + 1],
                add=started,
            )
            started = True
        if node in self.plan.inside:
            _gather(self.plan.inside[node], self.weights, values, out=sums[node], add=started)
            started = True
        return started

    def fill_across(self, node: int, sources: Tensor, sums: Tensor, *, started: bool) -> bool:
        """Add what is gathered from the sources to one sum."""
        if node in self.plan.across:
            _gather(self.plan.across[node], self.weights, sources, out=sums[node], add=started)
            started = True
        return started

    def pull_block(self, low: int, high: int, gradients: Tensor, out: Tensor) -> bool:
        """Write the gradients that the nodes from ``high`` on give to the nodes low … high; whether any do."""
        if not self.by_product_inside or high >= len(gradients):
            return False
        torch.mm(self.inside[high:, low:high].t(), gradients[high:], out=out)
        return True

    def pull_node(self, node: int, high: int, gradients: Tensor, out: Tensor, *, started: bool) -> bool:
        """Add the gradients that the nodes up to ``high``, and all that gather, give to one node."""
        if self.by_product_inside and node + 1 < high:
            _multiply(
                self.inside[node + 1 : high, node : node + 1].t(),
                gradients[node + 1 : high],
                out=out.unsqueeze(0),
                add=started,
            )
            started = True
        if node in self.plan.inside_back:
            _gather(self.plan.inside_back[node], self.weights, gradients, out=out, add=started)
            started = True
        return started

    def pull_sources(self, gradients: Tensor, out: Tensor) -> None:
        """Write the gradients of the sources."""
        if self.by_product_across:
            torch.mm(self.across.t(), gradients, out=out)
        for row, terms in self.plan.across_back.items():
            _gather(terms, self.weights, gradients, out=out[row], add=False)

    def weight_gradients(self, sources: Tensor, values: Tensor, gradients: Tensor) -> Tensor:
        """The gradients of the stage's weights."""
        result = torch.zeros_like(self.weights)
        if len(self.plan.entries):
            matrix = torch.zeros_like(self.matrix)
            if self.by_product_across:
                matrix[:, : len(sources)] = gradients @ sources.t()
            if self.by_product_inside:
                matrix[:, len(sources) :] = gradients @ values.t()
            result[self.plan.multiplied] = matrix.view(-1)[self.plan.entries]
        for rows, gathered in ((sources, self.plan.across), (values, self.plan.inside)):
            for target, terms in gathered.items():
                result[terms.place_index] = _dots(terms, gradients[target], rows)
        return result


def _gathered(
    stage: StagePlan, chosen: BoolArray, device: torch.device, *, offset: int, transpose: bool
) -> Gathered:
    groups: dict[int, tuple[list[int], list[int]]] = {}
    places = chosen.nonzero()[0]
    targets, rows = stage.targets[places], stage.rows[places] - offset
    into, read = (rows, targets) if transpose else (targets, rows)
    for group, row, place in zip(into.tolist(), read.tolist(), places.tolist(), strict=True):
        terms = groups.setdefault(group, ([], []))
        terms[0].append(row)
        terms[1].append(place)
    return {
        group: Terms(
            rows, places, torch.tensor(rows, device=device), torch.tensor(places, device=device), bags={}
        )
        for group, (rows, places) in groups.items()
    }


def _multiply(weights: Tensor, rows: Tensor, *, out: Tensor, add: bool) -> None:
    if add:
        out.addmm_(weights, rows)
    else:
        torch.mm(weights, rows, out=out)


def _gather(terms: Terms, weights: Tensor, table: Tensor, *, out: Tensor, add: bool) -> None:
    if len(terms.rows) > _FEW and table.numel():
        sums = _bag(terms, weights, table)
        if add:
            out.add_(sums)
        else:
            out.copy_(sums)
        return
    for row, place in zip(terms.rows, terms.places, strict=True):
        if add:
            out.addcmul_(table[row], weights[place])
        else:
            torch.mul(table[row], weights[place], out=out)
        add = True


def _bag(terms: Terms, weights: Tensor, table: Tensor) -> Tensor:
    """Σ weight · row with one pass over each row, which an embedding bag does; a bag holds one piece of the sum."""
    size = _piece(table.shape[1])
    bags = _bags(terms, table.shape[1] // size)
    factors = weights[terms.place_index].expand(len(bags.offsets), -1).reshape(-1)
    found = torch.embedding_bag(table.view(-1, size), bags.rows, bags.offsets, False, 0, False, factors)
    return found[0].view(-1)


def _dots(terms: Terms, vector: Tensor, table: Tensor) -> Tensor:
    """The products of the rows with a vector: the gradients of the weights in such a sum."""
    if len(terms.rows) == 1 or not table.numel():
        return torch.stack([torch.dot(vector, table[row]) for row in terms.rows])
    size = _piece(table.shape[1])
    bags = _bags(terms, table.shape[1] // size)
    products: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(  # noqa: SLF001  # autograd's own
        vector.view(-1, size), table.view(-1, size), bags.rows, bags.offsets, bags.owners, 0
    )
    return products.view(-1, len(terms.rows)).sum(dim=0)


def _bags(terms: Terms, n_pieces: int) -> Bags:
    if n_pieces not in terms.bags:
        pieces = torch.arange(n_pieces, device=terms.row_index.device)
        terms.bags[n_pieces] = Bags(
            (terms.row_index * n_pieces + pieces.unsqueeze(1)).reshape(-1),
            pieces * len(terms.rows),
            pieces.repeat_interleave(len(terms.rows), output_size=n_pieces * len(terms.rows)),
        )
    return terms.bags[n_pieces]


def _piece(numel: int) -> int:
    """The largest divisor of ``numel`` that makes a piece."""
    pieces = -(-numel // _PIECE)
    while numel % pieces:
        pieces += 1
    return numel // pieces
