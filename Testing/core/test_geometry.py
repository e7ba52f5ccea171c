"""The lattice of an image: where its samples lie, how many dimensions it has, RAS and LPS."""

import numpy as np
import pytest

from core.made_images import affine, apply, lattice
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry, flip_ras_lps

OBLIQUE = affine(35, axis=(2, -1, 3))


def test_flip_turns_the_first_two_axes_and_is_its_own_inverse():
    matrix = affine(50, (1, 2, 3), (1, 1, 2))
    flipped = flip_ras_lps(matrix)
    point = np.array([4.0, 5.0, 6.0])
    expected = apply(matrix, point) * (-1, -1, 1)
    np.testing.assert_allclose(apply(flipped, point * (-1, -1, 1)), expected)
    np.testing.assert_array_equal(flip_ras_lps(flipped), matrix)
    np.testing.assert_array_equal(flip_ras_lps(affine(shift=(1, 2, 3)))[:3, 3], [-1, -2, 3])


def test_spacing_and_center_of_an_oblique_anisotropic_lattice():
    geometry = lattice((10, 20, 30), (1, 2, 3), OBLIQUE, (7, -8, 9))
    np.testing.assert_allclose(geometry.spacing, [1, 2, 3])
    np.testing.assert_allclose(geometry.center_lps, [7, -8, 9])
    assert geometry.extent == pytest.approx(90)  # 30 samples of 3 mm: whole voxels, not from centre to centre


@pytest.mark.parametrize("flat", [0, 1, 2])
def test_one_flat_axis_makes_a_slice(flat):
    size = [10, 12, 14]
    size[flat] = 1
    geometry = lattice(size, (1, 1, 40))
    assert geometry.dimension == 2
    assert geometry.axes == tuple(axis for axis in range(3) if axis != flat)
    # the thickness of a slice is no extent of it
    assert geometry.extent == pytest.approx(max(size[axis] * (1, 1, 40)[axis] for axis in geometry.axes))


@pytest.mark.parametrize("flat", [0, 1, 2, None])
def test_directions_are_orthonormal_with_the_flat_axis_last(flat):
    size = [10, 12, 14]
    if flat is not None:
        size[flat] = 1
    directions = lattice(size, (1, 2, 3), OBLIQUE).directions
    order = [axis for axis in range(3) if axis != flat] + ([] if flat is None else [flat])
    np.testing.assert_allclose(directions, OBLIQUE[:3, :3][:, order], atol=1e-12)


def test_directions_of_a_sheared_lattice_are_the_nearest_orthonormal_ones():
    shear = np.eye(3)
    shear[0, 1] = 0.3
    matrix = np.eye(4)
    matrix[:3, :3] = shear
    found = ImageGeometry((5, 5, 5), matrix).directions
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-12)
    assert np.abs(found - np.eye(3)).max() < 0.3


def test_two_dimensional_lattice_lies_in_the_plane_z_0():
    geometry = ImageGeometry.from_lattice((5, 4), (2.0, 3.0), (10.0, 20.0), np.array([0.0, -1.0, 1.0, 0.0]))
    assert geometry.size == (5, 4, 1)
    np.testing.assert_allclose(apply(geometry.index_to_lps, np.array([1.0, 1.0, 0.0])), [10 - 3, 20 + 2, 0])


def test_lattice_of_three_dimensions_as_itk_describes_it():
    direction = OBLIQUE[:3, :3]
    geometry = ImageGeometry.from_lattice((5, 6, 7), (1.0, 2.0, 3.0), (10.0, 20.0, 30.0), direction.ravel())
    np.testing.assert_allclose(apply(geometry.index_to_lps, np.array([1.0, 2.0, 3.0])), direction @ [1, 4, 9] + [10, 20, 30])


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_unusable_spacing_is_refused(value):
    with pytest.raises(InputError, match="no usable geometry.*set a valid spacing"):
        ImageGeometry((5, 5, 5), np.diag([1.0, value, 1.0, 1.0]))


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 8, 1), (8, 1, 1)])
def test_points_and_lines_are_refused(size):
    with pytest.raises(InputError, match=f"has {size[0]} x {size[1]} x {size[2]} samples; .* at least two along two axes"):
        ImageGeometry(size, np.eye(4))
