"""Slicer module MetaAffineReg: the panel, its parameters and what the Python console calls."""

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegMRML.node_checks import check_nodes

OWN_PACKAGES = ("MetaAffineRegLib", "MetaAffineRegMRML")


class MetaAffineReg(ScriptedLoadableModule):
    """The entry in Slicer's list of modules."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MetaAffineReg")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = []
        self.parent.contributors = ["MetaAffineReg contributors"]
        self.parent.helpText = _(
            "Lays the moving volume on the fixed volume by an affine transform. Volumes of one slice are registered in their plane. "
            "All rotations are searched, and the status line says how sure the result is."
        )
        self.parent.acknowledgementText = _("After Kanter and Lellmann: A Flexible Meta Learning Model for Image Registration, MIDL 2022.")


@parameterNodeWrapper
class MetaAffineRegParameterNode:
    """What the user chose; kept in the scene."""

    fixedVolume: slicer.vtkMRMLScalarVolumeNode  # stays where it is
    movingVolume: slicer.vtkMRMLScalarVolumeNode  # is laid on the fixed one
    outputTransform: slicer.vtkMRMLTransformNode  # gets the result; none to have one made


class MetaAffineRegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: MetaAffineRegLogic | None = None
        self._parameterNode: MetaAffineRegParameterNode | None = None
        self._parameterNodeGuiTag: int | None = None
        self._running = self._stopRequested = False

    def setup(self) -> None:
        """Called once, when the panel is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MetaAffineReg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MetaAffineRegLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneReplaced)
        # A loaded scene fills the references of an existing parameter node without an event of that node.
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneReplaced)
        self.ui.applyButton.clicked.connect(self.onApply)
        self.ui.installTorchButton.clicked.connect(self.onInstallTorch)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called at the end of the application, when the widgets may be gone already: it must not touch them."""
        self._stopRequested = True
        self.removeObservers()

    def enter(self) -> None:
        """Called each time the user comes to the module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user leaves the module."""
        self.setParameterNode(None)

    def onSceneStartClose(self, *_args: Any) -> None:
        """The parameter node is about to be reset, and with it goes what a registration in progress works for."""
        self._stopRequested = True
        self.setParameterNode(None)

    def onSceneReplaced(self, *_args: Any) -> None:
        """A panel that is shown while a scene is closed or loaded reads its parameters anew."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onReload(self, *_args: Any) -> None:
        """Reload the library too: Slicer by itself loads only this file anew."""
        self.setParameterNode(None)
        for name in [name for name in sys.modules if name.split(".")[0] in OWN_PACKAGES]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self) -> None:
        """Make sure that there is a parameter node and that the panel shows it."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: MetaAffineRegParameterNode | None) -> None:
        """Show and observe a parameter node, or none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.onParametersModified()

    def onParametersModified(self, *_args: Any) -> None:
        """Enable Apply, or say in its tool tip and in the status line why it is disabled."""
        self.ui.torchPanel.setVisible(not self.logic.isTorchInstalled())
        reason = self.reasonAgainstApply()
        self.ui.applyButton.setEnabled(not reason)
        self.ui.applyButton.setToolTip(reason or _("Register the moving volume to the fixed volume."))
        if not self._running:
            self.ui.statusLabel.setText(reason or _("Ready."))

    def reasonAgainstApply(self) -> str:
        """Why Apply is disabled, as a sentence; empty where it is not."""
        if self._running:
            return _("Registration is running.")
        if not self._parameterNode:
            return _("No scene is open.")
        if not self.logic.isTorchInstalled():
            return _("PyTorch is not installed; install it with the button above.")
        try:
            check_nodes(self._parameterNode.fixedVolume, self._parameterNode.movingVolume, self._parameterNode.outputTransform)
        except InputError as error:
            return str(error)
        return ""

    def onApply(self, *_args: Any) -> None:
        """Register; the moving volume then hangs under the transform, unchanged itself."""
        with slicer.util.tryWithErrorDisplay(_("Registration failed."), waitCursor=True):
            self._running, self._stopRequested = True, False
            self.onParametersModified()
            message = _("Registration failed.")
            try:
                message = self.register()
            except InputError as error:
                message = str(error)
            except Cancelled:
                message = _("Cancelled; nothing was changed.")
            finally:
                self._running = False
                self.onParametersModified()
                self.ui.statusLabel.setText(message)

    def register(self) -> str:
        """Run the logic on the chosen nodes and put its result to use; returns the sentence for the status line."""
        parameters = self._parameterNode
        fixed, moving, output = parameters.fixedVolume, parameters.movingVolume, parameters.outputTransform
        result = self.logic.process(fixed, moving, output, progress=self.showProgress, cancelled=lambda: self._stopRequested)
        moving.SetAndObserveTransformNodeID(result.transform_id)
        parameters.outputTransform = slicer.mrmlScene.GetNodeByID(result.transform_id)
        done = _("{0} was laid on {1} in {2:.1f} s on {3}.").format(moving.GetName(), fixed.GetName(), result.seconds, result.device)
        return " ".join(filter(None, (done, result.judgement, *result.notes)))

    def showProgress(self, stage: str, fraction: float) -> None:
        """The one place where the panel is kept alive during registration, which runs in the main thread."""
        self.ui.statusLabel.setText(_("{stage} ({percent} %)").format(stage=stage, percent=round(100 * fraction)))
        slicer.app.processEvents()

    def onInstallTorch(self, *_args: Any) -> None:
        """Install torch through the PyTorch extension, which asks first."""
        with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
            try:
                import PyTorchUtils
            except ModuleNotFoundError:
                message = _("Install the extension PyTorch in the Extensions Manager and restart Slicer, then come back here.")
                self.ui.statusLabel.setText(message)
                return
            PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True)
            importlib.invalidate_caches()
            self.onParametersModified()


class MetaAffineRegLogic(ScriptedLoadableModuleLogic):
    """Registration of nodes, without any widget."""

    def getParameterNode(self) -> MetaAffineRegParameterNode:
        return MetaAffineRegParameterNode(super().getParameterNode())

    @staticmethod
    def isTorchInstalled() -> bool:
        """Looks for torch without importing it, which takes seconds."""
        return importlib.util.find_spec("torch") is not None

    def process(
        self,
        fixedNode: slicer.vtkMRMLScalarVolumeNode,
        movingNode: slicer.vtkMRMLScalarVolumeNode,
        outputTransformNode: slicer.vtkMRMLTransformNode | None = None,
        initialTransformNode: slicer.vtkMRMLTransformNode | None = None,
        progress: Callable[[str, float], None] = lambda stage, fraction: None,
        cancelled: Callable[[], bool] = lambda: False,
        **settings: Any,
    ) -> Any:
        """Register two volumes and return the result, whose ``transform_id`` names the transform node.

        Without ``outputTransformNode`` a transform "<moving> to <fixed>" is made.  ``settings`` are the fields of Settings in
        MetaAffineRegLib.registration, for example ``rotation_range=30``.  ``progress`` gets the stage and a fraction; ``cancelled`` is
        asked often and stops the work by returning true.  Raises InputError and Cancelled; nothing was changed then, the volumes never are.
        """
        from MetaAffineRegLib.registration import Settings  # imports torch: when work begins, never when the module is loaded
        from MetaAffineRegMRML.registration_nodes import register_nodes

        return register_nodes(fixedNode, movingNode, outputTransformNode, Settings(**settings), initialTransformNode, progress, cancelled)


class MetaAffineRegTest(ScriptedLoadableModuleTest):
    """Self-test, started by the developer buttons or by CTest."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        if not MetaAffineRegLogic.isTorchInstalled():
            self.skipTest("PyTorch is not installed")
        self.setUp()
        self.test_movedSliceComesBack()

    def test_movedSliceComesBack(self) -> None:
        """A slice and a copy whose header is moved by 6 mm: registration finds the 6 mm."""
        row, column = np.mgrid[0:64, 0:64]
        pattern = 100 * np.exp(-((row - 24) ** 2 + (column - 36) ** 2) / 120) + 60 * np.exp(-((row - 44) ** 2 + (column - 22) ** 2) / 60)
        fixed, moving = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("fixed", "moving"))
        for node in (fixed, moving):
            slicer.util.updateVolumeFromArray(node, pattern[np.newaxis])
        moving.SetOrigin(6, 0, 0)
        transform = slicer.mrmlScene.GetNodeByID(MetaAffineRegLogic().process(fixed, moving).transform_id)
        np.testing.assert_allclose(slicer.util.arrayFromTransformMatrix(transform)[:3, 3], (-6, 0, 0), atol=0.2)
        self.delayDisplay("The moved slice came back")
