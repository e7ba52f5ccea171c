"""Affine maps [A | b]: composition, inverse, homogeneous form, nearest rotation."""

import math

import pytest
import torch

from MetaAffineRegLib import affine

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])


def maps(count: int, d: int, seed: int = 0) -> torch.Tensor:
    """Random invertible maps ``(count, d, d + 1)``."""
    generator = torch.Generator().manual_seed(seed)
    return affine.identity(count, d) + 0.3 * torch.randn(count, d, d + 1, generator=generator, dtype=torch.float64)


def points(count: int, d: int) -> torch.Tensor:
    return torch.randn(count, 7, d, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@DIMENSIONS
def test_composition_maps_points_one_after_the_other(d):
    outer, inner, z = maps(4, d, 1), maps(4, d, 2), points(4, d)
    torch.testing.assert_close(affine.apply(affine.compose(outer, inner), z), affine.apply(outer, affine.apply(inner, z)))


@DIMENSIONS
def test_apply_is_a_z_plus_b(d):
    x, z = maps(1, d), points(1, d)
    torch.testing.assert_close(affine.apply(x, z)[0, 3], x[0, :, :d] @ z[0, 3] + x[0, :, d])


@DIMENSIONS
def test_inverse_undoes_the_map_from_both_sides(d):
    x = maps(5, d)
    torch.testing.assert_close(affine.compose(x, affine.inverse(x)), affine.identity(5, d))
    torch.testing.assert_close(affine.compose(affine.inverse(x), x), affine.identity(5, d))


@DIMENSIONS
def test_inverse_of_a_flat_map_raises(d):
    flat = affine.identity(1, d)
    flat[0, 0, 0] = 0
    with pytest.raises(torch.linalg.LinAlgError):
        affine.inverse(flat)


@DIMENSIONS
def test_homogeneous_matrices_multiply_as_maps_compose(d):
    outer, inner = maps(3, d, 1), maps(3, d, 2)
    product = affine.to_homogeneous(outer) @ affine.to_homogeneous(inner)
    torch.testing.assert_close(affine.from_homogeneous(product), affine.compose(outer, inner))
    torch.testing.assert_close(product[:, d], torch.tensor([[0.0] * d + [1.0]] * 3, dtype=torch.float64))


def rotation(d: int, degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    matrix = torch.eye(d, dtype=torch.float64)
    matrix[:2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    return matrix


@DIMENSIONS
def test_nearest_rotation_of_a_stretched_rotation_is_that_rotation(d):
    """R S with S symmetric positive definite: the polar decomposition gives R back."""
    stretch = torch.diag(torch.tensor([2.0, 0.5, 1.3][:d], dtype=torch.float64))
    turned = torch.stack([rotation(d, degrees) @ stretch for degrees in (-170, 20, 90)])
    expected = torch.stack([rotation(d, degrees) for degrees in (-170, 20, 90)])
    torch.testing.assert_close(affine.nearest_rotation(turned), expected)


@DIMENSIONS
def test_nearest_rotation_of_a_mirror_image_is_a_rotation(d):
    mirrored = maps(6, d)[:, :, :d]
    mirrored[:, 0] *= -torch.linalg.det(mirrored).sign()[:, None]
    assert bool((torch.linalg.det(mirrored) < 0).all())
    found = affine.nearest_rotation(mirrored)
    torch.testing.assert_close(torch.linalg.det(found), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(found @ found.mT, torch.eye(d, dtype=torch.float64).expand(6, d, d))


@DIMENSIONS
def test_no_rotation_is_nearer_than_the_nearest(d):
    matrix = maps(1, d, 3)[:, :, :d]
    found = affine.nearest_rotation(matrix)
    for degrees in (-5, -0.1, 0.1, 5):
        assert (rotation(d, degrees) @ found - matrix).norm() > (found - matrix).norm()


@DIMENSIONS
def test_stretches_lie_within_a_factor_where_the_singular_values_do(d):
    matrix = torch.randn(400, d, d, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    singular = torch.linalg.svdvals(matrix)
    expected = (torch.linalg.det(matrix) > 0) & (singular.amax(1) <= 2) & (singular.amin(1) >= 0.5)
    assert 0 < int(expected.sum()) < 200
    assert affine.stretches_within(matrix.numpy(), 2.0).tolist() == expected.tolist()


@DIMENSIONS
def test_maps_as_vectors_are_as_far_apart_as_the_maps(d):
    x, y = maps(5, d, 1), maps(5, d, 2)
    apart = torch.from_numpy(affine.as_vectors(x.numpy()) - affine.as_vectors(y.numpy())).norm(dim=1)
    torch.testing.assert_close(apart, affine.distance(x, y))
