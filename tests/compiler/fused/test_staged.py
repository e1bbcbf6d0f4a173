import copy
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from compiler.executions import (
    ORDERS,
    STRATEGIES,
    TOLERANCE,
    assert_same,
    fused_execution,
    images_for,
    result,
)
from compiler.oracle import randomized
from helpers import staged, staged_dags
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import graphtask as gt
from graphtask.compiler.execution import run_plain
from graphtask.errors import GraphtaskError

# The same function


@given(
    staged_dags(max_nodes=10),
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(0, 3), st.integers(0, 5)),
    st.booleans(),
    st.sampled_from(STRATEGIES),
    st.sampled_from([None, 1, 2, 3]),
    st.sets(st.integers(0, 3)),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_outputs_gradients_and_statistics_are_those_of_the_plain_execution(
    graph, channels, batch, extra, training, strategy, width, recompute, channels_last, seed
):
    module = randomized(gt.compile(graph, channels=channels, n_classes=3), seed).train(training)
    module.head = (
        nn.Flatten()
    )  # the mean over normalized values would be the same for any image of a batch of one
    images = images_for(graph, batch=batch, extra=extra, seed=seed).requires_grad_()
    fused = fused_execution(
        module, strategy=strategy, width=width, recompute=recompute, channels_last=channels_last
    )
    assert_same(result(fused, module, images, times=2), result(run_plain, module, images, times=2))


@pytest.mark.parametrize("strategy", STRATEGIES)
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
def test_extreme_graphs_compute_the_same(graph, strategy):
    module = randomized(gt.compile(graph, channels=2, n_classes=3))
    images = images_for(graph, batch=2).requires_grad_()
    assert_same(
        result(fused_execution(module, strategy=strategy), module, images), result(run_plain, module, images)
    )


@ORDERS
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("training", [True, False])
def test_without_gradients_the_logits_and_the_statistics_are_the_same(
    graph, module, training, strategy, channels_last
):
    module.train(training)
    images = images_for(graph, batch=1, extra=(3, 1))
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            fused = fused_execution(module, strategy=strategy, channels_last=channels_last)
            actual = result(fused, module, images)
            assert_same(actual, result(run_plain, module, images))


@ORDERS
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_images_give_no_logits(channels_last, strategy):
    graph = gt.full_dag(9, stages=[4, 5])
    module = randomized(gt.compile(graph, channels=2, n_classes=3)).eval()
    fused = fused_execution(module, strategy=strategy, channels_last=channels_last)
    images = images_for(graph, batch=0).requires_grad_()
    assert_same(result(fused, module, images), result(run_plain, module, images))
    with torch.no_grad():
        assert fused(module, images).shape == (0, 3)


def test_long_rows_are_gathered_in_pieces(graph):
    module = randomized(gt.compile(graph, channels=3, n_classes=3))
    images = torch.randn(
        3, 3, 61, 47, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    fused = fused_execution(module, strategy="sparse")
    assert_same(result(fused, module, images), result(run_plain, module, images))


@pytest.mark.parametrize("stages", [[0], [1], [2, 0], [1, 2]])
def test_stages_may_be_computed_again_one_by_one(graph, stages):
    net = randomized(gt.compile(graph, channels=2, n_classes=3, recompute=stages, execution="fused"))
    whole = randomized(gt.compile(graph, channels=2, n_classes=3, execution="fused"))
    images = images_for(graph).requires_grad_()
    assert_same(
        result(lambda net, batch: net(batch), net, images, times=2), result(run_plain, net, images, times=2)
    )
    for module in (net, whole):
        module(images)  # the graph is dropped, and its memory kept
    gc.collect()
    assert len(net.program.workspace._free["memory"]) < len(whole.program.workspace._free["memory"])


# What can be asked of a PyTorch module


@given(st.data())
def test_only_what_requires_a_gradient_gets_one(data):
    graph = gt.full_dag(5, stages=[2, 2, 1])
    module = randomized(gt.compile(graph, channels=2, n_classes=3))
    parameters = dict(module.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    for name in data.draw(st.sets(st.sampled_from(sorted(parameters)), max_size=4)):
        parameters[name].requires_grad_()
    images = images_for(graph).requires_grad_(data.draw(st.booleans()))
    fused = fused_execution(
        module, recompute=data.draw(st.booleans()), channels_last=data.draw(st.booleans())
    )
    assert_same(result(fused, module, images), result(run_plain, module, images))


@ORDERS
def test_blocks_may_be_in_evaluation_mode(channels_last, graph, module):
    module.node("v1").eval()
    module.reduce("v0", 2).eval()
    images = images_for(graph).requires_grad_()
    assert_same(
        result(fused_execution(module, channels_last=channels_last), module, images),
        result(run_plain, module, images),
    )


@ORDERS
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_the_backward_follows_the_mode_of_its_forward(channels_last, graph, module, recompute, training):
    fused = fused_execution(module, recompute=recompute, channels_last=channels_last)
    found = []
    for execute in (fused, run_plain):
        network = copy.deepcopy(module).train(training)
        images = images_for(graph).requires_grad_()
        logits = execute(network, images).square().sum()
        network.train(not training)
        found.append(torch.autograd.grad(logits, [images, *network.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


@ORDERS
def test_statistics_may_change_between_an_evaluation_and_its_backward(channels_last, graph, module):
    """The plain execution refuses this; the gradients are those of the statistics of the forward."""
    fused, parameters = fused_execution(module, channels_last=channels_last), list(module.parameters())
    images = images_for(graph)
    expected = torch.autograd.grad(fused(module.eval(), images).square().sum(), parameters)
    logits = fused(module, images).square().sum()
    with torch.no_grad():
        fused(module.train(), images_for(graph, seed=1))
    torch.testing.assert_close(torch.autograd.grad(logits, parameters), expected)


@pytest.mark.parametrize("recompute", [False, True])
def test_statistics_are_updated_once_a_forward_in_training_only(module, graph, recompute):
    fused = fused_execution(module, recompute=recompute)
    for training in (True, False):
        module.train(training)
        before = module.node("v2").running_means.clone()
        fused(module, torch.zeros_like(images_for(graph))).sum().backward()
        changed = module.node("v2").running_means - before
        batch = (module.node("v2").running_means - 0.9 * before) / 0.1
        assert changed.any() == training
        for _ in range(2):
            fused(module, torch.zeros_like(images_for(graph))).sum().backward()
        expected = batch + 0.9**3 * (before - batch) if training else before
        torch.testing.assert_close(module.node("v2").running_means, expected, rtol=1e-9, atol=1e-12)


@ORDERS
def test_two_forwards_may_come_before_their_backwards(channels_last, graph, module):
    fused = fused_execution(module, channels_last=channels_last)
    twin = copy.deepcopy(module)
    first, second = images_for(graph, seed=1), images_for(graph, batch=5, seed=2)
    for network, execute in ((module, fused), (twin, run_plain)):
        a, b = execute(network, first), execute(network, second)
        a.square().sum().backward()
        b.square().sum().backward()
    for left, right in zip(module.parameters(), twin.parameters(), strict=True):
        assert (left.grad - right.grad).norm() <= TOLERANCE * right.grad.norm().clamp(min=1)


@ORDERS
@pytest.mark.parametrize("recompute", [False, True])
def test_a_kept_graph_gives_the_same_gradients_again(channels_last, graph, module, recompute):
    logits = fused_execution(module, recompute=recompute, channels_last=channels_last)(
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
    module = gt.compile(graph, channels=3, n_classes=3)
    images = images_for(graph, batch=4, extra=(3, 2)).float()
    fused = fused_execution(module, channels_last=channels_last)
    once = result(fused, module, images)
    fused(module, torch.full((9, 3, 16, 16), float("nan"))).sum().backward()
    module.zero_grad()
    twin = gt.compile(graph, channels=3, n_classes=3)
    again = result(fused, twin, images)
    assert torch.equal(once[0], again[0])
    assert all(torch.equal(once[1][name], again[1][name]) for name in once[1] if once[1][name] is not None)
    assert all(torch.equal(once[2][name], again[2][name]) for name in once[2])


@ORDERS
def test_no_two_gradients_share_their_memory(channels_last, graph, module):
    fused_execution(module, channels_last=channels_last)(module, images_for(graph)).sum().backward()
    for parameter in module.parameters():
        parameter.grad.fill_(0)
    for parameter in module.parameters():
        assert not parameter.grad.any()
        parameter.grad.fill_(1)


@ORDERS
def test_gradients_lie_in_the_order_of_their_parameters(channels_last, graph, module):
    logits = fused_execution(module, channels_last=channels_last)(module, images_for(graph))
    parameters = [parameter for parameter in module.parameters() if parameter.dim() == 4]
    for parameter, gradient in zip(parameters, torch.autograd.grad(logits.sum(), parameters), strict=True):
        assert gradient.stride() == parameter.stride()


def test_a_parameter_changed_between_forward_and_backward_is_noticed(graph, module):
    logits = fused_execution(module)(module, images_for(graph))
    with torch.no_grad():
        module.node("v1").weight3x3.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logits.sum().backward()


def test_a_second_derivative_is_a_clear_error(graph, module):
    logits = fused_execution(module)(module, images_for(graph))
    with pytest.raises(GraphtaskError, match="execution='plain'"):
        torch.autograd.grad(logits.sum(), list(module.parameters()), create_graph=True)


def test_a_batch_of_gradients_is_an_error(graph, module):
    logits = fused_execution(module)(module, images_for(graph))
    batch = torch.ones(2, *logits.shape, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="vmap"):
        torch.autograd.grad(logits, module.edge_weight, batch, is_grads_batched=True)


@ORDERS
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_images_lies_in_their_order(channels_last, order, graph, module):
    images = images_for(graph).contiguous(memory_format=order).requires_grad_()
    seen = []
    images.register_hook(lambda gradient: seen.append(gradient))
    fused = fused_execution(module, channels_last=channels_last)
    (found,) = torch.autograd.grad(fused(module, images).sum(), images)
    assert found.stride() == seen[0].stride() == images.stride()


@ORDERS
def test_threads_may_share_a_kept_graph(channels_last, graph, module):
    module.eval()
    images = images_for(graph, batch=8, extra=(16, 16))
    parameters = list(module.parameters())
    logits = fused_execution(module, channels_last=channels_last)(module, images).square().sum()
    expected = torch.autograd.grad(run_plain(module, images).square().sum(), parameters)

    def again(_):
        return torch.autograd.grad(logits, parameters, retain_graph=True)

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(again, range(12)):
            for actual, reference in zip(found, expected, strict=True):
                assert (actual - reference).norm() <= TOLERANCE * reference.norm().clamp(min=1)


def test_what_no_gradient_depends_on_may_change_before_the_backward(graph, module):
    parameters = [module.edge_weight, module.node("v1").weight3x3]
    found = []
    for execute in (fused_execution(module), run_plain):
        logits = execute(module, images_for(graph)).square().sum()
        with torch.no_grad():
            module.node("v2").shift1x1.add_(1).sub_(1)
        found.append(torch.autograd.grad(logits, parameters))
    torch.testing.assert_close(*found)


def test_gates_changed_between_forward_and_backward_are_noticed(graph):
    module = gt.compile(graph, channels=2, n_classes=3, gate="none", execution="fused").double()
    logits = module(images_for(graph)).sum()
    with torch.no_grad():
        module.edge_weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logits.backward()


@pytest.mark.parametrize("training", [True, False])
def test_copies_and_loaded_states_compute_the_same_and_share_nothing(graph, module, training):
    images = images_for(graph)
    module.train()(images).sum().backward()  # whatever the execution keeps, it has now
    module.zero_grad()
    other = gt.compile(graph, channels=2, n_classes=3, seed=1, execution="fused").double()
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
    fused = fused_execution(module)
    expected = [
        torch.autograd.grad(run_plain(module, images).square().sum(), list(module.parameters()))
        for images in batches
    ]
    found = [None] * len(batches)

    def work(start):
        for _ in range(3):
            for index in range(start, len(batches), 2):
                logits = fused(module, batches[index])
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
    module = gt.compile(graph, channels=4, n_classes=3, execution="fused")
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
    fused, plain = error(fused_execution(module, channels_last=channels_last), exact), error(run_plain, exact)
    assert fused[0] < 1.5 * plain[0] + 0.005
    assert fused[1] < 1.5 * plain[1] + 0.02


@ORDERS
@pytest.mark.parametrize("precise", [True, False])
def test_parameters_may_lie_in_another_order(channels_last, graph, precise):
    module = gt.compile(graph, channels=4, n_classes=3)
    images = images_for(graph, batch=2, extra=(8, 8)).float()
    twin = copy.deepcopy(module).to(memory_format=torch.channels_last)
    logits = []
    for net in (module, twin):
        execute = fused_execution(net, channels_last=channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not precise):
            logits.append(execute(net, images))
    torch.testing.assert_close(*logits)


@ORDERS
def test_under_autocast_statistics_and_gradients_are_float32(graph, channels_last):
    module = gt.compile(graph, channels=4, n_classes=3)
    images = 3 + images_for(graph, batch=32, extra=(8, 8)).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = fused_execution(module, channels_last=channels_last)(module, images)
        price = module.resource_loss()
    (logits.float().sum() + price).backward()
    assert price.dtype == torch.float32
    assert {parameter.grad.dtype for parameter in module.parameters()} == {torch.float32}
    first = module.node("v0")
    weight = first.weight3x3.bfloat16()
    values = nn.functional.conv2d(images.bfloat16().relu(), weight, stride=first.stride, padding=1)
    variance, mean = torch.var_mean(values.double(), dim=(0, 2, 3))
    # The first of all momenta is 0.1, and bfloat16 has three digits.
    torch.testing.assert_close(first.running_means[0].double(), 0.1 * mean, rtol=1e-5, atol=0)
    torch.testing.assert_close(first.running_vars[0].double(), 0.9 + 0.1 * variance, rtol=1e-5, atol=0)


@ORDERS
def test_a_network_in_low_precision_keeps_its_statistics_in_it(channels_last, graph):
    module = gt.compile(graph, channels=4, n_classes=3).bfloat16()
    images = (3 + images_for(graph, batch=32, extra=(8, 8))).bfloat16()
    logits, gradients, buffers = result(fused_execution(module, channels_last=channels_last), module, images)
    expected = result(run_plain, module, images)
    assert logits.dtype == torch.bfloat16
    assert {g.dtype for g in gradients.values() if g is not None} == {torch.bfloat16}
    for name, buffer in expected[2].items():
        assert buffers[name].dtype == buffer.dtype
        torch.testing.assert_close(buffers[name].float(), buffer.float(), rtol=0.05, atol=0.1)


def test_training_follows_the_curve_of_the_plain_execution(graph):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 16, 3, 12, 12, generator=generator)
    labels = torch.randint(3, (4, 16), generator=generator)
    curves = {}
    for execution in ("fused", "plain"):
        module = gt.compile(graph, channels=4, n_classes=3, execution=execution)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
        curves[execution] = []
        for step in range(12):
            loss = nn.functional.cross_entropy(module(images[step % 4]), labels[step % 4])
            optimizer.zero_grad()
            (loss + 1e-3 * module.resource_loss()).backward()
            optimizer.step()
            curves[execution].append(loss.item())
    assert curves["plain"][-1] < curves["plain"][3]
    assert curves["fused"] == pytest.approx(curves["plain"], rel=1e-3)


@ORDERS
def test_autocast_around_a_backward_changes_nothing(channels_last, graph):
    module = gt.compile(graph, channels=4, n_classes=3)
    module.head = nn.Flatten()  # the gradients of PyTorch's linear layer are of lower precision then
    logits = fused_execution(module, channels_last=channels_last)(module, images_for(graph, batch=8).float())
    weights = torch.linspace(-1, 1, logits.numel()).view_as(logits).square()
    parameters = list(module.parameters())
    expected = torch.autograd.grad(logits, parameters, weights, retain_graph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.autograd.grad(logits, parameters, weights)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_autocast_leaves_double_precision_alone(graph, module):
    images = images_for(graph)
    fused = fused_execution(module)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(
            result(fused, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
        )


def test_a_default_device_of_the_user_changes_nothing(graph, module):
    images = images_for(graph)
    expected = result(run_plain, module, images.requires_grad_())
    fused = fused_execution(module, strategy="sparse")
    with torch.device("meta"):
        found = fused(module, images)
    assert (found - expected[0]).norm() <= TOLERANCE * expected[0].norm()


class OnItsFeatures(nn.Module):
    """A head that does to the feature map what it may do in the plain execution."""

    def __init__(self, inplace):
        super().__init__()
        self.inplace = inplace
        self.linear = nn.Linear(16, 3)

    def forward(self, x):
        x = x.relu_() if self.inplace else x.view(x.shape[0], -1)
        return self.linear(x.reshape(x.shape[0], -1))


@ORDERS
@pytest.mark.parametrize("inplace", [True, False])
def test_the_head_gets_a_feature_map_of_its_own_in_the_usual_order(channels_last, inplace):
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=4, n_classes=3)
    module.head = OnItsFeatures(inplace)
    module = randomized(module)
    images = images_for(graph).requires_grad_()
    fused = fused_execution(module, channels_last=channels_last)
    assert_same(result(fused, module, images, times=2), result(run_plain, module, images, times=2))
    with torch.no_grad():
        assert_same(result(fused, module, images, times=2), result(run_plain, module, images, times=2))


# CUDA


@pytest.mark.gpu
@ORDERS
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_on_cuda_it_computes_the_same_without_waiting_for_the_device(graph, module, strategy, channels_last):
    module = module.cuda()
    images = images_for(graph, extra=(1, 3)).cuda().requires_grad_()
    fused = fused_execution(module, strategy=strategy, channels_last=channels_last)
    assert_same(result(fused, module, images), result(run_plain, module, images))
    torch.cuda.set_sync_debug_mode("error")
    try:
        fused(module, images).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_on_cuda_under_autocast_it_is_the_plain_execution_within_the_precision(graph):
    module = gt.compile(graph, channels=8, n_classes=3).cuda()
    images = images_for(graph, batch=32, extra=(8, 8)).float().cuda()
    exact = run_plain(module, images).detach()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        fused, plain = (
            execute(module, images).float().detach() for execute in (fused_execution(module), run_plain)
        )
    assert (fused - exact).norm() < 1.5 * (plain - exact).norm() + 0.005 * exact.norm()
