"""Slicer module MetaAffineReg: the panel and what the Python console calls; its parts lie in the packages beside this file."""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from MetaAffineRegWidgets import sample_data, torch_offer
from MetaAffineRegWidgets.panel import Panel
from MetaAffineRegWidgets.parameters import MetaAffineRegParameterNode

OWN_PACKAGES = ("MetaAffineRegLib", "MetaAffineRegMRML", "MetaAffineRegWidgets")


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
        slicer.app.startupCompleted.connect(registerSampleData)


def registerSampleData() -> None:
    """Offer the tutorial's data in the module Sample Data."""
    sample_data.register(os.path.join(os.path.dirname(__file__), "Resources", "Icons"))


class MetaAffineRegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The life of the panel in the application; what it does is in ``MetaAffineRegWidgets.panel``."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: MetaAffineRegLogic | None = None
        self.panel: Panel | None = None
        self._parameterNode: MetaAffineRegParameterNode | None = None
        self._parameterNodeGuiTag: int | None = None

    def setup(self) -> None:
        """Called once, when the panel is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MetaAffineReg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MetaAffineRegLogic()
        self.panel = Panel(self.ui, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneReplaced)
        # A loaded scene fills the references of an existing parameter node without an event of that node.
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneReplaced)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAboutToBeRemovedEvent, self.panel.onNodeAboutToBeRemoved)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.panel.onNodeRemoved)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called at the end of the application, when the widgets may be gone already: it must not touch them."""
        self.removeObservers()
        self.panel.shutDown()

    def enter(self) -> None:
        """Called each time the user comes to the module."""
        self.initializeParameterNode()
        self.panel.compileAhead.start()

    def exit(self) -> None:
        """Called each time the user leaves the module; a registration in progress goes on."""
        self.panel.quality.setMode(None)
        self.setParameterNode(None)

    def onSceneStartClose(self, *_args: Any) -> None:
        """The parameter node is about to be reset, and with it goes what a registration in progress works for."""
        self.panel.onSceneStartClose()
        self.setParameterNode(None)

    def onSceneReplaced(self, *_args: Any) -> None:
        """A panel that is shown while a scene is closed or loaded reads its parameters anew."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onReload(self, *_args: Any) -> None:
        """Reload the packages too: Slicer by itself loads only this file anew."""
        self.setParameterNode(None)
        self.panel.shutDown()
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
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.panel.update)
        self._parameterNode = self.panel.parameters = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.panel.update)
        self.panel.update()


class MetaAffineRegLogic(ScriptedLoadableModuleLogic):
    """Registration of nodes, without any widget."""

    def getParameterNode(self) -> MetaAffineRegParameterNode:
        return MetaAffineRegParameterNode(super().getParameterNode())

    @staticmethod
    def isTorchInstalled() -> bool:
        """Looks for torch without importing it, which takes seconds."""
        return torch_offer.isInstalled()

    def process(
        self,
        fixedNode: slicer.vtkMRMLScalarVolumeNode,
        movingNode: slicer.vtkMRMLScalarVolumeNode,
        outputTransformNode: slicer.vtkMRMLTransformNode | None = None,
        initialTransformNode: slicer.vtkMRMLTransformNode | None = None,
        progress: Callable[[str, float], None] = lambda stage, fraction: None,
        cancelled: Callable[[], bool] = lambda: False,
        sliceNode: slicer.vtkMRMLSliceNode | None = None,
        **settings: Any,
    ) -> Any:
        """Register two volumes and return the result, whose ``transform_id`` names the transform node.

        Without ``outputTransformNode`` a transform "<moving> to <fixed>" is made; with ``sliceNode`` the slices that this view shows
        are registered instead of the volumes.  ``settings`` are the fields of Settings in MetaAffineRegLib.registration, for example
        ``rotation_range=30``.  ``progress`` gets the stage and a fraction; ``cancelled`` is asked often and stops the work by
        returning true.  Raises InputError and Cancelled; nothing was changed then, the volumes never are.
        """
        registration = self.registration(fixedNode, movingNode, outputTransformNode, initialTransformNode, sliceNode, **settings)
        return registration.write(registration.compute(progress, lambda: registration.lost or cancelled()))

    def registration(
        self,
        fixedNode: slicer.vtkMRMLScalarVolumeNode,
        movingNode: slicer.vtkMRMLScalarVolumeNode,
        outputTransformNode: slicer.vtkMRMLTransformNode | None = None,
        initialTransformNode: slicer.vtkMRMLTransformNode | None = None,
        sliceNode: slicer.vtkMRMLSliceNode | None = None,
        **settings: Any,
    ) -> Any:
        """What ``process`` does in two steps: ``compute`` of the returned object may run in a thread, ``write`` may not."""
        from MetaAffineRegLib.registration import Settings  # imports torch: when work begins, never when the module is loaded
        from MetaAffineRegMRML.registration_nodes import NodeRegistration

        return NodeRegistration(fixedNode, movingNode, outputTransformNode, Settings(**settings), initialTransformNode, sliceNode)


class MetaAffineRegTest(ScriptedLoadableModuleTest):
    """Self-test, started by the developer buttons or by CTest."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        if not MetaAffineRegLogic.isTorchInstalled():
            self.skipTest("PyTorch is not installed")
        for test in (self.test_movedSliceComesBack, self.test_phantomIsFound):
            self.setUp()
            test()

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

    def test_phantomIsFound(self) -> None:
        """The offline sample of the tutorial: the known map is found to a fifth of a voxel."""
        from MetaAffineRegMRML.sample_volumes import truth_ras

        result = MetaAffineRegLogic().process(*sample_data.makePhantom())
        transform = slicer.util.arrayFromTransformMatrix(slicer.mrmlScene.GetNodeByID(result.transform_id))
        corners = np.array([[x, y, z, 1] for x in (-60, 60) for y in (-60, 60) for z in (-60, 60)])
        np.testing.assert_allclose(corners @ truth_ras().T @ transform.T, corners, atol=0.4)
        assert result.status == "ok"
        self.delayDisplay("The phantom was found")
