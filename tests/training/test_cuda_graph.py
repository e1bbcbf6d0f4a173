"""Steps that are recorded: on the CPU with a tape in the place of a CUDA graph, on a GPU with the real one."""

import copy
import gc
import itertools
import weakref

import pytest
import torch
from compiler.executions import STRATEGIES, fused_execution
from torch import nn
from training.tape import Tape

import graphtask as gt
from graphtask.compiler.fused.staged import run_fused
from graphtask.training import train as train_module
from graphtask.training.batches import split_batches
from graphtask.training.checkpointing import Checkpointer
from graphtask.training.cuda_graph import WARM_UP, CapturedStep, always_does_the_same, cuda_recorder
from graphtask.training.loop import Trainer

# Five epochs of four full batches and a short one: the short one is recorded in the fourth, and the learning rate
# falls in the third and the fifth.
REGIME = gt.TrainConfig(epochs=5, batch_size=28, learning_rate=0.05, milestones=(0.4, 0.8), edge_l1=0.01)
FULL, SHORT = 5 * 4, 5


def trainer(digits, recorder=None, *, precision="fp32", execution="fused", device="cpu", config=REGIME):
    graph = gt.full_dag(5, stages=[2, 2, 1])
    net = gt.compile(graph, channels=2, n_classes=digits.n_classes, execution=execution, seed=1).to(device)
    if execution == "fused":
        net.executor = run_fused  # under the mode of the tape, too, which stands in for a CUDA graph
    config = config.replace(seed=3, precision=precision)
    train, test, _ = split_batches(digits, config, device=torch.device(device))
    return Trainer(net, train=train, test=test, config=config, recorder=recorder)


def fit(trainer, *, on_step=lambda: None):
    trainer.fit(on_step=on_step)
    return trainer


def outcome(trainer):
    """Everything that a run leaves behind, but for the seconds."""
    return {
        **trainer.module.state_dict(),
        **{str(i): value["momentum_buffer"] for i, value in enumerate(trainer.optimizer.state.values())},
        "history": torch.stack(trainer.history),
        "rows": [{**row, "seconds": 0.0} for row in trainer.rows],
    }


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        same = torch.equal if isinstance(value, torch.Tensor) else list.__eq__
        assert same(actual[key], value), key


@pytest.fixture(scope="module")
def expected(digits):
    """The outcome of steps done one by one."""
    return outcome(fit(trainer(digits)))


def test_replayed_steps_give_the_bits_of_steps_done_one_by_one(digits, expected):
    tape = Tape()
    assert_same(outcome(fit(trainer(digits, tape))), expected)
    # Of each shape the first batches are done as they come.
    assert (tape.warmed_up, tape.recorded, tape.replayed) == (2 * WARM_UP, 2, FULL + SHORT - 2 * WARM_UP)


@pytest.mark.parametrize(
    ("precision", "edge_update"),
    [
        ("fp32", "proximal"),
        ("fp32", "gradient"),
        pytest.param("bf16", "proximal", marks=pytest.mark.slow),
        pytest.param("bf16", "gradient", marks=pytest.mark.slow),
    ],
)
def test_a_warm_up_a_clipped_gradient_and_an_average_can_be_recorded(digits, precision, edge_update):
    config = REGIME.replace(warm_up=1.7, gradient_clip=0.5, ema=0.8, edge_update=edge_update)
    tape, outcomes = Tape(), []
    for recorder in (tape, None):
        one = fit(trainer(digits, recorder, precision=precision, config=config))
        averages = {f"average of {key}": value for key, value in one.trained.state_dict().items()}
        outcomes.append(outcome(one) | averages)
    assert_same(*outcomes)
    assert tape.recorded == 2


@pytest.mark.parametrize(("precision", "execution"), [("bf16", "fused"), ("fp32", "plain")])
def test_so_they_do_in_other_precisions_and_executions(digits, precision, execution):
    options = {"precision": precision, "execution": execution}
    assert_same(outcome(fit(trainer(digits, Tape(), **options))), outcome(fit(trainer(digits, **options))))


def test_a_run_in_bf16_keeps_everything_in_float32(digits):
    one = fit(trainer(digits, precision="bf16", config=gt.TrainConfig(epochs=1, batch_size=40)))
    kept = [value for value in outcome(one).values() if isinstance(value, torch.Tensor)]
    assert {value.dtype for value in kept} == {torch.float32}
    assert one.rows[0]["resource_loss"] == pytest.approx(
        one.module.edge_weight.double().tanh().abs().sum().item(), rel=1e-6
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("recompute", [False, True])
def test_whatever_the_plan_chooses_can_be_recorded(digits, strategy, recompute):
    config = gt.TrainConfig(epochs=2, batch_size=40)
    outcomes = []
    for recorder in (Tape(), None):
        one = trainer(digits, recorder, config=config)
        one.module.executor = fused_execution(one.module, strategy=strategy, recompute=recompute)
        outcomes.append(outcome(fit(one)))
    assert_same(*outcomes)


@pytest.mark.parametrize("steps", [(14,), pytest.param((1, 4, 23), marks=pytest.mark.slow)])
def test_a_state_saved_after_any_step_goes_on_with_the_same_bits_in_another_trainer_and_in_the_same(
    digits, expected, steps
):
    states = []
    one = trainer(digits, Tape())
    fit(one, on_step=lambda: states.append(copy.deepcopy(one.state_dict())))
    for step in steps:
        for again in (trainer(digits, Tape()), trainer(digits), one):
            again.load_state_dict(copy.deepcopy(states[step]))
            assert_same(outcome(fit(again)), expected)


def test_a_state_that_is_loaded_ends_what_was_recorded_and_the_recorder_hears_of_it(digits):
    tape = Tape()
    one = trainer(digits, tape)
    state = copy.deepcopy(one.state_dict())
    fit(one)
    recorded, forgotten = tape.recorded, tape.forgotten
    one.load_state_dict(state)
    assert tape.forgotten == forgotten + 1
    fit(one)
    assert tape.recorded == 2 * recorded == 4


def test_a_run_too_short_to_gain_records_nothing(digits):
    tape = Tape()
    fit(trainer(digits, tape, config=gt.TrainConfig(epochs=1, batch_size=40)))
    assert (tape.warmed_up, tape.recorded) == (3, 0)


def test_a_trainer_goes_with_its_last_reference_and_its_memory_with_it(digits, monkeypatch):
    trainers = []

    class Seen(Trainer):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            trainers.append(weakref.ref(self))

    monkeypatch.setattr(train_module, "Trainer", Seen)
    monkeypatch.setattr(train_module, "cuda_recorder", lambda _module: Tape())
    gc.disable()
    try:
        config = gt.TrainConfig(epochs=1, batch_size=20)
        gt.train(gt.full_dag(4), data=digits, channels=2, config=config, progress=False)
        assert trainers[0]() is None
    finally:
        gc.enable()


class Refusing(Tape):
    """A tape that stops in the middle of a step."""

    def __init__(self, error, *, from_number=1):
        super().__init__()
        self.error = error
        self.left = from_number

    def record(self, work):
        self.left -= 1
        if self.left > 0:
            return super().record(work)

        def half():
            work()
            raise self.error

        return super().record(half)


@pytest.mark.parametrize("from_number", [1, 2])
def test_a_step_that_cannot_be_recorded_is_said_once_and_done_one_by_one(digits, expected, from_number):
    tape = Refusing(
        RuntimeError("operation not permitted\nwhen stream is capturing"), from_number=from_number
    )
    with pytest.warns(
        RuntimeWarning, match=r"captured as a CUDA graph \(operation not permitted\)"
    ) as caught:
        found = outcome(fit(trainer(digits, tape)))
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert_same(found, expected)
    assert tape.left == 0


def test_a_step_that_waits_for_the_device_is_such_a_step():
    total = torch.zeros(())

    captured = CapturedStep(lambda images, _labels: total.add_(images.sum().item()), Tape())
    batch = torch.ones(2, 1, 1, 1), torch.zeros(2)
    for _ in range(WARM_UP):
        captured(*batch)
    with pytest.warns(RuntimeWarning, match="waits for the device"):
        captured(*batch)
    captured(*batch)
    assert total == 2 * (WARM_UP + 2)


def test_other_errors_are_not_hidden(digits):
    with pytest.raises(KeyboardInterrupt):
        fit(trainer(digits, Refusing(KeyboardInterrupt())))


def test_only_networks_of_our_own_blocks_without_hooks_are_captured():
    def net(**options):
        return gt.compile(gt.full_dag(4, stages=[2, 2]), channels=2, **options)

    assert always_does_the_same(net())
    assert not always_does_the_same(net(block=lambda i, o, s: nn.Conv2d(i, o, 1, stride=s)))
    for place in (lambda n: n, lambda n: n.head.linear, lambda n: n.node("v2"), lambda n: n.nodes):
        hooked = net()
        place(hooked).register_forward_hook(lambda *_: None)
        assert not always_does_the_same(hooked)
    assert cuda_recorder(net()) is None  # nothing to gain on the CPU


class Killed(BaseException):
    """Stands for a kill: nothing between here and the caller may handle it."""


def killer(moment):
    """Saves, and kills after that many steps."""
    after_step = Checkpointer.after_step
    steps = itertools.count(1)

    def saved_and_killed(self):
        after_step(self)
        if next(steps) == moment:
            raise Killed

    return saved_and_killed


def test_a_run_that_was_captured_resumes_without_and_the_other_way_round(digits, tmp_path, monkeypatch):
    config = gt.TrainConfig(epochs=2, batch_size=20, learning_rate=0.05)
    tapes = []

    def recorder(_module):
        tapes.append(Tape())
        return tapes[-1]

    monkeypatch.setattr(train_module, "cuda_recorder", recorder)

    def train(out=None, **options):
        return gt.train(
            gt.full_dag(4), data=digits, out=out, config=config, channels=2, progress=False, **options
        )

    whole = train(cuda_graph=False)
    assert not tapes
    for first in (True, False):
        out = tmp_path / str(first)
        with monkeypatch.context() as patch:
            patch.setattr(Checkpointer, "after_step", killer(7))
            with pytest.raises(Killed):
                train(out, cuda_graph=first, checkpoint_seconds=0.0)
        run = train(out, cuda_graph=not first)
        assert all(torch.equal(run.weights[key], value) for key, value in whole.weights.items())
    assert [tape.recorded for tape in tapes] == [1, 1]


# CUDA


def on_cuda(digits, *, captured, precision="fp32", dtype=torch.float32):
    """A trainer on the GPU, and its recorder."""
    found = trainer(digits, precision=precision, device="cuda")
    found.module.to(dtype)
    found.train.dtype = found.test.dtype = dtype
    again = Trainer(
        found.module, train=found.train, test=found.test, config=found.config,
        recorder=cuda_recorder(found.module) if captured else None,
    )  # fmt: skip
    assert (again._captured is not None) == captured
    return again


def difference(actual, expected):
    """How far the parameters of two trained networks are apart, relative to their size."""
    left, right = (
        torch.cat([value.double().flatten() for value in trainer.module.parameters()])
        for trainer in (actual, expected)
    )
    return ((left - right).norm() / right.norm()).item()


@pytest.fixture
def repeatable():
    """Convolutions whose sums have one order."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


@pytest.mark.gpu
@pytest.mark.usefixtures("repeatable")
def test_on_cuda_captured_steps_are_those_done_one_by_one(digits):
    captured = fit(on_cuda(digits, captured=True, dtype=torch.float64))
    assert len(captured._captured._recordings) == 2
    assert difference(captured, fit(on_cuda(digits, captured=False, dtype=torch.float64))) < 1e-9


@pytest.mark.gpu
@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 1e-2)])
def test_on_cuda_so_they_are_in_the_precisions_of_runs(digits, precision, tolerance):
    captured, plain = (fit(on_cuda(digits, captured=kind, precision=precision)) for kind in (True, False))
    assert difference(captured, plain) < tolerance
    for one, other in zip(captured.rows, plain.rows, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=tolerance)


@pytest.mark.gpu
@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("step", [3, 14, 22])
def test_on_cuda_a_captured_run_resumes(digits, step):
    states = []
    one = on_cuda(digits, captured=True, dtype=torch.float64)
    fit(one, on_step=lambda: states.append(copy.deepcopy(one.state_dict())))
    again = on_cuda(digits, captured=True, dtype=torch.float64)
    again.load_state_dict(copy.deepcopy(states[step]))
    assert difference(fit(again), one) < 1e-9
    one.load_state_dict(states[step])  # its recordings are dropped, and it makes new ones
    assert difference(fit(one), again) < 1e-9


@pytest.mark.gpu
@pytest.mark.parametrize("captured", [True, False])
def test_on_cuda_no_step_waits_for_the_device(digits, captured):
    one = on_cuda(digits, captured=captured)

    def on_step():
        # Not at the ends of an epoch, where its losses are read, nor while steps are recorded.
        inside = one.epoch == REGIME.epochs - 1 and one.step < len(one.train)
        torch.cuda.set_sync_debug_mode("error" if inside else "default")

    try:
        fit(one, on_step=on_step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
