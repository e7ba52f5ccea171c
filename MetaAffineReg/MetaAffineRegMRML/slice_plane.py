"""The slice of a volume that a slice view shows, as an image of two dimensions: two volumes are registered in that plane."""

import numpy as np
import slicer
import slicer.util

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry, Matrix

from .resampling import resampled
from .volume_nodes import VolumeCopy, check_volume_node, index_to_world_ras

_LARGEST = 1024  # samples along a side: far more than registration looks at


def plane_to_world_ras(slice_node: slicer.vtkMRMLSliceNode) -> Matrix:
    """Coordinates of the view's plane (right, up, out of it; mm) to world RAS, 4 x 4."""
    return slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())


def cut(
    node: slicer.vtkMRMLScalarVolumeNode, slice_node: slicer.vtkMRMLSliceNode, left_out: slicer.vtkMRMLTransformNode | None = None
) -> VolumeCopy:
    """The volume along the plane of a slice view, on a lattice that covers its whole cut; beyond the volume its lowest value.

    Raises InputError for a volume that can't be registered and where the plane misses it.  For ``left_out`` see ``local_to_world_ras``.
    """
    check_volume_node(node, "input")
    plane, index_to_world = plane_to_world_ras(slice_node), index_to_world_ras(node, left_out)
    low, spacing, size = _rectangle(node, np.linalg.inv(plane) @ index_to_world, slice_node.GetName())
    samples_to_plane = np.diag([*spacing, 1.0, 1.0])
    samples_to_plane[:2, 3] = low + spacing / 2
    samples_to_world = plane @ samples_to_plane
    voxels = resampled(node.GetImageData(), np.linalg.inv(index_to_world) @ samples_to_world, (*size, 1))
    geometry = ImageGeometry((*size, 1), np.diag([-1.0, -1.0, 1.0, 1.0]) @ samples_to_world)
    return VolumeCopy(voxels, geometry, node.GetName())


def _rectangle(node: slicer.vtkMRMLScalarVolumeNode, index_to_plane: Matrix, view: str) -> tuple[Matrix, Matrix, tuple[int, int]]:
    """Low corner and spacing (mm along right and up) and number of samples of the rectangle that holds the cut of a plane."""
    shape = np.array(node.GetImageData().GetDimensions())
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape], indexing="ij")).reshape(3, -1).T
    corners = ends @ index_to_plane[:3, :3].T + index_to_plane[:3, 3]
    if not corners[:, 2].min() <= 0 <= corners[:, 2].max():
        raise InputError(
            f"The slice shown in the view {view} does not cut {node.GetName()}; move the slice into the volume or choose another view."
        )
    crossings = _crossings(corners)
    low, high = crossings.min(axis=0), crossings.max(axis=0)
    finest = float(np.linalg.norm(index_to_plane[:3, :3], axis=0).min())
    spacing = np.maximum(finest, (high - low) / _LARGEST)
    count = np.maximum(np.round((high - low) / spacing), 2).astype(int)
    return low, (high - low) / count, (int(count[0]), int(count[1]))


def _crossings(corners: Matrix) -> Matrix:
    """Where the twelve edges of a box, given by its corners in binary order, cross the plane of zero height, ``(n, 2)``."""
    points = []
    for one in range(8):
        for axis in (1, 2, 4):
            a, b = corners[one], corners[one | axis]
            if one & axis or a[2] * b[2] > 0:
                continue
            share = a[2] / (a[2] - b[2]) if a[2] != b[2] else 0.0
            points += [a + share * (b - a)] if a[2] != b[2] else [a, b]
    return np.array(points)[:, :2]
