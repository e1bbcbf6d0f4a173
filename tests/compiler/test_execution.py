"""Which execution is taken, and what stands in the strategy of the fused one."""

import copy

import pytest
import torch
from compiler.executions import assert_same, images_for, result
from helpers import staged
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import graphtask as gt
from graphtask.compiler.blocks import share_statistics
from graphtask.compiler.execution import (
    WITH_GRADIENTS,
    WITHOUT_GRADIENTS,
    expected_gain,
    run_plain,
    why_plain,
)
from graphtask.compiler.fused.stages import plan_stages


def called(module, images):
    return module(images)


def test_images_may_be_a_parameter_and_weights_plain_tensors_as_in_a_replica(automatic, graph):
    images = nn.Parameter(images_for(graph))
    block = automatic.node("v2")
    weight = block.weight1x1.detach()
    del block.weight1x1
    block.weight1x1 = weight
    assert why_plain(automatic, images) is None
    assert_same(result(called, automatic, images), result(run_plain, automatic, images))


def test_the_fused_execution_is_taken_where_nobody_can_tell_the_difference(automatic, graph, monkeypatch):
    images = images_for(graph).requires_grad_()
    assert why_plain(automatic, images) is None
    expected = result(run_plain, automatic, images)
    monkeypatch.setattr("graphtask.compiler.execution.run_plain", None)
    assert_same(result(called, automatic, images), expected)


# Very small work


def stages_of(graph):
    return plan_stages(gt.compile(graph, channels=1).plan)


def test_the_gain_is_that_of_its_parts():
    graph = staged([(0, 1), (0, 2), (1, 2)], [0, 0, 2])  # stage 2 has a node and two sources
    values = {0: 4 * 3 * 9 * 10, 2: 4 * (3 * 4) * 3 * 3}
    for gradients, gain in ((True, WITH_GRADIENTS), (False, WITHOUT_GRADIENTS)):
        with torch.set_grad_enabled(gradients):
            found = expected_gain(stages_of(graph), (4, 5, 9, 10), channels=3)
            single = expected_gain(stages_of(graph), (1, 5, 99, 99), channels=30)
        blocks = 5 * gain.block + gain.block_value * (2 * values[0] + 3 * values[2])
        edges = 3 * gain.edge + gain.edge_value * (values[0] + 2 * values[2])
        assert found == pytest.approx(gain.step + blocks + edges)
        assert single == pytest.approx(gain.step + 5 * gain.block + 3 * gain.edge)


@pytest.mark.parametrize(
    ("graph", "channels", "batch", "size", "training", "inference"),
    [
        (gt.chain_dag(2), 11, 1, 32, False, False),
        (gt.full_dag(5, stages=1), 11, 32, 8, False, False),
        (gt.full_dag(12, stages=3), 11, 1, 32, False, False),
        (gt.random_dag(200, out_degree=4, seed=0, stages=3), 8, 1, 32, False, False),
        (gt.random_dag(200, out_degree=4, seed=0, stages=3), 8, 64, 32, True, True),
        (gt.chain_dag(13, stages=3), 11, 128, 32, True, True),
        (gt.full_dag(60, stages=3), 11, 32, 32, True, True),
    ],
    ids=["two nodes", "few pixels", "one image", "many nodes, one image", "many nodes", "chain", "full"],
)
def test_work_is_small_where_it_was_measured_to_be(graph, channels, batch, size, training, inference):
    stages = stages_of(graph)
    assert (expected_gain(stages, (batch, 3, size, size), channels=channels) > 0) == training
    with torch.no_grad():
        assert (expected_gain(stages, (batch, 3, size, size), channels=channels) > 0) == inference


def test_very_small_work_is_done_by_the_plain_execution(graph, module):
    module.execution = "auto"
    images = images_for(graph).requires_grad_()
    assert why_plain(module, images) == "the work is so small that it is faster"
    actual, expected = result(called, module, images), result(run_plain, module, images)
    assert torch.equal(actual[0], expected[0])
    large = torch.zeros(256, 3, 64, 64, dtype=torch.float64)
    assert why_plain(module, large) is None


def test_who_asks_for_less_memory_gets_it(graph):
    module = gt.compile(graph, channels=2, recompute=[1])
    assert why_plain(module, torch.zeros(2, 3, 8, 8)) is None


def test_processes_that_share_a_batch_all_take_the_same_execution(graph):
    module = gt.compile(graph, channels=2)
    share_statistics(module, lambda own: own[None])
    assert why_plain(module, torch.zeros(1, 3, 8, 8)) is None


def test_an_explanation_names_the_execution_that_is_taken(graph):
    module = gt.compile(graph, channels=2)
    assert module.explain(batch=1).why_plain == "the work is so small that it is faster"
    assert module.explain(batch=1024).why_plain is None
    assert "fused execution" in repr(module.explain(batch=1024))
    assert "plain execution" not in str(module.explain(batch=1024))
    module.reduce("v0", 2).register_forward_hook(lambda *_: None)
    reason = "the reduction of node 'v0' is not a ConvBlock, or has hooks"
    assert module.explain(batch=1024).why_plain == reason
    assert f"plain execution: {reason}" in str(module.explain(batch=1024))
    module.node("v0").register_forward_hook(lambda *_: None)
    assert "the block of node 'v0' is not" in str(module.explain(batch=1024))
    for execution, expected in (("plain", "execution='plain'"), ("fused", None)):
        assert gt.compile(graph, channels=2, execution=execution).explain(batch=1).why_plain == expected


# What looks at single operations


class Watches(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_a_dispatch_mode_sees_the_plain_execution(automatic, graph):
    with Watches():
        assert why_plain(automatic, images_for(graph)) is not None


class Rounds(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        return result.round(decimals=2) if func is torch.batch_norm else result


def test_a_function_mode_sees_the_plain_execution_but_a_default_device_is_none(automatic, graph):
    images = images_for(graph)
    with torch.no_grad(), Rounds():
        torch.testing.assert_close(automatic(images), run_plain(automatic, images))
    with torch.device("cpu"):
        assert why_plain(automatic, images) is None


def test_hooks_for_saved_tensors_see_all_of_them(automatic, graph):
    def packed(execute):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            execute(automatic, images_for(graph))
        return sizes

    assert packed(called) == packed(run_plain)


def test_a_transform_sees_the_plain_execution(automatic, graph):
    images = images_for(graph)
    automatic.eval()
    found = torch.func.jacrev(lambda batch: automatic(batch).sum(dim=0))(images)
    automatic.execution = "fused"
    assert torch.equal(torch.func.jacrev(lambda batch: automatic(batch).sum(dim=0))(images), found)
    expected = torch.autograd.functional.jacobian(
        lambda batch: run_plain(automatic, batch).sum(dim=0), images
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*:torch.jit.TracerWarning")
def test_a_traced_program_computes_the_same_for_other_images(automatic, graph):
    automatic.eval()
    traced = torch.jit.trace(automatic, images_for(graph))
    images = images_for(graph, batch=5, seed=1)
    torch.testing.assert_close(traced(images), run_plain(automatic, images))
    program = make_fx(lambda images: automatic(images))(images)
    torch.testing.assert_close(program(images), run_plain(automatic, images))
    assert why_plain(automatic, images) is None


def test_fake_tensors_leave_nothing_behind(automatic, graph):
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert automatic(mode.from_tensor(images_for(graph))).shape == (3, 3)
    images = images_for(graph).requires_grad_()
    assert_same(result(called, automatic, images), result(run_plain, automatic, images))


def test_images_of_a_class_of_their_own_keep_it(automatic, graph):
    class Own(torch.Tensor):
        pass

    images = images_for(graph).as_subclass(Own)
    assert type(automatic(images)) is Own
    assert why_plain(automatic, images) == "the images are a Own"


def test_a_device_without_numbers_is_served_by_the_plain_execution(automatic):
    net = automatic.to("meta")
    images = torch.zeros(2, 3, 8, 8, dtype=torch.float64, device="meta")
    assert net(images).shape == (2, 3)
    assert why_plain(net, images) == "the network is on meta"


@pytest.mark.filterwarnings("ignore:`torch.jit.script:FutureWarning")  # which PyTorch calls itself
def test_forward_mode_derivatives_are_those_of_the_plain_execution(automatic, graph):
    automatic.eval().requires_grad_(False)
    images, direction = images_for(graph), images_for(graph, seed=1)
    with torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(images, direction)
        tangent = forward_ad.unpack_dual(automatic(dual)).tangent
        automatic.execution = "fused"
        assert torch.equal(forward_ad.unpack_dual(automatic(dual)).tangent, tangent)
    step = 1e-6
    difference = run_plain(automatic, images + step * direction) - run_plain(
        automatic, images - step * direction
    )
    torch.testing.assert_close(tangent, difference / (2 * step), rtol=1e-5, atol=1e-6)


# Blocks that are not the standard one


def hook_an_adapter(module):
    block = module.node("v2")
    adapter = nn.Conv2d(2, 2, 1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    object.__setattr__(block, "adapter", adapter)  # whose parameters are not those of the block
    block.register_forward_hook(lambda block, _, x: x + block.adapter(x))


def hook_gradients(module):
    module.node("v2").register_full_backward_pre_hook(lambda _, gradient: (2 * gradient[0],))


def hook_arguments(module):
    module.node("v2").register_forward_pre_hook(lambda _, given: (2 * given[0],))


def parametrize_a_weight(module):
    nn.utils.parametrizations.weight_norm(module.node("v2"), "weight1x1")


def derive_a_class(module):
    class Own(type(module.node("v2"))):
        def forward(self, a):
            return 2 * super().forward(a)

    module.node("v2").__class__ = Own


@pytest.mark.parametrize(
    "change", [hook_an_adapter, hook_gradients, hook_arguments, parametrize_a_weight, derive_a_class]
)
def test_a_changed_block_is_seen(automatic, graph, change):
    change(automatic)
    images = images_for(graph).requires_grad_()
    assert why_plain(automatic, images) == "the block of node 'v2' is not a ConvBlock, or has hooks"
    assert_same(result(called, automatic, images), result(run_plain, automatic, images))


def test_hooks_for_all_modules_are_called_for_every_block(automatic, graph):
    seen = []
    hook = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
    try:
        automatic(images_for(graph))
    finally:
        hook.remove()
    assert {id(block) for block in automatic.nodes.values()} <= {id(module) for module in seen}


@pytest.mark.parametrize("execution", ["auto", "fused"])
def test_a_hook_for_the_gradient_of_a_parameter_runs_once(automatic, graph, execution):
    automatic.execution = execution
    images = images_for(graph)
    gradients = []
    for hooked in (False, True):
        net = copy.deepcopy(automatic)
        if hooked:
            net.node("v2").weight3x3.register_hook(lambda gradient: 3 * gradient)
        net(images).sum().backward()
        gradients.append(net.node("v2").weight3x3.grad)
    torch.testing.assert_close(gradients[1], 3 * gradients[0])


def test_a_standard_block_of_other_channels_is_refused_as_the_plain_execution_does(automatic, graph):
    automatic.nodes["[v2]"] = type(automatic.node("v2"))(2, 3).double()
    with pytest.raises(RuntimeError):
        run_plain(automatic, images_for(graph))
    with pytest.raises((RuntimeError, gt.errors.ArgumentError)):
        automatic(images_for(graph))


# Statistics of too few values


def test_one_value_a_channel_is_refused_only_where_statistics_are_taken(automatic):
    image = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    for block in (*automatic.nodes.values(), *automatic.reduces.values()):
        block.eval()
    assert automatic.training
    torch.testing.assert_close(automatic(image), run_plain(automatic, image))
    automatic.eval().node("v0").train()  # 16 values a channel
    torch.testing.assert_close(automatic(image), run_plain(automatic, image))
    automatic.eval().node("v6").train()
    with pytest.raises(gt.GraphtaskError, match="in stage 2"):
        automatic(image)


def test_a_reduction_takes_statistics_too(automatic):
    automatic.eval().reduce("v0", 2).train()
    with pytest.raises(gt.GraphtaskError, match="in stage 2"):
        automatic(torch.zeros(1, 3, 4, 4, dtype=torch.float64))


def test_the_execution_may_be_changed(graph, module):
    images = images_for(graph)
    module.execution = "plain"
    assert module.executor is run_plain
    assert "execution='plain'" in str(module.explain())
    module.execution = "auto"
    assert why_plain(module, images) is not None
    with pytest.raises(gt.GraphtaskError, match="execution must be one of auto, plain, fused, got 'slow'"):
        module.execution = "slow"
