"""Training steps recorded as CUDA graphs, once for each shape of a batch, and replayed from then on.

On a GPU a step of a small network is thousands of short kernels, and launching them takes the CPU longer than running
them takes the GPU. A CUDA graph launches all of them at once. It repeats the recorded work at the same addresses. So
batches are copied into fixed buffers, everything that a step changes stays in place, and the learning rate is a tensor
on the device.
"""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import ConvBlock, has_hooks
from graphtask.compiler.gates import GATES
from graphtask.compiler.module import GraphModule

Work: TypeAlias = Callable[[], None]

WARM_UP = (
    3  # batches of a shape before it is recorded: what libraries set up at first use is not part of a step
)


class Recorder(Protocol):
    """Interface of recorders of steps."""

    def warm_up(self, work: Work) -> None:
        """Execute the work on the stream that will record it later."""

    def record(self, work: Work) -> Work:
        """Record the work without executing it, and return its replay.

        Raises:
            RuntimeError: The work cannot be recorded; nothing was executed.
        """

    def forget(self) -> None:
        """Release everything recorded so far: none of it will be replayed again."""


class Recording(NamedTuple):
    """Recorded step for batches of one shape."""

    images: Tensor
    """Buffer of the images."""
    labels: Tensor
    """Buffer of their classes."""
    replay: Work


class CapturedStep:
    """Executes a step on every batch: the first few of a shape directly, the others by replaying a recording.

    Directly executed batches are ordinary steps, so that a run has the same numbers as one without recordings, and a
    run that is too short to gain by them has none. If a step cannot be recorded, a warning reports it once, and all
    batches are executed directly.

    Args:
        step: The step; it changes tensors in place, at fixed addresses.
        recorder: Records the step.
    """

    def __init__(self, step: Callable[[Tensor, Tensor], None], recorder: Recorder) -> None:
        self._step = step
        self._recorder: Recorder | None = recorder
        self._recordings: dict[torch.Size, Recording] = {}
        self._done: Counter[torch.Size] = Counter()

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Execute the step on a batch."""
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
        """Drop all recordings, because a tensor that the step changes has moved."""
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
                f"the training step could not be captured as a CUDA graph ({reason}); training continues without it, "
                f"with the same results but slower; cuda_graph=False skips the attempt",
                RuntimeWarning,
                stacklevel=2,
            )
        else:
            self._recordings[images.shape] = Recording(images, labels, replay)


class CudaRecorder:
    """Records the work launched on a GPU as a CUDA graph.

    All graphs of a recorder share their memory: they are replayed sequentially, and none reads the results of another.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # One stream for warming up and recording: libraries keep handles and workspaces per stream, and a recording must
        # not wait for a stream that is not recorded.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.forget()

    def forget(self) -> None:
        """Take another memory pool: a pool whose graphs are all released must not be reused."""
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Work) -> None:
        """Execute the work on the recording stream, ordered with the work of the current stream."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """Return the replay of a CUDA graph of the work."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            # Some releases of PyTorch leave the stream of a failed capture as the current one; this restores it.
            torch.cuda.stream(torch.cuda.current_stream(self._device)),
            # Work of other threads on the GPU is no part of the recording, and must not fail because of it.
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
        ):
            work()
        return graph.replay


def cuda_recorder(module: GraphModule) -> CudaRecorder | None:
    """Return the recorder for steps of a module; None where they cannot be recorded."""
    device = module.edge_weight.device
    return CudaRecorder(device) if device.type == "cuda" and always_does_the_same(module) else None


def always_does_the_same(module: GraphModule) -> bool:
    """Return True if a step is the same work on the device for every batch: standard blocks and gate, no hooks.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(3), channels=2)
        >>> hook = net.node("v1").register_forward_hook(lambda *_: print("a batch"))
        >>> always_does_the_same(net)
        False
    """
    blocks: list[nn.Module] = [*module.nodes.values(), *module.reduces.values()]
    return (
        module.gate in GATES
        and all(type(block) is ConvBlock for block in blocks)
        and not any(map(has_hooks, module.modules()))
    )
