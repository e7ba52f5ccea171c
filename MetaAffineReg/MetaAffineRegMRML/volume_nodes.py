"""Volume nodes as images in world space.

MRML keeps everything in RAS mm; the library works in LPS mm.  The one flip for volumes is made here.
"""

from dataclasses import dataclass

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
    index_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ index_to_world_ras(node, left_out)
    try:
        return ImageGeometry(node.GetImageData().GetDimensions(), index_to_lps)
    except InputError as error:
        raise InputError(f"{node.GetName()}: {error}") from error


@dataclass(frozen=True)
class VolumeCopy:
    """The voxels of a volume as they were, in their own type, and where they lie: valid when the node is changed or deleted, on any thread.

    voxels: (nk, nj, ni), or (nk, nj, ni, components) of a color image.
    """

    voxels: NDArray[np.generic]
    geometry: ImageGeometry
    name: str

    @classmethod
    def of(cls, node: slicer.vtkMRMLScalarVolumeNode | None, left_out: slicer.vtkMRMLTransformNode | None = None) -> "VolumeCopy":
        """Raises InputError as ``check_volume_node`` does; looks at no voxel.  For ``left_out`` see ``local_to_world_ras``."""
        check_volume_node(node, "input")
        assert node is not None
        geometry = volume_geometry(node, left_out)
        return cls(voxels_of(node.GetImageData()).copy(), geometry, node.GetName())

    def image(self) -> Image:
        """The image in world space, float32; of color its brightness.  Raises InputError for voxels that are NaN, infinite or constant."""
        return Image.checked(brightness(self.voxels), self.geometry, self.name)


def image_from_volume_node(node: slicer.vtkMRMLScalarVolumeNode | None, left_out: slicer.vtkMRMLTransformNode | None = None) -> Image:
    """The volume as an image in world space, see ``VolumeCopy``."""
    return VolumeCopy.of(node, left_out).image()


def brightness(voxels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Of color voxels (nk, nj, ni, 3 or 4) their brightness; others as they are."""
    return voxels if voxels.ndim == 3 else voxels[..., :3] @ _LUMA


def voxels_of(image: vtk.vtkImageData) -> NDArray[np.generic]:
    """The scalars of image data without a copy: (nk, nj, ni), or (nk, nj, ni, components) where there are several."""
    scalars = vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(*image.GetDimensions()[::-1], *scalars.shape[1:])


def index_to_world_ras(node: slicer.vtkMRMLScalarVolumeNode, left_out: slicer.vtkMRMLTransformNode | None = None) -> Matrix:
    """Voxel index (i, j, k) to world RAS mm, 4 x 4, parent transforms included."""
    index_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(index_to_ras)
    return local_to_world_ras(node, left_out) @ slicer.util.arrayFromVTKMatrix(index_to_ras)


def add_volume_node(
    scene: slicer.vtkMRMLScene, name: str, array: NDArray[np.generic], geometry: ImageGeometry
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a volume that holds a copy of ``array`` (nk, nj, ni), or of the colours (nk, nj, ni, 3 or 4), where ``geometry`` says."""
    colors = array.shape[3] if array.ndim == 4 else 0
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode" if colors else "vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, array)
    if colors:
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGBA if colors == 4 else node.VoxelVectorTypeColorRGB)
    index_to_ras = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(index_to_ras, np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.index_to_lps)
    node.SetIJKToRASMatrix(index_to_ras)
    return node


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
