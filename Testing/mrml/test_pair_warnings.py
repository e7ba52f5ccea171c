"""What is said of a pair before it is registered."""

import numpy as np
import pytest

from made_volumes import blobs, lattice, rotation, transform_node, translation, volume_node
from MetaAffineRegMRML.pair_warnings import pair_warnings

VOLUME, SLICE = (20, 20, 20), (40, 40, 1)


def node(scene, size=VOLUME, spacing=(4, 4, 4), axes=None, center=(0, 0, 0), name="v"):
    return volume_node(name, size, lattice(size, spacing, axes, center), blobs, scene)


def test_ordinary_pair_gives_no_warning(scene):
    assert pair_warnings(node(scene), node(scene, axes=rotation(12), center=(30, 0, 0))) == []


def test_axes_in_another_order_are_no_turn(scene):
    """Sagittal and axial scans of one head lie alike in the world."""
    sagittal = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    assert pair_warnings(node(scene), node(scene, axes=sagittal)) == []


def test_frames_far_apart_are_told_with_the_distance(scene):
    (sentence,) = pair_warnings(node(scene), node(scene, center=(0, 0, 200)))
    assert sentence.startswith("The headers put the images 200 mm apart")


def test_parents_count(scene):
    far = node(scene)
    far.SetAndObserveTransformNodeID(transform_node(translation(0, 150, 0), scene).GetID())
    (sentence,) = pair_warnings(node(scene), far)
    assert "150 mm apart" in sentence


@pytest.mark.parametrize("degrees", [30, 45])
def test_turned_volumes_are_told(scene, degrees):
    (sentence,) = pair_warnings(node(scene), node(scene, axes=rotation(degrees)))
    assert f"turned by {degrees} degrees" in sentence


def test_slices_of_different_planes_are_told(scene):
    (sentence,) = pair_warnings(node(scene, SLICE, (2, 2, 2)), node(scene, SLICE, (2, 2, 2), rotation(90, (1, 0, 0))))
    assert "planes 90 degrees apart" in sentence


def test_turn_within_the_plane_of_a_slice_is_not_told(scene):
    assert pair_warnings(node(scene, SLICE, (2, 2, 2)), node(scene, SLICE, (2, 2, 2), rotation(60))) == []


def test_sizes_that_can_not_be_are_told(scene):
    (sentence,) = pair_warnings(node(scene), node(scene, spacing=(0.4, 0.4, 0.4)))
    assert "80 and 8 mm long" in sentence
