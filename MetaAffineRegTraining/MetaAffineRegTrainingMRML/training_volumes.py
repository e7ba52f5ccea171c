"""Which volume nodes can be trained on, and their images."""

from collections.abc import Sequence
from typing import Any

import slicer

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.image import Image
from MetaAffineRegMRML.volume_nodes import VolumeCopy, check_volume_node, volume_geometry
from MetaAffineRegTrainingLib.settings import TrainingSettings


def check_training_nodes(nodes: Sequence[slicer.vtkMRMLScalarVolumeNode], settings: TrainingSettings) -> list[str]:
    """What is worth knowing of these volumes before they are trained on; reads no voxel.

    Raises InputError, one sentence for the user, where they can't be trained on.
    """
    if not nodes:
        raise InputError("No volume is chosen; check the volumes to train on.")
    flat: list[str] = []
    solid: list[str] = []
    for node in nodes:
        check_volume_node(node, "training")
        (flat if volume_geometry(node).dimension == 2 else solid).append(node.GetName())
    if flat and solid:
        raise InputError(f"{flat[0]} is a single slice and {solid[0]} is a volume; train on one kind at a time.")
    if flat and settings.kind == "blocks":
        raise InputError(f"{flat[0]} is a single slice and has no blocks; learn from slices.")
    if len(nodes) == 1:
        return ["With one volume none is held out: how good the model is on others can't be told. Two or more are better."]
    if len(nodes) < 5:
        return ["With fewer than five volumes the verdict will seldom be sure."]
    return []


def images_of(nodes: Sequence[slicer.vtkMRMLScalarVolumeNode]) -> list[Image]:
    """Their voxels in world space, copied; raises InputError for voxels that are NaN, infinite or constant."""
    return [VolumeCopy.of(node).image() for node in nodes]


def scalar_volumes(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The volumes of a scene that may be trained on, in their order."""
    count = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    nodes = [scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode") for index in range(count)]
    return [node for node in nodes if not node.GetHideFromEditors() and not node.IsA("vtkMRMLLabelMapVolumeNode")]


def branches(scene: slicer.vtkMRMLScene) -> dict[str, list[str]]:
    """Of each item of the subject hierarchy that has volumes below it (folder, patient, study) its name and the ids of those volumes."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    found: dict[str, list[str]] = {}
    for item in _items_below(hierarchy, hierarchy.GetSceneItemID()) if hierarchy is not None else []:
        if hierarchy.GetItemDataNode(item) is not None:
            continue
        below = (hierarchy.GetItemDataNode(one) for one in _items_below(hierarchy, item))
        ids = [node.GetID() for node in below if node is not None and node.IsA("vtkMRMLScalarVolumeNode")]
        if ids:
            found[hierarchy.GetItemName(item)] = ids
    return found


def _items_below(hierarchy: Any, item: int) -> list[int]:
    from vtk import vtkIdList

    ids = vtkIdList()
    hierarchy.GetItemChildren(item, ids, True)
    return [ids.GetId(index) for index in range(ids.GetNumberOfIds())]
