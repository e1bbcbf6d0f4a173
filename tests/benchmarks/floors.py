"""What a step cannot be faster than, and how often it launches: bytes, launches, and what either costs on a device."""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from graphtask.compiler.fused.workspace import step_layouts
from graphtask.compiler.module import GraphModule
from graphtask.training.cuda_graph import CudaRecorder


def floor_bytes(net: GraphModule, images: Tensor, *, itemsize: int) -> int:
    """Bytes that any training step reads and writes that keeps its activations in memory, each once where it can.

    A block, of argument a and result x, reads a and writes two convolutions, whose statistics have to be known before
    it reads them again and writes x; backward it reads the gradient of x and both convolutions twice, for the same
    reason, and a, and writes the gradient of a. That is 3 passes over a and 11 over x. Sums read every row of a stage's
    table and write every sum, and so they do for the gradients of rows and for those of the weights. Parameters are
    read forward and backward; gradient, momentum and parameter are read and written once more.
    """
    stages = net.program.stages
    layouts = step_layouts(stages, images.shape, channels=net.channels, channels_last=False)
    blocks = sums = 0
    for place, stage in enumerate(stages):
        own = layouts[place + 1].numel
        blocks += 11 * stage.n_rows * own + 3 * stage.n_nodes * own
        blocks += sum(
            3 * len(stage.rows_from(start)) * layout.numel
            for start, layout in zip(stages, layouts[1:], strict=True)
        )
        sums += 3 * (stage.n_rows + stage.n_nodes) * own
    blocks += 3 * (layouts[0].numel - layouts[1].numel)  # the first block reads the images
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return itemsize * (blocks + sums) + 4 * 8 * parameters


def copied_bytes_per_second(n_bytes: int, device: torch.device) -> float:
    """Bytes read and written in a second of copying ``n_bytes`` at once; the best of ten."""
    source = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = min(timed(lambda: target.copy_(source), device) for _ in range(10))
    return 2 * n_bytes / seconds


def launch_seconds(n: int, device: torch.device) -> float:
    """Seconds from one launch of a tiny kernel to the next, when ``n`` follow each other."""
    launches = _launches(n, device)
    launches()
    return min(timed(launches, device) for _ in range(3)) / n


def captured_launch_seconds(n: int, device: torch.device) -> float:
    """The same in a CUDA graph of ``n`` kernels; on a CPU there are none, so it is the same."""
    if device.type != "cuda":
        return launch_seconds(n, device)
    recorder, launches = CudaRecorder(device), _launches(n, device)
    recorder.warm_up(launches)
    replay = recorder.record(launches)
    replay()
    return min(timed(replay, device) for _ in range(3)) / n


def launches_of(step: Callable[[], None], device: torch.device) -> int:
    """Kernels, copies and fills that a step launches on a GPU; on a CPU, operators that it calls."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiler:
        step()
        synchronize(device)
    if on_gpu:
        return sum(
            event.device_type == DeviceType.CUDA and not event.is_user_annotation
            for event in profiler.events()
        )
    return sum(event.name.startswith("aten::") for event in profiler.events())


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that some work takes, until the device has done it."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Wait until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _launches(n: int, device: torch.device) -> Callable[[], None]:
    one = torch.zeros(1, device=device)

    def work() -> None:
        for _ in range(n):
            one.add_(1)

    return work
