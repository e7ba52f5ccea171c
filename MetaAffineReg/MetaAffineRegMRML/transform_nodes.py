"""Transform nodes: the result in, an initial transform out.

A transform node maps moving to fixed, in RAS mm: the moving volume under it lies on the fixed volume.
Registration gives fixed to moving, in LPS mm.
"""

import numpy as np
import slicer
import slicer.util
import vtk

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix, flip_ras_lps

from .volume_nodes import local_to_world_ras


def check_linear(node: slicer.vtkMRMLTransformNode, role: str) -> None:
    """Raises InputError unless ``node`` and the transforms above it are linear; ``role`` is "output" or "initial"."""
    if not node.IsA("vtkMRMLTransformNode"):
        raise InputError(f"{node.GetName()} is not a transform; choose a linear transform as the {role} transform.")
    if not node.IsTransformToWorldLinear():
        where = "is non-linear" if not node.IsLinear() else "is under a non-linear transform"
        raise InputError(f"The {role} transform {node.GetName()} {where}; choose a linear transform.")


def check_output(
    output: slicer.vtkMRMLTransformNode, fixed: slicer.vtkMRMLScalarVolumeNode, moving: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Raises InputError where writing to ``output`` would move an input, except for a moving volume under its own earlier result."""
    check_linear(output, "output")
    for volume in (fixed, moving):
        if _is_under(volume, output) and not (volume is moving and is_earlier_result(output, moving)):
            raise InputError(
                f"{volume.GetName()} is under the output transform {output.GetName()} and would move with it; "
                "choose another output transform or take the volume out of it."
            )


def is_earlier_result(output: slicer.vtkMRMLTransformNode | None, moving: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether ``moving`` hangs directly under ``output`` because an earlier registration put it there.

    A second run starts from where the volume was before the first, so that the same button gives the same result.
    """
    if output is None or moving.GetParentTransformNode() is not output:
        return False
    return output.GetNodeReferenceID(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole()) == moving.GetID()


def write_linear_transform(
    node: slicer.vtkMRMLTransformNode,
    fixed_to_moving_lps: Matrix,
    fixed_node: slicer.vtkMRMLScalarVolumeNode,
    moving_node: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    """Make ``node`` the transform that lays the moving volume on the fixed one, and note both volumes as its roles.

    A moving volume that hangs under ``node`` as its earlier result is taken one step higher, as ``register_nodes`` read it.
    For ``fixed_to_moving_lps`` see ``matrix_to_parent``.
    """
    left_out = node if is_earlier_result(node, moving_node) else None
    set_result(node, matrix_to_parent(node, fixed_to_moving_lps, moving_node, left_out), fixed_node, moving_node)


def set_result(
    node: slicer.vtkMRMLTransformNode,
    to_parent: Matrix,
    fixed_node: slicer.vtkMRMLScalarVolumeNode,
    moving_node: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    """Give a transform node its matrix (4 x 4, RAS mm) and note the volumes as its roles."""
    with slicer.util.NodeModify(node):
        set_matrix(node, to_parent)
        node.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole(), fixed_node.GetID())
        node.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole(), moving_node.GetID())


def matrix_to_parent(
    node: slicer.vtkMRMLTransformNode,
    fixed_to_moving_lps: Matrix,
    moving_node: slicer.vtkMRMLScalarVolumeNode,
    left_out: slicer.vtkMRMLTransformNode | None = None,
) -> Matrix:
    """What ``node`` must hold (4 x 4, RAS mm) so that the moving volume put directly under it lies on the fixed one.

    ``fixed_to_moving_lps`` (4 x 4, mm) joins the volumes where they lie in the world.  With F for it in RAS, P for the
    map of the moving volume's own coordinates to the world and Q for the same of ``node``'s parent, the matrix is
    M = inv(Q) inv(F) P: the volumes coincide in the world, however the moving volume hung during registration and wherever
    ``node`` itself hangs.  Without parents M = inv(F).  For ``left_out`` see ``local_to_world_ras``.
    """
    fixed_to_moving_ras = flip_ras_lps(fixed_to_moving_lps)
    return np.linalg.inv(local_to_world_ras(node)) @ np.linalg.inv(fixed_to_moving_ras) @ local_to_world_ras(moving_node, left_out)


def set_matrix(node: slicer.vtkMRMLTransformNode, to_parent: Matrix) -> None:
    """Give a transform node its matrix (4 x 4, RAS mm)."""
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, to_parent)
    node.SetMatrixTransformToParent(matrix)


def initial_fixed_to_moving_lps(initial: slicer.vtkMRMLTransformNode, moving_to_world_ras: Matrix) -> Matrix:
    """Where registration sets out (4 x 4, fixed point -> moving point, world LPS mm).

    The moving volume put directly under ``initial`` lies roughly on the fixed one; ``moving_to_world_ras`` is how it hangs now.
    """
    matrix = vtk.vtkMatrix4x4()
    initial.GetMatrixTransformToWorld(matrix)
    return flip_ras_lps(moving_to_world_ras @ np.linalg.inv(slicer.util.arrayFromVTKMatrix(matrix)))


def _is_under(node: slicer.vtkMRMLTransformableNode, transform: slicer.vtkMRMLTransformNode) -> bool:
    parent = node.GetParentTransformNode()
    while parent is not None and parent is not transform:
        parent = parent.GetParentTransformNode()
    return parent is not None
