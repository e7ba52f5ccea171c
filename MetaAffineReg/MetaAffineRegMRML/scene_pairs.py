"""Which volumes of a scene belong together, and the results of a batch put into a scene."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import slicer

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix

from .scene_files import forget_files, nodes_of_class
from .transform_nodes import is_earlier_result, matrix_to_parent, set_matrix, set_result

_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')  # in names of files, on one system or another
_LONGEST_ID = 80  # characters


@dataclass(frozen=True)
class ScenePair:
    """Two volumes to register, an ID that is a file name, and the transform that is to hold the result, None for a new one."""

    id: str
    fixed: slicer.vtkMRMLScalarVolumeNode
    moving: slicer.vtkMRMLScalarVolumeNode
    transform: slicer.vtkMRMLTransformNode | None = None


@dataclass(frozen=True)
class SceneResult:
    """The result of a pair, 4 x 4, fixed -> moving, LPS mm, between the volumes where they lie in the world, and what to say of it."""

    pair: ScenePair
    fixed_to_moving_lps: Matrix
    runner_up_lps: Matrix | None
    description: str


def scene_pairs(scene: slicer.vtkMRMLScene, fixed_name: str | None = None) -> list[ScenePair]:
    """The pairs of the transforms that name a fixed and a moving volume, or every other volume with the one called ``fixed_name``.

    Label maps and segmentations are not taken for moving volumes.  Raises InputError where there is no pair, or where the name
    is not that of one volume.
    """
    pairs = _pairs_with(scene, fixed_name) if fixed_name is not None else _pairs_of_transforms(scene)
    seen: dict[str, int] = {}
    named = []
    for name, fixed, moving, transform in pairs:
        plain = _FORBIDDEN.sub("_", name).strip(". ")[:_LONGEST_ID] or "pair"
        seen[plain] = seen.get(plain, 0) + 1
        named.append(ScenePair(plain if seen[plain] == 1 else f"{plain}_{seen[plain]}", fixed, moving, transform))
    if not named and fixed_name is None:
        raise InputError("No transform of the scene names a fixed and a moving volume; say by --fixed which volume the others are laid on.")
    if not named:
        raise InputError(f"The scene has no volume beside {fixed_name}; add those that are to be laid on it.")
    return named


def put_results(scene: slicer.vtkMRMLScene, results: Sequence[SceneResult]) -> None:
    """Give each pair its transform and hang its moving volume directly under it; a runner-up gets a transform beside it.

    All matrices are worked out before the first is set: every result holds for the scene as it was when its images were read,
    also where a volume takes part in several pairs.
    """
    nodes: list[tuple[slicer.vtkMRMLTransformNode, Matrix]] = []
    for result in results:
        pair = result.pair
        node = pair.transform or scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", pair.id)
        left_out = node if is_earlier_result(node, pair.moving) else None
        nodes.append((node, matrix_to_parent(node, result.fixed_to_moving_lps, pair.moving, left_out)))
        if result.runner_up_lps is not None:
            other = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", f"{pair.id} runner-up")
            set_matrix(other, matrix_to_parent(other, result.runner_up_lps, pair.moving, left_out))
    for result, (node, matrix) in zip(results, nodes, strict=True):
        forget_files(node)
        node.SetDescription(result.description)
        set_result(node, matrix, result.pair.fixed, result.pair.moving)
        result.pair.moving.SetAndObserveTransformNodeID(node.GetID())


_Found = tuple[str, slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLTransformNode | None]


def _pairs_of_transforms(scene: slicer.vtkMRMLScene) -> Iterator[_Found]:
    for transform in nodes_of_class(scene, "vtkMRMLTransformNode"):
        fixed = transform.GetNodeReference(slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole())
        moving = transform.GetNodeReference(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole())
        if fixed is not None and moving is not None:
            yield transform.GetName(), fixed, moving, transform


def _pairs_with(scene: slicer.vtkMRMLScene, fixed_name: str) -> Iterator[_Found]:
    volumes = [node for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode") if not node.IsA("vtkMRMLLabelMapVolumeNode")]
    called = [node for node in volumes if node.GetName() == fixed_name]
    if len(called) != 1:
        number = "no volume" if not called else f"{len(called)} volumes"
        names = ", ".join(sorted({node.GetName() for node in volumes}))
        raise InputError(f"The scene has {number} called {fixed_name}, one is needed; it has: {names}.")
    for moving in volumes:
        if moving is not called[0]:
            yield f"{moving.GetName()} to {fixed_name}", called[0], moving, None
