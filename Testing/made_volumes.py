"""Volume nodes whose image is known at every point of space, so that the true transform is known too."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import slicer
import slicer.util
import vtk

Matrix = np.ndarray
# Centres (mm), widths (mm) and heights of the blobs: no symmetry, so that one transform alone is right.
_CENTERS = np.array([[-14.0, 9.0, 6.0], [12.0, 14.0, -9.0], [4.0, -16.0, 3.0], [-6.0, -4.0, -12.0], [17.0, -5.0, 10.0]])
_WIDTHS = np.array([9.0, 6.0, 8.0, 11.0, 5.0])
_HEIGHTS = np.array([90.0, 70.0, 110.0, 60.0, 80.0])


def blobs(points: Matrix) -> Matrix:
    """Brightness at points ``(..., 3)``, mm, within about 45 mm of the origin; zero far from it."""
    squares = ((points[..., None, :] - _CENTERS) ** 2).sum(-1)
    return (_HEIGHTS * np.exp(-squares / (2 * _WIDTHS**2))).sum(-1)


def volume_node(name: str, size: Sequence[int], ijk_to_ras: Matrix, brightness: Callable[[Matrix], Matrix], scene: Any) -> Any:
    """A node of ``size`` (i, j, k) samples of ``brightness``, a function of RAS points in the node's own coordinates."""
    k, j, i = np.mgrid[: size[2], : size[1], : size[0]]
    points = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, brightness(points).astype(np.float32))
    node.SetIJKToRASMatrix(vtk_matrix(ijk_to_ras))
    return node


def vtk_matrix(matrix: Matrix) -> vtk.vtkMatrix4x4:
    made = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(made, np.asarray(matrix, dtype=float))
    return made


def lattice(size: Sequence[int], spacing: Sequence[float], rotation: Matrix | None = None, center: Sequence[float] = (0, 0, 0)) -> Matrix:
    """IJK to RAS of a lattice with its middle at ``center``, mm; the columns of ``rotation`` are its axes."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if rotation is None else rotation[:3, :3]) * np.asarray(spacing, dtype=float)
    matrix[:3, 3] = np.asarray(center) - matrix[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return matrix


def rotation(degrees: float, axis: Sequence[float] = (0, 0, 1)) -> Matrix:
    """A rotation about an axis through the origin, 4 x 4."""
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, *axis)
    return slicer.util.arrayFromVTKMatrix(transform.GetMatrix())


def translation(x: float, y: float, z: float) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def transform_node(matrix: Matrix, scene: Any, name: str = "transform", parent: Any = None) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(vtk_matrix(matrix))
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def apply(matrix: Matrix, points: Matrix) -> Matrix:
    """Points ``(n, 3)`` mapped by a 4 x 4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def to_world(node: Any, points: Matrix) -> Matrix:
    """Points ``(n, 3)`` of a node's own coordinates where MRML shows them in the world, RAS mm."""
    shown = np.empty_like(points)
    for row, point in enumerate(points):
        world = [0.0, 0.0, 0.0]
        node.TransformPointToWorld(point, world)
        shown[row] = world
    return shown


# From a place on the first of two slices to the same place on the second, RAS mm.
TURN = translation(4, -3, 0) @ rotation(10)


def two_moved_slices(scene: Any) -> list[Any]:
    """A slice "before" and a copy "after", moved by TURN."""
    size = (64, 64, 1)
    matrix = lattice(size, (1.4, 1.4, 3.0))

    def moved(points: Matrix) -> Matrix:
        return blobs(apply(np.linalg.inv(TURN), points))

    return [volume_node("before", size, matrix, blobs, scene), volume_node("after", size, matrix, moved, scene)]
