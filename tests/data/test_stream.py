"""The stream against PCG64 written out in Python's integers."""

import numpy as np
import pytest

from graphtask.data.stream import Part, permutation, words
from graphtask.errors import ArgumentError

MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
MODULUS = 2**128


def pcg64_words(seed, *, skip, count):
    """PCG XSL-RR 128/64: a linear congruential generator, jumped ahead by its closed form."""
    seeded = np.random.PCG64(seed).state["state"]
    state, increment = seeded["state"], seeded["inc"]
    # After k steps: a^k·s + c·(a^k - 1)/(a - 1); the division is exact modulo (a - 1)·2^128.
    power = pow(MULTIPLIER, skip, MODULUS * (MULTIPLIER - 1))
    state = (power * state + increment * ((power - 1) // (MULTIPLIER - 1))) % MODULUS
    for _ in range(count):
        state = (state * MULTIPLIER + increment) % MODULUS
        folded, turn = (state >> 64) ^ (state % 2**64), state >> 122
        yield ((folded >> turn) | (folded << (64 - turn))) % 2**64


@pytest.mark.parametrize("part", Part)
@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_each_part_is_the_stream_two_to_the_64_words_further_on(seed, part):
    expected = list(pcg64_words(seed, skip=int(part) * 2**64, count=5))
    assert words(5, seed=seed, part=part).tolist() == expected


def test_a_longer_draw_begins_with_the_shorter_one():
    assert words(100, seed=3, part=Part.TILES)[:7].tolist() == words(7, seed=3, part=Part.TILES).tolist()


def test_a_permutation_holds_every_number_once():
    assert sorted(permutation(50, seed=1, part=Part.HELD_OUT)) == list(range(50))


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ArgumentError, match="seed must be an integer >= 0"):
        words(1, seed=seed, part=Part.TILES)
