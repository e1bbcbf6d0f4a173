"""The two executions of a network, and whether they give the same."""

import copy
import dataclasses

import pytest
import torch

from graphtask.compiler.fused.staged import Program, run_fused

TOLERANCE = 1e-10
STRATEGIES = ["planned", "dense", "sparse"]
ORDERS = pytest.mark.parametrize("channels_last", [True, False], ids=["channels last", "channels first"])


def fused_execution(module, *, strategy="planned", width=None, recompute=False, channels_last=None):
    """The fused execution of a module, with a strategy of our choice for its sums."""
    if isinstance(recompute, bool):
        recompute = {node.stage for node in module.plan.nodes} if recompute else ()
    program = Program(module.plan, recompute, channels_last=channels_last)
    stages = [
        dataclasses.replace(stage, strategy=stage.strategy if strategy == "planned" else strategy)
        for stage in program.stages
    ]
    program.stages = tuple(
        dataclasses.replace(stage, width=1 if stage.strategy == "sparse" else width or stage.width)
        for stage in stages
    )

    def execute(module, images):
        module.program = program
        return run_fused(module, images)

    execute.program = program
    return execute


def images_for(graph, *, batch=3, extra=(0, 0), seed=0):
    """Images that leave a few values per channel in the last stage, so that its normalization is not a sign."""
    side = 2 * 2 ** max(graph.vs["stage"])
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, side + extra[0], side + extra[1], dtype=torch.float64, generator=generator)


def result(execute, module, images, *, times=1):
    """Everything that a few steps leave behind: logits, gradients, statistics."""
    module = copy.deepcopy(module)
    images = images.detach().clone().requires_grad_(images.requires_grad)
    for _ in range(times):
        logits = execute(module, images)
        weights = torch.randn(logits.shape, dtype=logits.dtype, generator=torch.Generator().manual_seed(1))
        if logits.requires_grad:
            (logits * weights).sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    return logits.detach(), {**gradients, "images": images.grad}, dict(module.named_buffers())


def assert_same(actual, expected, *, tolerance=TOLERANCE):
    logits, gradients, buffers = actual
    expected_logits, expected_gradients, expected_buffers = expected
    assert (logits - expected_logits).norm() <= tolerance * expected_logits.norm()
    assert {name for name, g in gradients.items() if g is None} == {
        name for name, g in expected_gradients.items() if g is None
    }
    scale = max([g.norm() for g in expected_gradients.values() if g is not None], default=0)
    for name, gradient in expected_gradients.items():
        if gradient is not None:
            # Against the gradient's own size, unless it is but the rounding of larger ones.
            assert (gradients[name] - gradient).norm() <= tolerance * max(gradient.norm(), 1e-3 * scale), name
    for name, buffer in expected_buffers.items():
        torch.testing.assert_close(buffers[name], buffer, rtol=tolerance, atol=tolerance)
