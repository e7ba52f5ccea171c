"""The Gauss-Newton matrix, against a Jacobian by differences and against the Hessian where nothing is left to explain."""

import pytest
import torch

from core.test_objective import TERMS, at, objective
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.data_terms import CONTENT_FLOOR, OVERLAP_FLOOR, mean_squares, overlap_mean_squares
from MetaAffineRegLib.freedom import FREEDOMS, freedom
from MetaAffineRegLib.objective import Objective, ParametrizedObjective
from MetaAffineRegLib.regularizer import Distortion
from MetaAffineRegLib.sampling import axis_coordinates, normal_matrix

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
SCALE = 0.15  # of unexplained_content


def columns_of(function, p, h=1e-7):
    """The Jacobian ``(B, M, n)`` of a function of p ``(B, n)`` with values ``(B, M)``, by central differences."""
    columns = []
    for column in range(p.shape[1]):
        step = torch.zeros_like(p)
        step[:, column] = h
        columns.append((function(p + step) - function(p - step)) / (2 * h))
    return torch.stack(columns, -1)


def weighted_residuals(term, fixed, here):
    """As a function of the warped images: the residuals whose squares D sums, weights and divisor held as they are ``here``."""
    if term is mean_squares:
        return lambda warped: ((warped - fixed) / fixed[0].numel() ** 0.5).flatten(1)

    def residual(warped):
        return fixed[:, 1:] * warped[:, :1] - warped[:, 1:] * fixed[:, :1]

    def total(numbers):
        return numbers.flatten(1).sum(1).view(-1, *(1,) * (fixed.ndim - 1))

    if term is overlap_mean_squares:
        weight = torch.ones_like(residual(here))
        divisor = torch.maximum(total((fixed[:, 1:] * here[:, 1:]).square()), OVERLAP_FLOOR * total(fixed[:, 1:].square()))
    else:
        weight = (1 + (residual(here) / SCALE).square()) ** -2
        rho = lambda r: r.square() / (1 + (r / SCALE).square())  # noqa: E731
        content = total(rho(here[:, 1:] * fixed[:, :1])) + total(rho(fixed[:, 1:] * here[:, :1]))
        divisor = torch.maximum(content, 2 * CONTENT_FLOOR * total(rho(fixed[:, 1:] * fixed[:, :1])))
    return lambda warped: (residual(warped) * (weight / divisor).sqrt()).flatten(1)


def close(found, expected, share=1e-5):
    """Entries to a share of the largest: translations and far corners differ in size."""
    assert float((found - expected).abs().max()) < share * float(expected.abs().max())


@DIMENSIONS
@TERMS
@pytest.mark.parametrize("shift", [0.05, 0.9, 1.7], ids=["inside", "border", "below the floor"])
def test_curvature_is_twice_the_jacobian_squared(d, term, shift):
    f, x = objective(d, term), at(d, shift)
    residuals = weighted_residuals(term, f._fixed, f.warped(x))
    jacobian = columns_of(lambda p: residuals(f.warped(p.view_as(x))), x.flatten(1))
    close(f.curvature(x), 2 * jacobian.mT @ jacobian)


@DIMENSIONS
@TERMS
def test_curvature_is_the_hessian_where_the_images_match(d, term):
    """The residuals vanish there, and with them all that Gauss and Newton leave out."""
    x = at(d, 0.05)
    template = objective(d, term)
    f = Objective(template.warped(x), template._moving, term)
    assert float(f.value(x).abs().max()) < 1e-20
    hessian = columns_of(lambda p: f.value_and_gradient(p.view_as(x))[1].flatten(1), x.flatten(1), 1e-8)
    close(f.curvature(x), hessian)


@DIMENSIONS
@TERMS
def test_curvature_is_symmetric_and_positive(d, term):
    matrix = objective(d, term).curvature(at(d, 0.3))
    assert matrix.dtype == torch.float64
    torch.testing.assert_close(matrix, matrix.mT)
    assert bool((torch.linalg.eigvalsh(matrix)[:, 0] > 0).all())


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
def test_curvature_of_the_free_parameters(d, name):
    template = objective(d, mean_squares)
    free = freedom(name, at(d, 0.1))
    f = ParametrizedObjective(template, free)
    p = free.origin + 0.05
    residuals = weighted_residuals(mean_squares, template._fixed, None)
    jacobian = columns_of(lambda p: residuals(template.warped(free.maps(p))), p)
    close(f.curvature(p), 2 * jacobian.mT @ jacobian)


@DIMENSIONS
def test_regularizer_adds_its_own(d):
    template, x = objective(d, mean_squares), at(d, 0.1)
    regularizer = Distortion(identity(3, d)[..., :-1], 0.7)
    both = Objective(template._fixed, template._moving, mean_squares, regularizer)
    torch.testing.assert_close(both.curvature(x), template.curvature(x) + regularizer.curvature(x))


@DIMENSIONS
def test_normal_matrix_on_a_grid_of_unequal_sides(d):
    """Against the sum written out sample by sample; sides of one length would hide exchanged axes."""
    shape = (5, 7) if d == 2 else (4, 5, 3)
    derivative = torch.randn(2, *shape, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axes = torch.meshgrid(*(axis_coordinates(size, dtype=torch.float64) for size in shape), indexing="ij")
    point = torch.stack((*reversed(axes), torch.ones(shape, dtype=torch.float64)), -1)
    rows = (derivative[..., None] * point[..., None, :]).flatten(-2).flatten(1, -2)
    torch.testing.assert_close(normal_matrix(derivative), rows.mT @ rows)


def test_row_of_a_batch_has_the_bits_it_has_alone():
    f, x = objective(2, overlap_mean_squares, torch.float32), at(2, 0.1)
    matrix = f.curvature(x)
    for row in range(3):
        alone = f.select(torch.tensor([row])).curvature(x[row : row + 1])
        torch.testing.assert_close(alone[0], matrix[row], rtol=1e-6, atol=1e-9)
