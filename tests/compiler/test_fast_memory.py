"""The memory of the fast execution: taken once, and used again."""

import contextlib
import copy
import gc
import pickle
import platform
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from compiler.executions import ORDERS, TOLERANCE, assert_same, fast_execution, images_for, result
from torch import nn
from torch.overrides import TorchFunctionMode

import graphtask as gt
from graphtask.compiler.execution import run_plain
from graphtask.compiler.fast_memory import Allocation, Pool, Recent, Shape, step_shapes, training_memory
from graphtask.compiler.fast_rooms import Room, Scratch
from graphtask.compiler.planner import plan_stages
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


def test_the_memory_is_used_again_and_is_free_after_the_backward(graph, module):
    fast = fast_execution(module)
    loss = fast(module, images_for(graph)).sum()
    loss.backward()
    kept = fast._pool._kept
    assert kept is not None  # although the loss is alive
    pointer = kept.memory.data_ptr()
    fast(module, images_for(graph, batch=2)).sum().backward()
    assert fast._pool._kept.memory.data_ptr() == pointer
    logits = fast(module, images_for(graph))
    assert fast._pool._kept is None
    del logits
    gc.collect()
    assert fast._pool._kept.memory.data_ptr() == pointer


def test_memory_of_inference_mode_serves_training_too(graph, module):
    fast = fast_execution(module)
    with torch.inference_mode():
        fast(module, images_for(graph, batch=9))
    fast(module, images_for(graph, batch=1)).sum().backward()
    assert module.edge_weight.grad is not None


@ORDERS
@pytest.mark.parametrize("training", [True, False])
def test_steps_of_all_kinds_may_share_the_memory_and_its_views(channels_last, training, graph, module):
    module.train(training)
    fast = fast_execution(module, channels_last=channels_last)
    images = images_for(graph).requires_grad_()
    with torch.no_grad():
        expected = copy.deepcopy(module)(images)  # statistics do not depend on the order of the steps
    for context in (torch.inference_mode, torch.no_grad, contextlib.nullcontext) * 2:
        with context():
            logits = fast(module, images)
        assert (logits - expected).norm() <= TOLERANCE * expected.norm()
        if logits.requires_grad:
            logits.sum().backward()


def test_what_was_made_for_the_last_few_kinds_of_steps_is_remembered(graph, module):
    recent, made = Recent(), []
    for kind in (0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 1):
        assert recent.get(kind, lambda kind=kind: made.append(kind) or kind) == kind
    assert made == [0, 1, 2, 3, 4, 5, 6, 1]  # 1 was used least recently
    fast = fast_execution(module)
    for batch in range(20, 0, -1):
        fast(module, images_for(graph, batch=batch)).sum().backward()
    assert len(fast._pool._kept.views) == len(recent) < 20


def test_threads_may_remember_together():
    recent = Recent()

    def use(thread):
        return all(recent.get(kind, lambda kind=kind: kind) == kind for kind in [*range(thread, 9)] * 300)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(use, range(4)))
    finally:
        sys.setswitchinterval(interval)


def test_garbage_may_be_given_back_while_something_else_is():
    pool, garbage = Pool(), [Allocation(torch.empty(2))]
    pool.give_back(Allocation(torch.empty(1)))

    class Collects(TorchFunctionMode):
        def __torch_function__(self, function, _types, args=(), kwargs=None):
            if function is torch.Tensor.numel and garbage:
                pool.give_back(garbage.pop())
            return function(*args, **(kwargs or {}))

    with Collects():
        pool.give_back(Allocation(torch.empty(3)))
    assert not garbage
    assert pool.take(3, dtype=torch.float32, device=torch.device("cpu")).memory.numel() == 3


def test_another_layout_of_the_memory_has_views_of_its_own(graph, module):
    fast = fast_execution(module, checkpoint=True)
    fast(module, images_for(graph, batch=9)).sum().backward()
    fast(module, images_for(graph)).sum().backward()
    fast.checkpoint = frozenset()
    module.zero_grad()
    images = images_for(graph).requires_grad_()
    assert_same(result(fast, module, images), result(run_plain, module, images))


def test_a_forward_that_fails_leaves_the_next_one_in_order(graph, module):
    fast = fast_execution(module)
    images = images_for(graph)
    expected = result(run_plain, module, images)
    hook = module.node("v1").register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fast(module, images)
    hook.remove()
    assert_same(result(fast, module, images), expected)


@ORDERS
@pytest.mark.parametrize("keep", [True, False])
def test_a_backward_that_was_interrupted_says_so_or_can_be_repeated(channels_last, keep, graph, module):
    fast = fast_execution(module, channels_last=channels_last)
    interrupted = nn.Sequential(nn.Conv2d(2, 2, 1), Interrupts()).double()
    module.nodes["[v1]"] = interrupted
    module.head = nn.Flatten()  # which frees nothing that PyTorch would complain of
    parameters = list(module.parameters())
    features, expected = fast(module, images_for(graph)), run_plain(module, images_for(graph))
    weights = torch.linspace(-1, 1, features.numel(), dtype=torch.float64).view_as(features)
    Interrupts.armed = True
    with pytest.raises(KeyboardInterrupt):
        torch.autograd.grad(features, parameters, weights, retain_graph=keep)
    if keep:
        gradients = torch.autograd.grad(features, parameters, weights)
        for actual, reference in zip(
            gradients, torch.autograd.grad(expected, parameters, weights), strict=True
        ):
            assert (actual - reference).norm() <= TOLERANCE * reference.norm().clamp(min=1)
    else:
        with pytest.raises(GraphtaskError, match="was interrupted"):
            torch.autograd.grad(features, parameters, weights)


class Interrupt(torch.autograd.Function):
    @staticmethod
    def forward(_ctx, value):
        return value.clone()

    @staticmethod
    def backward(_ctx, gradient):
        if Interrupts.armed:
            Interrupts.armed = False
            raise KeyboardInterrupt
        return gradient


class Interrupts(nn.Module):
    """Interrupts the next backward, once, when it is armed."""

    armed = False

    def forward(self, a):
        return Interrupt.apply(a)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_images_may_change_after_the_forward_if_nobody_reads_them_again(graph, module, checkpoint):
    module.node("v0").requires_grad_(False)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    expected = torch.autograd.grad(run_plain(module, images_for(graph)).square().sum(), parameters)
    images = images_for(graph)
    logits = fast_execution(module, checkpoint=checkpoint)(module, images).square().sum()
    images.zero_()
    if checkpoint:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(logits, parameters)
    else:
        for actual, reference in zip(torch.autograd.grad(logits, parameters), expected, strict=True):
            assert (actual - reference).norm() <= TOLERANCE * reference.norm().clamp(min=1)
    module.node("v0").conv1x1.weight.requires_grad_()
    logits = fast_execution(module)(module, images).sum()
    images.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logits.backward()


def test_of_two_allocations_the_larger_one_is_kept():
    pool = Pool()
    small, large = Allocation(torch.empty(2)), Allocation(torch.empty(9))
    for order in ((small, large), (large, small)):
        for allocation in order:
            pool.give_back(allocation)
        assert pool.take(1, dtype=torch.float32, device=torch.device("cpu")) is large


@pytest.mark.parametrize(
    ("numel", "dtype", "device"),
    [(4, torch.float32, "cpu"), (1, torch.float64, "cpu"), (1, torch.float32, "meta")],
    ids=["larger", "another dtype", "another device"],
)
def test_memory_that_does_not_serve_is_dropped_before_there_is_new(numel, dtype, device):
    pool = Pool()
    pool.give_back(Allocation(torch.empty(3)))
    kept = weakref.ref(pool._kept.memory)

    class Sees(TorchFunctionMode):
        def __torch_function__(self, function, _types, args=(), kwargs=None):
            if function is torch.empty and args[0] == numel:
                alive.append(kept() is not None)
            return function(*args, **(kwargs or {}))

    alive = []
    with Sees():
        found = pool.take(numel, dtype=dtype, device=torch.device(device)).memory
    assert alive == [False]
    assert (len(found), found.dtype, found.device.type) == (numel, dtype, device)


def test_rows_of_a_product_lie_apart_in_the_caches():
    net = gt.compile(gt.full_dag(12, stages=1), channels=8)
    stages = plan_stages(net.plan)
    shapes = step_shapes(stages, (16, 3, 32, 32), channels=8, channels_last=True)
    memory = training_memory(stages, shapes, checkpoint=())
    assert shapes.stages[0].numel == 2**17
    for region in (*memory.tables, *memory.sums, *memory.pulled):
        distance = region.stride * 4  # bytes
        assert distance % 64 == 0  # whole cache lines
        assert distance % 4096 not in {0, 64, 4032}  # and not those of the next rows


@pytest.mark.parametrize(("channels", "pixels"), [(11, 32), (8, 32), (88, 31), (3000, 4)])
def test_a_row_of_pixels_is_long_enough_to_vectorize(channels, pixels):
    shape = Shape(64, channels, pixels, pixels, channels_last=True)
    flat = torch.empty(1).expand(shape.numel)
    room = Room(source=shape, target=shape, stride=1, a=flat, x=flat, scratch=Scratch(flat))
    assert shape.pixels % room.repeats == 0
    assert room.repeats == 1 or 256 < room.repeats * channels <= 1024
    assert room.repeats > 1 or channels > 1000


def test_a_copy_of_a_pool_is_an_empty_one():
    pool = Pool()
    pool.give_back(Allocation(torch.empty(3)))
    for twin in (copy.deepcopy(pool), pickle.loads(pickle.dumps(pool))):
        assert twin is not pool
        assert twin._kept is None
    assert pool._kept is not None


def test_what_a_block_kept_is_free_after_the_backward_while_the_loss_is_alive(graph, module):
    values = []
    module.node("v2").register_forward_hook(lambda _, __, value: values.append(weakref.ref(value)))
    loss = fast_execution(module)(module, images_for(graph)).sum()
    gc.collect()
    assert values[0]() is not None
    loss.backward(retain_graph=True)
    assert values[0]() is not None
    loss.backward()
    gc.collect()
    assert values[0]() is None
