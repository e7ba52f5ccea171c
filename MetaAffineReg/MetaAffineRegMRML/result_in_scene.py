"""What can be done with a result in the scene, and undone: nothing is hardened, nothing is resampled."""

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix

from .transform_nodes import is_earlier_result, set_matrix


@dataclass(frozen=True)
class Before:
    """How the nodes were before a registration: the volumes, what they hung under, and the output transform, if there was one."""

    fixed_id: str
    moving_id: str
    fixed_parent_id: str | None
    moving_parent_id: str | None
    output_id: str | None
    output_matrix: Matrix | None

    @classmethod
    def of(
        cls, fixed: slicer.vtkMRMLScalarVolumeNode, moving: slicer.vtkMRMLScalarVolumeNode, output: slicer.vtkMRMLTransformNode | None
    ) -> "Before":
        """As they are now; a moving volume that hangs under its earlier result is taken one step higher."""
        matrix = None
        if output is not None:
            made = vtk.vtkMatrix4x4()
            output.GetMatrixTransformToParent(made)
            matrix = slicer.util.arrayFromVTKMatrix(made)
        holder = output if output is not None and is_earlier_result(output, moving) else moving
        return cls(
            fixed.GetID(),
            moving.GetID(),
            fixed.GetTransformNodeID(),
            holder.GetTransformNodeID(),
            output.GetID() if output is not None else None,
            matrix,
        )


class ResultInScene:
    """A result with the nodes that it joins.  Methods raise InputError where the scene no longer has one of them.

    to_parent: what the transform holds for the result and for its runner-up, as in NodeResult.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, transform_id: str, to_parent: tuple[Matrix, ...], before: Before):
        self._scene, self._transform_id, self._to_parent, self.before = scene, transform_id, to_parent, before
        self._inverse_id: str | None = None
        self._was_laid_on = False  # before the inverse was shown
        self.shown = 0

    @property
    def transform(self) -> slicer.vtkMRMLTransformNode:
        """The transform that holds the result."""
        return self._node(self._transform_id, "transform")

    @property
    def is_laid_on(self) -> bool:
        """Whether the moving volume hangs under the result."""
        return self._node(self.before.moving_id, "moving volume").GetTransformNodeID() == self._transform_id

    def concerns(self, fixed: slicer.vtkMRMLNode, moving: slicer.vtkMRMLNode, transform: slicer.vtkMRMLNode) -> bool:
        """Whether it joins these volumes by this transform."""
        return (self.before.fixed_id, self.before.moving_id, self._transform_id) == (fixed.GetID(), moving.GetID(), transform.GetID())

    def lay_on(self, on: bool) -> None:
        """Put the moving volume under the result, or back to where it hung before."""
        transform, moving = self.transform, self._node(self.before.moving_id, "moving volume")
        if on or moving.GetTransformNodeID() == transform.GetID():
            moving.SetAndObserveTransformNodeID(transform.GetID() if on else self._there(self.before.moving_parent_id))

    def show(self, alternative: int) -> None:
        """Let the transform be the result (0) or the runner-up (1)."""
        set_matrix(self.transform, self._to_parent[alternative])
        self.shown = alternative

    @property
    def shows_inverse(self) -> bool:
        """Whether the fixed volume is laid on the moving one instead."""
        return self._inverse_id is not None and self._scene.GetNodeByID(self._inverse_id) is not None

    def show_inverse(self, on: bool) -> None:
        """Leave the moving volume where it hung before and lay the fixed volume on it by the inverse, or the other way round again.

        The inverse is a transform "<fixed> to <moving>" of its own, which goes when it is no longer shown.
        """
        fixed, moving = self._node(self.before.fixed_id, "fixed volume"), self._node(self.before.moving_id, "moving volume")
        if on:
            transform, self._was_laid_on = self.transform, self.is_laid_on
            self.lay_on(False)
            inverse = self._scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", f"{fixed.GetName()} to {moving.GetName()}")
            self._inverse_id = inverse.GetID()
            # world of the moving volume <- its own coordinates <- world of the fixed volume
            set_matrix(inverse, _to_world(moving) @ np.linalg.inv(_to_world(transform)) @ _to_world(fixed))
            fixed.SetAndObserveTransformNodeID(inverse.GetID())
        else:
            self._hide_inverse()
            self.lay_on(True)

    def leave_inverse(self) -> None:
        """Where the inverse is shown, bring both volumes back to where they were before that, as far as they are still there."""
        if self.shows_inverse:
            self._hide_inverse()
            there = all(self._scene.GetNodeByID(node_id) is not None for node_id in (self._transform_id, self.before.moving_id))
            if there and self._was_laid_on:
                self.lay_on(True)

    def reset(self) -> None:
        """Bring the volumes and the output transform back to how they were; a transform that the registration made goes."""
        self._hide_inverse()
        transform = self._scene.GetNodeByID(self._transform_id)
        moving = self._scene.GetNodeByID(self.before.moving_id)
        if moving is not None and moving.GetTransformNodeID() == self._transform_id:
            moving.SetAndObserveTransformNodeID(self._there(self.before.moving_parent_id))
        if transform is not None and self.before.output_matrix is not None:
            set_matrix(transform, self.before.output_matrix)
        elif transform is not None:
            self._scene.RemoveNode(transform)

    def _hide_inverse(self) -> None:
        inverse = self._scene.GetNodeByID(self._inverse_id) if self._inverse_id else None
        fixed = self._scene.GetNodeByID(self.before.fixed_id)
        if inverse is not None:
            if fixed is not None and fixed.GetTransformNodeID() == inverse.GetID():
                fixed.SetAndObserveTransformNodeID(self._there(self.before.fixed_parent_id))
            self._scene.RemoveNode(inverse)
        self._inverse_id = None

    def _there(self, node_id: str | None) -> str | None:
        """The ID, or None where its node is gone."""
        return node_id if node_id and self._scene.GetNodeByID(node_id) is not None else None

    def _node(self, node_id: str, role: str) -> slicer.vtkMRMLTransformableNode:
        node = self._scene.GetNodeByID(node_id)
        if node is None:
            raise InputError(f"The {role} of this result is no longer in the scene; press Apply again.")
        return node


def _to_world(node: slicer.vtkMRMLTransformableNode) -> Matrix:
    """Points under a transform, or in a volume's own coordinates, to the world, 4 x 4, RAS mm."""
    matrix = vtk.vtkMatrix4x4()
    if node.IsA("vtkMRMLTransformNode"):
        node.GetMatrixTransformToWorld(matrix)
    else:
        slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node.GetParentTransformNode(), None, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
