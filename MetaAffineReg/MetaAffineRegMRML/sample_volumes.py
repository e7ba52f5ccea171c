"""A pair of volumes to try registration on, made without a network: a head-like phantom and a copy that was moved."""

import numpy as np
import slicer
import slicer.util
import vtk
from numpy.typing import NDArray

from MetaAffineRegLib.geometry import Matrix

DEGREES, AXIS, SHIFT, SIZE = 40.0, (0.2, 0.3, 1.0), (9.0, -12.0, 6.0), 1.05
_SHAPE, _SPACING = (96, 108, 96), 2.0  # samples along i, j, k, and mm between them
_NOISE = 3.0  # standard deviation; the brightest tissue is about 130
# Centre and half axes (mm, RAS), turn about the axis S (degrees), brightness added inside: none of it is symmetric.
_ELLIPSOIDS = (
    ((0, 0, 0), (64, 82, 68), 0, 90),  # skull
    ((0, -2, 0), (57, 75, 61), 0, -45),  # brain
    ((16, 10, 4), (9, 30, 16), -18, -35),  # ventricles
    ((-16, 8, 4), (7, 24, 14), 16, -35),
    ((30, -36, -10), (15, 11, 13), 30, 60),  # a lesion
    ((-32, 30, 18), (12, 16, 10), -25, 35),
    ((-20, -46, -22), (22, 14, 16), 10, 25),
    ((6, 44, -30), (10, 8, 12), 0, 45),
)


def truth_ras() -> Matrix:
    """Fixed point -> moving point, 4 x 4, RAS mm: what registration should find."""
    turn = vtk.vtkTransform()
    turn.Translate(*SHIFT)
    turn.RotateWXYZ(DEGREES, *AXIS)
    turn.Scale(SIZE, SIZE, SIZE)
    return slicer.util.arrayFromVTKMatrix(turn.GetMatrix())


def make_sample(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Add the volumes "Phantom fixed" and "Phantom moving" to a scene; always the same."""
    return [
        _node(scene, "Phantom fixed", np.eye(4), seed=0),
        _node(scene, "Phantom moving", np.linalg.inv(truth_ras()), seed=1),
    ]


def _node(scene: slicer.vtkMRMLScene, name: str, to_phantom: NDArray[np.floating], seed: int) -> slicer.vtkMRMLScalarVolumeNode:
    index_to_ras = np.diag([_SPACING, _SPACING, _SPACING, 1.0])
    index_to_ras[:3, 3] = -_SPACING * (np.array(_SHAPE) - 1) / 2
    k, j, i = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in _SHAPE[::-1]], indexing="ij")
    matrix = (to_phantom @ index_to_ras).astype(np.float32)
    points = np.stack((i, j, k), axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]
    values = _brightness(points) + np.random.default_rng(seed).normal(0, _NOISE, points.shape[:-1])
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.clip(np.round(values), 0, None).astype(np.int16))
    made = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(made, index_to_ras)
    node.SetIJKToRASMatrix(made)
    node.CreateDefaultDisplayNodes()
    return node


def _brightness(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the phantom at points (..., 3), mm RAS; the borders of its parts are about 2 mm wide."""
    total = np.zeros(points.shape[:-1], dtype=np.float32)
    for center, axes, degrees, height in _ELLIPSOIDS:
        x, y, z = np.moveaxis(points - np.array(center, dtype=np.float32), -1, 0)
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        scaled = ((cosine * x + sine * y) / axes[0]) ** 2 + ((cosine * y - sine * x) / axes[1]) ** 2 + (z / axes[2]) ** 2
        depth = (1 - np.sqrt(scaled)) * min(axes)  # mm inside, roughly
        total += height * np.clip(depth / 2 + 0.5, 0, 1)
    return total
