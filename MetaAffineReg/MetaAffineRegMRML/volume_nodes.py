"""Volume nodes as images in world space.

MRML keeps everything in RAS mm; the library works in LPS mm.  The one flip for volumes is made here.
"""

import numpy as np
import slicer
import slicer.util
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry, Matrix
from MetaAffineRegLib.image import Image

_LUMA = np.array([0.299, 0.587, 0.114])  # weights of red, green, blue in ITU-R BT.601


def check_volume_node(node: slicer.vtkMRMLScalarVolumeNode | None, role: str) -> None:
    """Raises InputError unless ``node`` is a volume that can be registered; looks at no voxel, so it is cheap.

    ``role`` is the word by which the sentence calls a volume that is missing: "fixed" or "moving".
    """
    if node is None:
        raise InputError(f"No {role} volume is chosen; choose one.")
    name = node.GetName()
    if node.IsA("vtkMRMLSegmentationNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        kind = "label map" if node.IsA("vtkMRMLLabelMapVolumeNode") else "segmentation"
        raise InputError(f"{name} is a {kind}, whose values are names and not intensities; choose the volume that it was drawn on.")
    if node.IsA("vtkMRMLSequenceNode"):
        raise InputError(
            f"{name} is a sequence of volumes; choose one of its frames, shown by the Sequences module as a volume of its own."
        )
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(f"{name} is not a volume; choose a scalar volume.")
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise InputError(f"{name} holds no image data; load the image again or choose another volume.")
    components = image.GetNumberOfScalarComponents()
    if components != 1 and not is_color(node):
        raise InputError(
            f"{name} has {components} values in each voxel; choose a volume with one (the Vector to Scalar Volume module makes one)."
        )
    parent = node.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise InputError(
            f"{name} is under the non-linear transform {parent.GetName()}; harden that transform or take the volume out of it."
        )


def is_color(node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether the voxels are red, green, blue (and opacity): such a volume is registered by its brightness."""
    return bool(node.IsA("vtkMRMLVectorVolumeNode")) and node.GetImageData().GetNumberOfScalarComponents() in (3, 4)


def volume_geometry(node: slicer.vtkMRMLScalarVolumeNode, left_out: slicer.vtkMRMLTransformNode | None = None) -> ImageGeometry:
    """The lattice of the volume in world space, LPS mm, parent transforms included.

    Raises InputError for geometry that can't be used.  For ``left_out`` see ``local_to_world_ras``.
    """
    index_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(index_to_ras)
    ras_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    index_to_lps = ras_to_lps @ local_to_world_ras(node, left_out) @ slicer.util.arrayFromVTKMatrix(index_to_ras)
    try:
        return ImageGeometry(node.GetImageData().GetDimensions(), index_to_lps)
    except InputError as error:
        raise InputError(f"{node.GetName()}: {error}") from error


def image_from_volume_node(node: slicer.vtkMRMLScalarVolumeNode | None, left_out: slicer.vtkMRMLTransformNode | None = None) -> Image:
    """The volume as an image in world space: a float32 copy (nk, nj, ni) and its lattice, parent transforms included.

    The copy stays valid when the node is changed or deleted.  Raises InputError as ``check_volume_node`` does, and for
    voxels that can't be registered (NaN, infinite, constant).  For ``left_out`` see ``local_to_world_ras``.
    """
    check_volume_node(node, "input")
    assert node is not None
    geometry = volume_geometry(node, left_out)
    scalars = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
    values: NDArray[np.generic] = scalars[:, :3] @ _LUMA if is_color(node) else scalars
    return Image.checked(np.array(values, dtype=np.float32).reshape(geometry.size[::-1]), geometry, node.GetName())


def local_to_world_ras(node: slicer.vtkMRMLTransformableNode, left_out: slicer.vtkMRMLTransformNode | None = None) -> Matrix:
    """The linear map (4 x 4, RAS mm) from the node's own coordinates to the world.

    Where ``left_out`` is the direct parent, the node is taken to hang one step higher, as if that transform were not there.
    """
    parent = node.GetParentTransformNode()
    if left_out is not None and parent is left_out:
        parent = left_out.GetParentTransformNode()
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(parent, None, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
