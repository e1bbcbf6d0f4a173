"""One training run as a loop whose whole state can be saved after any step and taken up again."""

import contextlib
import math
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from graphtask.compiler.module import GraphModule
from graphtask.data.batches import Batches
from graphtask.errors import DivergedError
from graphtask.training.config import Regime
from graphtask.training.cuda_graph import CapturedStep, Recorder
from graphtask.training.distributed import Processes
from graphtask.training.progress import Reporter


class Evaluation(NamedTuple):
    """How well a module does on a set of images: mean cross-entropy (natural logarithm) and share of hits."""

    loss: float
    accuracy: float


class Trainer:
    """A module in training: its optimizer, how far it is, and what was recorded on the way.

    The order of the images and their augmentation follow from ``seed`` and the number of the epoch alone, so that
    `state_dict` has no random state in it, and a run goes on exactly where it was saved, in the middle of an
    epoch too.

    Args:
        module: The network; it stays on the device it is on.
        train: Training images, on the same device.
        test: Test images, on the same device.
        regime: How to train.
        seed: Of the order of the images and of their augmentation.
        precision: ``fp32``, or ``bf16`` for autocast to bfloat16 (edge weights and losses stay in float32).
        processes: Who trains the run together with this process; None is nobody.
        recorder: What the step is recorded with, to be replayed for every batch; None does each as it comes. For one
            process only, and not on the CPU, where nothing is gained.
    """

    def __init__(
        self,
        module: GraphModule,
        *,
        train: Batches,
        test: Batches,
        regime: Regime,
        seed: int,
        precision: str = "fp32",
        processes: Processes | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.module = module
        self.processes = processes or Processes()
        self.train = train
        self.test = test
        self.regime = regime
        self.seed = seed
        self.precision = precision
        self.device = module.edge_weight.device
        self.optimizer = torch.optim.SGD(
            module.parameters(),
            lr=regime.learning_rate,
            momentum=regime.momentum,
            weight_decay=regime.weight_decay,
            fused=self.device.type in {"cpu", "cuda"},
        )
        self.epoch = 0
        self.step = 0
        self.seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        self.history = [_copy(module.edge_weight)]
        # Sums over this epoch: cross-entropy, hits, images. They stay on the device: reading them waits for it.
        self.totals = torch.zeros(3, device=self.device)
        # On a GPU the learning rate is there too, in float32 as PyTorch asks: so a recorded step reads the present one.
        on_device = self.device.type == "cuda" or recorder is not None
        self._rate = torch.zeros((), dtype=torch.float32, device=self.device) if on_device else None
        # Not a reference in a circle: the memory on the device has to go with the trainer, not with the next collection.
        this = weakref.proxy(self)
        self._captured = (
            None
            if recorder is None
            else CapturedStep(lambda images, labels: this._compute(images, labels), recorder)  # noqa: SLF001  # our own
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs to go on, as tensors and plain values."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
            "history": torch.stack(self.history),
            "totals": self.totals,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` gave."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        self.step = state["step"]
        self.seconds = state["seconds"]
        self.rows = list(state["rows"])
        self.history = list(state["history"].unbind())
        self.totals.copy_(state["totals"])
        if self._captured is not None:
            self._captured.forget()  # the optimizer's state is in other tensors now

    def fit(self, *, reporter: Reporter, on_step: Callable[[], None], on_epoch: Callable[[], None]) -> None:
        """Train to the end of the last epoch.

        Args:
            reporter: Hears of every step and epoch.
            on_step: Called after every step; may save the state, and may raise to stop.
            on_epoch: Called after every epoch, when its row and its edge weights are recorded.

        Raises:
            DivergedError: The loss is not finite any more.
        """
        while self.epoch < self.regime.epochs:
            self._train_epoch(reporter, on_step)
            self._record_epoch()
            reporter.epoch(self.rows[-1])
            on_epoch()

    def connections(self) -> tuple[float, int]:
        """What all connections cost now, Σ|gate(w)|, and how many are live."""
        magnitudes = self.module.edge_weights().detach().abs().cpu().double()
        return magnitudes.sum().item(), int((magnitudes >= self.regime.threshold).sum())

    def check_finite(self) -> None:
        """Raise if the loss of this epoch is not finite; on an accelerator this waits for it.

        Raises:
            DivergedError: It is not; says what to change.
        """
        self._check_finite(self.totals[0].item(), what="loss")

    def _check_finite(self, value: float, *, what: str) -> None:
        if not math.isfinite(value):
            raise DivergedError(
                f"the {what} is not finite in epoch {self.epoch + 1} of {self.regime.epochs}; lower the learning rate "
                f"(now {self.regime.learning_rate_at(self.epoch):g}) or the price (now "
                f"{self.regime.edge_l1:g}), or take another seed, and train in another folder"
            )

    def _train_epoch(self, reporter: Reporter, on_step: Callable[[], None]) -> None:
        self.module.train()
        self._set_learning_rate(self.regime.learning_rate_at(self.epoch))
        clock = time.perf_counter()
        for images, labels in self.train.epoch(seed=self.seed, epoch=self.epoch, start=self.step):
            self._train_step(images, labels)
            self.step += 1
            now = time.perf_counter()
            self.seconds += now - clock
            clock = now
            loss, accuracy = self._running() if self.device.type == "cpu" else (None, None)
            reporter.step(epoch=self.epoch, loss=loss, accuracy=accuracy)
            on_step()
        self.check_finite()
        self.seconds += time.perf_counter() - clock

    def _set_learning_rate(self, value: float) -> None:
        rate = value if self._rate is None else self._rate.fill_(value)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _train_step(self, images: Float[Tensor, "batch channels height width"], labels: Tensor) -> None:
        if self._captured is None:
            self._compute(images, labels)
        else:
            self._captured(images, labels)

    def _compute(self, images: Float[Tensor, "batch channels height width"], labels: Tensor) -> None:
        """One step: nothing that it does waits for the device, and all it leaves behind is written in place."""
        with self.processes.part(len(labels)) as part:
            images, labels = images[part.images], labels[part.images]
            with autocast(self.device, self.precision):
                logits = self.module(images)
            cross_entropy = functional.cross_entropy(logits.float(), labels)
            loss = cross_entropy + self.regime.edge_l1 * self.module.resource_loss()
            self.optimizer.zero_grad(set_to_none=True)
            # The shares add up to 1, so that the price of the connections counts once.
            (loss * part.share).backward()  # type: ignore[no-untyped-call]
        counts = torch.zeros_like(self.totals)
        if part.counts:
            counts[0] = cross_entropy.detach() * len(labels)
            counts[1] = (logits.argmax(dim=1) == labels).sum()
            counts[2].fill_(len(labels))  # to assign it, older releases of PyTorch wait for the device
        gradients = [value.grad for value in self.module.parameters() if value.grad is not None]
        self.processes.add_up([*gradients, counts])
        self.optimizer.step()
        self.totals += counts

    def _running(self) -> tuple[float, float]:
        self.check_finite()
        loss, hits, images = self.totals.tolist()
        return loss / images, hits / images

    def _record_epoch(self) -> None:
        loss, hits, images = self.totals.tolist()
        test = evaluate(self.module, self.test, precision=self.precision, processes=self.processes)
        price, live_edges = self.connections()
        self._check_finite(price, what="sum of the edge weights")  # the last step may have spoilt them
        self.history.append(_copy(self.module.edge_weight))
        self.rows.append(
            {
                "epoch": self.epoch + 1,
                "learning_rate": self.regime.learning_rate_at(self.epoch),
                "train_loss": loss / images,
                "train_accuracy": hits / images,
                "resource_loss": price,
                "test_loss": test.loss,
                "test_accuracy": test.accuracy,
                "live_edges": live_edges,
                "seconds": self.seconds,
            }
        )
        self.epoch += 1
        self.step = 0
        self.seconds = 0.0
        self.totals.zero_()


def evaluate(
    module: GraphModule, batches: Batches, *, precision: str = "fp32", processes: Processes | None = None
) -> Evaluation:
    """Mean cross-entropy and accuracy of ``module`` on ``batches``, in evaluation mode.

    Several processes take turns with the batches, and get the same result.
    """
    processes = processes or Processes()
    loss, hits, images = 0.0, 0, 0
    for logits, labels in predictions(module, batches, precision=precision, processes=processes):
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        hits += int((logits.argmax(dim=1) == labels).sum())
        images += len(labels)
    totals = torch.tensor([loss, hits, images], dtype=torch.float64)
    processes.add_up([totals])
    loss, hits, images = totals.tolist()
    return Evaluation(loss=loss / images, accuracy=hits / images)


def predictions(
    module: GraphModule, batches: Batches, *, precision: str = "fp32", processes: Processes | None = None
) -> Iterator[tuple[Float[Tensor, "batch classes"], Tensor]]:
    """The logits (float32) and labels of every batch, in order, from ``module`` in evaluation mode.

    Of several processes each gives those of its own batches.
    """
    was_training = module.training
    module.eval()
    try:
        for images, labels in (processes or Processes()).turns(batches.in_order()):
            with torch.no_grad(), autocast(images.device, precision):
                logits = module(images)
            yield logits.float(), labels
    finally:
        module.train(was_training)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which a forward pass runs in ``precision``."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _copy(edge_weight: Tensor) -> Float[Tensor, " edge"]:
    return edge_weight.detach().to("cpu", torch.float32, copy=True)
