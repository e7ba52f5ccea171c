"""Equation (1) and its exact gradient: inside, at the border and where the images hardly overlap; leaving is never rewarded."""

import pytest
import torch

from core.made_images import affine, lattice, made
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.data_terms import mean_squares, overlap_mean_squares, unexplained_content
from MetaAffineRegLib.freedom import FREEDOMS, freedom
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.objective import AcrossDevices, Objective, ParametrizedObjective
from MetaAffineRegLib.pyramid import resample
from MetaAffineRegLib.regularizer import Distortion

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
TERMS = pytest.mark.parametrize(
    "term", [mean_squares, overlap_mean_squares, unexplained_content], ids=["mean squares", "overlap", "unexplained content"]
)
SIZE = {2: 32, 3: 14}
# how far the map shifts along x, normalised: the image is 2 wide
SHIFTS = {"inside": 0.05, "border": 0.9, "below the floor": 1.7, "outside": 2.5}


def objective(d, term, dtype=torch.float64, count=3):
    """Criteria of different pairs, the moving images moved by a few degrees and mm."""
    n = SIZE[d]
    geometry = lattice((n, n, n if d == 3 else 1), (70 / n,) * 3)
    frame = pair_frame(geometry, geometry).fixed_to_lps
    channels = 1 if term is mean_squares else 2
    stacks = []
    for truth in (None, affine(8, (3, -2, 0))):
        images = [resample(made(geometry, truth, seed), frame, n, (0.0, 60.0), dtype=dtype)[:channels] for seed in range(count)]
        stacks.append(torch.stack(images))
    return Objective(*stacks, term)


def at(d, shift, count=3):
    x = identity(count, d) + 0.05 * torch.randn(count, d, d + 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x[:, 0, d] += shift
    return x


@DIMENSIONS
@pytest.mark.parametrize("term", [mean_squares, overlap_mean_squares])  # the third works in place
@pytest.mark.parametrize("place", SHIFTS)
def test_gradient_against_autograd(d, term, place):
    f, x = objective(d, term), at(d, SHIFTS[place]).requires_grad_()
    (expected,) = torch.autograd.grad(f.value(x).sum(), x)
    value, gradient = f.value_and_gradient(x.detach())
    torch.testing.assert_close(value, f.value(x.detach()))
    torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=1e-7)
    if place != "outside":
        assert float(gradient.abs().max()) > 1e-4


@DIMENSIONS
@TERMS
@pytest.mark.parametrize("place", ["inside", "border", "below the floor"])
def test_gradient_against_central_differences(d, term, place):
    """The interpolant has kinks at its samples; the step is so short that few points cross one."""
    f, x = objective(d, term), at(d, SHIFTS[place])
    gradient = f.value_and_gradient(x)[1]
    h = 1e-8
    found = torch.empty_like(x)
    for row in range(d):
        for column in range(d + 1):
            step = torch.zeros_like(x)
            step[:, row, column] = h
            found[:, row, column] = (f.value(x + step) - f.value(x - step)) / (2 * h)
    torch.testing.assert_close(gradient, found, atol=2e-6, rtol=1e-4)


@DIMENSIONS
@TERMS
@pytest.mark.parametrize("name", FREEDOMS)
def test_gradient_of_the_free_parameters(d, term, name):
    free = freedom(name, at(d, 0.1))
    f = ParametrizedObjective(objective(d, term), free)
    p = free.origin + 0.05
    value, gradient = f.value_and_gradient(p)
    h = 1e-8
    for column in range(p.shape[1]):
        step = torch.zeros_like(p)
        step[:, column] = h
        difference = f.value_and_gradient(p + step)[0] - f.value_and_gradient(p - step)[0]
        torch.testing.assert_close(gradient[:, column], difference / (2 * h), atol=2e-6, rtol=1e-4)
    assert value.shape == (3,)


@DIMENSIONS
@TERMS
def test_truth_is_better_than_the_start_and_any_neighbour(d, term):
    """phi takes fixed points to moving points: the truth in mm, in normalised coordinates, is nearly the least."""
    f = objective(d, term)
    truth = affine(8, (3, -2, 0))
    x = torch.from_numpy(truth[:d]).clone()[None, :, [*range(d), 3]].repeat(3, 1, 1)
    x[:, :, d] /= 35  # half the frame, mm
    least = f.value(x)
    assert bool((least < 0.25 * f.value(identity(3, d))).all())
    for offset in (0.1, -0.1):
        for coordinate in range(d):
            beside = x.clone()
            beside[:, coordinate, d] += offset
            assert bool((f.value(beside) > least).all())


@DIMENSIONS
@TERMS
def test_leaving_the_image_is_never_rewarded(d, term):
    """Further out, from little overlap to none, the value never falls, and it ends above what the start has."""
    f = objective(d, term)
    here = f.value(identity(3, d))
    far = [f.value(at(d, shift)) for shift in (2.5, 5.0, 50.0)]
    assert all(bool((value > here).all()) for value in far)
    torch.testing.assert_close(far[0], far[2])  # nothing is left: a constant


@DIMENSIONS
def test_shrinking_the_overlap_to_its_best_matching_rest_does_not_pay(d):
    """Without a floor the mean over a corner of background would be zero."""
    f = objective(d, overlap_mean_squares)
    truth_value = f.value(at(d, 0.0))
    for shift in (1.5, 1.7, 1.8, 1.9, 1.95, 2.0):
        assert bool((f.value(at(d, shift)) > 0.5 * truth_value).all())


@DIMENSIONS
@TERMS
def test_selected_pairs_have_the_bits_they_have_in_the_batch(d, term):
    f, x, rows = objective(d, term, torch.float32), at(d, 0.1), torch.tensor([2, 0])
    value, gradient = f.value_and_gradient(x)
    part = f.select(rows)
    assert len(part) == 2
    part_value, part_gradient = part.value_and_gradient(x[rows])
    assert torch.equal(part_value, value[rows]) and torch.equal(part_gradient, gradient[rows])


@DIMENSIONS
@pytest.mark.parametrize("gamma", [None, 0.5])
def test_criterion_across_devices_is_that_of_one(d, gamma):
    """Both being the CPU, where no GPU is at hand."""
    f, x = objective(d, unexplained_content), at(d, 0.05)
    regularizer = None if gamma is None else Distortion(identity(3, d)[..., :-1], gamma)
    one = Objective(f._fixed, f._moving, unexplained_content, regularizer)
    two = AcrossDevices(f, torch.device("cpu"), regularizer)
    rows = torch.tensor([2, 0])
    for criterion, other, maps in ((one, two, x), (one.select(rows), two.select(rows), x[rows])):
        assert len(criterion) == len(other)
        found = other.value_gradient_curvature(maps)
        for number, expected in zip(found, criterion.value_gradient_curvature(maps), strict=True):
            torch.testing.assert_close(number, expected, rtol=0, atol=0)
        torch.testing.assert_close(other.value(maps), criterion.value(maps), rtol=0, atol=0)
        torch.testing.assert_close(other.shares(maps), criterion.shares(maps), rtol=0, atol=0)
