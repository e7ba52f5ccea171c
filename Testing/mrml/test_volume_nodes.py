"""Volume nodes as images: order of the array, lattice in world LPS, parents, color."""

import numpy as np
import pytest
import slicer

from made_volumes import apply, blobs, lattice, rotation, to_world, transform_node, translation, volume_node
from MetaAffineRegMRML.volume_nodes import image_from_volume_node, volume_geometry

LPS = np.array([-1.0, -1.0, 1.0])


def indices_to_lps(geometry, indices):
    return apply(geometry.index_to_lps, np.asarray(indices, dtype=float))


def test_array_is_kji_and_lattice_is_lps(scene):
    matrix = lattice((4, 5, 6), (1.0, 2.0, 3.0), rotation(25, (1, 2, 3)), (7, -8, 9))
    node = volume_node("v", (4, 5, 6), matrix, lambda p: p[..., 0] + 10 * p[..., 1] + 100 * p[..., 2], scene)
    image = image_from_volume_node(node)
    assert image.array.shape == (6, 5, 4)
    assert image.array.dtype == np.float32
    assert image.name == "v"
    index = np.array([[3, 1, 4]])
    ras = apply(matrix, index.astype(float))
    np.testing.assert_allclose(indices_to_lps(image.geometry, index), ras * LPS, atol=1e-9)
    np.testing.assert_allclose(image.array[4, 1, 3], ras[0] @ (1, 10, 100), rtol=1e-5)


def test_parents_are_part_of_the_lattice(scene):
    outer = transform_node(translation(10, 20, 30), scene, "outer")
    inner = transform_node(rotation(40, (0, 1, 1)), scene, "inner", parent=outer)
    matrix = lattice((8, 8, 8), (1, 1.5, 2))
    node = volume_node("v", (8, 8, 8), matrix, blobs, scene)
    node.SetAndObserveTransformNodeID(inner.GetID())
    index = np.array([[0, 0, 0], [7, 3, 5]])
    np.testing.assert_allclose(
        indices_to_lps(volume_geometry(node), index), to_world(node, apply(matrix, index.astype(float))) * LPS, atol=1e-9
    )


def test_shear_of_a_parent_stays_in_the_lattice(scene):
    shear = np.eye(4)
    shear[0, 1] = 0.5
    node = volume_node("v", (8, 8, 8), lattice((8, 8, 8), (1, 1, 1)), blobs, scene)
    node.SetAndObserveTransformNodeID(transform_node(shear, scene).GetID())
    index = np.array([[1, 7, 2]])
    local = apply(lattice((8, 8, 8), (1, 1, 1)), index.astype(float))
    np.testing.assert_allclose(indices_to_lps(volume_geometry(node), index), to_world(node, local) * LPS, atol=1e-9)


def test_image_outlives_changes_of_the_node(scene):
    node = volume_node("v", (8, 8, 8), lattice((8, 8, 8), (4, 4, 4)), blobs, scene)
    image = image_from_volume_node(node)
    before = image.array.copy()
    slicer.util.arrayFromVolume(node)[:] = -1
    scene.RemoveNode(node)
    np.testing.assert_array_equal(image.array, before)


@pytest.mark.parametrize("channels", [3, 4])
def test_color_becomes_brightness(scene, channels):
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    colors = np.random.default_rng(0).integers(0, 255, (1, 6, 5, channels), dtype=np.uint8)
    slicer.util.updateVolumeFromArray(node, colors)
    image = image_from_volume_node(node)
    np.testing.assert_allclose(image.array, colors[..., :3] @ (0.299, 0.587, 0.114), rtol=1e-5)
