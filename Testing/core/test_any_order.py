"""A pair's result is its own: the same bits in any order of pairs and any size of batch, hopeless pairs included."""

import numpy as np
import pytest

from core.made_images import affine, distance, lattice, made
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Settings, register

SLICE = lattice((60, 50, 1), (1.7, 2.0, 1.0))


def noise(seed):
    """Nothing to find: many equal minima, where the smallest difference would grow."""
    return Image.checked(np.random.default_rng(seed).standard_normal((1, 50, 60)), SLICE)


@pytest.fixture(scope="module")
def pairs():
    easy = [(made(SLICE, seed=seed), made(SLICE, affine(20 * seed - 20, (6, -3, 0)), seed)) for seed in range(3)]
    hopeless = [(noise(1), noise(2)), (made(SLICE, seed=8), noise(3)), (made(SLICE, seed=9), made(SLICE, affine(150), 4))]
    return [easy[0], hopeless[0], easy[1], hopeless[1], hopeless[2], easy[2]]


def in_batches(pairs, settings, size):
    found = [register(pairs[first : first + size], settings) for first in range(0, len(pairs), size)]
    return [result for part in found for result in part]


@pytest.mark.parametrize("method", ["comb", "plain", "learn"])
def test_any_batch_size_and_any_order(pairs, method):
    settings = Settings(method, model="hands", device="cpu")
    expected = register(pairs, settings)
    order = [4, 0, 5, 2, 1, 3]
    shuffled = in_batches([pairs[row] for row in order], settings, 4)
    for run in (in_batches(pairs, settings, 1), [shuffled[order.index(row)] for row in range(len(pairs))]):
        for result, other in zip(run, expected, strict=True):
            # a hundredth of a pixel is what is promised; L-BFGS alone gives the same bits
            assert distance(result.fixed_to_moving_lps, other.fixed_to_moving_lps, SLICE) < 0.01 * 1.7
            assert result.evaluations == other.evaluations
            if method == "plain":
                np.testing.assert_array_equal(result.fixed_to_moving_lps, other.fixed_to_moving_lps)


def test_hopeless_pairs_are_hopeless(pairs):
    """Else the test above would show nothing about chaos."""
    results = register(pairs, Settings("comb", model="hands", device="cpu"))
    assert sum(result.criterion_after > 0.3 * result.criterion_before for result in results) >= 2


def test_same_call_twice_gives_the_same_bits(pairs):
    settings = Settings("comb", model="hands", device="cpu")
    one, other = register(pairs, settings), register(pairs, settings)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.fixed_to_moving_lps, second.fixed_to_moving_lps)
