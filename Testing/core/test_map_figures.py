"""Figures of maps that are known."""

import numpy as np
import pytest

from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.map_figures import MapFigures, overlap


def lattice(size, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)):
    return ImageGeometry.from_lattice(size, spacing, origin, np.eye(3))


def shift(x, y=0.0, z=0.0):
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def test_figures_of_a_turn_with_stretch_and_shift():
    """A quarter of a turn about z, twice as long along x: the centre (4.5, 4.5, 4.5) goes to (-4.5, 9, 4.5) + (1, 2, 3)."""
    turn = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    figures = MapFigures.of(shift(1, 2, 3) @ turn @ np.diag([2.0, 1, 1, 1]), lattice((10, 10, 10)))
    assert figures.rotation_degrees == pytest.approx(90)
    assert (figures.scale_min, figures.scale_max) == pytest.approx((1, 2))
    assert figures.shift_mm == pytest.approx(np.linalg.norm([-4.5 + 1 - 4.5, 9 + 2 - 4.5, 3]))


@pytest.mark.parametrize("size", [(40, 40, 40), (40, 40, 1), (40, 1, 40)])
@pytest.mark.parametrize(("millimetres", "share"), [(0, 1.0), (10, 0.75), (-20, 0.5), (40, 0.0)])
def test_overlap_of_shifted_images(size, millimetres, share):
    assert overlap(shift(millimetres), lattice(size), lattice(size)) == pytest.approx(share, abs=0.02)


def test_slice_has_no_thickness_to_miss():
    assert overlap(shift(0, 0, 25), lattice((40, 40, 1)), lattice((40, 40, 1))) == 1.0


def test_overlap_of_images_of_different_size_and_spacing():
    """A fixed image of 40 mm, in a moving one that covers a half of it in two directions."""
    fixed, moving = lattice((20, 20, 20), (2.0, 2.0, 2.0), (1, 1, 1)), lattice((20, 20, 40), origin=(0.5, 0.5, 0.5))
    assert overlap(np.eye(4), fixed, moving) == pytest.approx(0.25, abs=0.01)
