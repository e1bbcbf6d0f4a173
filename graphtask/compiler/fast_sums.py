"""Weighted sums over the rows of a stage's table, their transposes, and the gradients of the weights."""

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from graphtask.compiler.fast_memory import Recent
from graphtask.compiler.planner import StagePlan
from graphtask.types import BoolArray

_PIECE = 4096  # elements: a gathered sum is computed in pieces that stay in the cache, and in parallel
_FEW = 2  # rows that are added one after the other rather than gathered
_FEW_ON_CPU = 6  # there, the sum stays in the cache meanwhile


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

    number: int
    """Its number among the gathered sums of the stage."""
    rows: list[int]
    """The rows to read."""
    places: list[int]
    """Where their weights stand among the stage's weights."""


Gathered: TypeAlias = dict[int, Terms]


class Pieces(NamedTuple):
    """The gathered sums of a stage whose rows are cut into pieces that stay in the cache, and run in parallel."""

    bags: dict[int, Bags]
    """By the number of the sum; of those that need one."""
    factors: dict[int, int]
    """Of the sums that are gathered in bags: their place in what follows, by their number."""
    places: Tensor
    """For each piece to read, in all of them: where its weight stands among the stage's weights."""
    lengths: list[int]
    """How many pieces each of them has to read."""


class SumPlan:
    """The static indices of a stage's sums on one device.

    The stage's weights are the module's, taken at ``edges``.
    """

    def __init__(self, stage: StagePlan, device: torch.device) -> None:
        self.stage = stage
        self.device = device
        self.edges = torch.from_numpy(stage.edges).to(device)
        across = stage.rows < stage.n_sources
        multiplied = (across & (stage.across == "product")) | (~across & (stage.inside == "product"))
        self.multiplied = torch.from_numpy(multiplied.nonzero()[0]).to(device)
        self.entries = torch.from_numpy((stage.targets * stage.n_rows + stage.rows)[multiplied]).to(device)
        self._terms: list[Terms] = []
        self.inside = self._gathered(~across & ~multiplied, offset=stage.n_sources, transpose=False)
        self.across = self._gathered(across & ~multiplied, offset=0, transpose=False)
        self.inside_back = self._gathered(~across & ~multiplied, offset=stage.n_sources, transpose=True)
        self.across_back = self._gathered(across & ~multiplied, offset=0, transpose=True)
        gathered = [
            place for terms in (*self.inside.values(), *self.across.values()) for place in terms.places
        ]
        self.gathered = torch.tensor(gathered, dtype=torch.int64, device=device)
        """Where the weights of the gathered sums stand, in their order."""
        self.few = _FEW_ON_CPU if device.type == "cpu" else _FEW
        self._pieces = Recent()

    def n_pieces(self, numel: int) -> int:
        """Into how many pieces rows of so many elements are cut."""
        found = -(-numel // _PIECE)
        while numel % found:
            found += 1
        return found

    def pieces(self, n_pieces: int) -> Pieces:
        """The gathered sums of rows that are cut into so many pieces; those of the last few sizes are remembered."""
        return self._pieces.get(n_pieces, lambda: self._make_pieces(n_pieces))

    def _make_pieces(self, n_pieces: int) -> Pieces:
        forward = {terms.number for terms in (*self.inside.values(), *self.across.values())}
        large = [terms for terms in self._terms if len(terms.rows) > self.few]
        # The gradients of weights are gathered, too, by the sums of the forward.
        several = [terms for terms in self._terms if terms.number in forward and len(terms.rows) > 1]
        places = [torch.tensor(terms.places, device="cpu").repeat(n_pieces) for terms in large]
        none = torch.zeros(0, dtype=torch.int64, device="cpu")
        return Pieces(
            {terms.number: self._bags(terms, n_pieces) for terms in (*large, *several)},
            {terms.number: index for index, terms in enumerate(large)},
            torch.cat([none, *places]).to(self.device),
            [len(numbers) for numbers in places],
        )

    def _gathered(self, chosen: BoolArray, *, offset: int, transpose: bool) -> Gathered:
        """The sums over the chosen edges by their targets, or transposed, by what they read."""
        groups: dict[int, Terms] = {}
        places = chosen.nonzero()[0]
        targets, rows = self.stage.targets[places], self.stage.rows[places] - offset
        into, read = (rows, targets) if transpose else (targets, rows)
        for group, row, place in zip(into.tolist(), read.tolist(), places.tolist(), strict=True):
            if group not in groups:
                groups[group] = Terms(len(self._terms), [], [])
                self._terms.append(groups[group])
            groups[group].rows.append(row)
            groups[group].places.append(place)
        return groups

    def _bags(self, terms: Terms, n_pieces: int) -> Bags:
        pieces, rows = torch.arange(n_pieces, device="cpu"), torch.tensor(terms.rows, device="cpu")
        n_rows = len(rows)
        return Bags(
            (rows * n_pieces + pieces.unsqueeze(1)).reshape(-1).to(self.device),
            (pieces * n_rows).to(self.device),
            pieces.repeat_interleave(n_rows).to(self.device),
        )


class Sums:
    """The sums of one stage in one step. All matrices have one activation in a row.

    Args:
        plan: The indices.
        gates: What the module's edges multiply by, in the dtype of the activations.
        like: A matrix of such rows.
    """

    def __init__(self, plan: SumPlan, gates: Tensor, like: Tensor) -> None:
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
        self.single: tuple[Tensor, ...] = ()
        self.pieces: Pieces | None = None
        self.factors: tuple[Tensor, ...] = ()
        self.piece = 0
        if len(plan.gathered):
            self.single = self.weights.unbind()
            if like.shape[1]:
                n_pieces = plan.n_pieces(like.shape[1])
                self.piece = like.shape[1] // n_pieces
                self.pieces = plan.pieces(n_pieces)
                if self.pieces.lengths:
                    factors = self.weights[self.pieces.places]
                    self.factors = factors.split(self.pieces.lengths)  # type: ignore[no-untyped-call]

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
                sums[target].addcmul_(sources[row - low], self.single[place])

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
            self._gather(self.plan.inside[node], values, out=sums[node], add=started)
            started = True
        return started

    def fill_across(self, node: int, sources: Tensor, sums: Tensor, *, started: bool) -> bool:
        """Add what is gathered from the sources to one sum."""
        if node in self.plan.across:
            self._gather(self.plan.across[node], sources, out=sums[node], add=started)
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
            self._gather(self.plan.inside_back[node], gradients, out=out, add=started)
            started = True
        return started

    def pull_sources(self, gradients: Tensor, out: Tensor) -> None:
        """Write the gradients of the sources."""
        if self.by_product_across:
            torch.mm(self.across.t(), gradients, out=out)
        for row, terms in self.plan.across_back.items():
            self._gather(terms, gradients, out=out[row], add=False)

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
        dots = [
            self._dots(terms, gradients[target], rows)
            for rows, gathered in ((values, self.plan.inside), (sources, self.plan.across))
            for target, terms in gathered.items()
        ]
        if dots:
            result[self.plan.gathered] = torch.cat(dots)
        return result

    def _gather(self, terms: Terms, table: Tensor, *, out: Tensor, add: bool) -> None:
        """Write, or add, one sum of weighted rows."""
        if len(terms.rows) > self.plan.few and self.pieces is not None:
            sums = self._bag(terms, table, self.pieces)
            if add:
                out.add_(sums)
            else:
                out.copy_(sums)
            return
        for row, place in zip(terms.rows, terms.places, strict=True):
            if add:
                out.addcmul_(table[row], self.single[place])
            else:
                torch.mul(table[row], self.single[place], out=out)
            add = True

    def _bag(self, terms: Terms, table: Tensor, pieces: Pieces) -> Tensor:
        """A sum with one pass over each row, which an embedding bag does; a bag holds one piece of the sum."""
        rows, offsets, _ = pieces.bags[terms.number]
        factors = self.factors[pieces.factors[terms.number]]
        found = torch.embedding_bag(table.view(-1, self.piece), rows, offsets, False, 0, False, factors)
        return found[0].view(-1)

    def _dots(self, terms: Terms, vector: Tensor, table: Tensor) -> Tensor:
        """The products of the rows with a vector: the gradients of the weights in such a sum."""
        if len(terms.rows) == 1 or self.pieces is None:
            return torch.stack([torch.dot(vector, table[row]) for row in terms.rows])
        rows, offsets, owners = self.pieces.bags[terms.number]
        size = self.piece
        products: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(  # noqa: SLF001  # autograd's own
            vector.view(-1, size), table.view(-1, size), rows, offsets, owners, 0
        )
        return products.view(-1, len(terms.rows)).sum(dim=0)


def _multiply(weights: Tensor, rows: Tensor, *, out: Tensor, add: bool) -> None:
    if add:
        out.addmm_(weights, rows)
    else:
        torch.mm(weights, rows, out=out)
