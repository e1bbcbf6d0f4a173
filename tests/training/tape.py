"""What stands in for a CUDA graph on the CPU."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITING = {  # operators that give the CPU a number, or a tensor whose size depends on numbers on the device
    "_local_scalar_dense", "allclose", "equal", "is_nonzero", "item", "masked_select", "nonzero", "unique",
    "_unique2", "unique_consecutive",
}  # fmt: skip


class Tape:
    """Records the operators of PyTorch that some work runs, and runs them again on the same tensors.

    Like a CUDA graph: recording does not change a thing; what waits for the device, or takes numbers from the CPU,
    cannot be recorded; and a replay knows nothing of the Python that led to the operators.
    """

    def __init__(self):
        self.warmed_up = 0
        self.recorded = 0
        self.replayed = 0
        self.forgotten = 0

    def warm_up(self, work):
        self.warmed_up += 1
        work()

    def forget(self):
        self.forgotten += 1

    def record(self, work):
        calls = []
        recording = _Recording(calls)
        try:
            with recording:
                work()
        finally:
            recording.undo()
        self.recorded += 1

        def replay():
            self.replayed += 1
            with torch.no_grad():
                for call in calls:
                    _repeat(*call)

        return replay


class _Recording(TorchDispatchMode):
    def __init__(self, calls):
        super().__init__()
        self.calls = calls
        self.before = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        _check(func, args, kwargs)
        for tensor in _written(func, args, kwargs):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.before:
                self.before[storage.data_ptr()] = (storage, storage.clone())
        result = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, result))
        return result

    def undo(self):
        """Put back what the recorded work has written; there is no way to record on a CPU without running."""
        for storage, content in self.before.values():
            storage.copy_(content)


def _repeat(func, args, kwargs, result):
    returns = func._schema.returns
    looks = any(value.alias_info is not None and not _is_write(value.alias_info) for value in returns)
    if looks or "empty" in func._schema.name:  # a view stays one, and memory without content has none
        return
    again = func(*args, **kwargs)
    if all(value.alias_info is None for value in returns):
        for recorded, new in zip(_tensors(result), _tensors(again), strict=True):
            recorded.copy_(new)


def _check(func, args, kwargs):
    name = func._schema.name.removeprefix("aten::")
    by_mask = name.startswith("index") and any(
        tensor.dtype in {torch.bool, torch.uint8} for tensor in _tensors(args[1])
    )
    by_counts = name == "repeat_interleave" and kwargs.get("output_size") is None
    from_python = name in {"lift", "lift_fresh"}
    if name in WAITING or by_mask or by_counts or from_python:
        raise RuntimeError(f"{func} waits for the device, or takes numbers from the CPU")


def _written(func, args, kwargs):
    named = dict(zip([argument.name for argument in func._schema.arguments], args, strict=False)) | kwargs
    written = {argument.name for argument in func._schema.arguments if _is_write(argument.alias_info)}
    if func._schema.name == "aten::native_batch_norm":  # its schema does not say so
        written = {"running_mean", "running_var"}
    return _tensors([value for name, value in named.items() if name in written])


def _is_write(alias_info):
    return alias_info is not None and alias_info.is_write


def _tensors(value):
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
