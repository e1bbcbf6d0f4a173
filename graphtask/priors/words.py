"""Chance that repeats on every NumPy version: draws from the raw words of a PCG64 generator.

NumPy promises to keep the words of its bit generators, but not what `numpy.random.Generator` makes of them.
"""

import numpy as np
import numpy.typing as npt

from graphtask.graph import IntArray
from graphtask.priors.build import whole_number


class Words:
    """A stream of random numbers.

    Args:
        seed: Whole number, at least 0.

    Raises:
        ArgumentError: The seed is something else.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.PCG64(whole_number(seed, name="seed", least=0))

    def uniform(self, size: int) -> npt.NDArray[np.float64]:
        """Doubles between 0 and 1, both excluded; one word each."""
        words = self._generator.random_raw(size)
        return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def below(self, bound: int) -> int:
        """One of 0 … ``bound`` − 1; one word. The bias, ``bound``/2^64, is beyond measuring."""
        return int(self._generator.random_raw() % bound)

    def sample(self, log_weights: npt.NDArray[np.float64], size: int) -> IntArray:
        """Indices of ``size`` different items, in increasing order; one word for every item.

        The items are those of drawing one after the other, each with probability proportional to its weight among
        the ones that are left: the smallest of exponential variables divided by the weights (Efraimidis & Spirakis,
        Information Processing Letters 97, 2006).
        """
        waiting = np.log(-np.log(self.uniform(len(log_weights)))) - log_weights
        return np.sort(np.argsort(waiting, kind="stable")[:size])

    def order(self, size: int) -> IntArray:
        """The numbers 0 … ``size`` − 1 in a random order; one word each."""
        return np.argsort(self.uniform(size), kind="stable")
