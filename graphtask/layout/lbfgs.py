"""L-BFGS-B with scipy's defaults for layouts, several of the same size in one batch.

Every minimization has the bits of scipy's, whatever else is in the batch: only the costs are batched.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from graphtask.layout.batched import BatchedStress, batch_size_for, stress_for
from graphtask.layout.blas import one_thread
from graphtask.layout.kamada_kawai import KamadaKawaiStress
from graphtask.types import FloatArray

_MAX_CALLS = 15_000  # of the cost, and of iterations: scipy's limits
_FACTOR = 2.2204460492503131e-09 / np.finfo(np.float64).eps  # scipy's ftol
_NEEDS_COST, _NEW_ITERATION, _STOP, _TOO_MANY = 3, 1, 5, 504  # signals from and to scipy's stepper


class LayoutProblem(NamedTuple):
    """A layout to be computed."""

    distances: FloatArray
    """Distances of the nodes, of shape (nodes, nodes)."""
    start: FloatArray
    """x and y of the nodes in turn, of shape (2·nodes,)."""
    max_calls: int | None = None
    """Evaluations of the cost after which the minimization is stopped; None: no limit."""


class LayoutResult(NamedTuple):
    """A local minimum."""

    cost: float
    position: FloatArray
    """x and y of the nodes in turn, of shape (2·nodes,)."""


def minimize_all(problems: Iterable[LayoutProblem]) -> list[LayoutResult | None]:
    """Minimize every problem; return the results in order, None for those stopped at their limit of calls.

    Example:
        >>> distances = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> (found,) = minimize_all([LayoutProblem(distances, np.array([-1.0, 0.0, 1.0, 0.0]))])
        >>> found.cost < 1e-9
        True
    """
    waiting = list(problems)
    found: list[LayoutResult | None] = [None] * len(waiting)
    by_size: dict[int, list[int]] = {}
    for index, problem in enumerate(waiting):
        by_size.setdefault(len(problem.distances), []).append(index)
    steps = _stepper()
    with one_thread():
        for indices in by_size.values():
            same_size = [waiting[index] for index in indices]
            ended = _by_scipy(same_size) if steps is None else _batched(same_size, steps)
            for index, result in ended:
                found[indices[index]] = result
    return found


@cache
def _stepper() -> Any:
    """Return scipy's L-BFGS-B stepper for releases with the private interface that is used here, else None.

    The stepper returns control at every evaluation of the cost, so that costs can be batched, and skips checks of
    scipy that take as long as the cost of a small graph. Tests compare both code paths bit by bit.
    """
    import scipy

    major, minor = (int(part) for part in scipy.__version__.split(".")[:2])
    if not (1, 15) <= (major, minor) <= (1, 17):
        return None
    try:
        from scipy.optimize._lbfgsb import setulb
    except ImportError:
        return None
    return setulb


def _by_scipy(problems: list[LayoutProblem]) -> Iterator[tuple[int, LayoutResult | None]]:
    """Minimize sequentially through scipy's public function."""
    from scipy.optimize import minimize

    stress = KamadaKawaiStress(len(problems[0].distances), batch=1)
    for index, problem in enumerate(problems):
        stress.load(0, problem.distances)
        cost = _limited(stress, problem.max_calls)
        try:
            # scipy evaluates the gradient where it has just evaluated the value.
            result = minimize(
                cost, problem.start, method="L-BFGS-B", jac=lambda _: stress.gradients[0].copy()
            )
        except _TooManyCallsError:
            yield index, None
        else:
            yield index, LayoutResult(float(result.fun), result.x)


class _TooManyCallsError(Exception):
    pass


def _limited(stress: KamadaKawaiStress, max_calls: int | None) -> Callable[[FloatArray], float]:
    n_calls = 0

    def cost(position: FloatArray) -> float:
        nonlocal n_calls
        n_calls += 1
        if max_calls is not None and n_calls > max_calls:
            raise _TooManyCallsError
        stress.positions[0] = position
        return stress.evaluate(1)[0]

    return cost


def _batched(problems: list[LayoutProblem], steps: Any) -> Iterator[tuple[int, LayoutResult | None]]:
    """Minimize in a batch: a finished slot takes over the last one, and the next problem takes the last slot."""
    n_nodes = len(problems[0].distances)
    stress = stress_for(n_nodes, batch=batch_size_for(n_nodes, len(problems)))
    waiting = enumerate(problems)
    running: list[_Slot] = []
    positions, gradients = list(stress.positions), list(stress.gradients)
    while True:
        for slot, (number, problem) in zip(range(len(running), len(positions)), waiting, strict=False):
            stress.load(slot, problem.distances)
            positions[slot][:] = problem.start
            running.append(_Slot(number, problem, _LBFGS(steps, n_nodes, problem.max_calls)))
            running[slot].optimizer.advance(positions[slot], 0.0, gradients[slot])
        if not running:
            return
        if 2 * len(running) <= len(positions) and len(running) == batch_size_for(n_nodes, len(running)):
            stress = _narrowed(stress, [slot.problem for slot in running])
            positions, gradients = list(stress.positions), list(stress.gradients)
        costs = stress.evaluate(len(running))
        for slot in reversed(range(len(running))):
            number, _, optimizer = running[slot]
            if optimizer.advance(positions[slot], costs[slot], gradients[slot]):
                continue
            yield number, None if optimizer.is_stopped else LayoutResult(costs[slot], positions[slot].copy())
            last = running.pop()
            if slot < len(running):
                stress.move(len(running), to=slot)
                running[slot] = last


def _narrowed(
    stress: KamadaKawaiStress | BatchedStress, problems: list[LayoutProblem]
) -> KamadaKawaiStress | BatchedStress:
    """Return a smaller batch for these problems, which are in its first slots."""
    fewer = stress_for(len(problems[0].distances), batch=len(problems))
    for slot, problem in enumerate(problems):
        fewer.load(slot, problem.distances)
        fewer.positions[slot] = stress.positions[slot]
    return fewer


class _Slot(NamedTuple):
    """State of a slot of the batch."""

    number: int
    """Index of its problem."""
    problem: LayoutProblem
    optimizer: "_LBFGS"


class _LBFGS:
    """State of one minimization between two costs, as in `scipy.optimize.minimize`."""

    def __init__(self, steps: Any, n_nodes: int, max_calls: int | None) -> None:
        n, memory = 2 * n_nodes, 10
        bounds, kinds = np.zeros(n), np.zeros(n, dtype=np.int32)
        work = np.zeros(2 * memory * n + 5 * n + 11 * memory**2 + 8 * memory)
        integers, problem, flags, counters = (np.zeros(size, dtype=np.int32) for size in (3 * n, 2, 4, 44))
        self._steps = steps
        self._before = memory, bounds, bounds, kinds
        self._after = (
            *(_FACTOR, 1e-5, work, integers, problem, flags, counters, np.zeros(29), 20),
            np.zeros(2, dtype=np.int32),
        )
        self._signal: memoryview = problem.data  # numbers of numpy are slow to read
        self._n_calls = self._n_iterations = 0
        self._max_calls = max_calls
        self.is_stopped = False
        """True if it was stopped at its limit of calls."""

    def advance(self, position: FloatArray, cost: float, gradient: FloatArray) -> bool:
        """Move ``position`` to the next point to evaluate, given the cost here; return False at the end."""
        memory, *bounds = self._before
        while True:
            self._steps(memory, position, *bounds, cost, gradient, *self._after)
            if self._signal[0] == _NEEDS_COST:
                self._n_calls += 1
                self.is_stopped = self._max_calls is not None and self._n_calls > self._max_calls
                return not self.is_stopped
            if self._signal[0] != _NEW_ITERATION:
                return False
            self._n_iterations += 1
            if self._n_iterations >= _MAX_CALLS or self._n_calls > _MAX_CALLS:
                self._signal[0], self._signal[1] = _STOP, _TOO_MANY
