"""The direction of the transform: the moving volume put directly under it lies on the fixed volume, whatever hangs where."""

import numpy as np
import pytest
import slicer

from made_volumes import apply, blobs, lattice, rotation, to_world, transform_node, translation, volume_node
from MetaAffineRegLib.geometry import flip_ras_lps
from MetaAffineRegMRML.transform_nodes import initial_fixed_to_moving_lps, write_linear_transform
from MetaAffineRegMRML.volume_nodes import local_to_world_ras

SIZE = (6, 6, 6)
LATTICE = lattice(SIZE, (2, 3, 4), rotation(20, (1, 1, 0)))
POINTS = np.array([[0.0, 0.0, 0.0], [10.0, -4.0, 7.0], [-3.0, 12.0, 5.0]])


@pytest.fixture
def nodes(scene):
    fixed, moving = (volume_node(name, SIZE, LATTICE, blobs, scene) for name in ("fixed", "moving"))
    return fixed, moving, transform_node(np.eye(4), scene, "output")


def affine():
    matrix = translation(11, -7, 5) @ rotation(33, (1, 2, 3))
    matrix[:3, :3] @= np.array([[1.1, 0.2, 0], [0, 0.9, 0.1], [0, 0, 1.05]])
    return matrix


def test_without_parents_the_matrix_is_the_inverse_in_ras(nodes):
    fixed, moving, output = nodes
    fixed_to_moving_ras = affine()
    write_linear_transform(output, flip_ras_lps(fixed_to_moving_ras), fixed, moving)
    np.testing.assert_allclose(slicer.util.arrayFromTransformMatrix(output), np.linalg.inv(fixed_to_moving_ras), atol=1e-12)


@pytest.mark.parametrize("output_hangs", [False, True])
@pytest.mark.parametrize("moving_hangs", [False, True])
@pytest.mark.parametrize("fixed_hangs", [False, True])
def test_moving_under_the_transform_lies_on_fixed(nodes, scene, fixed_hangs, moving_hangs, output_hangs):
    """World points p of the fixed volume and F p of the moving volume are the same place once moving is under the output."""
    fixed, moving, output = nodes
    for node, hangs, matrix in (
        (fixed, fixed_hangs, translation(3, 1, 4) @ rotation(15)),
        (moving, moving_hangs, translation(-9, 2, 6) @ rotation(-50, (0, 1, 0))),
        (output, output_hangs, translation(2, 7, 1) @ rotation(70, (1, 0, 1))),
    ):
        if hangs:
            node.SetAndObserveTransformNodeID(transform_node(matrix, scene, f"above {node.GetName()}").GetID())
    fixed_to_moving_ras = affine()
    world_to_moving = np.linalg.inv(local_to_world_ras(moving))
    partners = apply(world_to_moving @ fixed_to_moving_ras, POINTS)
    write_linear_transform(output, flip_ras_lps(fixed_to_moving_ras), fixed, moving)
    moving.SetAndObserveTransformNodeID(output.GetID())
    np.testing.assert_allclose(to_world(moving, partners), POINTS, atol=1e-9)


def test_roles_name_the_volumes(nodes):
    fixed, moving, output = nodes
    write_linear_transform(output, np.eye(4), fixed, moving)
    assert output.GetNodeReference(slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole()) is fixed
    assert output.GetNodeReference(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole()) is moving


def test_one_modified_event_for_everything(nodes):
    """Views that follow the transform must not draw a half-written one."""
    fixed, moving, output = nodes
    events = []
    output.AddObserver("ModifiedEvent", lambda *_: events.append(1))
    write_linear_transform(output, affine(), fixed, moving)
    assert len(events) == 1


@pytest.mark.parametrize("moving_hangs", [False, True])
def test_initial_transform_is_read_as_it_is_written(nodes, scene, moving_hangs):
    fixed, moving, output = nodes
    if moving_hangs:
        moving.SetAndObserveTransformNodeID(transform_node(rotation(20, (0, 1, 0)), scene, "above moving").GetID())
    fixed_to_moving = affine()
    write_linear_transform(output, fixed_to_moving, fixed, moving)
    np.testing.assert_allclose(initial_fixed_to_moving_lps(output, local_to_world_ras(moving)), fixed_to_moving, atol=1e-9)
