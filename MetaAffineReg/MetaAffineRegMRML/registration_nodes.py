"""Registration from nodes to nodes: read, register, write, in that order, so that a failure changes nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import slicer

from MetaAffineRegLib.errors import Cancelled
from MetaAffineRegLib.geometry import Matrix, pair_frame
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.map_figures import MapFigures, overlap
from MetaAffineRegLib.registration import Progress, Result, Settings, register

from .node_checks import check_nodes
from .slice_plane import cut
from .transform_nodes import initial_fixed_to_moving_lps, is_earlier_result, matrix_to_parent, write_linear_transform
from .volume_nodes import VolumeCopy, is_color, local_to_world_ras

_JUDGEMENTS = {
    "ok": "It is {percent} % likely to be right.",
    "ambiguous": "It is ambiguous ({percent} % likely to be right): another alignment may be the right one; check it by eye.",
    "failed": "Do not trust it ({percent} % likely to be right); check it by eye.",
}


@dataclass(frozen=True)
class NodePair:
    """What registration needs of the nodes, as it was when they were read: it may be used while the scene changes, on any thread."""

    fixed: Image
    moving: Image
    initial: Matrix | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Alignment(MapFigures):
    """A map of the pair in figures: those of the map, the criterion there, and the share of the fixed image that the moving one covers."""

    criterion: float
    overlap: float


@dataclass(frozen=True, kw_only=True)
class NodeResult(Result):
    """A result, confidence included, and what became of the nodes.

    transform_id: the node that holds it; to_parent: what that node holds (4 x 4, RAS mm) for the result and, where there is a
    runner-up, for this; before, after, runner_up: the start, the result and the runner-up in figures; stages: their names and
    seconds in order.
    """

    transform_id: str
    to_parent: tuple[Matrix, ...]
    before: Alignment
    after: Alignment
    runner_up: Alignment | None
    stages: tuple[tuple[str, float], ...]

    @property
    def judgement(self) -> str:
        """How sure the result is, as a sentence for the user; empty for a method that does not judge itself."""
        if self.confidence is None:
            return ""
        percent = round(100 * min(max(self.confidence.probability, 0.01), 0.99))  # nothing is told as certain
        return _JUDGEMENTS[self.confidence.status].format(percent=percent)


class NodeRegistration:
    """One registration of two volume nodes: made and written on the main thread, computed on any.

    Making it checks the nodes, raises InputError, and copies out of them what is needed; ``output_node`` and ``initial_node`` may
    be None; with ``slice_node`` the slices that this view shows are registered instead of the volumes.
    """

    def __init__(
        self,
        fixed_node: slicer.vtkMRMLScalarVolumeNode | None,
        moving_node: slicer.vtkMRMLScalarVolumeNode | None,
        output_node: slicer.vtkMRMLTransformNode | None,
        settings: Settings,
        initial_node: slicer.vtkMRMLTransformNode | None = None,
        slice_node: slicer.vtkMRMLSliceNode | None = None,
    ):
        check_nodes(fixed_node, moving_node, output_node, initial_node)
        assert fixed_node is not None and moving_node is not None
        left_out = output_node if is_earlier_result(output_node, moving_node) else None
        self.fixed_node, self.moving_node, self.output_node, self._settings = fixed_node, moving_node, output_node, settings
        if slice_node is None:
            self._fixed, self._moving = VolumeCopy.of(fixed_node), VolumeCopy.of(moving_node, left_out)
        else:
            self._fixed, self._moving = cut(fixed_node, slice_node), cut(moving_node, slice_node, left_out)
        self._initial: Matrix | None = None
        if initial_node is not None:
            self._initial = initial_fixed_to_moving_lps(initial_node, local_to_world_ras(moving_node, left_out))
        self._notes = tuple(
            f"{node.GetName()} is a color image; its brightness was registered." for node in (fixed_node, moving_node) if is_color(node)
        )
        self._stages: list[tuple[str, float]] = []

    @property
    def lost(self) -> bool:
        """Whether the scene no longer has one of the nodes."""
        nodes = [node for node in (self.fixed_node, self.moving_node, self.output_node) if node is not None]
        return any(node.GetScene() is None for node in nodes)

    def pair(self) -> NodePair:
        """The images; raises InputError for voxels that can't be registered."""
        return NodePair(self._fixed.image(), self._moving.image(), self._initial, self._notes)

    def compute(self, progress: Progress = lambda stage, fraction: None, cancelled: Callable[[], bool] = lambda: False) -> Result:
        """The registration itself, without a node or a widget; raises InputError for the voxels, and Cancelled."""

        def noted(stage: str, fraction: float) -> None:
            self._stages.append((stage.split(" (")[0], time.perf_counter()))
            progress(stage, fraction)

        started = time.perf_counter()
        noted("reading the voxels", 0.0)
        pair = self.pair()
        (result,) = register([(pair.fixed, pair.moving)], self._settings, [pair.initial], noted, cancelled)
        return replace(result, seconds=time.perf_counter() - started)

    def write(self, result: Result) -> NodeResult:
        """Put a result of ``compute`` into the output node, made where there is none; raises Cancelled where a node is gone."""
        if self.lost:
            raise Cancelled
        output = self.output_node
        if output is None:
            name = f"{self.moving_node.GetName()} to {self.fixed_node.GetName()}"
            output = self.fixed_node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        second = result.confidence.runner_up_lps if result.confidence else None
        maps = [result.fixed_to_moving_lps] if second is None else [result.fixed_to_moving_lps, second]
        left_out = output if is_earlier_result(output, self.moving_node) else None
        to_parent = tuple(matrix_to_parent(output, one, self.moving_node, left_out) for one in maps)
        write_linear_transform(output, result.fixed_to_moving_lps, self.fixed_node, self.moving_node)
        frame = pair_frame(self._fixed.geometry, self._moving.geometry, self._initial)
        margin = result.confidence.margin if result.confidence else 0.0
        fields = {**vars(result), "notes": (*self._notes, *result.notes)}
        return NodeResult(
            **fields,
            transform_id=output.GetID(),
            to_parent=to_parent,
            before=self._alignment(frame.to_lps(frame.start), result.criterion_before),
            after=self._alignment(result.fixed_to_moving_lps, result.criterion_after),
            runner_up=None if second is None else self._alignment(second, result.criterion_after + margin),
            stages=self._stage_times(),
        )

    def _alignment(self, fixed_to_moving_lps: Matrix, criterion: float) -> Alignment:
        fixed, moving = self._fixed.geometry, self._moving.geometry
        figures = MapFigures.of(fixed_to_moving_lps, fixed)
        return Alignment(**vars(figures), criterion=criterion, overlap=overlap(fixed_to_moving_lps, fixed, moving))

    def _stage_times(self) -> tuple[tuple[str, float], ...]:
        ends = [start for _, start in self._stages[1:]]
        return tuple((name, end - start) for (name, start), end in zip(self._stages, ends, strict=False))


def register_nodes(
    fixed_node: slicer.vtkMRMLScalarVolumeNode | None,
    moving_node: slicer.vtkMRMLScalarVolumeNode | None,
    output_node: slicer.vtkMRMLTransformNode | None,
    settings: Settings,
    initial_node: slicer.vtkMRMLTransformNode | None = None,
    progress: Progress = lambda stage, fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    slice_node: slicer.vtkMRMLSliceNode | None = None,
) -> NodeResult:
    """Register two volume nodes and write the result to a transform node (see ``matrix_to_parent``).

    Without ``output_node`` a linear transform "<moving> to <fixed>" is added to the scene.  ``progress`` gets the stage, with figures
    so far in brackets, and a fraction 0..1; ``cancelled`` is asked often.  Both may serve an event loop.
    Raises InputError for nodes that can't be registered and Cancelled, also where the scene lost one of the nodes
    meanwhile; then nothing was changed.
    """
    registration = NodeRegistration(fixed_node, moving_node, output_node, settings, initial_node, slice_node)
    return registration.write(registration.compute(progress, lambda: registration.lost or cancelled()))


def read_pair(
    fixed_node: slicer.vtkMRMLScalarVolumeNode | None,
    moving_node: slicer.vtkMRMLScalarVolumeNode | None,
    output_node: slicer.vtkMRMLTransformNode | None,
    initial_node: slicer.vtkMRMLTransformNode | None,
) -> NodePair:
    """Check the nodes and copy out of them what registration needs; raises InputError."""
    return NodeRegistration(fixed_node, moving_node, output_node, Settings(), initial_node).pair()
