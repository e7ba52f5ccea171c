"""Checkerboard and difference, voxel by voxel."""

import numpy as np
import pytest
import slicer.util

from made_volumes import blobs, lattice, rotation, to_world, transform_node, volume_node
from MetaAffineRegMRML import comparison_volume
from MetaAffineRegMRML.comparison_volume import checkerboard, difference, make_node

SIZE, SPACING = (60, 48, 20), (1.5, 2.0, 4.0)


@pytest.fixture
def pair(scene):
    matrix = lattice(SIZE, SPACING)
    return [volume_node("bright", SIZE, matrix, blobs, scene), volume_node("dark", SIZE, matrix, lambda p: 0.2 * blobs(p) + 7, scene)]


def colors(node):
    return slicer.util.arrayFromVolume(node)


def tint(node):
    """How far each voxel is from gray."""
    shown = colors(node).astype(int)
    return shown.max(-1) - shown.min(-1)


def test_equal_volumes_on_other_scales_have_no_difference_and_no_fields(scene, pair):
    """Each is stretched over its own range of brightness."""
    node = make_node(scene)
    difference(node, *pair, gain=8)
    assert tint(node).max() <= 20
    assert colors(node).max() > 60
    checkerboard(node, *pair, fields=6)
    board = colors(node)[..., 0].astype(int)
    checkerboard(node, pair[0], pair[0], fields=6)
    assert np.abs(board - colors(node)[..., 0]).max() <= 2


def test_fields_take_turns_and_are_square_in_millimetres(scene, pair):
    """A volume whose right half is bright against one whose left half is: each field shows its own."""
    left, right = (np.zeros(SIZE[::-1], dtype=np.int16) for _ in range(2))
    left[:, :, :30], right[:, :, 30:] = 100, 100
    for node, array in zip(pair, (left, right), strict=True):
        slicer.util.updateVolumeFromArray(node, array)
    node = make_node(scene)
    checkerboard(node, *pair, fields=6)  # 96 mm along j is the longest side: fields of 16 mm
    board = colors(node)[..., 0]
    k, j, i = np.mgrid[: SIZE[2], : SIZE[1], : SIZE[0]]
    field = sum(((index + 0.5) * mm // 16).astype(int) for index, mm in zip((i, j, k), SPACING, strict=True))
    np.testing.assert_array_equal(board > 128, np.where(field % 2 == 1, i >= 30, i < 30))


def test_difference_names_the_brighter_one_by_color(scene, pair):
    one, other = (np.zeros(SIZE[::-1], dtype=np.float32) for _ in range(2))
    one[:, :, :20], other[:, :, 40:] = 50, 3
    for node, array in zip(pair, (one, other), strict=True):
        slicer.util.updateVolumeFromArray(node, array)
    node = make_node(scene)
    difference(node, *pair, gain=1)
    shown = colors(node).astype(int)
    assert (shown[:, :, :20, 2] > shown[:, :, :20, 0] + 100).all()  # blue: fixed
    assert (shown[:, :, 40:, 0] > shown[:, :, 40:, 2] + 100).all()  # orange: moving
    assert (shown[:, :, 20:40] == 0).all()


def test_picture_follows_the_transforms_of_both(scene, pair):
    """Both under the same turn: as before, and where the fixed volume now lies."""
    node = make_node(scene)
    checkerboard(node, *pair, fields=4)
    expected = colors(node).copy()
    turn = transform_node(rotation(25, (1, 1, 0)), scene)
    for volume in pair:
        volume.SetAndObserveTransformNodeID(turn.GetID())
    checkerboard(node, *pair, fields=4)
    assert np.abs(colors(node).astype(int) - expected).max() <= 1
    origin = np.array(pair[0].GetOrigin())
    np.testing.assert_allclose(node.GetOrigin(), to_world(pair[0], origin[None])[0], atol=1e-9)


def test_moved_volume_differs(scene, pair):
    node = make_node(scene)
    pair[1].SetAndObserveTransformNodeID(transform_node(rotation(30), scene).GetID())
    difference(node, *pair, gain=2)
    assert (tint(node) > 60).mean() > 0.02


def test_huge_volume_is_thinned_out_and_keeps_its_place(scene, pair, monkeypatch):
    monkeypatch.setattr(comparison_volume, "_LARGEST", 5000)
    node = make_node(scene)
    checkerboard(node, *pair, fields=4)
    assert np.prod(node.GetImageData().GetDimensions()) <= 5000
    low, high = np.zeros(6), np.zeros(6)
    pair[0].GetRASBounds(low)
    node.GetRASBounds(high)
    np.testing.assert_allclose(low, high, atol=4.5)


def test_slice_is_shown_wherever_it_lies_across_its_plane(scene):
    size = (40, 40, 1)
    fixed = volume_node("fixed", size, lattice(size, (2, 2, 3)), blobs, scene)
    moving = volume_node("moving", size, lattice(size, (2, 2, 3)), blobs, scene)
    moving.SetOrigin(*np.add(moving.GetOrigin(), (0, 0, 25)))
    node = make_node(scene)
    difference(node, fixed, moving, gain=8)
    assert tint(node).max() <= 10


def test_picture_is_neither_offered_nor_saved(scene):
    node = make_node(scene)
    assert node.GetHideFromEditors() and not node.GetSaveWithScene() and not node.GetDisplayNode().GetSaveWithScene()
