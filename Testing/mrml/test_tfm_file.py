"""A linear transform on disk: what MRML's storage writes is what ITK reads, fixed point -> moving point, LPS mm."""

import numpy as np
import SimpleITK

from made_volumes import blobs, lattice, to_world, volume_node
from MetaAffineRegMRML.transform_nodes import write_linear_transform

# A quarter turn about z, then (10, -20, 30) mm: x' = 10 - y, y' = x - 20, z' = z + 30, all in LPS.
FIXED_TO_MOVING_LPS = np.array([[0.0, -1, 0, 10], [1, 0, 0, -20], [0, 0, 1, 30], [0, 0, 0, 1]])
FIXED_LPS = [(1.0, 2.0, 3.0), (-40.0, 25.0, 0.0), (0.0, 0.0, 0.0)]
MOVING_LPS = [(8.0, -19.0, 33.0), (-15.0, -60.0, 30.0), (10.0, -20.0, 30.0)]


def volumes(scene):
    size = (5, 5, 5)
    return (volume_node(name, size, lattice(size, (2, 2, 2)), blobs, scene) for name in ("fixed", "moving"))


def test_saved_transform_maps_fixed_points_to_moving_points(scene, tmp_path):
    fixed, moving = volumes(scene)
    output = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "output")
    write_linear_transform(output, FIXED_TO_MOVING_LPS, fixed, moving)
    output.AddDefaultStorageNode()
    output.GetStorageNode().SetFileName(str(tmp_path / "result.tfm"))
    assert output.GetStorageNode().WriteData(output) == 1
    read = SimpleITK.ReadTransform(str(tmp_path / "result.tfm"))
    np.testing.assert_allclose([read.TransformPoint(point) for point in FIXED_LPS], MOVING_LPS, atol=1e-9)


def test_itk_transform_loaded_by_mrml_lays_moving_on_fixed(scene, tmp_path):
    """The file has a centre, so that its translation line is not the offset."""
    transform = SimpleITK.AffineTransform(3)
    transform.SetCenter((5.0, 6.0, 7.0))
    transform.SetMatrix(FIXED_TO_MOVING_LPS[:3, :3].ravel())
    matrix, center = FIXED_TO_MOVING_LPS, np.array([5.0, 6.0, 7.0])
    transform.SetTranslation(matrix[:3, 3] - center + matrix[:3, :3] @ center)
    SimpleITK.WriteTransform(transform, str(tmp_path / "given.tfm"))
    storage = scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(tmp_path / "given.tfm"))
    loaded = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "given")
    assert storage.ReadData(loaded) == 1
    _, moving = volumes(scene)
    moving.SetAndObserveTransformNodeID(loaded.GetID())
    flip = np.array([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(to_world(moving, np.array(MOVING_LPS) * flip), np.array(FIXED_LPS) * flip, atol=1e-9)
