"""Training configuration: four frozen dataclasses that Python, TOML files and the command line share."""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from graphtask.data.arrays import as_image_data
from graphtask.data.dataset import ImageData
from graphtask.data.targets import CLASSES, PIXELS, VALUES
from graphtask.data.transforms import parse_transform
from graphtask.errors import ArgumentError
from graphtask.named import is_code_name, name_of
from graphtask.runs.history import is_gate_name
from graphtask.storage.toml import read_toml
from graphtask.types import PAPER_THRESHOLD, STANDARD
from graphtask.validation import choice, integer, invalid, number, suggestion

CLASSIFICATION = "classification"
"""Name of the task that a configuration without one has."""
PRECISIONS = ("fp32", "bf16")
EXECUTIONS = ("auto", "fused", "plain")
EDGE_UPDATES = ("gradient", "proximal")
EDGE_PENALTIES = ("l1", "relative", "hoyer")

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")
_Section = TypeVar("_Section")


def _option(default: Any, about: str, **metadata: Any) -> Any:
    """Return a dataclass field with its help text, and its keyword if that differs from its name."""
    return field(default=default, metadata={"about": about, **metadata})


class _Checked:
    """Base of the sections: reads the values of its fields with the checks of `_rules`."""

    def _put(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class ModelConfig(_Checked):
    """Network of a graph.

    Raises:
        ArgumentError: A value is outside its range.
    """

    channels: int = _option(11, "Channels of stage 0; doubled with every stage.")
    """Channels of stage 0, at least 1; doubled with every stage."""

    gate: str = _option(
        "tanh", "Activation of the edge weights: tanh, sigmoid, none, or package.module:name."
    )
    """Activation of the edge weights: ``tanh``, ``sigmoid``, ``none``, or ``package.module:name`` of a function of a
    tensor; see `graphtask.compile`. The function itself may be passed, too."""

    block: str | None = _option(None, "Block of the nodes: a name, or package.module:name.")
    """Block of the nodes: a name in `graphtask.blocks.BLOCKS` such as ``separable``, or ``package.module:name`` of a class
    or function of (in_channels, out_channels, stride); see `graphtask.compile`. The class itself may be passed, too.
    None is the standard block."""

    head: str | None = _option(None, "Head of the network: pooled, dense, or package.module:name.")
    """Head of the network: ``pooled`` (one prediction for an image), ``dense`` (one for every pixel), or
    ``package.module:name``; see `graphtask.compile`. None is the head of the task."""

    reset_weights: bool = _option(
        False, "Start a trained graph from equal edge weights instead of its trained ones."
    )
    """Start a trained graph from equal edge weights, as from its initial graph."""

    def __post_init__(self) -> None:
        self._put(
            channels=integer(self.channels, name="channels"),
            gate=_part_name(self.gate, name="gate"),
            block=_part_name(self.block, name="block"),
            head=_part_name(self.head, name="head"),
        )
        if self.block == STANDARD:
            self._put(block=None)
        if not is_gate_name(self.gate):
            raise invalid("gate", "tanh, sigmoid, none or package.module:name", self.gate)
        _flag(self.reset_weights, name="reset_weights")


@dataclass(frozen=True, kw_only=True)
class DataConfig(_Checked):
    """Images: their source, and how they are prepared, split and augmented.

    As keywords of `TrainConfig` and `graphtask.train` the first four are called ``data``, ``data_name``,
    ``data_root`` and ``data_seed``.

    Raises:
        ArgumentError: A value is outside its range.
        DataError: Arrays do not make a data set.
    """

    source: "str | ImageData | None" = _option(  # noqa: RUF009 - it returns a field
        None,
        "Name of a data set, path of a .npz file, image folder, or package.module:name.",
        keyword="data",
    )
    """Name of a data set, path of a ``.npz`` file or image folder, ``package.module:name`` of a function that returns
    data, or the data itself; see `graphtask.load_data`."""

    name: str | None = _option(
        None, "Name of the data set in tables, instead of that of its file.", keyword="data_name"
    )
    """Name in tables and provenance; None uses the data set's own name, for a file that of the file."""

    root: str | None = _option(None, "Folder of the named data sets, or of the file.", keyword="data_root")
    """Folder of the named data sets; a relative path of a file that does not exist is looked for in it, too."""

    seed: int = _option(0, "Random seed for the colors and tiles of the data set.", keyword="data_seed")
    """Random seed for the colors and tiles, at least 0."""

    download: bool = _option(False, "Download a named data set that is missing.")
    """Download a named data set that is missing."""

    transforms: tuple[str, ...] = _option(
        (), "Transforms of the images, such as pad:2 or color, in the order given."
    )
    """Transforms applied once, in this order, such as ``("pad:2", "color")``."""

    task: str | None = _option(
        None, "Task: classification, regression, multilabel, segmentation, or package.module:name."
    )
    """Name in `graphtask.tasks.TASKS`, or ``package.module:name`` of a `graphtask.tasks.Task`: the kind of the targets,
    and the loss, score and head. None is classification."""

    validation: float | None = _option(
        None,
        "Share of the training images held out for decisions; test images are then used once, at the end.",
    )
    """Share of the training images, in [0, 0.5], that is held out (always the same ones) for early stopping and the
    choice of τ and λ; the test images are then used once, after training. None uses the validation images that the
    data set brings, if any; 0 uses none, as the paper does."""

    crop_padding: int = _option(4, "Pixels by which images are randomly shifted; 0 for none.")
    """Black pixels around an image before it is randomly cropped to its size; 0 for no cropping."""

    flip: bool = _option(True, "Mirror half of the training images left to right at random.")
    """Mirror half of the training images left to right at random."""

    @property
    def targets(self) -> str:
        """Kind of the targets, as `graphtask.load_data` has it; a task of the user is imported."""
        known = {None: CLASSES, "regression": VALUES, "multilabel": VALUES, "segmentation": PIXELS}
        if self.task in known:
            return known[self.task]
        from graphtask.tasks import load_task  # which loads PyTorch

        return load_task(str(self.task)).targets

    def __post_init__(self) -> None:
        task = None if self.task in {None, CLASSIFICATION} else _text(self.task, name="task")
        object.__setattr__(self, "task", task)
        source: Any = self.source
        if isinstance(source, os.PathLike):
            source = os.fspath(source)
        elif source is not None and not isinstance(source, str | ImageData):
            source = as_image_data(source, targets=self.targets)
        name = None if self.name is None else _text(self.name, name="data_name")
        root: Any = self.root
        root = os.fspath(root) if isinstance(root, os.PathLike) else root
        root = None if root is None else _text(root, name="data_root")
        self._put(
            source=source,
            name=name,
            root=root,
            seed=integer(self.seed, name="data_seed", least=0),
            transforms=_transforms(self.transforms),
            validation=None
            if self.validation is None
            else number(self.validation, name="validation", least=0, most=0.5),
            crop_padding=integer(self.crop_padding, name="crop_padding", least=0),
        )
        _flag(self.download, name="download")
        _flag(self.flip, name="flip")


@dataclass(frozen=True, kw_only=True)
class OptimizationConfig(_Checked):
    """Loss, optimizer and schedule; the defaults are those of Janik & Nowak (2020), Appendix A.

    The loss is that of the task (cross-entropy for classification) + ``edge_l1`` · Σ|gate(w)| over the edges, minimized by SGD; ``edge_penalty`` has other
    penalties.

    Raises:
        ArgumentError: A value is outside its range.

    Example:
        >>> optimization = OptimizationConfig(epochs=10)
        >>> [round(optimization.learning_rate_at(epoch), 4) for epoch in (0, 7, 8, 9)]
        [0.1, 0.1, 0.01, 0.001]
    """

    seed: int = _option(0, "Random seed for initialization, data order and augmentation.")
    """Random seed for initialization, data order and augmentation, at least 0."""

    epochs: int = _option(100, "Passes over the training images.")
    """Passes over the training images, at least 1."""

    batch_size: int = _option(128, "Images per step.")
    """Images per step, at least 2 (batch normalization needs more than one); the last, shorter batch is kept."""

    learning_rate: float = _option(0.1, "Initial step size of SGD.")
    """Initial step size of SGD, above 0."""

    momentum: float = _option(0.9, "Momentum of SGD.")
    """Momentum of SGD, in [0, 1)."""

    weight_decay: float = _option(1e-4, "L2 penalty on all parameters.")
    """L2 penalty of SGD on all parameters, edge weights included; at least 0."""

    milestones: tuple[float, ...] = _option(
        (0.8, 0.9), "Fractions of the epochs after which the learning rate is reduced."
    )
    """Fractions of ``epochs``, in [0, 1], after which the learning rate is reduced, from the next whole epoch on."""

    learning_rate_decay: float = _option(0.1, "Factor on the learning rate at each milestone.")
    """Factor on the learning rate at each milestone, in (0, 1]."""

    edge_l1: float = _option(1e-3, "λ, the L1 penalty on the edges.")
    """λ, the L1 penalty on the edges (or the factor of another ``edge_penalty``); at least 0."""

    edge_penalty: str = _option(
        "l1",
        "Penalty on the edges: L1 as in the paper, or one that does not depend on the scale of a node's edges.",
        choices=EDGE_PENALTIES,
    )
    """``l1``: Σ|gate(w)|, as in the paper. ``relative`` and ``hoyer`` do not change if the weights of all edges into
    a node are multiplied by one factor, as the network does not: the sum of weights relative to the strongest edge
    into the same node, and the Hoyer-Square measure (Σ|g|)²/Σg², for each node; see `graphtask.training.penalty`."""

    edge_update: str = _option(
        "gradient",
        "Treatment of the L1 penalty: part of the gradient, or a proximal step.",
        choices=EDGE_UPDATES,
    )
    """``gradient``: the penalty is part of the loss, as in the paper. ``proximal``: after each step, gate(w) is
    soft-thresholded by learning rate · λ / (1 − momentum), so that unwanted edges become exactly zero."""

    edge_learning_rate: float | None = _option(None, "Initial step size of the edge weights, if another.")
    """Initial step size of the edge weights, above 0; None is ``learning_rate``."""

    edge_weight_decay: float | None = _option(None, "L2 penalty on the edge weights, if another.")
    """L2 penalty on the edge weights, at least 0; None is ``weight_decay``."""

    loss: str | None = _option(None, "Loss: a function of torch.nn.functional, or package.module:name.")
    """Function of `torch.nn.functional` such as ``smooth_l1_loss``, or ``package.module:name`` of a function of outputs
    and targets that returns the mean of a batch. None is the loss of the task."""

    score: str | None = _option(None, "Score in the tables: a name, or package.module:name.")
    """Name in `graphtask.tasks.SCORES`, or ``package.module:name`` of a `graphtask.tasks.Score`. None is that of the
    task."""

    optimizer: str = _option("SGD", "Class of torch.optim, or package.module:name.")
    """Class of `torch.optim` such as ``AdamW``, or ``package.module:name``; ``momentum`` is passed to SGD only."""

    optimizer_options: Mapping[str, Any] = field(
        default_factory=dict, hash=False, metadata={"about": "Further arguments of the optimizer."}
    )
    """Further arguments of the optimizer, such as ``{"nesterov": True}``."""

    schedule: str = _option("steps", "steps, a class of torch.optim.lr_scheduler, or package.module:name.")
    """``steps`` (``milestones`` and ``learning_rate_decay``), a class of `torch.optim.lr_scheduler` such as
    ``CosineAnnealingLR``, or ``package.module:name``; stepped after every epoch."""

    schedule_options: Mapping[str, Any] = field(
        default_factory=dict, hash=False, metadata={"about": "Arguments of the schedule."}
    )
    """Arguments of the schedule; ``T_max`` is ``epochs`` unless it is given."""

    warm_up: float | None = _option(None, "Epochs in which the learning rate rises linearly, step by step.")
    """Epochs, at least 0 and not necessarily whole, in which the learning rate rises linearly to that of the schedule:
    after t of them it is multiplied by min(t / ``warm_up``, 1), which is set for every step (Goyal et al. 2017). None is 0."""

    gradient_clip: float | None = _option(None, "Largest norm of the gradient; a larger one is scaled down.")
    """Largest Euclidean norm of the gradient of all parameters, above 0; a larger gradient is scaled down to it
    (`torch.nn.utils.clip_grad_norm_`). None does not clip."""

    ema: float | None = _option(
        None, "Decay of the moving average of the weights, which is stored as the result."
    )
    """Decay, in [0, 1), of an exponential moving average of the parameters and batch statistics, updated after every
    step: the average is the network that is evaluated, reported and stored; see `graphtask.training.average`. None or 0
    is the network of the last step."""

    early_stopping: int = _option(0, "Stop after so many epochs without a lower validation loss; 0 never.")
    """Stop after this many epochs without a lower validation loss, at least 0; 0 never stops early. Needs validation
    images."""

    threshold: float = _option(PAPER_THRESHOLD, "Weight from which an edge counts as live in reports.")
    """τ: edges of at least this weight count as live in reports; at least 0."""

    def __post_init__(self) -> None:
        self._put(
            seed=integer(self.seed, name="seed", least=0),
            epochs=integer(self.epochs, name="epochs"),
            batch_size=integer(self.batch_size, name="batch_size", least=2),
            learning_rate=number(self.learning_rate, name="learning_rate", least=0, least_open=True),
            momentum=number(self.momentum, name="momentum", least=0, most=1, most_open=True),
            weight_decay=number(self.weight_decay, name="weight_decay", least=0),
            milestones=_milestones(self.milestones),
            learning_rate_decay=number(
                self.learning_rate_decay, name="learning_rate_decay", least=0, most=1, least_open=True
            ),
            edge_l1=number(self.edge_l1, name="edge_l1", least=0),
            edge_learning_rate=None
            if self.edge_learning_rate is None
            else number(self.edge_learning_rate, name="edge_learning_rate", least=0, least_open=True),
            edge_weight_decay=None
            if self.edge_weight_decay is None
            else number(self.edge_weight_decay, name="edge_weight_decay", least=0),
            loss=None if self.loss is None else _name(self.loss, name="loss"),
            score=None if self.score is None else _text(self.score, name="score"),
            optimizer=_text(self.optimizer, name="optimizer"),
            optimizer_options=_table(self.optimizer_options, name="optimizer_options"),
            schedule=_text(self.schedule, name="schedule"),
            schedule_options=_table(self.schedule_options, name="schedule_options"),
            warm_up=None if self.warm_up is None else number(self.warm_up, name="warm_up", least=0),
            gradient_clip=None
            if self.gradient_clip is None
            else number(self.gradient_clip, name="gradient_clip", least=0, least_open=True),
            ema=None if self.ema is None else number(self.ema, name="ema", least=0, most=1, most_open=True),
            early_stopping=integer(self.early_stopping, name="early_stopping", least=0),
            threshold=number(self.threshold, name="threshold", least=0),
        )
        choice(self.edge_update, name="edge_update", choices=EDGE_UPDATES)
        choice(self.edge_penalty, name="edge_penalty", choices=EDGE_PENALTIES)
        if self.edge_update == "proximal" and self.edge_penalty != "l1":
            raise invalid("edge_penalty", "l1 with edge_update='proximal'", self.edge_penalty)

    def learning_rate_at(self, epoch: int) -> float:
        """Return the learning rate of ``steps`` during ``epoch``, counted from 0, and at its end during warm-up."""
        return self.decayed_rate(epoch) * self.warm_up_factor(epoch + 1)

    def decayed_rate(self, epoch: int) -> float:
        """Return the learning rate of ``steps`` during ``epoch``, counted from 0, without the factor of the warm-up."""
        # Rounded, because 0.07 · 100 is a little more than 7 in binary.
        passed = sum(epoch >= round(milestone * self.epochs, 9) for milestone in self.milestones)
        return self.learning_rate * self.learning_rate_decay**passed

    def warm_up_factor(self, epochs: float) -> float:
        """Return the factor on the learning rate of the step that completes this many epochs.

        Example:
            >>> optimization = OptimizationConfig(warm_up=2)
            >>> [optimization.warm_up_factor(epochs) for epochs in (0.5, 2, 3)]
            [0.25, 1.0, 1.0]
        """
        return min(epochs / self.warm_up, 1.0) if self.warm_up else 1.0

    def edge_step(self, learning_rate: float) -> float:
        """Return learning rate · λ / (1 − momentum), the weight by which an edge at rest swings at most.

        Example:
            >>> OptimizationConfig(edge_l1=0.001).edge_step(0.1)
            0.001
        """
        momentum = self.momentum if self.optimizer == "SGD" else 0.0
        return round(learning_rate * self.edge_l1 / (1 - momentum), 15)


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig(_Checked):
    """Execution: where, how precisely and how fast. All but ``precision`` may differ when a run is resumed.

    Raises:
        ArgumentError: A value is outside its range.
    """

    device: str = _option("auto", "auto (CUDA, else MPS, else CPU), cpu, cuda, cuda:1 or mps.")
    """``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. A default device of PyTorch
    (`torch.set_default_device`) is ignored: this option decides."""

    precision: str = _option("fp32", "Floating-point format of the forward pass.", choices=PRECISIONS)
    """Floating-point format of the forward pass: ``fp32`` or ``bf16``."""

    execution: str = _option("auto", "Execution of the network; the results agree.", choices=EXECUTIONS)
    """Execution of the network, ``auto``, ``fused`` or ``plain``; see `graphtask.compile`."""

    threads: int | None = _option(None, "CPU threads.  [default: PyTorch's number]")
    """CPU threads during the run, at least 1; None leaves PyTorch's number."""

    cuda_graph: bool = _option(True, "Capture the training step as a CUDA graph, on a GPU.")
    """Capture the training step of a single process on a GPU as a CUDA graph: same results, faster, more memory."""

    checkpoint_seconds: float = _option(300.0, "Seconds between checkpoints within an epoch.")
    """Seconds between checkpoints within an epoch, at least 0; there is one after every epoch in any case."""

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise invalid("device", "auto, cpu, cuda, cuda:1 or mps", self.device)
        choice(self.precision, name="precision", choices=PRECISIONS)
        choice(self.execution, name="execution", choices=EXECUTIONS)
        _flag(self.cuda_graph, name="cuda_graph")
        self._put(
            threads=None if self.threads is None else integer(self.threads, name="threads"),
            checkpoint_seconds=number(self.checkpoint_seconds, name="checkpoint_seconds", least=0),
        )


@dataclass(frozen=True, init=False)
class TrainConfig:
    """Training configuration: all options of a run, checked and immutable.

    Options are given by keyword, as sections, or both; a keyword has priority over its section. Python, TOML files
    and the command line (``--batch-size`` for ``batch_size``) use the same names.

    Args:
        model: `ModelConfig`, or a mapping of its fields.
        data: `DataConfig`, or a mapping of its fields; or directly its ``source``: a name, a path, or the data.
        optimization: `OptimizationConfig`, or a mapping of its fields.
        runtime: `RuntimeConfig`, or a mapping of its fields.
        options: Any field of the four; ``name``, ``root`` and ``seed`` of the data are ``data_name``, ``data_root``
            and ``data_seed``.

    Raises:
        ArgumentError: An option is unknown or outside its range.
        DataError: Arrays do not make a data set.

    Example:
        >>> config = TrainConfig(data="cdigits", channels=4, epochs=8, edge_l1=0.02)
        >>> config.data.source, config.model.channels, config.optimization.epochs
        ('cdigits', 4, 8)
        >>> config == TrainConfig(
        ...     data={"source": "cdigits"}, model={"channels": 4}, optimization={"epochs": 8, "edge_l1": 0.02}
        ... )
        True
        >>> config.replace(epochs=16).optimization.epochs
        16
    """

    model: ModelConfig
    data: DataConfig
    optimization: OptimizationConfig
    runtime: RuntimeConfig

    sections: ClassVar[Mapping[str, type]] = MappingProxyType(
        {
            "model": ModelConfig,
            "data": DataConfig,
            "optimization": OptimizationConfig,
            "runtime": RuntimeConfig,
        }
    )
    """Class of each section."""

    def __init__(
        self,
        *,
        model: ModelConfig | Mapping[str, Any] | None = None,
        data: Any = None,
        optimization: OptimizationConfig | Mapping[str, Any] | None = None,
        runtime: RuntimeConfig | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if not _is_section(data, DataConfig):
            options, data = {"data": data, **options}, None
        given = {"model": model, "data": data, "optimization": optimization, "runtime": runtime}
        bases: dict[str, Any] = {
            name: _section(self.sections[name], value, name) for name, value in given.items()
        }
        for name, section in _updated(bases, options).items():
            object.__setattr__(self, name, section)

    def replace(self, **options: Any) -> "TrainConfig":
        """Return a copy with some options changed; arguments as in `TrainConfig`.

        A section given as a mapping changes the fields that it has.

        Raises:
            ArgumentError: An option is unknown or outside its range.
        """
        sections = dict(self._sections())
        for name in self.sections:
            value = options.get(name)
            if value is None or (name == "data" and not _is_section(value, DataConfig)):
                continue
            options.pop(name)
            if not isinstance(value, Mapping):
                value = _values(_section(self.sections[name], value, name))
            _check_names(value, (item.name for item in fields(sections[name])), where=f"[{name}] ")
            sections[name] = dataclasses.replace(sections[name], **value)
        return TrainConfig(**_updated(sections, options))

    @property
    def code(self) -> dict[str, str]:
        """Options that name code of the user, as ``package.module:name``; training imports it.

        Example:
            >>> TrainConfig(optimizer="AdamW", block="torch.nn:Conv2d").code
            {'block': 'torch.nn:Conv2d'}
        """
        source = self.data.source
        named = {
            "data": source if isinstance(source, str) and is_code_name(source) else None,
            "gate": self.model.gate,
            "block": self.model.block,
            "head": self.model.head,
            "task": self.data.task,
            "loss": self.optimization.loss,
            "score": self.optimization.score,
            "optimizer": self.optimization.optimizer,
            "schedule": self.optimization.schedule,
        }
        return {keyword: text for keyword, text in named.items() if text is not None and ":" in text}

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as nested JSON values; data that were passed as arrays become null."""
        values: dict[str, Any] = {name: _values(section) for name, section in self._sections().items()}
        if isinstance(self.data.source, ImageData):
            values["data"]["source"] = None
        return {
            name: {key: list(value) if isinstance(value, tuple) else value for key, value in section.items()}
            for name, section in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Return the configuration that `to_json` wrote; entries that are no section are ignored.

        Raises:
            ArgumentError: An option is unknown or outside its range.
        """
        source = values.get("data", {}).get("source")
        if source is not None and not isinstance(
            source, str
        ):  # arrays would be read as the task asks, whose code that imports
            raise invalid("source", "a name or path, or null", source)
        return cls(**{name: values[name] for name in cls.sections if name in values})

    def _sections(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.sections}


OPTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        item.metadata.get("keyword", item.name): (name, item.name)
        for name, section in TrainConfig.sections.items()
        for item in fields(section)
    }
)
"""Section and field of every keyword of `TrainConfig`."""


def option_field(keyword: str) -> "dataclasses.Field[Any]":
    """Return the dataclass field of an option: its default, and ``about`` and ``choices`` in its metadata.

    Example:
        >>> option_field("data_seed").default
        0
    """
    section, name = OPTIONS[keyword]
    return next(item for item in fields(TrainConfig.sections[section]) if item.name == name)


def read_config_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read training options from a TOML file, for `TrainConfig`: keywords at the top, sections as tables, or both.

    Paths in it are relative to the file.

    Raises:
        ArgumentError: The file cannot be read, or an option in it is unknown or outside its range.
    """
    path = Path(path)
    try:
        values = _with_paths(read_toml(path), path.absolute().parent)
        TrainConfig(**values)
    except OSError as error:
        raise ArgumentError(f"{path}: the configuration cannot be read ({error.strerror})") from error
    except ValueError as error:  # of TOML, of UTF-8, and of the options
        kind = "" if isinstance(error, ArgumentError) else "not valid TOML: "
        raise ArgumentError(f"{path}: {kind}{error}") from error
    return values


def _with_paths(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the options of a file with paths relative to its folder made absolute, if they exist there."""

    def absolute(value: object) -> object:
        return str(folder / value) if isinstance(value, str) and (folder / value).exists() else value

    found: dict[str, Any] = dict(values)
    found |= {key: absolute(value) for key, value in values.items() if key in {"data", "data_root"}}
    if isinstance(values.get("data"), dict):
        inside: dict[str, Any] = values["data"]
        found["data"] = inside | {key: absolute(inside[key]) for key in ("source", "root") if key in inside}
    return found


def _is_section(value: object, section: type) -> bool:
    """Return True for a section, or a mapping of its fields; a mapping of arrays is a data source."""
    if isinstance(value, Mapping):
        names = {item.name for item in fields(section)}
        return not any(hasattr(entry, "shape") for entry in value.values()) or set(value) <= names
    return isinstance(value, section)


def _section(kind: type[_Section], value: Any, name: str) -> _Section:
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise invalid(name, f"a {kind.__name__} or a table of its fields", value)
    _check_names(value, (item.name for item in fields(kind)), where=f"[{name}] ")  # type: ignore[arg-type]
    return kind(**value)


def _updated(bases: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections with options changed by their keywords."""
    _check_names(options, OPTIONS)
    changes: dict[str, dict[str, Any]] = {name: {} for name in bases}
    for keyword, value in options.items():
        section, name = OPTIONS[keyword]
        if keyword != "data" or value is not None:
            changes[section][name] = value
    return {
        name: dataclasses.replace(base, **changes[name]) if changes[name] else base
        for name, base in bases.items()
    }


def _check_names(values: Mapping[str, Any], known: Iterable[str], *, where: str = "") -> None:
    names = list(known)
    for key in values:
        if key not in names:
            raise ArgumentError(f"{where}unknown option {key!r}; {suggestion(str(key), names)}")


def _values(section: Any) -> dict[str, Any]:
    return {item.name: getattr(section, item.name) for item in fields(section)}


def _milestones(values: object) -> tuple[float, ...]:
    if not isinstance(values, tuple | list):
        raise invalid("milestones", "a list of fractions in [0, 1], such as (0.8, 0.9)", values)
    return tuple(number(value, name="milestones", least=0, most=1) for value in values)


def _transforms(values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise invalid("transforms", 'a list of transforms, such as ("pad:2", "color")', values)
    return tuple(str(parse_transform(value)) for value in values)


def _text(value: object, *, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise invalid(name, "a non-empty text", value)
    return value


def _name(value: object, *, name: str) -> str:
    """Return the name of a function of the user, which may be given as itself."""
    return _text(value, name=name) if isinstance(value, str) else name_of(value, name=name)


def _part_name(value: Any, *, name: str) -> str | None:
    """Return the name of a block, head or gate, which may be given as itself."""
    if value is None or isinstance(value, str):
        return value and _text(value, name=name)
    from graphtask.compiler.library import PARTS  # which loads PyTorch

    return PARTS[name].name_of(value)


def _table(value: object, *, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise invalid(name, "a table of names and values", value)
    return dict(value)


def _flag(value: object, *, name: str) -> None:
    if not isinstance(value, bool):
        raise invalid(name, "True or False", value)
