"""Random words that are the same on every NumPy version: the raw output of PCG64.

NumPy guarantees a bit generator's raw stream and its seeding, but not how its distributions consume that stream.
Colors, tiles and splits are therefore made of raw words, and each use has its own part of the stream.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from graphtask.validation import integer


class Part(IntEnum):
    """Uses of the stream; part k starts 2^64·k words after its beginning, so that parts never overlap."""

    TRAIN_COLORS = 0
    TEST_COLORS = 1
    TILES = 2
    HELD_OUT = 3
    TRAIN_SUBSET = 4
    TEST_SUBSET = 5
    VALIDATION = 6
    VAL_COLORS = 7
    VAL_SUBSET = 8


def words(count: int, *, seed: int, part: Part) -> npt.NDArray[np.uint64]:
    """Return the first ``count`` 64-bit words of one part of the stream of a seed.

    Raises:
        ArgumentError: The seed is not an integer >= 0.

    Example:
        >>> [hex(word) for word in words(2, seed=0, part=Part.TRAIN_COLORS)]
        ['0xa30febcfd9c2825f', '0x4510bdf882d9d721']
    """
    stream = np.random.PCG64(integer(seed, name="seed", least=0))
    stream.advance(int(part) << 64)
    return np.asarray(stream.random_raw(count), dtype=np.uint64)


def permutation(count: int, *, seed: int, part: Part) -> npt.NDArray[np.int64]:
    """Return the numbers 0 … count-1 in random order: the order that sorts as many words."""
    return np.argsort(words(count, seed=seed, part=part), kind="stable").astype(np.int64)
