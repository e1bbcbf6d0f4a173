"""Random words that are the same on every NumPy version: the raw output of PCG64.

NumPy promises to keep a bit generator's raw stream and what a seed means to it, but not how its distributions
consume that stream. Colors, tiles and splits are therefore made of raw words, and each use has a part of the
stream to itself.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Int64, UInt64

from graphtask.errors import ArgumentError


class Part(IntEnum):
    """The uses of the stream; part k starts 2^64·k words after its beginning, so that parts never meet."""

    TRAIN_COLORS = 0
    TEST_COLORS = 1
    TILES = 2
    HELD_OUT = 3
    TRAIN_SUBSET = 4
    TEST_SUBSET = 5


def words(count: int, *, seed: int, part: Part) -> UInt64[np.ndarray, " count"]:
    """The first ``count`` 64-bit words of one part of the stream of a seed.

    Raises:
        ArgumentError: The seed is not a whole number of at least 0.

    Example:
        >>> [hex(word) for word in words(2, seed=0, part=Part.TRAIN_COLORS)]
        ['0xa30febcfd9c2825f', '0x4510bdf882d9d721']
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ArgumentError(f"the seed is {seed!r}; give a whole number of at least 0")
    stream = np.random.PCG64(int(seed))
    stream.advance(int(part) << 64)
    return np.asarray(stream.random_raw(count), dtype=np.uint64)


def permutation(count: int, *, seed: int, part: Part) -> Int64[np.ndarray, " count"]:
    """The numbers 0 … count-1 in random order: the order that sorts as many words."""
    return np.argsort(words(count, seed=seed, part=part), kind="stable").astype(np.int64)
