"""One training run as a loop whose whole state can be saved after any step and restored."""

import contextlib
import math
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from graphtask.compiler.module import GraphModule
from graphtask.data.batches import Batches
from graphtask.errors import ArgumentError, DivergedError
from graphtask.runs.history import history_of
from graphtask.runs.settling import edge_change
from graphtask.tasks import TASKS, Task
from graphtask.training.average import WeightAverage
from graphtask.training.callbacks import Callback
from graphtask.training.config import TrainConfig
from graphtask.training.cuda_graph import CapturedStep, Recorder
from graphtask.training.distributed import Processes
from graphtask.training.optimizer import Schedule, build_optimizer, proximal_step
from graphtask.training.penalty import EdgePenalty
from graphtask.training.task import task_of


class Evaluation(NamedTuple):
    """Mean loss (for classification the cross-entropy, natural logarithm) and score of a module on a set of images."""

    loss: float
    score: float


class Trainer:
    """A module in training: its optimizer, its progress, and the records so far.

    The order of the images and their augmentation follow from the seed and the number of the epoch alone. So
    `state_dict` has no random state in it, and a run resumes exactly where it was saved, in the middle of an epoch too.

    Args:
        module: The network; it stays on its device.
        train: Training images, on the same device.
        test: Test images, on the same device.
        config: Training configuration; its data section plays no part here.
        validation: Validation images, on the same device. With them, the test images are used once, after training.
        processes: Processes that train the run together; None is this one alone.
        recorder: Records the step, to replay it for every batch; None executes each step. For one process only, and
            not on the CPU, where nothing is gained.

    Raises:
        ArgumentError: The optimizer or schedule is invalid, or early stopping lacks validation images.
    """

    def __init__(
        self,
        module: GraphModule,
        *,
        train: Batches,
        test: Batches,
        config: TrainConfig,
        validation: Batches | None = None,
        processes: Processes | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.module = module
        self.processes = processes or Processes()
        self.train = train
        self.test = test
        self.validation = validation
        self.config = config
        self.task = task_of(config)
        self.device = module.edge_weight.device
        self._optimization = config.optimization
        self._precision = config.runtime.precision
        self._is_proximal = config.optimization.edge_update == "proximal"
        self._check_options()
        self._penalty = EdgePenalty(module, config.optimization.edge_penalty)
        self.optimizer = build_optimizer(module, config.optimization)
        self._schedule = Schedule(config.optimization)
        self._average = WeightAverage(module, config.optimization.ema) if config.optimization.ema else None
        self.epoch = 0
        self.step = 0
        self.seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        self.history = [_copy(module.edge_weight)]
        # Sums over this epoch: loss, terms of the score, images. They stay on the device: reading them waits for it.
        self._terms = self.task.score.shape(module.n_classes)
        kind = torch.float64 if self._terms and self.device.type != "mps" else torch.float32
        self.totals = torch.zeros(2 + math.prod(self._terms), dtype=kind, device=self.device)
        # On a GPU the learning rate is there too, in float32 as PyTorch asks: so a recorded step reads the present one.
        self._on_device = self.device.type == "cuda" or recorder is not None
        self._rates: dict[int, Tensor] = {}
        self._edge_step: float | Tensor = torch.zeros((), device=self.device) if self._on_device else 0.0
        # Not a reference in a circle: the memory on the device must go with the trainer, not with the next collection.
        this = weakref.proxy(self)
        self._captured = (
            None
            if recorder is None
            else CapturedStep(lambda images, labels: this._compute(images, labels), recorder)  # noqa: SLF001  # our own
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs, as tensors and plain values."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
            "history": torch.stack(self.history),
            "totals": self.totals,
            **({} if self._average is None else {"average": self._average.module.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.module.load_state_dict(state["module"])
        if self._average is not None:
            self._average.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.epoch = state["epoch"]
        self.step = state["step"]
        self.seconds = state["seconds"]
        self.rows = list(state["rows"])
        self.history = list(state["history"].unbind())
        self.totals.copy_(state["totals"])
        if self._captured is not None:
            self._captured.forget()  # the optimizer's state is in other tensors now

    def fit(
        self,
        *,
        callbacks: Sequence[Callback] = (),
        on_step: Callable[[], None] | None = None,
        on_epoch: Callable[[], None] | None = None,
    ) -> None:
        """Train to the end of the last epoch.

        Args:
            callbacks: Called at the start, after every step and epoch, and at the end.
            on_step: Called after every step; may save the state, and may raise to stop.
            on_epoch: Called after every epoch, when its row and its edge weights are recorded.

        Raises:
            DivergedError: The loss is no longer finite.
        """
        with _around(callbacks, self):
            while not self.is_done:
                self._train_epoch(callbacks, on_step)
                self._record_epoch()
                for callback in callbacks:
                    callback.epoch(self, self.rows[-1])
                if on_epoch is not None:
                    on_epoch()

    @property
    def is_done(self) -> bool:
        """True after the last epoch, or when the validation loss no longer falls (``early_stopping``)."""
        return self.epoch >= self._optimization.epochs or self._is_stale(
            [row["validation_loss"] for row in self.rows if "validation_loss" in row]
        )

    @property
    def trained(self) -> GraphModule:
        """Network that is evaluated, reported and stored: with ``ema`` the average, else the one in training."""
        return self.module if self._average is None else self._average.module

    def edge_sums(self) -> tuple[float, int]:
        """Return Σ|gate(w)| and the number of live edges of `trained`."""
        return self._sums_of(self.trained)

    def _sums_of(self, module: GraphModule) -> tuple[float, int]:
        magnitudes = module.edge_weights().detach().abs().cpu().double()
        return magnitudes.sum().item(), int((magnitudes >= self._optimization.threshold).sum())

    def check_finite(self) -> None:
        """Raise if the loss of this epoch is not finite; on an accelerator this waits for it.

        Raises:
            DivergedError: It is not; the message names a remedy.
        """
        self._check_finite(self.totals[0].item(), what="loss")

    def _check_options(self) -> None:
        if self._optimization.early_stopping and self.validation is None:
            raise ArgumentError("early_stopping needs validation images; set validation, e.g. validation=0.1")
        if self._is_proximal and self.module.gate not in {"tanh", "none"}:
            raise ArgumentError(
                f"edge_update='proximal' needs gate 'tanh' or 'none', whose inverse is known and zero at zero, got "
                f"{self.module.gate!r}"
            )

    def _is_stale(self, losses: Sequence[float]) -> bool:
        patience = self._optimization.early_stopping
        return 0 < patience < len(losses) and min(losses[-patience:]) >= min(losses[:-patience])

    def _check_finite(self, value: float, *, what: str) -> None:
        if not math.isfinite(value):
            raise DivergedError(
                f"the {what} is not finite in epoch {self.epoch + 1} of {self._optimization.epochs}; lower the "
                f"learning rate (now {self._schedule.rate(self.epoch):g}) or edge_l1 (now "
                f"{self._optimization.edge_l1:g}), or take another seed, and train in another folder"
            )

    def _train_epoch(self, callbacks: Sequence[Callback], on_step: Callable[[], None] | None) -> None:
        self.module.train()
        self._set_learning_rate(self._schedule.rate(self.epoch))
        warms_up = self.epoch < (self._optimization.warm_up or 0)
        clock = time.perf_counter()
        for images, labels in self.train.epoch(
            seed=self._optimization.seed, epoch=self.epoch, start=self.step
        ):
            if warms_up:
                share = (self.step + 1) / len(self.train)
                self._set_learning_rate(self._schedule.rate(self.epoch, share=share))
            self._train_step(images, labels)
            self.step += 1
            now = time.perf_counter()
            self.seconds += now - clock
            clock = now
            loss, score = self._running() if self.device.type == "cpu" else (None, None)
            for callback in callbacks:
                callback.step(self, loss=loss, score=score)
            if on_step is not None:
                on_step()
        self.check_finite()
        self.seconds += time.perf_counter() - clock

    def _set_learning_rate(self, rate: float) -> None:
        """Set the rate of every group, in proportion to its initial one."""
        for index, group in enumerate(self.optimizer.param_groups):
            own = rate * (group["initial_lr"] / self._optimization.learning_rate)
            group["lr"] = self._kept(index, own) if self._on_device else own
        if self._is_proximal:
            edges = self.optimizer.param_groups[-1]["initial_lr"] / self._optimization.learning_rate
            step = self._optimization.edge_step(rate * edges)
            self._edge_step = self._edge_step.fill_(step) if isinstance(self._edge_step, Tensor) else step

    def _loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        try:
            return self.task.loss(outputs, labels)
        except (TypeError, ValueError) as error:  # of a function that takes or returns something else
            raise ArgumentError(
                f"the loss of the task {self.task.name} failed ({type(error).__name__}: {error})"
            ) from error

    def _kept(self, index: int, rate: float) -> Tensor:
        """Return the rate of a group in the tensor that a recorded step reads."""
        kept = self._rates.setdefault(index, torch.zeros((), dtype=torch.float32, device=self.device))
        return kept.fill_(rate)

    def _train_step(self, images: Tensor, labels: Tensor) -> None:
        if self._captured is None:
            self._compute(images, labels)
        else:
            self._captured(images, labels)

    def _compute(self, images: Tensor, labels: Tensor) -> None:
        """Execute one step: it never waits for the device, and writes its results in place."""
        with self.processes.part(len(labels)) as part:
            images, labels = images[part.images], labels[part.images]
            with autocast(self.device, self._precision):
                outputs = self.module(images)
            of_task = self._loss(outputs.float(), labels)
            loss = of_task
            if not self._is_proximal:
                loss = of_task + self._optimization.edge_l1 * self._penalty()
            self.optimizer.zero_grad(set_to_none=True)
            # The shares add up to 1, so that the L1 penalty counts once.
            (loss * part.share).backward()  # type: ignore[no-untyped-call]
        counts = torch.zeros_like(self.totals)
        if part.counts:
            counts[0] = of_task.detach() * len(labels)
            counts[1:-1] = self.task.score.terms(outputs.detach().float(), labels).reshape(-1)
            counts[-1].fill_(len(labels))  # to assign it, older releases of PyTorch wait for the device
        gradients = [value.grad for value in self.module.parameters() if value.grad is not None]
        self.processes.add_up([*gradients, counts])
        if self._optimization.gradient_clip is not None:
            clip_grad_norm_(self.module.parameters(), self._optimization.gradient_clip)
        self.optimizer.step()
        if self._is_proximal:
            proximal_step(self.module.edge_weight, gate=self.module.gate, step=self._edge_step)
        if self._average is not None:
            self._average.update(is_first=self.epoch == self.step == 0, keeps_zeros=self._is_proximal)
        self.totals += counts

    def _running(self) -> tuple[float, float]:
        self.check_finite()
        return self._means()

    def _means(self) -> tuple[float, float]:
        """Return the mean loss and the score of this epoch so far."""
        totals = self.totals.cpu().double()
        loss, images = totals[0].item(), totals[-1].item()
        return loss / images, self.task.score.at(totals[1:-1].reshape(self._terms) / images)

    def _record_epoch(self) -> None:
        loss, score = self._means()
        resource_loss, live_edges = sums = self.edge_sums()
        self._check_finite(
            resource_loss, what="sum of the edge weights"
        )  # the last step may have spoilt them
        row = {
            "epoch": self.epoch + 1,
            "learning_rate": self._schedule.rate(self.epoch),
            "train_loss": loss,
            f"train_{self.task.score.name}": score,
            "resource_loss": resource_loss,
            **self._evaluations(),
            "live_edges": live_edges,
            # An average that is behind the weights has not settled, even if it hardly moves.
            "edge_change": max(
                edge_change(self._sums_before(), sums), edge_change(sums, self._sums_of(self.module))
            ),
            "seconds": self.seconds,
        }
        self.history.append(_copy(self.trained.edge_weight))
        self.rows.append(row)
        self._schedule.step(loss=row.get("validation_loss", row["train_loss"]))
        self.epoch += 1
        self.step = 0
        self.seconds = 0.0
        self.totals.zero_()

    def _evaluated(self, split: str, evaluation: Evaluation) -> dict[str, float]:
        return {f"{split}_loss": evaluation.loss, f"{split}_{self.task.score.name}": evaluation.score}

    def _evaluations(self) -> dict[str, float]:
        """Evaluate the epoch: on the test images, or, as long as training decides by it, on the validation images."""
        if self.validation is None:
            return self._evaluated("test", self._evaluate(self.test))
        held_out = self._evaluate(self.validation)
        losses = [*(row["validation_loss"] for row in self.rows), held_out.loss]
        is_last = self.epoch + 1 >= self._optimization.epochs or self._is_stale(losses)
        test = self._evaluate(self.test) if is_last else Evaluation(math.nan, math.nan)
        return self._evaluated("validation", held_out) | self._evaluated("test", test)

    def _evaluate(self, batches: Batches) -> Evaluation:
        return evaluate(
            self.trained, batches, task=self.task, precision=self._precision, processes=self.processes
        )

    def _sums_before(self) -> tuple[float, int]:
        if self.rows:
            return self.rows[-1]["resource_loss"], self.rows[-1]["live_edges"]
        magnitudes = history_of(self.module, [self.history[0].numpy()]).magnitudes
        return float(magnitudes.sum()), int((magnitudes >= self._optimization.threshold).sum())


def evaluate(
    module: GraphModule,
    batches: Batches,
    *,
    task: Task = TASKS["classification"],
    precision: str = "fp32",
    processes: Processes | None = None,
) -> Evaluation:
    """Return the mean loss and the score of ``module`` on ``batches``, in evaluation mode.

    Several processes share the batches, and all receive the same result.
    """
    processes = processes or Processes()
    shape = task.score.shape(module.n_classes)
    totals = torch.zeros(2 + math.prod(shape), dtype=torch.float64, device="cpu")
    for outputs, targets in predictions(module, batches, precision=precision, processes=processes):
        totals[0] += task.total_loss(outputs, targets).item()
        totals[1:-1] += task.score.terms(outputs, targets).reshape(-1).cpu()
        totals[-1] += len(targets)
    processes.add_up([totals])
    images = totals[-1].item()
    return Evaluation(totals[0].item() / images, task.score.at(totals[1:-1].reshape(shape) / images))


def predictions(
    module: GraphModule, batches: Batches, *, precision: str = "fp32", processes: Processes | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the outputs (float32) and targets of every batch, in order, from ``module`` in evaluation mode.

    Of several processes each yields those of its own batches.
    """
    was_training = module.training
    module.eval()
    try:
        for images, labels in (processes or Processes()).turns(batches.in_order()):
            with torch.no_grad(), autocast(images.device, precision):
                outputs = module(images)
            yield outputs.float(), labels
    finally:
        module.train(was_training)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """Return the context of a forward pass in ``precision``."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _copy(edge_weight: Tensor) -> Tensor:
    return edge_weight.detach().to("cpu", torch.float32, copy=True)


@contextlib.contextmanager
def _around(callbacks: Sequence[Callback], trainer: Trainer) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for callback in callbacks:
            stack.callback(callback.end, trainer)
            callback.start(trainer)
        yield
