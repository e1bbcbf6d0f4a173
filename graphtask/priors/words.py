"""Chance that repeats on every NumPy version: draws from the raw words of a PCG64 generator.

NumPy promises to keep the words of its bit generators, but not what `numpy.random.Generator` makes of them.
"""

import numpy as np
import numpy.typing as npt

from graphtask.types import IntArray
from graphtask.validation import integer

SPREAD = 41.0
"""By how much the logarithms of two of the exponential variables behind `Words.sample` differ at most.

They are made of uniform numbers between 2^−53 and 1 − 2^−53, so they are between 2^−53 and 53·ln 2.
"""


class Words:
    """A stream of random numbers.

    Args:
        seed: Whole number, at least 0.

    Raises:
        ArgumentError: The seed is something else.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.PCG64(integer(seed, name="seed", least=0))

    def uniform(self, size: int) -> npt.NDArray[np.float64]:
        """Doubles between 0 and 1, both excluded; one word each."""
        words = self._generator.random_raw(size)
        return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def below(self, bound: int) -> int:
        """One of 0 … ``bound`` − 1; one word. The bias, ``bound``/2^64, is beyond measuring."""
        return int(self._generator.random_raw() % bound)

    def sample(self, log_weights: npt.NDArray[np.float64], size: int, *, n_hopeless: int = 0) -> IntArray:
        """Indices of ``size`` different items, in increasing order; one word for every item.

        Args:
            log_weights: The logarithms of the weights of the items, of shape (items,).
            size: How many are drawn.
            n_hopeless: Items after these whose weights are so small that none of them can be among those drawn (see
                `SPREAD`); their words are skipped.

        The items are those of drawing one after the other, each with probability proportional to its weight among
        the ones that are left: the smallest of exponential variables divided by the weights (Efraimidis & Spirakis,
        Information Processing Letters 97, 2006).
        """
        waiting = np.log(-np.log(self.uniform(len(log_weights)))) - log_weights
        self._generator.advance(n_hopeless)
        return np.sort(np.argsort(waiting, kind="stable")[:size])

    def order(self, size: int) -> IntArray:
        """The numbers 0 … ``size`` − 1 in a random order; one word each."""
        return np.argsort(self.uniform(size), kind="stable")
