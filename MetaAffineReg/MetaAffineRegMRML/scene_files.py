"""Scenes on disk: a bundle that holds all its data (.mrb), or a list of nodes beside the files of its data (.mrml)."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import slicer

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import written_together

SUFFIXES = (".mrb", ".mrml")


def read_scene(scene: slicer.vtkMRMLScene, path: Path) -> bool:
    """Put what a file holds in the place of what is in ``scene``; false where nodes or their data could not be read.

    Raises InputError where the file is missing or is no scene.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a scene that Slicer saved (.mrb or .mrml).")
    scene.Clear(False)  # what can't be read must not leave the nodes of before
    with tempfile.TemporaryDirectory() as unpacked:
        mrml = path.resolve() if path.suffix == ".mrml" else Path(scene.UnpackSlicerDataBundle(str(path.resolve()), unpacked) or unpacked)
        scene.SetURL(str(mrml))
        whole = bool(mrml.is_file() and scene.Connect())
    if not scene.GetNumberOfNodesByClass("vtkMRMLStorableNode"):
        raise InputError(f"{path} can't be read as a scene, or it is empty; give one that Slicer saved (.mrb or .mrml).")
    return whole


def write_scene(scene: slicer.vtkMRMLScene, path: Path) -> None:
    """Write the scene, whole or not at all: a bundle with the data of all nodes, or a list that points to the files of their storage.

    Raises InputError where the file can't be written.
    """
    path = path.resolve()  # MRML refuses others
    if path.suffix == ".mrml":
        _write_list(scene, path)
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part.") as folder:  # the bundle holds a folder of its own name
        part = Path(folder) / path.name
        if not scene.WriteToMRB(str(part), None):
            raise InputError(f"The scene {path} can't be written; make room or choose another name.")
        os.replace(part, path)


def _write_list(scene: slicer.vtkMRMLScene, path: Path) -> None:
    for node in nodes_of_class(scene, "vtkMRMLStorableNode"):
        storage = node.GetStorageNode()
        if storage is None or not storage.GetFileName():
            forget_files(node)  # a storage that names no file is an error where the list is read
            if node.IsA("vtkMRMLVolumeNode"):
                raise InputError(f"{node.GetName()} lies in no file that {path} could point to; end the name of the scene in .mrb.")
    scene.SetRootDirectory(str(path.parent))  # files below it are named from there, so that the folder can be moved
    scene.SetURL(str(path))
    scene.SetSaveToXMLString(True)
    try:
        done = scene.Commit()
        text = scene.GetSceneXMLString()
    finally:
        scene.SetSaveToXMLString(False)
    if not done or not text:
        raise InputError(f"The scene {path} can't be written; choose another name.")
    with written_together(path) as (part,):
        part.write_text(text, encoding="utf-8")


def set_files(node: slicer.vtkMRMLStorableNode, files: Sequence[Path]) -> None:
    """Say in which file, or files of one series, the data of a node lie."""
    node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    storage.SetFileName(str(files[0].resolve()))
    if len(files) > 1:
        for file in files:
            storage.AddFileName(str(file.resolve()))


def forget_files(node: slicer.vtkMRMLStorableNode) -> None:
    """Take from a node what says in which file its data lie, since the file holds other data."""
    if storage := node.GetStorageNode():
        node.SetAndObserveStorageNodeID(None)
        storage.GetScene().RemoveNode(storage)


def nodes_of_class(scene: slicer.vtkMRMLScene, kind: str) -> list[slicer.vtkMRMLNode]:
    """The nodes of a class and of those that come from it, in the order of the scene."""
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]
