"""Slices that a view shows, registered in their plane, against the known brightness at every point."""

import numpy as np
import pytest
import slicer

from made_volumes import TURN, apply, blobs, lattice, rotation, to_world, transform_node, translation, volume_node
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.registration import Settings
from MetaAffineRegMRML.registration_nodes import register_nodes
from MetaAffineRegMRML.slice_plane import cut

SIZE, SPACING = (70, 60, 40), (1.5, 1.5, 2.5)


@pytest.fixture
def view(scene):
    return scene.AddNode(slicer.vtkMRMLSliceNode())


def show(view, matrix):
    """Let the view show the plane whose right, up and normal are the columns of a matrix."""
    for row in range(4):
        for column in range(4):
            view.GetSliceToRAS().SetElement(row, column, matrix[row, column])
    view.UpdateMatrices()


@pytest.mark.parametrize(
    "plane",
    [translation(3, 0, 6), translation(0, 4, 0) @ rotation(90, (1, 0, 0)), translation(1, 2, 3) @ rotation(35, (1, 2, 1))],
    ids=["axial", "coronal", "oblique"],
)
def test_cut_has_the_brightness_of_the_volume_in_the_plane(scene, view, plane):
    """The volume hangs under a turned parent, and every sample lies where its geometry says."""
    node = volume_node("v", SIZE, lattice(SIZE, SPACING, rotation(10)), blobs, scene)
    parent = translation(5, -3, 2) @ rotation(12, (0, 1, 1))
    node.SetAndObserveTransformNodeID(transform_node(parent, scene).GetID())
    show(view, plane)
    image = cut(node, view)
    assert image.geometry.dimension == 2
    ni, nj, _ = image.geometry.size
    j, i = np.mgrid[4 : nj - 4 : 3, 4 : ni - 4 : 3]
    lps = apply(image.geometry.index_to_lps, np.stack([i, j, 0 * i], axis=-1).reshape(-1, 3).astype(float))
    ras = lps * [-1, -1, 1]
    np.testing.assert_allclose(apply(np.linalg.inv(plane), ras)[:, 2], 0, atol=1e-9)
    expected = blobs(apply(np.linalg.inv(parent), ras)).reshape(i.shape)
    found = image.voxels[0][j, i]
    inside = found > 5  # not beyond the volume, where the lowest value stands
    assert inside.mean() > 0.2
    np.testing.assert_allclose(found[inside], expected[inside], atol=3)


def test_cut_covers_the_whole_of_an_axial_slice(scene, view):
    node = volume_node("v", SIZE, lattice(SIZE, SPACING), blobs, scene)
    image = cut(node, view)
    assert image.geometry.size == (70, 60, 1)
    np.testing.assert_allclose(image.geometry.center_lps, 0, atol=1e-9)


def test_plane_beside_the_volume_is_refused(scene, view):
    node = volume_node("head", SIZE, lattice(SIZE, SPACING), blobs, scene)
    show(view, translation(0, 0, 80))
    view.SetName("Red")
    with pytest.raises(InputError, match="slice shown in the view Red does not cut head"):
        cut(node, view)


def test_volumes_are_registered_in_the_plane_of_the_view(scene, view):
    """The turn is about the normal of a tilted plane; the result leaves the direction across the plane alone."""
    plane = rotation(30, (1, 0, 0))
    truth = plane @ TURN @ np.linalg.inv(plane)

    def flat(points):
        own = apply(np.linalg.inv(plane), points.reshape(-1, 3))
        own[:, 2] = 0
        return blobs(own).reshape(points.shape[:-1])

    matrix = lattice(SIZE, SPACING)
    fixed = volume_node("fixed", SIZE, matrix, flat, scene)
    moving = volume_node("moving", SIZE, matrix, lambda points: flat(apply(np.linalg.inv(truth), points)), scene)
    show(view, plane)
    result = register_nodes(fixed, moving, None, Settings(method="plain"), slice_node=view)
    moving.SetAndObserveTransformNodeID(result.transform_id)
    places = apply(plane, np.array([[-14.0, 9.0, 0.0], [12.0, 14.0, 0.0], [4.0, -16.0, 0.0]]))
    np.testing.assert_allclose(to_world(moving, apply(truth, places)), places, atol=0.3)
    across = apply(plane, np.array([[0.0, 0, 0], [0, 0, 10]]))
    moved = to_world(moving, across)
    np.testing.assert_allclose(np.linalg.inv(plane)[2, :3] @ (moved[1] - moved[0]), 10, atol=1e-6)
