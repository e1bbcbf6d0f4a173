"""Random draws that are equal on every NumPy version, from the raw words of a PCG64 generator.

NumPy guarantees the words of its bit generators, but not the output of `numpy.random.Generator`.
"""

import numpy as np
import numpy.typing as npt

from graphtask.types import IntArray
from graphtask.validation import integer

SPREAD = 41.0
"""Largest difference of the logarithms of two exponential variables of `Words.sample`.

They come from uniform numbers between 2^−53 and 1 − 2^−53, so they are between 2^−53 and 53·ln 2.
"""


class Words:
    """A stream of random numbers.

    Args:
        seed: Integer, at least 0.

    Raises:
        ArgumentError: The seed is not an integer, or negative.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.PCG64(integer(seed, name="seed", least=0))

    def uniform(self, size: int) -> npt.NDArray[np.float64]:
        """Draw doubles between 0 and 1, both excluded; one word each."""
        words = self._generator.random_raw(size)
        return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def below(self, bound: int) -> int:
        """Draw one of 0 … ``bound`` − 1 from one word; the bias is ``bound``/2^64."""
        return int(self._generator.random_raw() % bound)

    def integers(self, bound: int, size: int) -> list[int]:
        """Draw numbers of 0 … ``bound`` − 1, with repetition; one word each."""
        drawn: list[int] = (self._generator.random_raw(size) % np.uint64(bound)).tolist()
        return drawn

    def sample(self, log_weights: npt.NDArray[np.float64], size: int, *, n_hopeless: int = 0) -> IntArray:
        """Draw indices of ``size`` different items, in increasing order; one word for every item.

        Args:
            log_weights: Logarithms of the weights of the items, of shape (items,).
            size: Number of draws.
            n_hopeless: Number of further items whose weights are too small to be drawn (see `SPREAD`); their words are
                skipped.

        Items are drawn sequentially without replacement, each with probability proportional to its weight: the smallest of exponential variables divided by the weights (Efraimidis & Spirakis,
        Information Processing Letters 97, 2006).
        """
        waiting = np.log(-np.log(self.uniform(len(log_weights)))) - log_weights
        self._generator.advance(n_hopeless)
        return np.sort(np.argsort(waiting, kind="stable")[:size])

    def order(self, size: int) -> IntArray:
        """Return the numbers 0 … ``size`` − 1 in a random order; one word each."""
        return np.argsort(self.uniform(size), kind="stable")
