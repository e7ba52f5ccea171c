"""Distortion: nothing for what only turns and shifts, alike for a size and its inverse, its derivatives exact."""

import math

import pytest
import torch

from core.test_curvature import columns_of
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.regularizer import Distortion
from MetaAffineRegLib.starts import rotations

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
WEIGHT = 0.7


def some_maps(d, count=4, seed=0):
    noise = torch.randn(count, d, d + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return identity(count, d) + 0.25 * noise


def undistorted(d, reference):
    """Turned and shifted references."""
    turns = rotations(d, len(reference) + 2)[2:]
    return torch.cat((turns @ reference, torch.arange(d, dtype=torch.float64).view(1, d, 1).expand(len(turns), d, 1)), -1)


@DIMENSIONS
def test_value_by_hand(d):
    """Twice the size along one axis of d, half along the next."""
    sizes = torch.ones(d, dtype=torch.float64)
    sizes[0], sizes[1] = 2.0, 0.5
    x = torch.cat((torch.diag(sizes), torch.ones(d, 1, dtype=torch.float64)), 1)[None]
    value = Distortion(identity(1, d)[..., :-1], WEIGHT).value(x)
    assert float(value) == pytest.approx(WEIGHT * 2 * math.log(2) ** 2 / d)


@DIMENSIONS
def test_turned_and_shifted_reference_costs_nothing(d):
    reference = some_maps(d)[..., :-1]
    term, x = Distortion(reference, WEIGHT), undistorted(d, reference)
    value, gradient = term.value_and_gradient(x)
    torch.testing.assert_close(value, torch.zeros_like(value), atol=1e-25, rtol=0)
    torch.testing.assert_close(term.value(x), torch.zeros_like(value), atol=1e-25, rtol=0)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


@DIMENSIONS
def test_size_and_its_inverse_cost_the_same(d):
    term, x = Distortion(identity(4, d)[..., :-1], WEIGHT), some_maps(d)
    back = torch.cat((torch.linalg.inv(x[..., :-1]), x[..., -1:]), -1)
    torch.testing.assert_close(term.value(back), term.value(x))
    assert float(term.value(x).min()) > 1e-3


@DIMENSIONS
def test_gradient_against_central_differences(d):
    term, x = Distortion(some_maps(d, seed=1)[..., :-1], WEIGHT), some_maps(d)
    value, gradient = term.value_and_gradient(x)
    torch.testing.assert_close(value, term.value(x))
    found = columns_of(lambda p: term.value(p.view_as(x))[:, None], x.flatten(1), 1e-6)[:, 0]
    torch.testing.assert_close(gradient.flatten(1), found, atol=1e-8, rtol=1e-6)


@DIMENSIONS
def test_curvature_is_the_hessian_where_nothing_is_distorted(d):
    reference = some_maps(d)[..., :-1]
    term, x = Distortion(reference, WEIGHT), undistorted(d, reference)
    hessian = columns_of(lambda p: term.value_and_gradient(p.view_as(x))[1].flatten(1), x.flatten(1), 1e-6)
    torch.testing.assert_close(term.curvature(x), hessian, atol=1e-6, rtol=1e-5)


@DIMENSIONS
def test_singular_and_mirrored_maps_give_finite_numbers(d):
    x = identity(2, d)
    x[0, 0, 0], x[1, 0, 0] = 0.0, -1.0
    term = Distortion(identity(2, d)[..., :-1], WEIGHT)
    value, gradient = term.value_and_gradient(x)
    assert bool(torch.isfinite(value).all()) and bool(torch.isfinite(gradient).all()) and bool(torch.isfinite(term.curvature(x)).all())
    assert float(value[0]) > 10


@DIMENSIONS
def test_selected_rows_are_those_rows(d):
    term, x, rows = Distortion(some_maps(d, seed=1)[..., :-1], WEIGHT), some_maps(d), torch.tensor([2, 0])
    part = term.select(rows)
    torch.testing.assert_close(part.value(x[rows]), term.value(x)[rows])
    torch.testing.assert_close(part.curvature(x[rows]), term.curvature(x)[rows])
