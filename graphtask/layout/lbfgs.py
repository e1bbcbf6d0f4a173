"""Relaxes springs: L-BFGS-B with scipy's defaults, for several layouts of the same size side by side.

Each descent is scipy's own, to the last bit, whatever runs beside it: only the costs are evaluated together.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from graphtask.layout.batched import ManySprings, lanes_for, springs_for
from graphtask.layout.blas import one_thread
from graphtask.layout.kamada_kawai import Springs
from graphtask.types import FloatArray

_MAX_CALLS = 15_000  # of the cost, and of iterations: scipy's limits
_FACTOR = 2.2204460492503131e-09 / np.finfo(np.float64).eps  # scipy's ftol
_WANTS_COST, _NEW_ITERATION, _STOP, _TOO_MANY = 3, 1, 5, 504  # what the stepper of scipy says, and is told


class Task(NamedTuple):
    """One layout to be found."""

    distances: FloatArray
    """Lengths of the springs, of shape (nodes, nodes)."""
    start: FloatArray
    """x and y of the nodes in turn, of shape (2·nodes,)."""
    max_calls: int | None = None
    """Evaluations of the cost after which to give up."""


class Minimum(NamedTuple):
    """Where a descent ended."""

    cost: float
    position: FloatArray
    """x and y of the nodes in turn, of shape (2·nodes,)."""


def minima(tasks: Iterable[Task]) -> list[Minimum | None]:
    """The local minimum that each task leads to, in their order; None for those that would take too many calls.

    Example:
        >>> springs = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> (found,) = minima([Task(springs, np.array([-1.0, 0.0, 1.0, 0.0]))])
        >>> found.cost < 1e-9
        True
    """
    waiting = list(tasks)
    found: list[Minimum | None] = [None] * len(waiting)
    by_size: dict[int, list[int]] = {}
    for index, task in enumerate(waiting):
        by_size.setdefault(len(task.distances), []).append(index)
    steps = _stepper()
    with one_thread():
        for indices in by_size.values():
            same_size = [waiting[index] for index in indices]
            ended = _publicly(same_size) if steps is None else _side_by_side(same_size, steps)
            for index, minimum in ended:
                found[indices[index]] = minimum
    return found


@cache
def _stepper() -> Any:
    """The L-BFGS-B stepper of scipy in the releases whose private interface is the one used below, or else None.

    It hands control back wherever it wants a cost, so that several can be evaluated together; and scipy's checks
    around each call cost as much as the cost of a small graph. The tests hold both ways to the same bits.
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


def _publicly(tasks: list[Task]) -> Iterator[tuple[int, Minimum | None]]:
    """One after the other, through scipy's public function."""
    from scipy.optimize import minimize

    springs = Springs(len(tasks[0].distances), lanes=1)
    for index, task in enumerate(tasks):
        springs.load(0, task.distances)
        cost = _limited(springs, task.max_calls)
        try:
            # scipy asks for the gradient where it has just asked for the value.
            result = minimize(cost, task.start, method="L-BFGS-B", jac=lambda _: springs.gradients[0].copy())
        except _TooManyCallsError:
            yield index, None
        else:
            yield index, Minimum(float(result.fun), result.x)


class _TooManyCallsError(Exception):
    pass


def _limited(springs: Springs, max_calls: int | None) -> Callable[[FloatArray], float]:
    n_calls = 0

    def cost(position: FloatArray) -> float:
        nonlocal n_calls
        n_calls += 1
        if max_calls is not None and n_calls > max_calls:
            raise _TooManyCallsError
        springs.positions[0] = position
        return springs.evaluate(1)[0]

    return cost


def _side_by_side(tasks: list[Task], steps: Any) -> Iterator[tuple[int, Minimum | None]]:
    """A descent in each lane; when one ends, the last one moves to its lane, and the next task takes the last lane."""
    n_nodes = len(tasks[0].distances)
    springs = springs_for(n_nodes, lanes=lanes_for(n_nodes, len(tasks)))
    waiting = enumerate(tasks)
    running: list[_Lane] = []
    positions, gradients = list(springs.positions), list(springs.gradients)
    while True:
        for lane, (number, task) in zip(range(len(running), len(positions)), waiting, strict=False):
            springs.load(lane, task.distances)
            positions[lane][:] = task.start
            running.append(_Lane(number, task, _Descent(steps, n_nodes, task.max_calls)))
            running[lane].descent.advance(positions[lane], 0.0, gradients[lane])
        if not running:
            return
        if 2 * len(running) <= len(positions) and len(running) == lanes_for(n_nodes, len(running)):
            springs = _narrowed(springs, [lane.task for lane in running])
            positions, gradients = list(springs.positions), list(springs.gradients)
        costs = springs.evaluate(len(running))
        for lane in reversed(range(len(running))):
            number, _, descent = running[lane]
            if descent.advance(positions[lane], costs[lane], gradients[lane]):
                continue
            yield number, None if descent.gave_up else Minimum(costs[lane], positions[lane].copy())
            last = running.pop()
            if lane < len(running):
                springs.move(len(running), to=lane)
                running[lane] = last


def _narrowed(springs: Springs | ManySprings, tasks: list[Task]) -> Springs | ManySprings:
    """Springs with lanes for these tasks only, which are in the first lanes now."""
    fewer = springs_for(len(tasks[0].distances), lanes=len(tasks))
    for lane, task in enumerate(tasks):
        fewer.load(lane, task.distances)
        fewer.positions[lane] = springs.positions[lane]
    return fewer


class _Lane(NamedTuple):
    """What goes on in a lane."""

    number: int
    """Of its task."""
    task: Task
    descent: "_Descent"


class _Descent:
    """The state of one descent between two costs; that of `scipy.optimize.minimize`."""

    def __init__(self, steps: Any, n_nodes: int, max_calls: int | None) -> None:
        n, memory = 2 * n_nodes, 10
        bounds, kinds = np.zeros(n), np.zeros(n, dtype=np.int32)
        work = np.zeros(2 * memory * n + 5 * n + 11 * memory**2 + 8 * memory)
        integers, task, flags, counters = (np.zeros(size, dtype=np.int32) for size in (3 * n, 2, 4, 44))
        self._steps = steps
        self._before = memory, bounds, bounds, kinds
        self._after = (
            *(_FACTOR, 1e-5, work, integers, task, flags, counters, np.zeros(29), 20),
            np.zeros(2, dtype=np.int32),
        )
        self._said: memoryview = task.data  # numbers of numpy are slow to read
        self._n_calls = self._n_iterations = 0
        self._max_calls = max_calls
        self.gave_up = False
        """Whether it ended because it took too many calls."""

    def advance(self, position: FloatArray, cost: float, gradient: FloatArray) -> bool:
        """Move ``position`` to where the cost is wanted next, given what it is here; whether there is such a place."""
        memory, *bounds = self._before
        while True:
            self._steps(memory, position, *bounds, cost, gradient, *self._after)
            if self._said[0] == _WANTS_COST:
                self._n_calls += 1
                self.gave_up = self._max_calls is not None and self._n_calls > self._max_calls
                return not self.gave_up
            if self._said[0] != _NEW_ITERATION:
                return False
            self._n_iterations += 1
            if self._n_iterations >= _MAX_CALLS or self._n_calls > _MAX_CALLS:
                self._said[0], self._said[1] = _STOP, _TOO_MANY
