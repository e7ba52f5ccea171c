"""Interpolation under a map and its derivative, against autograd and central differences in float64."""

import numpy as np
import pytest
import torch

from MetaAffineRegLib import affine
from MetaAffineRegLib.backends import BORDER
from MetaAffineRegLib.compiled_sampling import sample_rows
from MetaAffineRegLib.sampling import axis_coordinates, grid_derivative, mapped_grid, pull_back, sample, sample_mapped

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
SHAPES = {2: (9, 7), 3: (7, 6, 5)}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def maps(count, d):
    return affine.identity(count, d) + 0.2 * random(count, d, d + 1, seed=1)


def test_samples_lie_in_the_middle_of_equal_cells():
    torch.testing.assert_close(axis_coordinates(4), torch.tensor([-0.75, -0.25, 0.25, 0.75]))


@DIMENSIONS
def test_mapped_grid_is_the_map_at_each_sample(d):
    """Coordinates are (x, y, z) where the array's axes are (z, y, x)."""
    x, shape = maps(3, d), SHAPES[d]
    grid = mapped_grid(x, shape, torch.float64)
    index = (1,) * (d - 1) + (3,)
    z = torch.stack([axis_coordinates(n, dtype=torch.float64)[i] for n, i in zip(shape, index, strict=True)][::-1])
    torch.testing.assert_close(grid[(2, *index)], x[2, :, :d] @ z + x[2, :, d])


@DIMENSIONS
def test_identity_gives_the_image_itself(d):
    images = random(2, 2, *SHAPES[d])
    torch.testing.assert_close(sample(images, mapped_grid(affine.identity(2, d), SHAPES[d], torch.float64)), images)


@DIMENSIONS
def test_shift_by_one_sample_moves_the_image_by_one(d):
    """phi takes fixed points to moving points: the sample's value is that of its neighbour on the right, zero beyond the border."""
    images = random(1, 1, *SHAPES[d])
    x = affine.identity(1, d)
    x[0, 0, d] = 2 / SHAPES[d][-1]
    warped = sample(images, mapped_grid(x, SHAPES[d], torch.float64))
    torch.testing.assert_close(warped[..., :-1], images[..., 1:])
    torch.testing.assert_close(warped[..., -1], torch.zeros_like(warped[..., -1]))


@DIMENSIONS
def test_linear_image_is_interpolated_exactly(d):
    coordinate = axis_coordinates(SHAPES[d][-1], dtype=torch.float64).expand(1, 1, *SHAPES[d])
    x = affine.identity(1, d)
    x[0, :, :d] *= 0.5
    x[0, 0, d] = 0.1
    warped = sample(coordinate, mapped_grid(x, SHAPES[d], torch.float64))
    torch.testing.assert_close(warped, 0.5 * coordinate + 0.1)


@DIMENSIONS
def test_grid_derivative_against_autograd(d):
    images, cotangent = random(3, 2, *SHAPES[d]), random(3, 2, *SHAPES[d], seed=4)
    grid = mapped_grid(maps(3, d), SHAPES[d], torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad((sample(images, grid) * cotangent).sum(), grid)
    torch.testing.assert_close(grid_derivative(images, grid.detach(), cotangent), expected)


@DIMENSIONS
def test_grid_derivative_against_central_differences(d):
    """Away from sample positions the interpolant is a polynomial; points are set to cell middles, off by a third of a cell."""
    shape = SHAPES[d]
    images, cotangent = random(1, 1, *shape), random(1, 1, *shape, seed=4)
    x = affine.identity(1, d)
    x[0, :, d] = torch.tensor([2 / n for n in reversed(shape)], dtype=torch.float64) / 3
    grid = mapped_grid(x, shape, torch.float64)
    found = grid_derivative(images, grid, cotangent)
    h = 1e-6
    for coordinate in range(d):
        step = torch.zeros(d, dtype=torch.float64)
        step[coordinate] = h
        expected = (sample(images, grid + step) - sample(images, grid - step)) * cotangent / (2 * h)
        torch.testing.assert_close(found[..., coordinate], expected[:, 0], atol=1e-7, rtol=1e-6)


@DIMENSIONS
def test_pull_back_against_autograd(d):
    derivative = random(3, *SHAPES[d], d)
    x = maps(3, d).requires_grad_()
    (expected,) = torch.autograd.grad((mapped_grid(x, SHAPES[d], torch.float64) * derivative).sum(), x)
    torch.testing.assert_close(pull_back(derivative), expected)


@DIMENSIONS
def test_row_of_a_batch_has_the_bits_it_has_alone(d):
    """Batches and orders may then not matter to any result."""
    size = (32,) * d
    derivative = random(5, *size, d).float()
    x, images = maps(5, d), random(5, 2, *size).float()
    grid = mapped_grid(x, size, torch.float32)
    for row in range(5):
        part = slice(row, row + 1)
        assert torch.equal(pull_back(derivative[part]), pull_back(derivative)[part])
        assert torch.equal(mapped_grid(x[part], size, torch.float32), grid[part])
        assert torch.equal(sample(images[part], grid[part]), sample(images, grid)[part])
        assert torch.equal(grid_derivative(images[part], grid[part], images[part]), grid_derivative(images, grid, images)[part])


@DIMENSIONS
def test_sums_over_samples_are_made_in_double_precision(d):
    """Many float32 numbers around 1 with a small mean: a float32 sum over all of them would lose it."""
    size = (128,) * d if d == 2 else (40,) * d
    derivative = (random(1, *size, d) + 1e-3).float()
    expected = derivative.double().numpy()
    z = np.meshgrid(*[axis_coordinates(n, dtype=torch.float64).numpy() for n in size], indexing="ij")[::-1]
    found = pull_back(derivative)[0].numpy()
    for column, values in enumerate([*z, np.ones(size)]):
        np.testing.assert_allclose(found[:, column], (expected[0] * values[..., None]).sum(tuple(range(d))), atol=2e-3)


@DIMENSIONS
def test_compiled_samples_are_those_of_torch(d):
    """Of several maps of each image, inside, across the border and outside; the grid has a shape of its own."""
    pytest.importorskip("numba")
    images, shape = random(2, 3, *SHAPES[d]).float(), tuple(n + 2 for n in SHAPES[d])
    x = maps(8, d).view(2, 4, d, d + 1)
    x[:, 1, 0, d] += 0.9
    x[:, 2, -1, d] -= 5
    x[:, 3] *= 3
    expected, found = (sample_mapped(images, x, shape, backend) for backend in ("torch", "numba"))
    assert found.shape == (2, 4, 3, *shape)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    assert not found[:, 2].any() and all(found[:, k].any() for k in (0, 1, 3))
    used = torch.full_like(found, 7)
    assert sample_mapped(images, x, shape, "numba", used) is used and torch.equal(used, found)
    x[0, 0], x[1, 0, 0, 0] = torch.nan, 1e30
    assert not sample_mapped(images, x, shape, "numba", used)[:, 0].any()


def test_compiled_samples_are_the_same_whoever_samples_which_rows():
    """Of maps by which rows begin and end on whole samples, so that rounding decides whether the first and the last one count."""
    n, steps = 200, [(1.0, -0.9, -0.1), (0.9, -0.9, -1.0), (0.9, 0.7, -3.7), (0.7, -0.9, 0.0), (0.3, -0.9, -0.1), (0.7, 0.3, 5.5)]
    bordered = np.zeros((n + 2 * BORDER, n + 2 * BORDER), np.float32)
    bordered[BORDER:-BORDER, BORDER:-BORDER] = random(n, n).float().numpy()
    x = np.zeros((1, len(steps), 2, 3))
    for k, (column, row, first) in enumerate(steps):  # in samples: from one to the next, and where the first one lies
        x[0, k] = (column, row, (2 * first + 1) / n - 1 - (column + row) * (1 / n - 1)), (0.05, 0.93, 0.01)
    given = bordered.reshape(1, 1, -1), (n, n), (n, n), x
    together, one_by_one = (np.empty((1, len(steps), 1, n, n), np.float32) for _ in range(2))
    sample_rows(*given, 0, len(steps) * n, together)
    for row in range(len(steps) * n):
        sample_rows(*given, row, row + 1, one_by_one)
    assert np.array_equal(together, one_by_one) and (together != 0).any()
