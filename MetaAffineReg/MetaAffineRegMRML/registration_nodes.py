"""Registration from nodes to nodes: read, register, write, in that order, so that a failure changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import slicer

from MetaAffineRegLib.errors import Cancelled
from MetaAffineRegLib.geometry import Matrix
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Result, Settings, register

from .node_checks import check_nodes
from .transform_nodes import initial_fixed_to_moving_lps, is_earlier_result, write_linear_transform
from .volume_nodes import image_from_volume_node, is_color, local_to_world_ras

_JUDGEMENTS = {
    "ok": "It is {percent} % likely to be right.",
    "ambiguous": "It is ambiguous ({percent} % likely to be right): another alignment may be the right one; check it by eye.",
    "failed": "Do not trust it ({percent} % likely to be right); check it by eye.",
}


@dataclass(frozen=True)
class NodePair:
    """What registration needs of the nodes, copied out of them: it may be used while the scene changes, on any thread."""

    fixed: Image
    moving: Image
    initial: Matrix | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NodeResult(Result):
    """A result, confidence included, with the ID of the transform node that holds it."""

    transform_id: str

    @property
    def judgement(self) -> str:
        """How sure the result is, as a sentence for the user; empty for a method that does not judge itself."""
        if self.confidence is None:
            return ""
        percent = round(100 * min(max(self.confidence.probability, 0.01), 0.99))  # nothing is told as certain
        return _JUDGEMENTS[self.confidence.status].format(percent=percent)


def register_nodes(
    fixed_node: slicer.vtkMRMLScalarVolumeNode | None,
    moving_node: slicer.vtkMRMLScalarVolumeNode | None,
    output_node: slicer.vtkMRMLTransformNode | None,
    settings: Settings,
    initial_node: slicer.vtkMRMLTransformNode | None = None,
    progress: Callable[[str, float], None] = lambda stage, fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> NodeResult:
    """Register two volume nodes and write the result to a transform node (see ``write_linear_transform``).

    Without ``output_node`` a linear transform "<moving> to <fixed>" is added to the scene.  ``progress`` gets the stage
    and a fraction 0..1; ``cancelled`` is asked often.  Both may serve an event loop.
    Raises InputError for nodes that can't be registered and Cancelled, also where the scene lost one of the nodes
    meanwhile; then nothing was changed.
    """
    pair = read_pair(fixed_node, moving_node, output_node, initial_node)
    assert fixed_node is not None and moving_node is not None
    nodes = [node for node in (fixed_node, moving_node, output_node) if node is not None]

    def stop() -> bool:
        return any(node.GetScene() is None for node in nodes) or cancelled()

    (result,) = register([(pair.fixed, pair.moving)], settings, [pair.initial], progress, stop)
    if stop():
        raise Cancelled
    if output_node is None:
        name = f"{moving_node.GetName()} to {fixed_node.GetName()}"
        output_node = fixed_node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    write_linear_transform(output_node, result.fixed_to_moving_lps, fixed_node, moving_node)
    fields = {**vars(result), "notes": (*pair.notes, *result.notes)}
    return NodeResult(**fields, transform_id=output_node.GetID())


def read_pair(
    fixed_node: slicer.vtkMRMLScalarVolumeNode | None,
    moving_node: slicer.vtkMRMLScalarVolumeNode | None,
    output_node: slicer.vtkMRMLTransformNode | None,
    initial_node: slicer.vtkMRMLTransformNode | None,
) -> NodePair:
    """Check the nodes and copy out of them what registration needs; raises InputError."""
    check_nodes(fixed_node, moving_node, output_node, initial_node)
    assert fixed_node is not None and moving_node is not None
    left_out = output_node if is_earlier_result(output_node, moving_node) else None
    initial = None
    if initial_node is not None:
        initial = initial_fixed_to_moving_lps(initial_node, local_to_world_ras(moving_node, left_out))
    notes = tuple(
        f"{node.GetName()} is a color image; its brightness was registered." for node in (fixed_node, moving_node) if is_color(node)
    )
    return NodePair(image_from_volume_node(fixed_node), image_from_volume_node(moving_node, left_out), initial, notes)
