"""Normalised coordinates of a pair: rotations stay rotations, whatever the lattices; starts; slices of any plane."""

import numpy as np
import pytest

from core.made_images import affine, apply, lattice
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import pair_frame

OBLIQUE = affine(35, axis=(2, -1, 3))
SAGITTAL = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
AXES = {"axial": np.eye(4), "sagittal": SAGITTAL, "oblique": OBLIQUE, "left-handed": np.diag([1.0, 1, -1, 1])}
SIZES = {2: (90, 40, 1), 3: (60, 40, 20)}
BY_AXES = pytest.mark.parametrize("axes", list(AXES.values()), ids=list(AXES))
BY_DIMENSION = pytest.mark.parametrize("d", [2, 3])


def geometry(d, axes=None, spacing=(0.7, 1.9, 4.0), center=(30, -20, 10)):
    return lattice(SIZES[d], spacing, axes, center)


def rigid(d, degrees=40.0):
    """A rigid map in normalised coordinates, ``(d, d + 1)``."""
    matrix = affine(degrees, (0.3, -0.2, 0.4), (0, 0, 1) if d == 2 else (1, 2, 2))
    return np.hstack((matrix[:d, :d], matrix[:d, 3:]))


def is_rigid(matrix):
    return np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-12) and np.linalg.det(matrix) > 0


@BY_DIMENSION
@BY_AXES
def test_rigid_in_normalised_coordinates_is_rigid_in_mm(d, axes):
    """Non-square, anisotropic, and other pixels in the moving image: one length for all axes of both images."""
    frame = pair_frame(geometry(d, axes), geometry(d, axes, (2.5, 0.6, 1.0), (-5, 0, 8)))
    assert is_rigid(frame.to_lps(rigid(d))[:3, :3])


@BY_DIMENSION
@BY_AXES
def test_normalised_coordinates_and_mm_say_the_same(d, axes):
    """A point by way of the map in normalised coordinates is where the map in LPS mm takes it."""
    frame = pair_frame(geometry(d, axes), geometry(d, axes, center=(1, 2, 3)))
    z = np.zeros(3)
    z[:d] = (0.5, -0.25, 0.125)[:d]
    mapped = np.zeros(3)
    mapped[:d] = rigid(d)[:, :d] @ z[:d] + rigid(d)[:, d]
    np.testing.assert_allclose(apply(frame.to_lps(rigid(d)), apply(frame.fixed_to_lps, z)), apply(frame.moving_to_lps, mapped))


@BY_DIMENSION
@BY_AXES
def test_identity_lays_the_centres_on_each_other(d, axes):
    fixed, moving = geometry(d, axes), geometry(d, axes, center=(-7, 8, 60))
    found = pair_frame(fixed, moving).to_lps(np.eye(d, d + 1))
    np.testing.assert_allclose(found[:3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(apply(found, fixed.center_lps), moving.center_lps)


@BY_DIMENSION
@BY_AXES
def test_initial_comes_back_where_nothing_is_done(d, axes):
    """The start in normalised coordinates, taken back to mm, is the initial transform itself, stretch and all."""
    fixed = geometry(d, axes)
    turn = affine(25, axis=fixed.directions[:, 2])
    stretch = np.eye(3) + 0.2 * np.outer(fixed.directions[:, 0], fixed.directions[:, 1])
    initial = affine(shift=fixed.directions[:, :2] @ (12, -9)) @ turn @ affine(stretch=stretch)
    frame = pair_frame(fixed, fixed, initial)
    np.testing.assert_allclose(frame.to_lps(frame.start), initial, atol=1e-9)


@BY_DIMENSION
def test_start_keeps_the_turn_of_the_initial_out_of_the_map(d):
    """The moving frame is turned by the initial, so that the network sees a start without rotation, as in training."""
    fixed = geometry(d)
    initial = affine(120, (3, 4, 0), fixed.directions[:, 2])
    frame = pair_frame(fixed, fixed, initial)
    np.testing.assert_allclose(frame.start[:, :d], np.eye(d), atol=1e-12)


def test_half_a_sample_outside_the_last_one_is_the_border():
    """[-1, 1] spans whole samples along the longest side: index -0.5 and n - 0.5."""
    fixed = lattice((50, 20, 1), (2, 1, 1))
    frame = pair_frame(fixed, fixed)
    np.testing.assert_allclose(
        apply(frame.fixed_to_lps, np.array([-1.0, 0, 0])), apply(fixed.index_to_lps, np.array([-0.5, 9.5, 0])), atol=1e-12
    )


def test_frame_holds_the_larger_image_whole():
    small, large = lattice((10, 10, 10), (1, 1, 1)), lattice((10, 10, 30), (1, 1, 2))
    for fixed, moving in ((small, large), (large, small)):
        frame = pair_frame(fixed, moving)
        for matrix in (frame.fixed_to_lps, frame.moving_to_lps):
            np.testing.assert_allclose(np.linalg.norm(matrix[:3, :3], axis=0), 30)


@pytest.mark.parametrize("flat", [0, 1, 2])
@BY_AXES
def test_maps_of_a_slice_leave_its_normal_alone(flat, axes):
    size = [40, 50, 60]
    size[flat] = 1
    fixed = lattice(size, (1, 2, 3), axes)
    found = pair_frame(fixed, fixed).to_lps(rigid(2))
    normal = axes[:3, flat]
    np.testing.assert_allclose(found[:3, :3] @ normal, normal, atol=1e-12)
    in_plane = apply(found, fixed.center_lps) - fixed.center_lps
    assert np.linalg.norm(in_plane) > 1 and abs(in_plane @ normal) < 1e-9


@pytest.mark.parametrize("moving_axes", [SAGITTAL, OBLIQUE, np.diag([1.0, 1, -1, 1])], ids=["sagittal", "oblique", "opposite normal"])
def test_slices_of_two_planes_are_turned_onto_each_other(moving_axes):
    fixed, moving = geometry(2), geometry(2, moving_axes, center=(1, 2, 3))
    found = pair_frame(fixed, moving).to_lps(rigid(2))
    normal = moving_axes[:3, 2]
    assert is_rigid(found[:3, :3])
    corners = apply(fixed.index_to_lps, np.array([[0.0, 0, 0], [89, 0, 0], [0, 39, 0]]))
    np.testing.assert_allclose((apply(found, corners) - moving.center_lps) @ normal, 0, atol=1e-9)


def test_slices_of_two_planes_with_an_initial_stay_in_the_moving_plane():
    fixed, moving = geometry(2), geometry(2, SAGITTAL, center=(1, 2, 3))
    frame = pair_frame(fixed, moving, affine(70, (5, 5, 5), (1, 1, 0)))
    corners = apply(fixed.index_to_lps, np.array([[0.0, 0, 0], [89, 0, 0], [0, 39, 0]]))
    np.testing.assert_allclose((apply(frame.to_lps(frame.start), corners) - moving.center_lps) @ SAGITTAL[:3, 2], 0, atol=1e-9)


@pytest.mark.parametrize(("fixed", "moving"), [(2, 3), (3, 2)])
def test_slice_with_volume_is_refused(fixed, moving):
    with pytest.raises(InputError, match=f"fixed image has {fixed} dimensions and the moving image {moving}; give two"):
        pair_frame(geometry(fixed), geometry(moving))
