"""The memory of the fused execution: taken once, and used again."""

import contextlib
import copy
import gc
import pickle
import platform
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
from compiler.executions import ORDERS, TOLERANCE, assert_same, fused_execution, images_for, result
from torch import nn
from torch.overrides import TorchFunctionMode

import graphtask as gt
from graphtask.compiler.execution import run_plain
from graphtask.compiler.fused.conv_block import ConvStep
from graphtask.compiler.fused.stages import plan_stages
from graphtask.compiler.fused.workspace import Layout, Regions, Workspace, step_layouts
from graphtask.errors import GraphtaskError

FAULTS = """
import resource
import torch
import graphtask as gt

torch.set_num_threads(1)
net = gt.compile(gt.chain_dag(3), channels=16)
images = torch.randn(64, 3, 32, 32)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    net(images).sum().backward()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other ways")
def test_a_step_fetches_next_to_no_memory_from_the_system():
    found = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    assert int(found.stdout) < 2_000  # pages; one activation has 1,024, and all memory of the step 12,546


def kept(fused):
    """The memory that the next step would take; None if there is none."""
    return fused.program.workspace._free.get("memory")


def test_the_memory_is_used_again_and_is_free_after_the_backward(graph, module):
    fused = fused_execution(module)
    loss = fused(module, images_for(graph)).sum()
    loss.backward()
    assert kept(fused) is not None  # although the loss is alive
    pointer = kept(fused).data_ptr()
    fused(module, images_for(graph, batch=2)).sum().backward()
    assert kept(fused).data_ptr() == pointer
    logits = fused(module, images_for(graph))
    assert kept(fused) is None
    del logits
    gc.collect()
    assert kept(fused).data_ptr() == pointer


def test_other_shapes_of_images_take_no_more_memory(graph, module):
    fused = fused_execution(module, strategy="sparse")
    for batch in range(20, 0, -1):
        fused(module, images_for(graph, batch=batch)).sum().backward()
    assert len(kept(fused)) == Regions.training(*regions_of(fused, module, graph, batch=20), ()).numel


def regions_of(fused, module, graph, *, batch):
    stages = fused.program.stages
    shape = tuple(images_for(graph, batch=batch).shape)
    return stages, step_layouts(stages, shape, channels=module.channels, channels_last=True)


def test_memory_of_inference_mode_serves_training_too(graph, module):
    fused = fused_execution(module)
    with torch.inference_mode():
        fused(module, images_for(graph, batch=9))
    fused(module, images_for(graph, batch=1)).sum().backward()
    assert module.edge_weight.grad is not None


@ORDERS
@pytest.mark.parametrize("training", [True, False])
def test_steps_of_all_kinds_may_share_the_memory_and_its_views(channels_last, training, graph, module):
    module.train(training)
    fused = fused_execution(module, channels_last=channels_last)
    images = images_for(graph).requires_grad_()
    with torch.no_grad():
        expected = copy.deepcopy(module)(images)  # statistics do not depend on the order of the steps
    for context in (torch.inference_mode, torch.no_grad, contextlib.nullcontext) * 2:
        with context():
            logits = fused(module, images)
        assert (logits - expected).norm() <= TOLERANCE * expected.norm()
        if logits.requires_grad:
            logits.sum().backward()


def test_garbage_may_be_given_back_while_something_else_is():
    workspace, garbage = Workspace(), [torch.empty(2)]
    workspace.give_back(torch.empty(1))

    class Collects(TorchFunctionMode):
        def __torch_function__(self, function, _types, args=(), kwargs=None):
            if garbage:
                workspace.give_back(garbage.pop())
            return function(*args, **(kwargs or {}))

    with Collects():
        workspace.give_back(torch.empty(3))
    assert not garbage
    assert len(workspace.take(3, dtype=torch.float32, device=torch.device("cpu"))) == 3


def test_threads_never_share_memory():
    workspace, used = Workspace(), set()

    def use(_):
        for _ in range(2000):
            memory = workspace.take(1, dtype=torch.float32, device=torch.device("cpu"))
            if memory.data_ptr() in used:
                return False
            used.add(memory.data_ptr())
            used.remove(memory.data_ptr())
            workspace.give_back(memory)
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(use, range(4)))
    finally:
        sys.setswitchinterval(interval)


def test_a_step_may_lay_out_the_memory_of_another_kind_of_step(graph, module):
    fused = fused_execution(module, recompute=True)
    fused(module, images_for(graph, batch=9)).sum().backward()
    fused(module, images_for(graph)).sum().backward()
    fused.program.recompute = frozenset()
    module.zero_grad()
    images = images_for(graph).requires_grad_()
    assert_same(result(fused, module, images), result(run_plain, module, images))


def test_a_forward_that_fails_leaves_the_next_one_in_order(graph, module, monkeypatch):
    fused = fused_execution(module)
    images = images_for(graph)
    expected = result(run_plain, module, images)
    forward, calls = ConvStep.forward, []

    def fails(self, updates):
        calls.append(1)
        return 1 / 0 if len(calls) == 5 else forward(self, updates)

    monkeypatch.setattr(ConvStep, "forward", fails)
    with pytest.raises(ZeroDivisionError):
        fused(module, images)
    assert_same(result(fused, module, images), expected)


@ORDERS
@pytest.mark.parametrize("keep", [True, False])
def test_a_backward_that_was_interrupted_is_refused_or_can_be_repeated(
    channels_last, keep, graph, module, monkeypatch
):
    fused = fused_execution(module, channels_last=channels_last)
    module.head = nn.Flatten()  # which frees nothing that PyTorch would complain of
    parameters = list(module.parameters())
    features, expected = fused(module, images_for(graph)), run_plain(module, images_for(graph))
    weights = torch.linspace(-1, 1, features.numel(), dtype=torch.float64).view_as(features)
    backward, calls = ConvStep.backward, []

    def interrupted(self):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        backward(self)

    monkeypatch.setattr(ConvStep, "backward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        torch.autograd.grad(features, parameters, weights, retain_graph=keep)
    if keep:
        gradients = torch.autograd.grad(features, parameters, weights)
        for actual, reference in zip(
            gradients, torch.autograd.grad(expected, parameters, weights), strict=True
        ):
            assert (actual - reference).norm() <= TOLERANCE * reference.norm().clamp(min=1)
    else:
        with pytest.raises(GraphtaskError, match="an interrupted backward"):
            torch.autograd.grad(features, parameters, weights)


@pytest.mark.parametrize("recompute", [False, True])
def test_images_may_change_after_the_forward_if_nobody_reads_them_again(graph, module, recompute):
    module.node("v0").requires_grad_(False)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    expected = torch.autograd.grad(run_plain(module, images_for(graph)).square().sum(), parameters)
    images = images_for(graph)
    logits = fused_execution(module, recompute=recompute)(module, images).square().sum()
    images.zero_()
    if recompute:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(logits, parameters)
    else:
        for actual, reference in zip(torch.autograd.grad(logits, parameters), expected, strict=True):
            assert (actual - reference).norm() <= TOLERANCE * reference.norm().clamp(min=1)
    module.node("v0").weight1x1.requires_grad_()
    logits = fused_execution(module)(module, images).sum()
    images.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logits.backward()


def test_of_two_tensors_the_larger_one_is_kept():
    workspace = Workspace()
    small, large = torch.empty(2), torch.empty(9)
    for order in ((small, large), (large, small)):
        for memory in order:
            workspace.give_back(memory)
        assert workspace.take(1, dtype=torch.float32, device=torch.device("cpu")) is large


@pytest.mark.parametrize(
    ("numel", "dtype", "device"),
    [(4, torch.float32, "cpu"), (1, torch.float64, "cpu"), (1, torch.float32, "meta")],
    ids=["larger", "another dtype", "another device"],
)
def test_memory_that_does_not_serve_is_dropped_before_there_is_new(numel, dtype, device):
    workspace = Workspace()
    workspace.give_back(torch.empty(3))
    kept = weakref.ref(workspace._free["memory"])

    class Sees(TorchFunctionMode):
        def __torch_function__(self, function, _types, args=(), kwargs=None):
            if function is torch.empty and args[0] == numel:
                alive.append(kept() is not None)
            return function(*args, **(kwargs or {}))

    alive = []
    with Sees():
        found = workspace.take(numel, dtype=dtype, device=torch.device(device))
    assert alive == [False]
    assert (len(found), found.dtype, found.device.type) == (numel, dtype, device)


def test_rows_of_a_product_lie_apart_in_the_caches():
    stages = plan_stages(gt.compile(gt.full_dag(12, stages=1), channels=8).plan)
    layouts = step_layouts(stages, (16, 3, 32, 32), channels=8, channels_last=True)
    regions = Regions.training(stages, layouts, ())
    assert layouts[1].numel == 2**17
    for region in (*regions.tables, *regions.sums, *regions.pulled):
        distance = region.stride * 4  # bytes
        assert distance % 64 == 0  # whole cache lines
        assert distance % 4096 not in {0, 64, 4032}  # and not those of the next rows


@pytest.mark.parametrize("recompute", [(), (1,), (0, 1, 2)])
def test_regions_overlap_only_where_they_are_shared(graph, recompute):
    stages = plan_stages(gt.compile(graph, channels=2).plan)
    regions = Regions.training(
        stages, step_layouts(stages, (3, 3, 8, 8), channels=2, channels_last=True), recompute
    )
    again = [region for region, stage in zip(regions.sums, stages, strict=True) if stage.stage in recompute]
    own = [region for region in regions.sums if region not in again]
    shared = [max(group, key=lambda region: region.end) for group in (again, regions.pulled) if group]
    apart = [r for r in (*regions.tables, *own, *regions.kept, regions.scratch, *shared) if r.rows]
    apart.sort()
    assert all(one.end <= two.start for one, two in pairwise(apart))
    assert apart[-1].end == regions.numel


@pytest.mark.parametrize(("channels", "pixels"), [(11, 32), (8, 32), (88, 31), (3000, 4)])
def test_a_row_of_pixels_is_long_enough_to_vectorize(channels, pixels):
    layout = Layout(64, channels, pixels, pixels, channels_last=True)
    assert layout.n_values % layout.repeats == 0
    assert layout.repeats == 1 or 256 < layout.repeats * channels <= 1024
    assert layout.repeats > 1 or channels > 1000


def test_a_copy_of_a_program_has_an_empty_workspace(graph, module):
    module(images_for(graph)).sum().backward()
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert twin.program is not module.program
        assert not twin.program.workspace._free
    assert module.program.workspace._free
