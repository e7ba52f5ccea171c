"""Slice views: the nodes that the application keeps for them, and a widget that shows what one of them holds."""

from typing import Any

import numpy as np
import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

_VIEWS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


def add_slice_nodes(scene: Any) -> None:
    """A slice node and a composite node for each view, and the gray scale of new volumes: singletons, which closing the scene keeps."""
    gray = slicer.vtkMRMLColorTableNode()
    gray.SetTypeToGrey()
    gray.SetSingletonTag(gray.GetTypeAsString())
    gray.SetSaveWithScene(False)
    scene.AddNode(gray)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name, orientation in _VIEWS.items():
        view = scene.CreateNodeByClass("vtkMRMLSliceNode")  # with the presets of the scene's default node
        view.UnRegister(None)
        view.SetSingletonTag(name)
        view.SetLayoutName(name)
        view.SetName(name)
        view.SetLayoutLabel(name[0])
        added = scene.AddNode(view)
        added.SetOrientation(orientation)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetSingletonTag(name)
        composite.SetLayoutName(name)
        composite.SetName(f"{name} composite")
        scene.AddNode(composite)
        slice_transform = slicer.vtkMRMLLinearTransformNode()  # of the model that shows the slice in 3D
        slice_transform.SetSingletonTag(f"{name} Transform")
        slice_transform.SetName(f"{name} Transform")
        slice_transform.SetHideFromEditors(True)
        slice_transform.SetSaveWithScene(False)
        scene.AddNode(slice_transform)


class SliceView(QtWidgets.QLabel):
    """What a slice view shows, computed by Slicer's own slice logic and drawn as an image, a few times a second."""

    def __init__(self, scene: Any, name: str, side: int = 256) -> None:
        super().__init__()
        self._side = side
        self._node = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        self._composite = scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLScene(scene)
        self._logic.SetSliceNode(self._node)
        self._logic.SetSliceCompositeNode(self._composite)
        self._shown = None
        self.setFixedSize(side, side)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(60)
        self._timer.timeout.connect(self.draw)
        self._timer.start()

    def draw(self) -> None:
        self._node.SetDimensions(self._side, self._side, 1)
        if self._composite.GetBackgroundVolumeID() != self._shown:
            self._shown = self._composite.GetBackgroundVolumeID()
            self._logic.FitSliceToBackground(self._side, self._side)
        self.setPixmap(QtGui.QPixmap.fromImage(self.image()))

    def image(self) -> QtGui.QImage:
        """The view as it is now; black where it holds nothing."""
        pixels = np.zeros((self._side, self._side, 3), dtype=np.uint8)
        self._logic.UpdatePipeline()
        connection = self._logic.GetImageDataConnection()
        if connection is not None:
            producer = connection.GetProducer()
            producer.Update()
            data = producer.GetOutput()
            scalars = data.GetPointData().GetScalars()
            if scalars is not None:
                width, height, _ = data.GetDimensions()
                colors = vtk_to_numpy(scalars).reshape(height, width, -1)[::-1]
                pixels = np.ascontiguousarray(colors[..., :3] if colors.shape[2] >= 3 else colors[..., :1].repeat(3, 2))
        height, width = pixels.shape[:2]
        return QtGui.QImage(pixels.tobytes(), width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()
