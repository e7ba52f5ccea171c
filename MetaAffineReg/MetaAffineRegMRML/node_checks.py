"""What can be said about the chosen nodes before anything runs."""

import slicer

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import pair_frame

from .transform_nodes import check_linear, check_output
from .volume_nodes import check_volume_node, volume_geometry


def check_nodes(
    fixed: slicer.vtkMRMLScalarVolumeNode | None,
    moving: slicer.vtkMRMLScalarVolumeNode | None,
    output: slicer.vtkMRMLTransformNode | None = None,
    initial: slicer.vtkMRMLTransformNode | None = None,
) -> None:
    """Raises InputError, one sentence for the user, where these nodes can't be registered.

    Looks at no voxel, so a panel may ask after every click; NaN and constant images show only when the voxels are read.
    """
    check_volume_node(fixed, "fixed")
    check_volume_node(moving, "moving")
    assert fixed is not None and moving is not None
    if fixed is moving:
        raise InputError(f"{fixed.GetName()} is chosen as fixed and as moving volume; choose two different volumes.")
    pair_frame(volume_geometry(fixed), volume_geometry(moving))
    if initial is not None:
        check_linear(initial, "initial")
    if output is not None:
        check_output(output, fixed, moving)
