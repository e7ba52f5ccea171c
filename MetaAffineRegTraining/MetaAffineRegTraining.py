"""Slicer module MetaAffineRegTraining: the panel and what the Python console calls; its parts lie in the packages beside this file."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
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

from MetaAffineRegTrainingWidgets.panel import Panel
from MetaAffineRegTrainingWidgets.parameters import MetaAffineRegTrainingParameterNode
from MetaAffineRegWidgets import torch_offer

OWN_PACKAGES = ("MetaAffineRegTrainingCLI", "MetaAffineRegTrainingLib", "MetaAffineRegTrainingMRML", "MetaAffineRegTrainingWidgets")


class MetaAffineRegTraining(ScriptedLoadableModule):
    """The entry in Slicer's list of modules."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MetaAffineReg Training")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = ["MetaAffineReg"]
        self.parent.contributors = ["MetaAffineReg contributors"]
        self.parent.helpText = _(
            "Trains a model for MetaAffineReg on volumes that are loaded, in a process of its own, and says whether it is better than the "
            "shipped one on volumes that were held out."
        )
        self.parent.acknowledgementText = _("After Kanter and Lellmann: A Flexible Meta Learning Model for Image Registration, MIDL 2022.")


class MetaAffineRegTrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The life of the panel in the application; what it does is in ``MetaAffineRegTrainingWidgets.panel``."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: MetaAffineRegTrainingLogic | None = None
        self.panel: Panel | None = None
        self._parameterNode: MetaAffineRegTrainingParameterNode | None = None
        self._parameterNodeGuiTag: int | None = None

    def setup(self) -> None:
        """Called once, when the panel is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MetaAffineRegTraining.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MetaAffineRegTrainingLogic()
        self.panel = Panel(self.ui, self.logic)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self.onSceneReplaced)
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self.addObserver(scene, event, self.onNodesChanged)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called at the end of the application, when the widgets may be gone already: it must not touch them."""
        self.removeObservers()
        self.panel.shutDown()

    def enter(self) -> None:
        """Called each time the user comes to the module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user leaves the module; a training goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, *_args: Any) -> None:
        self.panel.onSceneClosed()
        self.setParameterNode(None)

    def onSceneReplaced(self, *_args: Any) -> None:
        """A panel that is shown while a scene is closed or loaded reads its parameters anew."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodesChanged(self, _scene: Any, _event: str, node: Any) -> None:
        """The list follows the scene."""
        if self.parent.isEntered and node.IsA("vtkMRMLVolumeNode") and not slicer.mrmlScene.IsBatchProcessing():
            self.panel.update()

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

    def setParameterNode(self, parameterNode: MetaAffineRegTrainingParameterNode | None) -> None:
        """Show and observe a parameter node, or none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.panel.update)
        self._parameterNode = self.panel.parameters = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.panel.update)
        self.panel.update()


class MetaAffineRegTrainingLogic(ScriptedLoadableModuleLogic):
    """Training on nodes, without any widget."""

    def getParameterNode(self) -> MetaAffineRegTrainingParameterNode:
        return MetaAffineRegTrainingParameterNode(super().getParameterNode())

    @staticmethod
    def isTorchInstalled() -> bool:
        """Looks for torch without importing it, which takes seconds."""
        return torch_offer.isInstalled()

    def train(
        self,
        volumeNodes: Sequence[slicer.vtkMRMLScalarVolumeNode],
        settings: Any = None,
        progress: Callable[[dict[str, Any]], None] = lambda event: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> str:
        """Train a model on volumes, here and now, and return its file, which lies with the user's models.

        ``settings`` is a TrainingSettings of MetaAffineRegTrainingLib.settings or a dictionary of its fields, for example
        ``{"minutes": 2, "name": "knees"}``.  ``progress`` gets what happens as dictionaries with the key "event"; ``cancelled`` is asked
        before every step.  Raises InputError and Cancelled.
        """
        from MetaAffineRegLib.errors import Cancelled
        from MetaAffineRegTrainingLib.session import Session

        job = self.begin(volumeNodes, settings)

        def pause() -> float:
            if cancelled():
                raise Cancelled
            return 0.0

        try:
            Session(job.images(), job.settings, job.model, job.state, progress, pause, job.picture).run()
            return str(job.model)
        finally:
            job.remove()

    def begin(self, volumeNodes: Sequence[slicer.vtkMRMLScalarVolumeNode], settings: Any = None) -> Any:
        """Copy volumes and settings into the folder of a new training (JobFolder); raises InputError for what can't be trained on."""
        from MetaAffineRegLib.user_models import free_name, model_path, user_folder
        from MetaAffineRegTrainingLib.job_folder import JobFolder
        from MetaAffineRegTrainingLib.settings import TrainingSettings
        from MetaAffineRegTrainingMRML.training_volumes import check_training_nodes, images_of

        chosen = settings if isinstance(settings, TrainingSettings) else TrainingSettings.from_dict(settings or {})
        check_training_nodes(volumeNodes, chosen)
        images = images_of(volumeNodes)
        return JobFolder.create(user_folder() / "Trainings", images, chosen, model_path(free_name(chosen.name)))

    @staticmethod
    def start(job: Any, resume: bool = False) -> Any:
        """Train in a child process (ChildProcess), in Slicer's Python where this is Slicer."""
        from MetaAffineRegTrainingCLI.child_process import ChildProcess

        return ChildProcess(job, resume)

    @staticmethod
    def unfinished() -> Any:
        """The newest training that was interrupted (JobFolder), None where there is none."""
        from MetaAffineRegLib.user_models import user_folder
        from MetaAffineRegTrainingLib.job_folder import JobFolder

        return JobFolder.unfinished(user_folder() / "Trainings")

    @staticmethod
    def showChart(chartNode: slicer.vtkMRMLPlotChartNode) -> None:
        """Show a chart in the plot view of the layout, where there is a window with one."""
        if slicer.app.layoutManager() is not None:
            slicer.modules.plots.logic().ShowChartInLayout(chartNode)

    @staticmethod
    def useModel(path: str) -> None:
        """Choose a model in the panel of MetaAffineReg and go there."""
        slicer.util.getModuleLogic("MetaAffineReg").getParameterNode().model = path
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("MetaAffineReg")


class MetaAffineRegTrainingTest(ScriptedLoadableModuleTest):
    """Self-test, started by the developer buttons or by CTest."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        if not MetaAffineRegTrainingLogic.isTorchInstalled():
            self.skipTest("PyTorch is not installed")
        self.setUp()
        self.test_modelIsTrained()

    def test_modelIsTrained(self) -> None:
        """Three made slices, a few steps: a model with its card."""
        from MetaAffineRegLib.model_card import read_card

        row, column = np.mgrid[0:64, 0:64]
        nodes = []
        for place in (20, 28, 36):
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"made {place}")
            slicer.util.updateVolumeFromArray(node, 100 * np.exp(-((row - 24) ** 2 + (column - place) ** 2) / 120)[np.newaxis])
            nodes.append(node)
        path = Path(MetaAffineRegTrainingLogic().train(nodes, {"steps": 3, "batch": 4, "validation_pairs": 4, "name": "self-test"}))
        assert "verdict" in read_card(path)
        path.unlink()
        self.delayDisplay("A model was trained")
