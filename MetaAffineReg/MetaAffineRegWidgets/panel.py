"""The panel: what is chosen, whether it can be registered, Apply and Cancel, and what came of it."""

from typing import Any

import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegMRML.node_checks import check_nodes
from MetaAffineRegMRML.pair_warnings import pair_warnings
from MetaAffineRegMRML.result_in_scene import Before, ResultInScene

from . import status, torch_offer
from .background_work import Watch, Work
from .compile_ahead import CompileAhead
from .fitted_height import FittedHeight
from .model_choice import ModelChoice
from .parameters import NODE_FIELDS, applyChoices, choicesOf, librarySettings
from .preset_row import PresetRow
from .presets import Presets
from .quality_view import QualityView
from .results_view import ResultsView


class Panel:
    """``ui`` are the widgets of the .ui file by name, ``logic`` what the Python console uses as well.

    parameters: the parameter node that is shown, None while there is none.
    """

    def __init__(self, ui: Any, logic: Any):
        self.ui, self.logic = ui, logic
        self.parameters: Any = None
        self._registration: Any = None  # that in progress
        self._pair = ("", "")
        self._said = status.Said()
        self._laidOn = True
        self.compileAhead = CompileAhead()
        self.watch = Watch(self._showProgress, self._onFinished)
        self.quality = QualityView(ui)
        self.results = ResultsView(ui, self.update, lambda text: self.say("error", text))
        self.models = ModelChoice(ui.modelComboBox, ui.modelFileButton, ui.modelCardLabel, self._onModel)
        self.presets = PresetRow(
            ui, Presets(slicer.app.userSettings()), self._choices, self._onPreset, lambda text: self.say("error", text)
        )
        sections = [getattr(ui, f"{name}CollapsibleButton") for name in ("inputs", "result", "quality", "options", "advanced")]
        self._height = FittedHeight(ui.inputsCollapsibleButton.parent(), sections)
        ui.deviceLabel.setVisible(False)
        status.show(ui.torchLabel, "ambiguous", ui.torchLabel.text)
        ui.applyButton.clicked.connect(self.onApply)
        ui.swapButton.clicked.connect(self.onSwap)
        ui.deviceButton.clicked.connect(self.onDevice)
        ui.installTorchButton.clicked.connect(self.onInstallTorch)

    # What is shown

    def update(self, *_args: Any) -> None:
        """Bring everything in line with the parameters, the scene and what runs."""
        ui, parameters = self.ui, self.parameters
        ui.torchPanel.setVisible(not torch_offer.isInstalled())
        if parameters is not None:
            self._onPair(parameters)
            self._onApplyToMoving(parameters.applyToMoving)
            self.models.show(parameters.model)
            self.presets.show(choicesOf(parameters))
        running, reason = self.watch.isRunning, self.reasonAgainstApply()
        for group in (ui.inputsCollapsibleButton, ui.optionsCollapsibleButton, ui.advancedCollapsibleButton, ui.resultCollapsibleButton):
            group.setEnabled(not running)
        ui.progressBar.setVisible(running)
        ui.applyButton.setText(_("Cancel") if running else _("Apply"))
        ui.applyButton.setEnabled(running or not reason)
        tip = _("Stop; nothing is changed then.") if running else _("Register the moving volume to the fixed volume.")
        ui.applyButton.setToolTip(reason if reason and not running else tip)
        self._showWarnings(reason)
        self.results.update()
        said = self._said.under(self._choice())
        if not running:
            status.show(ui.statusLabel, *(said or ("ready", reason or _("Ready."))))
        self._height.update()

    def reasonAgainstApply(self) -> str:
        """Why Apply is disabled, as a sentence; empty where it is not."""
        parameters = self.parameters
        if not parameters:
            return _("No scene is open.")
        if not torch_offer.isInstalled():
            return _("PyTorch is not installed; install it with the button above.")
        try:
            check_nodes(parameters.fixedVolume, parameters.movingVolume, parameters.outputTransform, parameters.initialTransform)
        except InputError as error:
            return str(error)
        return ""

    def say(self, kind: str, text: str) -> None:
        """Show a sentence until the user chooses something else."""
        self._said.say(kind, text, self._choice())
        self.update()

    def _choice(self) -> tuple[Any, ...] | None:
        if self.parameters is None:
            return None
        nodes = (_idOf(getattr(self.parameters, name)) for name in NODE_FIELDS)
        return (*nodes, *choicesOf(self.parameters).values())

    def _showWarnings(self, reason: str) -> None:
        """Of the pair as it is registered: the inverse, where it is shown, does not stay for that."""
        sentences: list[str] = []
        inverted = self.results.inScene is not None and self.results.inScene.shows_inverse
        if self.parameters is not None and not reason and not inverted:
            sentences = pair_warnings(self.parameters.fixedVolume, self.parameters.movingVolume, self.parameters.outputTransform)
        self.ui.pairWarningLabel.setText("".join(f"⚠ {sentence}\n" for sentence in sentences).strip())
        self.ui.pairWarningLabel.setVisible(bool(sentences))

    def _onPair(self, parameters: Any) -> None:
        """Another pair of volumes: the old result is none of it, and its transform is not to be overwritten."""
        fixed, moving, output = parameters.fixedVolume, parameters.movingVolume, parameters.outputTransform
        pair = (_idOf(fixed), _idOf(moving))
        if pair != self._pair:
            self._pair, left = pair, self.results.inScene
            self.results.clear()
            if left is not None:
                left.leave_inverse()
            if output is not None:
                transform = slicer.vtkMRMLTransformNode
                roles = (transform.GetFixedNodeReferenceRole(), transform.GetMovingNodeReferenceRole())
                ids = tuple(output.GetNodeReferenceID(role) or "" for role in roles)
                if ids not in (("", ""), pair):
                    parameters.outputTransform = None
        showable = all(node is not None and node.GetImageData() is not None for node in (fixed, moving)) and fixed is not moving
        self.quality.setPair(*((fixed, moving) if showable else (None, None)))

    def _onApplyToMoving(self, on: bool) -> None:
        if on != self._laidOn:
            self._laidOn = on
            self.results.layOn(on)

    # What the user does

    def onApply(self, *_args: Any) -> None:
        """Start; or, while a registration runs, cancel it."""
        if self.watch.isRunning:
            self.cancel()
            return
        with slicer.util.tryWithErrorDisplay(_("Registration failed."), waitCursor=True):
            try:
                self._start()
            except InputError as error:
                self.say("error", str(error))
            except Exception:
                self.say("error", _("Registration failed."))
                raise

    def cancel(self) -> None:
        """Let go of what runs; the scene is as it was."""
        self.watch.cancel()
        self._registration = None
        self.say("ready", _("Cancelled; nothing was changed."))

    def onSwap(self, *_args: Any) -> None:
        with slicer.util.tryWithErrorDisplay(_("The volumes could not be swapped.")), slicer.util.NodeModify(self.parameters):
            fixed, moving = self.parameters.fixedVolume, self.parameters.movingVolume
            self.parameters.fixedVolume, self.parameters.movingVolume = moving, fixed

    def onDevice(self, *_args: Any) -> None:
        """Say what can compute here; the first time this imports torch."""
        with slicer.util.tryWithErrorDisplay(_("The device could not be asked."), waitCursor=True):
            text = _("PyTorch is not installed.")
            if torch_offer.isInstalled():
                torch_offer.importLibrary()
                from MetaAffineRegLib.gpu_memory import report

                text = report()
            self.ui.deviceLabel.setText(text)
            self.ui.deviceLabel.setVisible(True)
            self._height.update()

    def onInstallTorch(self, *_args: Any) -> None:
        """Install torch through the PyTorch extension, which asks first."""
        with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
            message = torch_offer.install()
            if message:
                self.say("error", message)
            self.compileAhead.start()
            self.update()

    def _onModel(self, model: str) -> None:
        if self.parameters is not None:
            self.parameters.model = model

    def _onPreset(self, choices: dict[str, Any]) -> None:
        if self.parameters is not None:
            applyChoices(self.parameters, choices)

    def _choices(self) -> dict[str, Any]:
        return choicesOf(self.parameters)

    # A registration

    def _start(self) -> None:
        parameters = self.parameters
        status.show(self.ui.statusLabel, "running", _("Reading the images ...") if torch_offer.isImported() else _("Loading PyTorch ..."))
        self.ui.statusLabel.repaint()
        torch_offer.importLibrary()
        if self.results.inScene is not None and self.results.inScene.shows_inverse:
            self.results.inScene.show_inverse(False)
        self._registration = self.logic.registration(
            parameters.fixedVolume,
            parameters.movingVolume,
            parameters.outputTransform,
            parameters.initialTransform,
            parameters.sliceView,
            **librarySettings(parameters),
        )
        self.ui.progressBar.setValue(0)
        self.watch.start(self._registration.compute)
        self.update()

    def _showProgress(self, stage: str, fraction: float) -> None:
        self.ui.progressBar.setValue(round(1000 * fraction))
        status.show(self.ui.statusLabel, "running", stage[:1].upper() + stage[1:])

    def _onFinished(self, work: Work) -> None:
        registration, self._registration = self._registration, None
        with slicer.util.tryWithErrorDisplay(_("Registration failed.")):
            try:
                self._take(registration, work.result())
            except InputError as error:
                self.say("error", str(error))
            except Cancelled:
                self.say("ready", _("Cancelled; nothing was changed."))
            except Exception:
                self.say("error", _("Registration failed."))
                raise

    def _take(self, registration: Any, computed: Any) -> None:
        """Write a result to the scene and show it."""
        parameters = self.parameters or self.logic.getParameterNode()
        fixed, moving, output = registration.fixed_node, registration.moving_node, registration.output_node
        if registration.lost:
            raise Cancelled
        before, last = Before.of(fixed, moving, output), self.results.inScene
        if last is not None and output is not None and last.concerns(fixed, moving, output):
            before = last.before  # what Reset brings back is how it was before the first of several runs
        result = registration.write(computed)
        inScene = ResultInScene(slicer.mrmlScene, result.transform_id, result.to_parent, before)
        if parameters.applyToMoving:
            inScene.lay_on(True)
        parameters.outputTransform = slicer.mrmlScene.GetNodeByID(result.transform_id)
        self.results.show(result, inScene)
        what = (
            _("{0} was laid on {1} in {2:.1f} s on {3}.")
            if parameters.applyToMoving
            else _("{0} was registered to {1} in {2:.1f} s on {3}.")
        )
        done = what.format(moving.GetName(), fixed.GetName(), result.seconds, result.device)
        self.say(result.status or "done", " ".join(filter(None, (done, result.judgement, *result.notes))))

    # What happens to the scene

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
    def onNodeAboutToBeRemoved(self, _scene: Any, _event: str, node: Any) -> None:
        """What is deleted is no longer chosen; a selector left to itself would go on to its neighbor."""
        if self.parameters is not None and not slicer.mrmlScene.IsClosing():
            for name in NODE_FIELDS:
                if getattr(self.parameters, name) is node:
                    setattr(self.parameters, name, None)

    def onNodeRemoved(self, *_args: Any) -> None:
        """A registration that lost a node has nothing to work for."""
        if self._registration is not None and self._registration.lost:
            self.cancel()

    def onSceneStartClose(self) -> None:
        if self.watch.isRunning:
            self.cancel()
        self._said.forget()
        self.quality.close()
        self.results.clear()
        self._pair = ("", "")

    def shutDown(self) -> None:
        """At the end of the application; touches no widget."""
        self.watch.shutDown()
        self.compileAhead.end()
        self.quality.stop()
        self._height.stop()


def _idOf(node: Any) -> str:
    return node.GetID() if node is not None else ""
