"""Starts: rotations that leave no gap and keep to their range, translations found by trying all of them."""

import math

import pytest
import torch

from MetaAffineRegLib.affine import compose, identity
from MetaAffineRegLib.correlation_features import RHO
from MetaAffineRegLib.data_terms import CONTENT_FLOOR
from MetaAffineRegLib.sampling import axis_coordinates, mapped_grid, sample
from MetaAffineRegLib.starts import centre_of_mass, evenly, rotations, starts

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
SIZE = {2: 16, 3: 8}


def angles(matrices):
    """How far rotations turn, degrees."""
    d = matrices.shape[-1]
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg((trace / 2 if d == 2 else (trace - 1) / 2).clamp(-1, 1).acos())


def image(d, count=1, seed=0):
    """Smooth blobs well inside the grid, whole coverage, ``(count, 2, *S)``."""
    z = torch.stack(torch.meshgrid(*[axis_coordinates(SIZE[d])] * d, indexing="ij")[::-1], -1)
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(count, 5, d, generator=generator) - 0.5
    heights = 0.4 + 0.6 * torch.rand(count, 5, generator=generator)
    squares = (z[None, None] - centres.view(count, 5, *(1,) * d, d)).square().sum(-1)
    values = (heights.view(count, 5, *(1,) * d) * (squares / -0.04).exp()).sum(1)
    return torch.stack((values, torch.ones_like(values)), 1)


def moved(images, truth):
    """The moving images whose map, fixed to moving, is a whole number of samples: ``truth`` ``(B, d)`` in samples."""
    out = torch.zeros_like(images)
    d, n = images.ndim - 2, images.shape[-1]
    for row, shift in enumerate(truth.tolist()):
        source = tuple(slice(max(0, -s), n - max(0, s)) for s in reversed(shift))
        target = tuple(slice(max(0, s), n - max(0, -s)) for s in reversed(shift))
        out[(row, slice(None), *target)] = images[(row, slice(None), *source)]
    assert d == truth.shape[1]
    return out


def welsch(fixed, warped, scale=0.15):
    """The share left unexplained by definition, with the function of Welsch, of one pair."""
    inside = fixed[1] * warped[1]
    rho = lambda r: 1 - torch.exp(-0.5 * (r / scale).square())  # noqa: E731
    cost = (inside * rho(fixed[0] - warped[0])).sum()
    content = (inside * (rho(fixed[0]) + rho(warped[0]))).sum()
    floor = 2 * CONTENT_FLOOR * (fixed[1] * rho(fixed[0])).sum()
    return float((cost + (floor - content).clamp_min(0)) / torch.maximum(content, floor))


@DIMENSIONS
@pytest.mark.parametrize("count", [1, 2, 16, 32])
@pytest.mark.parametrize("largest", [0, 3, 10, 45, 90, 180])
def test_rotations_are_rotations_the_identity_first_within_the_range(d, count, largest):
    """The plane takes one more, so that as many lie on each side; a small range of space holds fewer."""
    found = rotations(d, count, largest)
    assert found.shape[1:] == (d, d) and found.dtype == torch.float64
    if d == 2:
        assert len(found) == (count if largest == 180 or count % 2 else count + 1)
    else:
        assert (count if largest >= 90 else 1) <= len(found) <= count
    torch.testing.assert_close(found[0], torch.eye(d, dtype=torch.float64))
    torch.testing.assert_close(found @ found.mT, torch.eye(d, dtype=torch.float64).expand_as(found))
    torch.testing.assert_close(torch.linalg.det(found), torch.ones(len(found), dtype=torch.float64))
    assert float(angles(found).max()) <= largest + 1e-6


@pytest.mark.parametrize("count", [8, 12, 32])
def test_rotations_of_the_plane_leave_equal_gaps(count):
    found = rotations(2, count)
    turned = torch.atan2(found[:, 1, 0], found[:, 0, 0]).sort().values
    gaps = torch.cat((turned.diff(), turned[:1] + 2 * math.pi - turned[-1:]))
    torch.testing.assert_close(gaps, torch.full_like(gaps, 2 * math.pi / count))


@pytest.mark.parametrize("largest", [30, 90, 150])
def test_rotations_of_the_plane_reach_both_ends_of_the_range(largest):
    found = rotations(2, 9, largest)
    turned = torch.rad2deg(torch.atan2(found[:, 1, 0], found[:, 0, 0])).sort().values
    torch.testing.assert_close(turned, torch.linspace(-largest, largest, 9, dtype=torch.float64))


@pytest.mark.parametrize(("count", "largest", "gap"), [(32, 180, 80), (256, 180, 38), (64, 60, 28)])
def test_rotations_of_space_leave_no_gap(count, largest, gap):
    """No rotation of the range lies further from the nearest than ``gap`` degrees; of as many drawn by chance it is 88, 49 and 29."""
    found = rotations(3, count, largest)
    quaternions = torch.nn.functional.normalize(
        torch.randn(20000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1
    )
    w, v = quaternions[:, :1, None], quaternions[:, 1:]
    skew = torch.linalg.cross(torch.eye(3, dtype=torch.float64).expand(len(v), 3, 3), v[:, None, :].expand(-1, 3, 3)).mT
    anywhere = torch.eye(3, dtype=torch.float64) + 2 * w * skew + 2 * skew @ skew
    anywhere = anywhere[angles(anywhere) <= largest]
    trace = torch.einsum("aij,bij->ab", anywhere, found)
    nearest = torch.rad2deg(((trace.amax(1) - 1) / 2).clamp(-1, 1).acos())
    assert len(anywhere) > 500
    assert float(nearest.max()) < gap


@DIMENSIONS
def test_search_finds_a_known_shift(d):
    """A whole number of samples, up to a quarter of the grid."""
    truth = torch.tensor([[1, -2, 1], [0, 0, 0], [-2, 2, -1]])[:, :d] * (SIZE[d] // 8)
    fixed = image(d, 3)
    x, value = starts(fixed, moved(fixed, truth), identity(3, d), torch.eye(d, dtype=torch.float64)[None])
    assert x.shape == (3, 1, d, d + 1) and value.shape == (3, 1) and x.dtype == value.dtype == torch.float64
    torch.testing.assert_close(x[:, 0, :, :d], identity(3, d)[..., :d])
    torch.testing.assert_close(x[:, 0, :, d], truth.double() * 2 / SIZE[d])
    assert float(value.max()) < 0.02


@DIMENSIONS
def test_search_sets_out_from_the_base(d):
    """Base and rotation undo a turn of the moving image; what is left is the shift."""
    fixed = image(d, 2)
    turn = rotations(d, 4)[2]
    step = torch.tensor([2.0, -1.0, 1.0])[:d].double() * 2 / SIZE[d]
    base = torch.cat((turn, torch.full((d, 1), 0.1, dtype=torch.float64)), 1).expand(2, d, d + 1)
    shift = torch.cat((torch.eye(d, dtype=torch.float64), step[:, None]), 1).expand(2, d, d + 1)
    truth = compose(base, shift)
    backward = torch.linalg.inv(truth[..., :d])
    inverse = torch.cat((backward, -backward @ truth[..., d:]), -1)
    moving = sample(fixed, mapped_grid(inverse, fixed.shape[2:], fixed.dtype))
    x, _ = starts(fixed, moving, base, rotations(d, 4)[:2])
    torch.testing.assert_close(x[:, 0], truth, atol=1.01 * 2 / SIZE[d], rtol=0)
    torch.testing.assert_close(x[:, 0, :, :d], truth[..., :d])
    turned = base[:, :, :d] @ rotations(d, 4)[1]
    torch.testing.assert_close(x[:, 1, :, :d], turned)


@DIMENSIONS
def test_search_agrees_with_trying_every_shift(d):
    """Value and place of the best, against warped images compared by definition, rotation by rotation.

    The series of cosines is cut off: the values agree to a twentieth, and what is found is as good as the best by definition.
    """
    fixed, moving = image(d), image(d, seed=1)
    turns = rotations(d, 3)
    x, value = starts(fixed, moving, identity(1, d), turns)
    n = SIZE[d]
    steps = torch.cartesian_prod(*[torch.arange(n + 1)] * d).double() * 2 / n - 1
    for row, turn in enumerate(turns):
        maps = torch.cat((turn.expand(len(steps), d, d), (steps @ turn.mT)[..., None]), -1)
        warped = sample(moving.expand(len(maps), -1, *moving.shape[2:]), mapped_grid(maps, moving.shape[2:], moving.dtype))
        table = torch.tensor([welsch(fixed[0], one) for one in warped], dtype=torch.float64)
        found = int((maps - x[0, row]).abs().amax((1, 2)).argmin())
        assert float((maps[found] - x[0, row]).abs().max()) < 1e-9
        assert float(value[0, row]) == pytest.approx(float(table[found]), abs=0.05)
        assert float(table[found]) < float(table.min()) + 0.05


def two_places(d, size=20):
    """A fixed image with a broad blob in the middle; the moving one shows it to the left, and, fainter, to the right."""
    z = torch.stack(torch.meshgrid(*[axis_coordinates(size)] * d, indexing="ij")[::-1], -1)
    blobs = [((z - torch.tensor([place, *[0.0] * (d - 1)])).square().sum(-1) / -0.08).exp() for place in (0.0, -0.6, 0.6)]
    one = torch.ones_like(blobs[0])
    return torch.stack((blobs[0], one))[None], torch.stack((blobs[1] + 0.6 * blobs[2], one))[None]


@DIMENSIONS
def test_more_of_each_rotation_are_distinct_minima_the_best_first(d):
    """Both places are found; the neighbours of the first, each of them better than the second place, are none."""
    fixed, moving = two_places(d)
    turn = torch.eye(d, dtype=torch.float64)[None]
    x, value = starts(fixed, moving, identity(1, d), turn, each=2)
    assert x.shape == (1, 2, d, d + 1)
    expected = torch.zeros(2, d, dtype=torch.float64)
    expected[:, 0] = torch.tensor([-0.6, 0.6])
    torch.testing.assert_close(x[0, :, :, d], expected, atol=0.101, rtol=0)  # a fainter blob: the next sample may do as well
    assert float(value[0, 0]) < float(value[0, 1])
    beside = expected[0].clone()
    beside[0] += 0.1
    warped = sample(moving, mapped_grid(torch.cat((turn, beside.view(1, d, 1)), -1), fixed.shape[2:], fixed.dtype))
    assert welsch(fixed[0], warped[0]) < float(value[0, 1])
    one, _ = starts(fixed, moving, identity(1, d), turn)
    torch.testing.assert_close(one, x[:, :1])


@DIMENSIONS
def test_search_of_many_rotations_is_cut_into_parts_alike(d, monkeypatch):
    fixed, moving = image(d, 2), image(d, 2, seed=1)
    whole = starts(fixed, moving, identity(2, d), rotations(d, 7))
    monkeypatch.setattr("MetaAffineRegLib.starts._NUMBERS", 1)
    parts = starts(fixed, moving, identity(2, d), rotations(d, 7))
    torch.testing.assert_close(parts[0], whole[0])
    torch.testing.assert_close(parts[1], whole[1], atol=1e-4, rtol=0)


@DIMENSIONS
def test_search_in_an_empty_image_gives_finite_maps(d):
    empty = torch.zeros(1, 2, *(SIZE[d],) * d)
    x, _ = starts(image(d), empty, identity(1, d), rotations(d, 4), each=2)
    assert bool(torch.isfinite(x).all())


@DIMENSIONS
def test_centre_of_mass_by_hand(d):
    """One sample of weight 1 and one of weight -3 (what counts is the distance to the background); nothing: the middle."""
    n = SIZE[d]
    images = torch.zeros(2, 2, *(n,) * d)
    images[(0, 0, *(0,) * d)] = 1.0
    images[(0, 0, *(0,) * (d - 1), n - 1)] = -3.0  # the last axis is the first coordinate
    edge = 1 - 1 / n
    expected = torch.zeros(2, d, dtype=torch.float64)
    expected[0] = -edge
    expected[0, 0] = (-edge + 3 * edge) / 4
    torch.testing.assert_close(centre_of_mass(images), expected)


@DIMENSIONS
def test_translations_by_centres_lay_one_on_the_other(d):
    """By mass: the centre of the fixed image's mass goes to that of the moving one, whatever the rotation; else the middles."""
    fixed = image(d, 2)
    moving = moved(fixed, torch.tensor([[1, 2, -1], [-1, 0, 1]])[:, :d])
    turns = rotations(d, 5)
    for translations in ("mass", "centre"):
        x, value = starts(fixed, moving, identity(2, d), turns, translations)
        assert x.shape == (2, 5, d, d + 1) and not bool(value.any())
        torch.testing.assert_close(x[..., :d], turns.expand(2, 5, d, d))
        middle = centre_of_mass(fixed) if translations == "mass" else torch.zeros(2, d, dtype=torch.float64)
        target = centre_of_mass(moving) if translations == "mass" else middle
        reached = (x[..., :d] @ middle[:, None, :, None])[..., 0] + x[..., d]
        torch.testing.assert_close(reached, target[:, None].expand_as(reached))


@DIMENSIONS
@pytest.mark.parametrize("each", [1, 3])
@pytest.mark.parametrize("small", [0, 1 << 12])
def test_trying_one_by_one_and_by_transforms_find_the_same(d, each, small, monkeypatch):
    """Compiled, on grids below and above what is small, with parts of the images not covered."""
    monkeypatch.setattr("MetaAffineRegLib.starts._SMALL", small)
    fixed, moving = image(d, 2), moved(image(d, 2, seed=1), torch.tensor([[1, 2, -1], [-3, 0, 1]])[:, :d])
    found = starts(fixed, moving, identity(2, d), rotations(d, 5), "search", each, backend="numba")
    expected = starts(fixed, moving, identity(2, d), rotations(d, 5), "search", each)
    for ours, theirs in zip(found, expected, strict=True):  # the best of each; where nothing is shown, all later ones are equally good
        torch.testing.assert_close(ours[:, ::each], theirs[:, ::each], atol=1e-5, rtol=0)


def test_rho_is_a_polynomial_in_the_cosine_of_the_difference():
    """That of the series; within the period it is close to the function of Welsch."""
    r = torch.linspace(-1.25, 1.25, 101, dtype=torch.float64)
    cosine = torch.cos(2 * math.pi / 3 * r)
    found = sum(coefficient * cosine**power for power, coefficient in enumerate(RHO))
    torch.testing.assert_close(found, 1 - torch.exp(-0.5 * (r / 0.15).square()), atol=0.06, rtol=0)


@pytest.mark.parametrize(
    ("count", "most", "lengths"), [(12, 9, [6, 6]), (12, 12, [12]), (7, 3, [2, 2, 3]), (3, 1, [1, 1, 1]), (1, 40, [1])]
)
def test_parts_are_few_and_even(count, most, lengths):
    parts = evenly(count, most)
    assert [part.stop - part.start for part in parts] == lengths
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(count))
