"""Fixed and moving volume together in the slice views: fade, checkerboard, flicker, difference."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from MetaAffineRegMRML import comparison_volume

_ALPHA = 0  # vtkMRMLSliceCompositeNode: foreground over background
_SETTLE_MILLISECONDS = 40  # a picture is made anew when the slider or the transform has rested so long


@dataclass(frozen=True)
class Mode:
    """What the slider (0..100) means: at the left, at the right, where it stands first."""

    left: str
    right: str
    start: int


MODES = {
    "fade": Mode(_("fixed"), _("moving"), 50),
    "checkerboard": Mode(_("large fields"), _("small fields"), 40),
    "flicker": Mode(_("slow"), _("fast"), 50),
    "difference": Mode(_("faint"), _("strong"), 30),
}


class QualityView:
    """Four buttons, at most one of them down, and a slider.  When none is down the views are as they were before."""

    def __init__(self, ui: Any):
        self._ui = ui
        self._fixedID = self._movingID = ""
        self._pictureID: str | None = None
        self._before: list[tuple[str, str | None, str | None, float, int]] = []
        self._geometry: list[tuple[str, Any, Any, Any]] = []
        self._observed: tuple[Any, int] | None = None
        self.mode: str | None = None
        self._sliders = {name: mode.start for name, mode in MODES.items()}
        self._buttons = {name: getattr(ui, f"{name}Button") for name in MODES}
        for name, button in self._buttons.items():
            button.clicked.connect(self._whenPressed(name))
        ui.qualitySlider.valueChanged.connect(self._onSlider)
        self._flicker, self._settle = qt.QTimer(), qt.QTimer()
        self._flicker.timeout.connect(self._onFlicker)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MILLISECONDS)
        self._settle.timeout.connect(self._fill)
        self._showButtons()

    def setPair(self, fixed: Any, moving: Any) -> None:
        """The volumes to compare; None where there is none, or none that can be shown."""
        ids = (fixed.GetID(), moving.GetID()) if fixed is not None and moving is not None else ("", "")
        if ids != (self._fixedID, self._movingID):
            mode = self.mode
            self.setMode(None)
            self._fixedID, self._movingID = ids
            if all(ids) and mode:
                self.setMode(mode)
        self._ui.qualityCollapsibleButton.setEnabled(all(ids))

    def setMode(self, mode: str | None) -> None:
        """Show the pair in a mode, or bring the views back."""
        fixed, moving = self._volumes()
        if mode is not None and (fixed is None or moving is None):
            mode = None
        if mode is not None and self.mode is None:
            self._remember(fixed, moving)
        self._flicker.stop()
        self._settle.stop()
        self._unobserve()
        self.mode = mode
        if mode is None:
            self._restore()
        elif mode in ("fade", "flicker"):
            self._showLayers(fixed.GetID(), moving.GetID(), 0.5)
            self._removePicture()
        else:
            self._observe(moving)
            self._fill()
        self._showButtons()
        if mode is not None:
            self._onSlider()

    def close(self) -> None:
        """Let go of the scene, which is about to be closed or to lose the panel."""
        self.setMode(None)
        self._fixedID = self._movingID = ""

    def stop(self) -> None:
        """At the end of the application: no timer fires any more."""
        self._flicker.stop()
        self._settle.stop()
        self._unobserve()

    def _whenPressed(self, name: str) -> Callable[..., None]:
        def pressed(*_args: Any) -> None:
            with slicer.util.tryWithErrorDisplay(_("The volumes could not be compared.")):
                self.setMode(None if self.mode == name else name)

        return pressed

    def _onSlider(self, *_args: Any) -> None:
        if self.mode is None:
            return
        value = self._sliders[self.mode] = self._ui.qualitySlider.value
        if self.mode == "fade":
            self._setOpacity(value / 100)
        elif self.mode == "flicker":
            self._flicker.setInterval(round(1000 / (1 + 9 * value / 100)))  # 1 to 10 changes a second
            self._flicker.start()
        else:
            self._settle.start()

    def _onFlicker(self, *_args: Any) -> None:
        nodes = _nodes("vtkMRMLSliceCompositeNode")
        if nodes:
            self._setOpacity(0.0 if nodes[0].GetForegroundOpacity() > 0.5 else 1.0)

    def _fill(self, *_args: Any) -> None:
        """Make the picture of both volumes and show it alone."""
        fixed, moving = self._volumes()
        if self.mode not in ("checkerboard", "difference") or fixed is None or moving is None:
            return
        node = slicer.mrmlScene.GetNodeByID(self._pictureID) if self._pictureID else None
        if node is None:
            node = comparison_volume.make_node(slicer.mrmlScene)
            self._pictureID = node.GetID()
        value = self._sliders[self.mode]
        if self.mode == "checkerboard":
            comparison_volume.checkerboard(node, fixed, moving, fields=2 + round(18 * value / 100))
        else:
            comparison_volume.difference(node, fixed, moving, gain=0.5 * 16 ** (value / 100))
        self._showLayers(node.GetID(), None, 0.0)

    def _observe(self, moving: Any) -> None:
        tag = moving.AddObserver(slicer.vtkMRMLTransformableNode.TransformModifiedEvent, lambda *_args: self._settle.start())
        self._observed = (moving, tag)

    def _unobserve(self) -> None:
        if self._observed is not None:
            node, tag = self._observed
            node.RemoveObserver(tag)
            self._observed = None

    def _volumes(self) -> tuple[Any, Any]:
        scene = slicer.mrmlScene
        fixed, moving = (scene.GetNodeByID(node_id) if node_id else None for node_id in (self._fixedID, self._movingID))
        return fixed, moving

    def _remember(self, fixed: Any, moving: Any) -> None:
        """Keep what the views show.  Where that is neither volume, or the volumes are single slices, turn and fit them to the fixed one."""
        composites = _nodes("vtkMRMLSliceCompositeNode")
        self._before = [
            (node.GetID(), node.GetBackgroundVolumeID(), node.GetForegroundVolumeID(), node.GetForegroundOpacity(), node.GetCompositing())
            for node in composites
        ]
        flat = 1 in fixed.GetImageData().GetDimensions()
        if flat or any(node.GetBackgroundVolumeID() not in (fixed.GetID(), moving.GetID()) for node in composites):
            views = _nodes("vtkMRMLSliceNode")
            self._geometry = [(view.GetID(), _copy(view.GetSliceToRAS()), view.GetFieldOfView(), view.GetXYZOrigin()) for view in views]
            for view in views:
                view.RotateToVolumePlane(fixed)
            slicer.util.setSliceViewerLayers(background=fixed, fit=True)

    def _restore(self) -> None:
        for node_id, background, foreground, opacity, compositing in self._before:
            node = slicer.mrmlScene.GetNodeByID(node_id)
            if node is not None:
                with slicer.util.NodeModify(node):
                    node.SetBackgroundVolumeID(background)
                    node.SetForegroundVolumeID(foreground)
                    node.SetForegroundOpacity(opacity)
                    node.SetCompositing(compositing)
        for node_id, slice_to_ras, field_of_view, origin in self._geometry:
            view = slicer.mrmlScene.GetNodeByID(node_id)
            if view is not None:
                view.GetSliceToRAS().DeepCopy(slice_to_ras)
                view.SetFieldOfView(*field_of_view)
                view.SetXYZOrigin(*origin)
                view.UpdateMatrices()
        self._before, self._geometry = [], []
        self._removePicture()

    def _removePicture(self) -> None:
        node = slicer.mrmlScene.GetNodeByID(self._pictureID) if self._pictureID else None
        self._pictureID = None
        if node is not None:
            slicer.mrmlScene.RemoveNode(node.GetDisplayNode())  # first: with the volume the application would remove it by itself
            slicer.mrmlScene.RemoveNode(node)

    def _showLayers(self, background: str, foreground: str | None, opacity: float) -> None:
        for node in _nodes("vtkMRMLSliceCompositeNode"):
            with slicer.util.NodeModify(node):
                node.SetBackgroundVolumeID(background)
                node.SetForegroundVolumeID(foreground)
                node.SetForegroundOpacity(opacity)
                node.SetCompositing(_ALPHA)

    def _setOpacity(self, opacity: float) -> None:
        for node in _nodes("vtkMRMLSliceCompositeNode"):
            node.SetForegroundOpacity(opacity)

    def _showButtons(self) -> None:
        ui = self._ui
        for name, button in self._buttons.items():
            button.setChecked(name == self.mode)
        mode = MODES.get(self.mode or "")
        ui.qualitySlider.setEnabled(mode is not None)
        ui.qualityLeftLabel.setText(mode.left if mode else "")
        ui.qualityRightLabel.setText(mode.right if mode else "")
        if self.mode is not None:
            blocked = ui.qualitySlider.blockSignals(True)
            ui.qualitySlider.setValue(self._sliders[self.mode])
            ui.qualitySlider.blockSignals(blocked)


def _nodes(class_name: str) -> list[Any]:
    scene = slicer.mrmlScene
    return [scene.GetNthNodeByClass(index, class_name) for index in range(scene.GetNumberOfNodesByClass(class_name))]


def _copy(matrix: Any) -> Any:
    made = vtk.vtkMatrix4x4()
    made.DeepCopy(matrix)
    return made
