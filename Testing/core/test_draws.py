"""Numbers of pairs: a function of seed, step, pair and purpose alone, and distributed as they should be."""

import pytest
import torch

from MetaAffineRegTrainingLib.draws import Draws


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_a_pair_has_its_numbers_whichever_pairs_share_its_batch(kind):
    whole = getattr(Draws(3, 7, 0, 10), kind)("noise", 5, 3)
    parts = [getattr(Draws(3, 7, first, count), kind)("noise", 5, 3) for first, count in ((0, 4), (4, 1), (5, 5))]
    assert torch.equal(torch.cat(parts), whole)


def test_what_was_drawn_before_does_not_matter():
    draws = Draws(0, 0, 0, 4)
    first = draws.uniform("angle", 2)
    draws.normal("noise", 100)
    assert torch.equal(draws.uniform("angle", 2), first)


@pytest.mark.parametrize(("seed", "step", "first", "purpose"), [(1, 0, 0, "a"), (0, 1, 0, "a"), (0, 0, 1, "a"), (0, 0, 0, "b")])
def test_each_of_seed_step_pair_and_purpose_changes_every_number(seed, step, first, purpose):
    one, other = Draws(0, 0, 0, 1).uniform("a", 50), Draws(seed, step, first, 1).uniform(purpose, 50)
    assert not bool((one == other).any())


def test_uniform_numbers_fill_the_unit_interval_evenly():
    """200 000 numbers in ten bins: four standard deviations of a bin's share."""
    numbers = Draws(5, 1, 0, 200).uniform("x", 1000)
    assert 0 <= float(numbers.min()) < 1e-3 and 1 - 1e-3 < float(numbers.max()) < 1
    shares = torch.histc(numbers.float().flatten(), 10, 0, 1) / numbers.numel()
    torch.testing.assert_close(shares, torch.full((10,), 0.1), atol=4 * 0.3 / 200_000**0.5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normal_numbers_have_the_moments_of_the_normal_distribution(dtype):
    numbers = Draws(5, 1, 0, 200).normal("x", 999, dtype=dtype)
    assert numbers.dtype == dtype and bool(torch.isfinite(numbers).all())
    moments = [float(numbers.double().pow(k).mean()) for k in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.06)


def test_neighbors_are_not_correlated():
    """Of pairs, of places within a pair, and of the two halves that come from one number."""
    numbers = Draws(2, 0, 0, 2000).normal("x", 40)
    for one, other in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1]), (numbers[:, :20], numbers[:, 20:])):
        assert abs(float((one * other).mean())) < 0.02


def test_whole_numbers_are_all_there_and_no_other():
    assert sorted(Draws(0, 0, 0, 500).below("source", 7).unique().tolist()) == list(range(7))
