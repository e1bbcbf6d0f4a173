"""A training step that is recorded once for each shape of a batch, and replayed from then on.

On a GPU a step of a small network is thousands of short kernels, and launching them takes the CPU longer than running
them takes the GPU. A CUDA graph launches all of them at once. It repeats what was done when it was recorded, at the
same addresses: so batches are copied into a place of their own, everything that a step changes stays where it is, and
the learning rate is a number on the device.
"""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import ConvBlock, has_hooks
from graphtask.compiler.module import GraphModule

Work: TypeAlias = Callable[[], None]

WARM_UP = (
    3  # batches of a shape before it is recorded: what libraries set up at first use is not part of a step
)


class Recorder(Protocol):
    """Recorder of a training step."""

    def warm_up(self, work: Work) -> None:
        """Do the work, where it will be recorded later."""

    def record(self, work: Work) -> Work:
        """Record the work without doing it, and give back what does it.

        Raises:
            RuntimeError: The work cannot be recorded; nothing has been done.
        """

    def forget(self) -> None:
        """Hear that nothing recorded so far will be replayed again."""


class Recording(NamedTuple):
    """The step for batches of one shape."""

    images: Tensor
    """Where it reads the images."""
    labels: Tensor
    """Where it reads their classes."""
    replay: Work


class CapturedStep:
    """Does a step on every batch: the first few of a shape as they come, the others by replaying a recording.

    The batches that are done as they come are steps like any other, so that a run has the same numbers as one without
    recordings, and a run that is too short to gain by them has none. If a step cannot be recorded, that is said once,
    and all batches are done as they come.

    Args:
        step: The step; it changes tensors in place, at addresses that stay.
        recorder: What it is recorded with.
    """

    def __init__(self, step: Callable[[Tensor, Tensor], None], recorder: Recorder) -> None:
        self._step = step
        self._recorder: Recorder | None = recorder
        self._recordings: dict[torch.Size, Recording] = {}
        self._done: Counter[torch.Size] = Counter()

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Do the step on a batch."""
        shape = images.shape
        if self._done[shape] >= WARM_UP and shape not in self._recordings:
            self._record(images, labels)
        recording = self._recordings.get(shape)
        if recording is not None:
            recording.images.copy_(images)
            recording.labels.copy_(labels)
            recording.replay()
        elif self._recorder is not None:
            self._recorder.warm_up(lambda: self._step(images, labels))
            self._done[shape] += 1
        else:
            self._step(images, labels)

    def forget(self) -> None:
        """Drop all recordings, because something that the step changes is elsewhere now."""
        self._recordings.clear()
        self._done.clear()
        if self._recorder is not None:
            self._recorder.forget()

    def _record(self, images: Tensor, labels: Tensor) -> None:
        assert self._recorder is not None
        images, labels = images.clone(), labels.clone()
        try:
            replay = self._recorder.record(lambda: self._step(images, labels))
        except RuntimeError as error:
            self._recorder = None
            self.forget()
            reason = (str(error) or type(error).__name__).splitlines()[0][:120]
            warnings.warn(
                f"the training step could not be captured as a CUDA graph ({reason}); training goes on step by step, "
                f"with the same results but slower: cuda_graph=False does not try",
                RuntimeWarning,
                stacklevel=2,
            )
        else:
            self._recordings[images.shape] = Recording(images, labels, replay)


class CudaRecorder:
    """Records what is launched on a GPU as a CUDA graph.

    All graphs of a recorder share their memory: they are replayed sequentially, and none reads what another has
    left there.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # One stream for warming up and recording: libraries have their handles and workspaces by stream, and a
        # recording must not wait for a stream that is not recorded.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.forget()

    def forget(self) -> None:
        """Take another pool of memory: one whose graphs are all gone must not be used again."""
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Work) -> None:
        """Do the work on the stream that is recorded later, between what the current stream did and will do."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """The replay of a CUDA graph of the work."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            # Some releases of PyTorch leave the stream of a capture that failed as the current one; this puts it back.
            torch.cuda.stream(torch.cuda.current_stream(self._device)),
            # What other threads do on the GPU meanwhile is no part of the work, and need not fail because of it.
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
        ):
            work()
        return graph.replay


def cuda_recorder(module: GraphModule) -> CudaRecorder | None:
    """The recorder for steps of a module; None where they cannot be recorded."""
    device = module.edge_weight.device
    return CudaRecorder(device) if device.type == "cuda" and always_does_the_same(module) else None


def always_does_the_same(module: GraphModule) -> bool:
    """Return True if a step is all work on the device, the same for every batch: no hooks, only standard blocks.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(3), channels=2)
        >>> hook = net.node("v1").register_forward_hook(lambda *_: print("a batch"))
        >>> always_does_the_same(net)
        False
    """
    blocks: list[nn.Module] = [*module.nodes.values(), *module.reduces.values()]
    return all(type(block) is ConvBlock for block in blocks) and not any(map(has_hooks, module.modules()))
