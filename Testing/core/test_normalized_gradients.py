"""Normalised gradient fields: the exact gradient, what a contrast changes (nothing), and what leaving the image brings (nothing)."""

import math

import pytest
import torch

from core.made_images import affine, lattice, made
from core.test_objective import SHIFTS, SIZE, at
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.correlation_features import EdgeTensors
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.normalized_gradients import NormalizedGradients, normalized_gradients
from MetaAffineRegLib.objective import Objective
from MetaAffineRegLib.pyramid import resample
from MetaAffineRegLib.starts import starts

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
TRUTH = affine(8, (3, -2, 0))


def images(d, count=3, size=None):
    """Fixed images and moving ones under ``TRUTH``, ``(B, 2, *S)`` in float64."""
    n = size or SIZE[d]
    geometry = lattice((n, n, n if d == 3 else 1), (70 / n,) * 3)
    frame = pair_frame(geometry, geometry).fixed_to_lps
    return tuple(
        torch.stack([resample(made(geometry, moved, seed), frame, n, (0.0, 60.0), dtype=torch.float64) for seed in range(count)])
        for moved in (None, TRUTH)
    )


def objective(fixed, moving, term=normalized_gradients):
    return Objective(term.fixed_channels(fixed), term.moving_channels(moving), term)


def truth_of(d, count=3):
    x = torch.from_numpy(TRUTH[:d]).clone()[None, :, [*range(d), 3]].repeat(count, 1, 1)
    x[:, :, d] /= 35  # half the frame, mm
    return x


def other_contrast(image):
    """Inverted, by a curve, and brighter to one side."""
    shade = torch.linspace(0.8, 1.2, image.shape[-1], dtype=image.dtype)
    return torch.cat(((2 - image[:, :1].clamp_min(0).sqrt()) * shade, image[:, 1:]), 1)


@DIMENSIONS
@pytest.mark.parametrize("place", ["inside", "border", "below the floor"])
def test_gradient_against_central_differences(d, place):
    """What the map does to the direction of edges counts too."""
    f, x = objective(*images(d)), at(d, SHIFTS[place])
    gradient = f.value_and_gradient(x)[1]
    h = 1e-8
    found = torch.empty_like(x)
    for row in range(d):
        for column in range(d + 1):
            step = torch.zeros_like(x)
            step[:, row, column] = h
            found[:, row, column] = (f.value(x + step) - f.value(x - step)) / (2 * h)
    torch.testing.assert_close(gradient, found, atol=5e-6, rtol=1e-4)
    assert float(gradient.abs().max()) > 1e-3


@DIMENSIONS
def test_truth_is_the_best_whatever_the_contrast(d):
    fixed, moving = images(d, size={2: 48, 3: 24}[d])
    f = objective(fixed, other_contrast(moving))
    x = truth_of(d)
    least = f.value(x)
    assert bool((least < 0.7 * f.value(identity(3, d))).all())
    for offset in (0.1, -0.1):
        for coordinate in range(d):
            beside = x.clone()
            beside[:, coordinate, d] += offset
            assert bool((f.value(beside) > least).all())


@DIMENSIONS
@pytest.mark.parametrize("factor", [-1.0, 3.0])
def test_sign_and_strength_of_edges_do_not_count(d, factor):
    """Where edges are far stronger than the constant that separates them from noise."""
    fixed, moving = images(d)
    scaled = torch.cat((factor * moving[:, :1], moving[:, 1:]), 1)
    term = NormalizedGradients(1e-6)
    x = at(d, 0.05)
    torch.testing.assert_close(objective(fixed, scaled, term).value(x), objective(fixed, moving, term).value(x), rtol=1e-3, atol=1e-3)


@DIMENSIONS
def test_leaving_the_image_is_never_rewarded(d):
    f = objective(*images(d))
    here = f.value(truth_of(d))
    far = [f.value(at(d, shift)) for shift in (2.5, 5.0, 50.0)]
    assert all(bool((value > here).all()) for value in far)
    torch.testing.assert_close(far[0], far[2])
    torch.testing.assert_close(far[0], torch.ones(3, dtype=torch.float64))


@DIMENSIONS
def test_a_flat_image_gives_finite_numbers(d):
    flat = torch.ones(3, 2, *(SIZE[d],) * d, dtype=torch.float64)
    for pair in ((images(d)[0], flat), (flat, images(d)[0]), (flat, flat)):
        value, gradient = objective(*pair).value_and_gradient(at(d, 0.1))
        matrix = objective(*pair).curvature(at(d, 0.1))
        assert all(bool(torch.isfinite(tensor).all()) for tensor in (value, gradient, matrix))


@DIMENSIONS
def test_curvature_is_the_hessian_where_the_edges_match(d):
    """A shift of an image against itself: the residuals vanish, and the map's own share in the direction of edges is constant."""
    fixed, _ = images(d)
    term = NormalizedGradients(0.5)  # smooth enough for differences
    f, x = objective(fixed, fixed, term), identity(3, d)
    matrix = f.curvature(x).view(3, d, d + 1, d, d + 1)[:, :, d, :, d]
    h = 1e-5
    for coordinate in range(d):
        step = torch.zeros_like(x)
        step[:, coordinate, d] = h
        up, down = (f.value_and_gradient(x + sign * step)[1][..., d] for sign in (1, -1))
        hessian = (up - down) / (2 * h)
        assert float((matrix[:, coordinate] - hessian).abs().max()) < 0.25 * float(matrix.abs().max())
    assert bool((torch.linalg.eigvalsh(matrix)[:, 0] > 0).all())


@DIMENSIONS
def test_search_by_correlation_finds_what_the_criterion_has(d):
    """The values of its starts are those of the criterion at these maps, and the best of them is the shift between the images."""
    n = {2: 32, 3: 16}[d]
    fixed = images(d, 2, n)[0].float()
    moved = torch.roll(fixed, (2, -3), (-1, -2))
    x, value = starts(fixed, moved, identity(2, d), torch.eye(d, dtype=torch.float64)[None], "search", 3, EdgeTensors(normalized_gradients))
    shift = torch.zeros(d, dtype=torch.float64)
    shift[0], shift[1] = 2 * 2 / n, -3 * 2 / n
    for row in range(2):
        torch.testing.assert_close(x[row, 0, :, d], shift, atol=1e-6, rtol=0)
    for rank in range(3):
        torch.testing.assert_close(objective(fixed, moved).value(x[:, rank]), value[:, rank], atol=2e-3, rtol=0)


def test_half_an_edge_is_one_of_the_strength_that_is_named():
    """A ramp of ``edge`` a sample has |T| of one half."""
    ramp = (0.3 * torch.arange(16.0)).expand(1, 1, 16, 16)
    term = NormalizedGradients(0.3)
    channels = term.fixed_channels(torch.cat((ramp, torch.ones_like(ramp)), 1))
    assert float(channels[0, :2, 8, 8].square().sum()) == pytest.approx(0.5) and abs(float(channels[0, 1, 8, 8])) < 1e-6
    assert math.isclose(float(channels[0, 2, 8, 8]), 1.0)
