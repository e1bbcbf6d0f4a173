"""Equivalence check of pruning: the small network against the trained one without its cut edges."""

from dataclasses import dataclass

import torch
from torch import Tensor

from graphtask.compiler.module import GraphModule
from graphtask.compiler.writeback import extract_subnetwork
from graphtask.data.batches import Batches
from graphtask.data.dataset import ImageData
from graphtask.graph import edge_names
from graphtask.pruning import prune, pruned_parts
from graphtask.training.batches import split_batches
from graphtask.training.device import choose_device
from graphtask.training.loop import predictions
from graphtask.training.run import Run
from graphtask.types import PAPER_THRESHOLD

# The raw edge weight that switches an edge off, by gate.


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Test scores (for classification accuracies, in [0, 1]) around pruning, and differences of the outputs.

    Five networks are compared: *trained*; *thresholded*, the trained one with every edge below the threshold at
    zero; *cut*, which also has the edges of dead paths at zero; *pruned*, the small network of the pruned graph with
    the surviving parameters; and *folded*, the pruned one with the constants of dead nodes (``fold=True``). *Cut* and
    *pruned* are the same function, and so are *thresholded* and *folded*. They differ by the constants that nodes
    without any path from the input still send on (batch normalization of nothing is a bias), which carry no information
    about the image.
    """

    threshold: float
    relative: bool
    edges_before: int
    edges_after: int
    nodes_before: int
    nodes_after: int
    score_trained: float
    score_thresholded: float
    score_cut: float
    score_pruned: float
    score_folded: float
    largest_logit: float
    """Largest absolute logit of the cut network, the scale for the differences."""
    difference_cut_pruned: float
    """Largest absolute difference of a logit between the cut and the pruned network."""
    difference_thresholded_cut: float
    """Largest absolute difference of a logit due to the dropped constants."""
    difference_thresholded_folded: float
    """Largest absolute difference of a logit between the thresholded and the folded network."""


def parity(
    run: Run,
    *,
    threshold: float = PAPER_THRESHOLD,
    relative: bool = False,
    data: ImageData | None = None,
    device: str = "auto",
) -> Parity:
    """Compare a trained network with its pruned one on the test images.

    Args:
        run: A finished run.
        threshold: τ; edges of smaller weight are cut.
        relative: Compare relative weights with the threshold; see `graphtask.prune`.
        data: The images; None is the run's own data set.
        device: As in `train`.

    Raises:
        DisconnectedError: No path connects input and output at this threshold.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(gt.full_dag(4), data=digits, channels=2, epochs=1, batch_size=64, progress=False)
        >>> report = gt.training.parity(run, threshold=0.006)
        >>> report.score_cut == report.score_pruned
        True
    """
    trained = run.module(device=device)
    pruned_graph = prune(run.graph, threshold=threshold, relative=relative)
    weak = torch.from_numpy(pruned_parts(run.graph, threshold=threshold, relative=relative).weak_edges)
    surviving = set(edge_names(pruned_graph))
    kept = torch.tensor([names in surviving for names in edge_names(run.graph)], device="cpu")
    images = data or run.data()
    test = split_batches(images, run.config, device=trained.edge_weight.device).test
    pruned = extract_subnetwork(trained, pruned_graph)
    folded = extract_subnetwork(trained, pruned_graph, fold=True, size=images.size)
    outcomes = {
        "trained": _logits(trained, test),
        "thresholded": _logits(_switched_off(run, weak, device), test),
        "cut": _logits(_switched_off(run, ~kept, device), test),
        "pruned": _logits(pruned.to(choose_device(device)).eval(), test),
        "folded": _logits(folded.to(choose_device(device)).eval(), test),
    }
    targets = torch.cat([targets for _, targets in test.in_order()]).cpu()
    score = {name: run.task.score.value(outputs, targets) for name, outputs in outcomes.items()}
    return Parity(
        threshold=threshold,
        relative=relative,
        edges_before=run.graph.ecount(),
        edges_after=pruned_graph.ecount(),
        nodes_before=run.graph.vcount(),
        nodes_after=pruned_graph.vcount(),
        score_trained=score["trained"],
        score_thresholded=score["thresholded"],
        score_cut=score["cut"],
        score_pruned=score["pruned"],
        score_folded=score["folded"],
        largest_logit=outcomes["cut"].abs().max().item(),
        difference_cut_pruned=(outcomes["cut"] - outcomes["pruned"]).abs().max().item(),
        difference_thresholded_cut=(outcomes["thresholded"] - outcomes["cut"]).abs().max().item(),
        difference_thresholded_folded=(outcomes["thresholded"] - outcomes["folded"]).abs().max().item(),
    )


def _logits(module: GraphModule, batches: Batches) -> Tensor:
    return torch.cat([logits for logits, _ in predictions(module, batches)]).cpu()


def _switched_off(run: Run, edges: Tensor, device: str) -> GraphModule:
    module = run.module(device=device)
    gate, off = module.gate_function, edges.to(module.edge_weight.device)
    module.gate_function = lambda weight: gate(weight).masked_fill(off, 0.0)
    return module
