"""Training pairs: the moving image under the truth is the fixed image; reproducible; sources fill their grid."""

from functools import lru_cache

import pytest
import torch

from core.made_images import lattice, made
from MetaAffineRegLib.affine import angle, compose, identity, inverse, nearest_rotation
from MetaAffineRegLib.data_terms import unexplained_content
from MetaAffineRegLib.errors import InputError
from MetaAffineRegTrainingLib.appearance import Disturbances
from MetaAffineRegTrainingLib.deformations import DeformationDistribution
from MetaAffineRegTrainingLib.pairs import PairMaker, Starts
from MetaAffineRegTrainingLib.sources import source_stack

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
MILD = DeformationDistribution(rotation=30, translation=0.1)
QUIET = Disturbances(noise=0.0)


@lru_cache
def sources(d, count=2, size=None):
    geometry = lattice((32, 32, 32) if d == 3 else (60, 60, 1), (3.2, 3.2, 3.2) if d == 3 else (1.7, 1.7, 1))
    return source_stack([made(geometry, seed=seed) for seed in range(count)], size or (32 if d == 3 else 64))


@DIMENSIONS
def test_moving_under_the_truth_is_fixed(d):
    """The truth takes fixed points to moving points; the other direction would leave most of the difference."""
    pairs = PairMaker(sources(d), (16, 32), MILD, QUIET).make(6, seed=1, step=0)
    objective, start = pairs.objectives[32], identity(6, d)
    before = objective.value(start)
    assert bool((objective.value(pairs.truth) < 0.3 * before)[before > 0.01].all())
    assert float(objective.value(pairs.truth).mean()) < 0.1 * float(before.mean())
    assert bool((objective.value_and_gradient(pairs.truth)[0] <= before).all())


@DIMENSIONS
def test_pairs_are_a_function_of_seed_and_step(d):
    maker = PairMaker(sources(d), (16,), MILD)
    again = PairMaker(sources(d), (16,), MILD)
    first = maker.make(3, 7, 2)
    maker.make(3, 7, 3)  # what was drawn before does not matter
    same, step, seed = again.make(3, 7, 2), again.make(3, 7, 3), again.make(3, 8, 2)
    start = identity(3, d)
    assert torch.equal(first.truth, same.truth)
    assert torch.equal(first.objectives[16].value(start), same.objectives[16].value(start))
    assert not torch.equal(first.truth, step.truth)
    assert not torch.equal(first.truth, seed.truth)  # a CPU's generator takes 32 bits of its seed and no more


def test_noise_lies_on_the_fixed_image_alone_and_means_the_same_on_every_working_size():
    """Standard deviation 0.05 at 128 samples an axis: averaged to 32, a variance of 0.05^2 / 16, on 64 or 128."""
    for size in (64, 128):
        quiet, loud = (PairMaker(sources(2, 1, size), (32,), MILD, Disturbances(noise)).make(40, 0, 0) for noise in (0.0, 0.05))
        still = identity(40, 2)
        still[:, :, 2] = 10.0  # nothing of the moving image is left: f is the fixed image's mean square
        torch.testing.assert_close(quiet.truth, loud.truth)
        added = (loud.objectives[32].value(still) - quiet.objectives[32].value(still)).mean()
        assert float(added) == pytest.approx(0.05**2 / 16, rel=0.25)


def bright(d):
    """Sources that are one everywhere: what is zero was cut off."""
    return torch.ones(1, 1, *(40,) * d)


def images_of(d, disturbances, count=200):
    """Fixed and moving images at 40 samples an axis, not deformed."""
    grids = PairMaker(bright(d), (40,), DeformationDistribution(0, 0), disturbances).make(count, 3, 0).grids
    return tuple(images[:, 0].round(decimals=5) for images in (grids.fixed[40], grids.moving[40]))


@DIMENSIONS
def test_crop_cuts_a_slab_of_10_to_35_percent_off_one_end_of_one_axis(d):
    """Of the moving image, in the share of the pairs asked for; all axes and both ends have their turn."""
    count = 200 if d == 2 else 60
    fixed, moving = images_of(d, Disturbances(0.0, crop=0.8), count)
    assert bool((fixed == 1).all()) and set(moving.unique().tolist()) == {0.0, 1.0}
    kept = moving.flatten(1).mean(1)
    cropped = kept < 1
    assert float(cropped.double().mean()) == pytest.approx(0.8, abs=4 * 0.4 / count**0.5)
    assert 0.65 - 1 / 40 <= float(kept[cropped].min()) < 0.72 and 0.85 < float(kept[cropped].max()) <= 0.9 + 1 / 40
    places = set()
    for image in moving[cropped]:
        profiles = [image.mean([k for k in range(d) if k != axis]) for axis in range(d)]
        cut = [axis for axis in range(d) if set(profiles[axis].tolist()) == {0.0, 1.0}]
        assert len(cut) == 1 and int(profiles[cut[0]].diff().abs().sum()) == 1  # whole lines, at one end
        places.add((cut[0], bool(profiles[cut[0]][0] == 0)))
    assert len(places) == 2 * d


@DIMENSIONS
def test_noise_on_moving_images_is_on_the_share_asked_for_and_of_the_same_strength(d):
    count = 100 if d == 2 else 20
    fixed, moving = images_of(d, Disturbances(0.1, noise_on_moving=0.5), count)
    loud = (moving - 1).flatten(1).std(1)
    assert 0.3 < float((loud > 0).double().mean()) < 0.7
    assert float(loud[loud > 0].mean()) == pytest.approx(float((fixed - 1).flatten(1).std(1).mean()), rel=0.03)


def test_nothing_disturbs_where_nothing_is_asked_for():
    fixed, moving = images_of(2, Disturbances(0.0), 10)
    assert bool((fixed == 1).all()) and bool((moving == 1).all())


@DIMENSIONS
def test_criterion_is_the_one_asked_for(d):
    """The share left unexplained is near 0 at the truth, and nowhere above 1; images fill their grids."""
    pairs = PairMaker(sources(d), (32,), MILD, QUIET, unexplained_content).make(6, 1, 0)
    objective = pairs.objectives[32]
    assert bool((pairs.grids.fixed[32][:, 1] == 1).all()) and bool((pairs.grids.moving[32][:, 1] == 1).all())
    away = identity(6, d)
    away[:, :, d] = 10.0
    torch.testing.assert_close(objective.value(away), torch.ones(6, dtype=torch.float64))
    assert bool((objective.value(pairs.truth) < 0.3 * objective.value(identity(6, d)).clamp_min(0.05)).all())


@DIMENSIONS
def test_starts_lie_around_the_truth_of_their_pair(d):
    """truth = start o u with u of the distribution asked for, another one each time; the criteria are those of the pair."""
    wide, around = DeformationDistribution(rotation=180, translation=0.1), DeformationDistribution(rotation=20, translation=0.05)
    maker = PairMaker(sources(d), (16,), wide, QUIET, starts=Starts(around, each=3))
    pairs = maker.make(4, 5, 0)
    assert len(pairs.start) == len(pairs.truth) == len(pairs.objectives[16]) == 12 and len(pairs.chosen) == 4
    u = compose(inverse(pairs.start), pairs.truth)
    degrees = angle(nearest_rotation(u[..., :d])).rad2deg()
    assert float(degrees.max()) <= 20.001 and len(degrees.round(decimals=4).unique()) == 12
    assert float(u[..., d].abs().max()) <= 0.05 + 1e-9
    assert torch.equal(pairs.truth[0], pairs.truth[2]) and not torch.equal(pairs.truth[2], pairs.truth[3])
    value = PairMaker(sources(d), (16,), wide, QUIET).make(4, 5, 0).objectives[16].value(pairs.truth[::3])
    torch.testing.assert_close(pairs.objectives[16].value(pairs.truth).view(4, 3), value[:, None].expand(4, 3))


def test_starts_are_a_function_of_the_pair_whoever_makes_it():
    maker = PairMaker(sources(2), (16,), MILD, QUIET, starts=Starts(MILD, each=2))
    torch.testing.assert_close(maker.make(4, 5, 0).start[4:], maker.make(2, 5, 0, first=2).start, rtol=0, atol=0)


@DIMENSIONS
def test_all_sources_are_used(d):
    """Two sources of different mean squares: over many pairs both appear."""
    maker = PairMaker(sources(d), (16,), DeformationDistribution(0, 0), QUIET)
    away = identity(20, d)
    away[:, :, d] = 10.0
    values = maker.make(20, 0, 0).objectives[16].value(away)
    assert len(values.round(decimals=8).unique()) == 2


def test_source_is_whole_centred_and_of_spread_one():
    """A wide image on a square grid: its full width, background above and below."""
    image = made(lattice((80, 40, 1), (1, 1, 1), center=(200, 0, 0)))
    shifted = type(image)(made(lattice((80, 40, 1), (1, 1, 1))).array + 30, image.geometry)
    stack = source_stack([shifted], 80)
    assert stack.shape == (1, 1, 80, 80)
    assert float(stack[0, 0, :19].abs().max()) < 1e-6 and float(stack[0, 0, -19:].abs().max()) < 1e-6
    assert 0.8 < float(stack.abs().max()) < 1.5


def test_slices_and_volumes_do_not_mix():
    with pytest.raises(InputError, match="mix slices and volumes"):
        source_stack([made(lattice((8, 8, 1), (9, 9, 9))), made(lattice((8, 8, 8), (9, 9, 9)))], 16)
