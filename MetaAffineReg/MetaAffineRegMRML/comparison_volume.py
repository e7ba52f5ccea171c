"""Two volumes in one picture: a checkerboard of both, or their difference in color, on the lattice of the fixed volume."""

import numpy as np
import slicer
import slicer.util
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk

from MetaAffineRegLib.geometry import Matrix

from .resampling import resampled
from .volume_nodes import brightness, index_to_world_ras

_LARGEST = 1 << 22  # samples; a finer lattice is thinned out
_BLUE, _ORANGE = np.array([0.25, 0.55, 1.0]), np.array([1.0, 0.6, 0.15])
_DIM = 0.3  # of the fixed volume under the difference


def checkerboard(
    node: slicer.vtkMRMLVectorVolumeNode, fixed: slicer.vtkMRMLScalarVolumeNode, moving: slicer.vtkMRMLScalarVolumeNode, fields: int
) -> None:
    """Fill ``node`` with fields of the fixed and of the moving volume in turn, ``fields`` of them along the longest side."""
    index_to_world, size = _lattice(fixed)
    pictures = [_stretched(volume, index_to_world, size) for volume in (fixed, moving)]
    spacing = np.linalg.norm(index_to_world[:3, :3], axis=0)
    edge = max(n * mm for n, mm in zip(size, spacing, strict=True)) / fields
    i, j, k = (np.floor((np.arange(n) + 0.5) * mm / edge).astype(int) for n, mm in zip(size, spacing, strict=True))
    odd = (k[:, None, None] + j[:, None] + i) % 2 == 1
    gray = np.where(odd, pictures[1], pictures[0])
    _fill(node, np.repeat(gray[..., None], 3, axis=-1), index_to_world)


def difference(
    node: slicer.vtkMRMLVectorVolumeNode, fixed: slicer.vtkMRMLScalarVolumeNode, moving: slicer.vtkMRMLScalarVolumeNode, gain: float
) -> None:
    """Fill ``node`` with the difference times ``gain`` over a dim fixed volume: gray where both agree, orange where the moving volume is
    brighter, blue where the fixed one is."""
    index_to_world, size = _lattice(fixed)
    pictures = [_stretched(volume, index_to_world, size).astype(np.float32) / 255 for volume in (fixed, moving)]
    signed = np.clip(gain * (pictures[1] - pictures[0]), -1, 1)[..., None]
    colors = _DIM * pictures[0][..., None] + np.maximum(signed, 0) * _ORANGE + np.maximum(-signed, 0) * _BLUE
    _fill(node, (255 * np.minimum(colors, 1)).astype(np.uint8), index_to_world)


def make_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLVectorVolumeNode:
    """A node for the picture, which neither the selectors offer nor the scene saves."""
    node = slicer.vtkMRMLVectorVolumeNode()
    node.SetName("MetaAffineReg comparison")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node = scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(255, 127.5)
    display.SetInterpolate(False)
    return node


def _lattice(fixed: slicer.vtkMRMLScalarVolumeNode) -> tuple[Matrix, tuple[int, int, int]]:
    """Index to world (RAS mm) and size of the fixed volume's lattice, thinned out where it is very fine."""
    index_to_world = index_to_world_ras(fixed)
    size = np.array(fixed.GetImageData().GetDimensions())
    step = np.ones(3, dtype=int)
    while np.prod(-(-size // step)) > _LARGEST:
        step[np.argmax(size / step)] += 1
    offset = (np.minimum(step, size) - 1) / 2
    thinned = np.diag([*step.astype(float), 1.0])
    thinned[:3, 3] = offset
    ni, nj, nk = (int(n) for n in -(-size // step))
    return index_to_world @ thinned, (ni, nj, nk)


def _stretched(volume: slicer.vtkMRMLScalarVolumeNode, index_to_world: Matrix, size: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The volume on a lattice, (nk, nj, ni), its brightness from the 0.5th to the 99.5th percentile spread over 0..255."""
    to_own = np.linalg.inv(index_to_world_ras(volume)) @ index_to_world
    image = volume.GetImageData()
    flat = [axis for axis, n in enumerate(image.GetDimensions()) if n == 1]
    to_own[flat] = 0  # a slice is shown wherever it lies across its plane
    values = brightness(resampled(image, to_own, size)).astype(np.float32)
    low, high = np.percentile(values[:: max(1, values.shape[0] // 16)], (0.5, 99.5))
    return np.clip(255 / max(float(high - low), 1e-12) * (values - np.float32(low)), 0, 255).astype(np.uint8)


def _fill(node: slicer.vtkMRMLVectorVolumeNode, colors: NDArray[np.uint8], index_to_world: Matrix) -> None:
    """``colors`` (nk, nj, ni, 3) into the node, at its place in the world."""
    image = vtk.vtkImageData()
    image.SetDimensions(*colors.shape[2::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(colors).reshape(-1, 3), deep=True))
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, index_to_world)
    with slicer.util.NodeModify(node):
        node.SetIJKToRASMatrix(matrix)
        node.SetAndObserveImageData(image)
