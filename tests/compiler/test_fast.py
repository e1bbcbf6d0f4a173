import contextlib
import copy
import dataclasses
import gc
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from compiler.oracle import randomised
from helpers import staged, staged_dags
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import graphtask as gt
from graphtask.compiler.fast import FastExecution
from graphtask.compiler.fast_memory import Recent
from graphtask.compiler.module import run_plain
from graphtask.errors import ArgumentError, GraphtaskError

TOLERANCE = 1e-10
WAYS = ["planned", "product", "gather"]
ORDERS = pytest.mark.parametrize("channels_last", [True, False], ids=["channels last", "channels first"])


def fast_execution(module, *, way="planned", width=None, checkpoint=False, channels_last=None):
    """The fast execution of a module, with its sums computed in a way of our choice."""
    if isinstance(checkpoint, bool):
        checkpoint = {node.stage for node in module.plan.nodes} if checkpoint else ()
    execution = FastExecution(module.plan, checkpoint=checkpoint, channels_last=channels_last)
    execution.stages = tuple(
        dataclasses.replace(
            stage,
            across=stage.across if "none" in (stage.across, way) or way == "planned" else way,
            inside=stage.inside if "none" in (stage.inside, way) or way == "planned" else way,
            width=width or stage.width,
        )
        for stage in execution.stages
    )
    return execution


def images_for(graph, *, batch=3, extra=(0, 0), seed=0):
    """Images that leave a few values per channel in the last stage, so that its normalisation is not a sign."""
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
            assert (gradients[name] - gradient).norm() <= tolerance * scale, name
    for name, buffer in expected_buffers.items():
        torch.testing.assert_close(buffers[name], buffer, rtol=tolerance, atol=tolerance)


@pytest.fixture
def graph():
    return gt.full_dag(7, stages=[3, 3, 1])


@pytest.fixture
def module(graph):
    return randomised(gt.compile(graph, channels=2, num_classes=3))


# The same function


@settings(max_examples=60, deadline=None)
@given(
    staged_dags(max_nodes=10),
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(0, 3), st.integers(0, 5)),
    st.booleans(),
    st.sampled_from(WAYS),
    st.sampled_from([None, 1, 2, 3]),
    st.sets(st.integers(0, 3)),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_outputs_gradients_and_statistics_are_those_of_the_plain_execution(
    graph, channels, batch, extra, training, way, width, checkpoint, channels_last, seed
):
    module = randomised(gt.compile(graph, channels=channels, num_classes=3), seed).train(training)
    images = images_for(graph, batch=batch, extra=extra, seed=seed).requires_grad_()
    fast = fast_execution(module, way=way, width=width, checkpoint=checkpoint, channels_last=channels_last)
    assert_same(result(fast, module, images, times=2), result(run_plain, module, images, times=2))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "graph",
    [
        staged([(0, 1)], [0, 0]),
        staged([(0, 1)], [0, 3]),
        staged([(0, 1)], [2, 2]),
        gt.chain_dag(40, stages=4),
        gt.full_dag(24, stages=1),
        gt.full_dag(16, stages=4),
        staged([(0, i) for i in range(1, 30)] + [(i, 30) for i in range(1, 30)], [0] * 30 + [1]),
    ],
    ids=["one edge", "skip", "late", "chain", "full", "four stages", "wide"],
)
def test_extreme_graphs_compute_the_same(graph, way):
    module = randomised(gt.compile(graph, channels=2, num_classes=3))
    images = images_for(graph, batch=2).requires_grad_()
    assert_same(result(fast_execution(module, way=way), module, images), result(run_plain, module, images))


@ORDERS
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("training", [True, False])
def test_without_gradients_the_logits_and_the_statistics_are_the_same(
    graph, module, training, way, channels_last
):
    module.train(training)
    images = images_for(graph, batch=1, extra=(3, 1))
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            fast = fast_execution(module, way=way, channels_last=channels_last)
            actual = result(fast, module, images)
            assert_same(actual, result(run_plain, module, images))


@ORDERS
@pytest.mark.parametrize("way", WAYS)
def test_no_images_give_no_logits(channels_last, way):
    graph = gt.full_dag(9, stages=[4, 5])
    module = randomised(gt.compile(graph, channels=2, num_classes=3)).eval()
    fast = fast_execution(module, way=way, channels_last=channels_last)
    images = images_for(graph, batch=0).requires_grad_()
    assert_same(result(fast, module, images), result(run_plain, module, images))
    with torch.no_grad():
        assert fast(module, images).shape == (0, 3)


def test_long_rows_are_gathered_in_pieces(graph):
    module = randomised(gt.compile(graph, channels=3, num_classes=3))
    images = torch.randn(
        3, 3, 61, 47, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    fast = fast_execution(module, way="gather")
    assert_same(result(fast, module, images), result(run_plain, module, images))


@pytest.mark.parametrize("stages", [[0], [1], [2, 0], [1, 2]])
def test_stages_may_be_computed_again_one_by_one(graph, stages):
    net = randomised(gt.compile(graph, channels=2, num_classes=3, checkpoint=stages))
    whole = randomised(gt.compile(graph, channels=2, num_classes=3))
    images = images_for(graph).requires_grad_()
    assert_same(
        result(lambda net, batch: net(batch), net, images, times=2), result(run_plain, net, images, times=2)
    )
    for module in (net, whole):
        module(images)  # the graph is dropped, and its memory kept
    assert net.executor.fast._pool._kept.memory.numel() < whole.executor.fast._pool._kept.memory.numel()


# What can be asked of a PyTorch module


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_only_what_requires_a_gradient_gets_one(data):
    graph = gt.full_dag(5, stages=[2, 2, 1])
    module = randomised(gt.compile(graph, channels=2, num_classes=3))
    parameters = dict(module.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    for name in data.draw(st.sets(st.sampled_from(sorted(parameters)), max_size=4)):
        parameters[name].requires_grad_()
    images = images_for(graph).requires_grad_(data.draw(st.booleans()))
    fast = fast_execution(module, checkpoint=data.draw(st.booleans()), channels_last=data.draw(st.booleans()))
    assert_same(result(fast, module, images), result(run_plain, module, images))


@ORDERS
def test_parts_may_be_in_evaluation_mode_and_have_another_momentum(channels_last, graph, module):
    module.node("v1").norm3x3.eval()
    module.reduce("v0", 2).eval()
    module.node("v2").norm1x1.momentum = 0.7
    images = images_for(graph).requires_grad_()
    assert_same(
        result(fast_execution(module, channels_last=channels_last), module, images),
        result(run_plain, module, images),
    )


def test_statistics_are_updated_once_a_forward_in_training_only(module, graph):
    for training, expected in ((True, 3), (False, 3)):
        module.train(training)
        for _ in range(3):
            module(images_for(graph)).sum().backward()
        counters = [value for key, value in module.state_dict().items() if "num_batches" in key]
        assert {int(counter) for counter in counters} == {expected}


@ORDERS
def test_two_forwards_may_come_before_their_backwards(channels_last, graph, module):
    fast = fast_execution(module, channels_last=channels_last)
    twin = copy.deepcopy(module)
    first, second = images_for(graph, seed=1), images_for(graph, batch=5, seed=2)
    for network, execute in ((module, fast), (twin, run_plain)):
        a, b = execute(network, first), execute(network, second)
        a.square().sum().backward()
        b.square().sum().backward()
    for left, right in zip(module.parameters(), twin.parameters(), strict=True):
        assert (left.grad - right.grad).norm() <= TOLERANCE * right.grad.norm().clamp(min=1)


@ORDERS
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_kept_graph_gives_the_same_gradients_again(channels_last, graph, module, checkpoint):
    logits = fast_execution(module, checkpoint=checkpoint, channels_last=channels_last)(
        module, images_for(graph)
    )
    parameters = list(module.parameters())
    once = torch.autograd.grad(logits.sum(), parameters, retain_graph=True)
    again = torch.autograd.grad(logits.sum(), parameters)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(logits.sum(), parameters)


@ORDERS
def test_a_step_repeats_bit_for_bit_whatever_the_memory_held_before(channels_last, graph):
    module = gt.compile(graph, channels=3, num_classes=3)
    images = images_for(graph, batch=4, extra=(3, 2)).float()
    fast = fast_execution(module, channels_last=channels_last)
    once = result(fast, module, images)
    fast(module, torch.full((9, 3, 16, 16), float("nan"))).sum().backward()
    module.zero_grad()
    twin = gt.compile(graph, channels=3, num_classes=3)
    again = result(fast, twin, images)
    assert torch.equal(once[0], again[0])
    assert all(torch.equal(once[1][name], again[1][name]) for name in once[1] if once[1][name] is not None)
    assert all(torch.equal(once[2][name], again[2][name]) for name in once[2])


@ORDERS
def test_no_two_gradients_share_their_memory(channels_last, graph, module):
    fast_execution(module, channels_last=channels_last)(module, images_for(graph)).sum().backward()
    for parameter in module.parameters():
        parameter.grad.fill_(0)
    for parameter in module.parameters():
        assert not parameter.grad.any()
        parameter.grad.fill_(1)


def test_a_parameter_changed_between_forward_and_backward_is_noticed(graph, module):
    logits = fast_execution(module)(module, images_for(graph))
    with torch.no_grad():
        module.node("v1").conv3x3.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logits.sum().backward()


def test_a_second_derivative_is_a_clear_error(graph, module):
    logits = fast_execution(module)(module, images_for(graph))
    with pytest.raises(GraphtaskError, match="execution='plain'"):
        torch.autograd.grad(logits.sum(), list(module.parameters()), create_graph=True)


def test_a_batch_of_gradients_is_a_clear_error(graph, module):
    logits = fast_execution(module)(module, images_for(graph))
    batch = torch.ones(2, *logits.shape)
    with pytest.raises(GraphtaskError, match="execution='plain' to use is_grads_batched=True"):
        torch.autograd.grad(logits, module.edge_weight, batch, is_grads_batched=True)


def test_transforms_of_torch_func_get_the_plain_execution_or_a_clear_error(graph, module):
    images = images_for(graph)
    module.eval()

    def jacobian(net):
        return torch.func.jacrev(lambda batch: net(batch).sum(dim=0))(images)

    expected = torch.autograd.functional.jacobian(lambda batch: module(batch).sum(dim=0), images)
    torch.testing.assert_close(jacobian(module), expected)
    module.executor = fast_execution(module)
    with pytest.raises(GraphtaskError, match="execution='auto' or 'plain'"):
        jacobian(module)


@pytest.mark.parametrize("training", [True, False])
def test_copies_and_loaded_states_compute_the_same_and_share_nothing(graph, module, training):
    images = images_for(graph)
    module.train()(images).sum().backward()  # whatever the execution keeps, it has now
    module.zero_grad()
    other = gt.compile(graph, channels=2, num_classes=3, seed=1).double()
    other.load_state_dict(module.state_dict())
    expected = result(run_plain, module.train(training), images, times=2)
    for twin in (copy.deepcopy(module), other, pickle.loads(pickle.dumps(module))):
        assert_same(result(lambda net, batch: net(batch), twin.train(training), images, times=2), expected)
        with torch.no_grad():
            twin.edge_weight.add_(1)
    assert_same(result(run_plain, module, images, times=2), expected)


def test_threads_may_share_a_module(graph, module):
    module.eval()
    batches = [images_for(graph, batch=1 + seed % 3, seed=seed) for seed in range(12)]
    fast = fast_execution(module)
    expected = [
        torch.autograd.grad(run_plain(module, images).square().sum(), list(module.parameters()))
        for images in batches
    ]
    found = [None] * len(batches)

    def work(start):
        for _ in range(3):
            for index in range(start, len(batches), 2):
                logits = fast(module, batches[index])
                found[index] = torch.autograd.grad(logits.square().sum(), list(module.parameters()))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for actual, reference in zip(found, expected, strict=True):
        for a, b in zip(actual, reference, strict=True):
            assert (a - b).norm() <= TOLERANCE * b.norm().clamp(min=1)


@ORDERS
def test_under_autocast_it_is_the_plain_execution_within_the_precision(channels_last, graph):
    module = gt.compile(graph, channels=4, num_classes=3)
    images = images_for(graph, batch=8, extra=(8, 8)).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(images).dtype == torch.bfloat16

    def error(execute, reference):
        def cast(module, images):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return execute(module, images).float()

        logits, gradients, _ = result(cast, module, images)
        left, right = ([g.flatten() for g in r.values() if g is not None] for r in (gradients, reference[1]))
        all_left, all_right = torch.cat(left), torch.cat(right)
        return (
            ((logits - reference[0]).norm() / reference[0].norm()).item(),
            ((all_left - all_right).norm() / all_right.norm()).item(),
        )

    exact = result(run_plain, module, images)
    fast, plain = error(fast_execution(module, channels_last=channels_last), exact), error(run_plain, exact)
    assert fast[0] < 1.5 * plain[0] + 0.005
    assert fast[1] < 1.5 * plain[1] + 0.02


@ORDERS
@pytest.mark.parametrize("precise", [True, False])
def test_parameters_may_lie_in_another_order(channels_last, graph, precise):
    module = gt.compile(graph, channels=4, num_classes=3)
    images = images_for(graph, batch=2, extra=(8, 8)).float()
    twin = copy.deepcopy(module).to(memory_format=torch.channels_last)
    logits = []
    for net in (module, twin):
        execute = fast_execution(net, channels_last=channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not precise):
            logits.append(execute(net, images))
    torch.testing.assert_close(*logits)


@ORDERS
def test_under_autocast_statistics_and_gradients_are_float32(graph, channels_last):
    module = gt.compile(graph, channels=4, num_classes=3)
    images = 3 + images_for(graph, batch=32, extra=(8, 8)).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = fast_execution(module, channels_last=channels_last)(module, images)
        price = module.resource_loss()
    (logits.float().sum() + price).backward()
    assert price.dtype == torch.float32
    assert {parameter.grad.dtype for parameter in module.parameters()} == {torch.float32}
    first = module.node("v0")
    weight = first.conv3x3.weight.bfloat16()
    values = nn.functional.conv2d(images.bfloat16().relu(), weight, stride=first.conv3x3.stride, padding=1)
    variance, mean = torch.var_mean(values.double(), dim=(0, 2, 3))
    # The first of all momenta is 0.1, and bfloat16 has three digits.
    torch.testing.assert_close(first.norm3x3.running_mean.double(), 0.1 * mean, rtol=1e-5, atol=0)
    torch.testing.assert_close(first.norm3x3.running_var.double(), 0.9 + 0.1 * variance, rtol=1e-5, atol=0)


def test_training_follows_the_curve_of_the_plain_execution(graph):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 16, 3, 12, 12, generator=generator)
    labels = torch.randint(3, (4, 16), generator=generator)
    curves = {}
    for execution in ("fast", "plain"):
        module = gt.compile(graph, channels=4, num_classes=3, execution=execution)
        optimiser = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
        curves[execution] = []
        for step in range(12):
            loss = nn.functional.cross_entropy(module(images[step % 4]), labels[step % 4])
            optimiser.zero_grad()
            (loss + 1e-3 * module.resource_loss()).backward()
            optimiser.step()
            curves[execution].append(loss.item())
    assert curves["plain"][-1] < curves["plain"][3]
    assert curves["fast"] == pytest.approx(curves["plain"], rel=1e-3)


# Blocks of the user's own making


class Doubled(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, a):
        return torch.tanh(self.conv(a))


@ORDERS
@pytest.mark.parametrize("way", ["product", "gather"])
def test_other_blocks_compute_the_same(channels_last, graph, way):
    module = randomised(gt.compile(graph, channels=2, num_classes=3, block=Doubled))
    images = images_for(graph).requires_grad_()
    fast = fast_execution(module, way=way, channels_last=channels_last)
    assert_same(result(fast, module, images, times=2), result(run_plain, module, images, times=2))
    with torch.no_grad():
        assert_same(result(fast, module, images), result(run_plain, module, images))
    logits = fast(module, images)
    once = torch.autograd.grad(logits.sum(), module.edge_weight, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(logits.sum(), module.edge_weight)[0], once)


@ORDERS
def test_one_block_may_differ_from_the_others(channels_last, graph, module):
    module.nodes["[v4]"] = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4)).double()
    module.node("v1").conv3x3 = nn.utils.parametrizations.weight_norm(module.node("v1").conv3x3)
    images = images_for(graph).requires_grad_()
    assert_same(
        result(fast_execution(module, channels_last=channels_last), module, images),
        result(run_plain, module, images),
    )


def test_hooks_on_blocks_are_called(graph, module):
    seen = []
    module.node("v1").register_forward_hook(lambda *_: seen.append("forward"))
    module.node("v2").conv1x1.register_full_backward_hook(lambda *_: seen.append("backward"))
    fast_execution(module)(module, images_for(graph)).sum().backward()
    assert seen == ["forward", "backward"]


def test_a_block_with_another_shape_is_named(graph):
    module = gt.compile(
        graph, channels=2, execution="fast", block=lambda i, o, s: nn.Conv2d(i, o, 3, stride=s)
    )
    with pytest.raises(ArgumentError, match="a Conv2d gave"):
        module(images_for(graph).float())


# Memory


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


def test_another_layout_of_the_memory_has_views_of_its_own(graph, module):
    fast = fast_execution(module, checkpoint=True)
    fast(module, images_for(graph, batch=9)).sum().backward()
    fast(module, images_for(graph)).sum().backward()
    fast.checkpoint = frozenset()
    module.zero_grad()
    images = images_for(graph).requires_grad_()
    assert_same(result(fast, module, images), result(run_plain, module, images))


@ORDERS
def test_a_block_of_another_geometry_is_called_as_it_is(channels_last, graph):
    for change in (
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 3, padding=2, dilation=2, bias=False)),
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 5, padding=2, bias=False)),
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 3, padding=1, groups=2, bias=False)),
    ):
        module = gt.compile(graph, channels=2, num_classes=3)
        change(module.node("v1"))
        module = randomised(module)
        images = images_for(graph).requires_grad_()
        fast = fast_execution(module, channels_last=channels_last)
        assert_same(result(fast, module, images), result(run_plain, module, images))


@ORDERS
def test_a_block_of_another_stride_with_the_right_shape_is_called_as_it_is(channels_last):
    graph = gt.full_dag(4, stages=[2, 1, 1])
    module = gt.compile(graph, channels=2, num_classes=3)
    block = module.reduce("v0", 2)
    block.conv3x3.stride = block.conv1x1.stride = (3, 3)  # of 5×5 pixels it leaves 2×2, as 4 does
    module = randomised(module)
    images = torch.randn(2, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fast = fast_execution(module, channels_last=channels_last)
    assert_same(
        result(fast, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )


class GivesItsGradientOn(nn.Module):
    """The gradient of a parameter is the very tensor that the block is given."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.shift = nn.Parameter(torch.zeros(1, 2, 4, 4))

    def forward(self, a):
        return self.conv(a) + self.shift


class Deeper(nn.Module):
    """Leaves its argument with another shape than it came with."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, a):
        return self.conv(a.unsqueeze_(0)[0])


@ORDERS
def test_what_a_block_does_to_its_argument_stays_with_the_step(channels_last):
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=2, num_classes=3)
    module.nodes["[v1]"] = Deeper()
    module = randomised(module).eval()
    fast = fast_execution(module, channels_last=channels_last)
    images = images_for(graph, batch=1)
    with torch.no_grad():
        first = fast(module, images)
        assert all(torch.equal(fast(module, images), first) for _ in range(3))


@ORDERS
@pytest.mark.parametrize("node", ["[v1]", "[v2]"])
def test_a_gradient_given_to_a_block_is_its_own(channels_last, node):
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=2, num_classes=3)
    module.nodes[node] = GivesItsGradientOn()
    module = randomised(module)
    images = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fast = fast_execution(module, channels_last=channels_last)
    assert_same(
        result(fast, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )


def test_autocast_leaves_double_precision_alone(graph, module):
    images = images_for(graph)
    fast = fast_execution(module)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(
            result(fast, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
        )


def test_a_hook_may_ask_for_gradients_of_a_frozen_network(graph, module):
    module.requires_grad_(False)
    fast = fast_execution(module)
    images = images_for(graph)

    def ask(_, given):
        given[0].requires_grad_()

    hook = module.node("v1").register_forward_pre_hook(ask)
    fast(module, images)
    hook.remove()
    module.requires_grad_()
    assert_same(
        result(fast, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )


def test_a_default_device_of_the_user_changes_nothing(graph, module):
    images = images_for(graph)
    expected = result(run_plain, module, images.requires_grad_())
    fast = fast_execution(module, way="gather")
    with torch.device("meta"):
        found = fast(module, images)
    assert (found - expected[0]).norm() <= TOLERANCE * expected[0].norm()


def test_a_forward_that_fails_leaves_the_next_one_in_order(graph, module):
    fast = fast_execution(module)
    images = images_for(graph)
    expected = result(run_plain, module, images)
    hook = module.node("v1").register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fast(module, images)
    hook.remove()
    assert_same(result(fast, module, images), expected)


# CUDA


@pytest.mark.gpu
@ORDERS
@pytest.mark.parametrize("way", WAYS)
def test_on_cuda_it_computes_the_same_without_waiting_for_the_device(graph, module, way, channels_last):
    module = module.cuda()
    images = images_for(graph, extra=(1, 3)).cuda().requires_grad_()
    fast = fast_execution(module, way=way, channels_last=channels_last)
    assert_same(result(fast, module, images), result(run_plain, module, images))
    torch.cuda.set_sync_debug_mode("error")
    try:
        fast(module, images).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_on_cuda_under_autocast_it_is_the_plain_execution_within_the_precision(graph):
    module = gt.compile(graph, channels=8, num_classes=3).cuda()
    images = images_for(graph, batch=32, extra=(8, 8)).float().cuda()
    exact = run_plain(module, images).detach()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        fast, plain = (
            execute(module, images).float().detach() for execute in (fast_execution(module), run_plain)
        )
    assert (fast - exact).norm() < 1.5 * (plain - exact).norm() + 0.005 * exact.norm()
