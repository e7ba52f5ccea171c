"""The training panel: what is chosen, whether it can be trained on, Train, Pause and Cancel, and what came of it."""

from html import escape
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import InputError
from MetaAffineRegTrainingMRML.curves import CHARTS, Curves
from MetaAffineRegTrainingMRML.training_volumes import check_training_nodes
from MetaAffineRegWidgets import status, torch_offer
from MetaAffineRegWidgets.fitted_height import FittedHeight

from .model_row import ModelRow, cardText
from .parameters import Kind, Start, settingsOf
from .pictures_view import SamplePictures, setPictureFile
from .training_run import TrainingRun
from .volume_list import VolumeList

_CHART_NAMES = {"error": _("error on held-out pairs"), "success": _("success on held-out pairs"), "loss": _("loss on training pairs")}


class Panel:
    """``ui`` are the widgets of the .ui file by name, ``logic`` what the Python console uses as well.

    parameters: the parameter node that is shown, None while there is none.
    """

    def __init__(self, ui: Any, logic: Any):
        self.ui, self.logic = ui, logic
        self.parameters: Any = None
        self._said = status.Said()
        self._done: dict[str, Any] | None = None  # the last event of a training that ended well
        self._stopping = False
        self._notes: list[str] = []
        self.curves = Curves(slicer.mrmlScene)
        self.run = TrainingRun(self._onEvents, self._onEnd)
        self.volumes = VolumeList(ui, lambda text: self.say("error", text))
        self.samples = SamplePictures(ui.sampleLabel)
        self.models = ModelRow(ui, self.update, lambda text: self.say("error", text))
        names = ("volumes", "pairs", "training", "progress", "result", "models")
        self._height = FittedHeight(ui.volumesCollapsibleButton.parent(), [getattr(ui, f"{name}CollapsibleButton") for name in names])
        for chart in CHARTS:
            ui.curvesComboBox.addItem(_CHART_NAMES[chart])
        status.show(ui.torchLabel, "ambiguous", ui.torchLabel.text)
        status.show(ui.resumeLabel, "ambiguous", ui.resumeLabel.text)
        ui.curvesComboBox.activated.connect(self._onCurves)
        ui.trainButton.clicked.connect(self.onTrain)
        ui.pauseButton.clicked.connect(self.onPause)
        ui.resumeButton.clicked.connect(self.onResume)
        ui.discardButton.clicked.connect(self.onDiscard)
        ui.useButton.clicked.connect(self.onUse)
        ui.modelComboBox.activated.connect(self._height.update)
        ui.installTorchButton.clicked.connect(self.onInstallTorch)

    # What is shown

    def update(self, *_args: Any) -> None:
        """Bring everything in line with the parameters, the scene and what runs."""
        ui, running = self.ui, self.run.isRunning
        self.volumes.parameters = self.parameters
        if self.parameters is not None:
            self.volumes.show()
        reason, warnings = self._judged()
        ui.torchPanel.setVisible(not torch_offer.isInstalled())
        job = None if running else self.logic.unfinished()
        ui.resumePanel.setVisible(job is not None)
        for group in (ui.volumesCollapsibleButton, ui.pairsCollapsibleButton, ui.trainingCollapsibleButton):
            group.setEnabled(not running)
        ui.trainButton.setText(_("Cancel") if running else _("Train"))
        ui.trainButton.setEnabled((running and not self._stopping) or not (running or reason))
        ui.trainButton.setToolTip(
            _("Stop; the training can be taken up again.") if running else reason or _("Train a model on these volumes.")
        )
        ui.pauseButton.setEnabled(running and not self._stopping)
        ui.pauseButton.setText(_("Continue") if self.run.isPaused else _("Pause"))
        ui.progressBar.setVisible(running)
        ui.progressCollapsibleButton.setVisible(running or bool(self._notes) or self._done is not None)
        ui.resultCollapsibleButton.setVisible(self._done is not None)
        ui.noteLabel.setText("\n".join(self._notes if running or self._notes else warnings))
        ui.noteLabel.setVisible(bool(ui.noteLabel.text))
        self._showUsable()
        self.models.show()
        ui.useButton.setEnabled(self._done is not None and Path(self._done["model"]).is_file())  # not renamed or removed meanwhile
        said = self._said.under(self._choice())
        if not running:
            status.show(ui.statusLabel, *(said or ("ready", reason or _("Ready."))))
            self._showSamples()
        self._height.update()

    def say(self, kind: str, text: str) -> None:
        """Show a sentence until the user chooses something else."""
        self._said.say(kind, text, self._choice())
        self.update()

    def reasonAgainstTraining(self) -> str:
        """Why Train is disabled, as a sentence; empty where it is not."""
        return self._judged()[0]

    def _judged(self) -> tuple[str, list[str]]:
        """The reason against training, empty for none, and warnings."""
        if self.parameters is None:
            return _("No scene is open."), []
        if not torch_offer.isInstalled():
            return _("PyTorch is not installed; install it with the button above."), []
        try:
            return "", check_training_nodes(self.volumes.checked(), settingsOf(self.parameters))
        except InputError as error:
            return str(error), []

    def _choice(self) -> Any:
        if self.parameters is None:
            return None
        try:
            settings: Any = settingsOf(self.parameters)
        except InputError as error:
            settings = str(error)
        return settings, tuple(node.GetID() for node in self.volumes.checked())

    def _showUsable(self) -> None:
        """Choices that have no effect are disabled: slices have no blocks, and the shipped model brings its network."""
        ui, parameters = self.ui, self.parameters
        if parameters is not None:
            slices = parameters.kind is Kind.SLICES
            for widget in (ui.orientationComboBox, ui.firstSpinBox, ui.lastSpinBox):
                widget.setEnabled(slices)
            ui.blockSpinBox.setEnabled(not slices)
            ui.startComboBox.setEnabled(slices)
            ui.networkComboBox.setEnabled(not slices or parameters.start is Start.NOTHING)

    def _showSamples(self) -> None:
        checked = self.volumes.checked()
        try:
            settings = settingsOf(self.parameters) if self.parameters is not None else None
        except InputError:
            settings = None
        with slicer.util.tryWithErrorDisplay(_("The sample pairs could not be drawn."), waitCursor=not torch_offer.isImported()):
            self.samples.show(checked[0] if checked and not self.reasonAgainstTraining() else None, settings)

    # What the user does

    def onTrain(self, *_args: Any) -> None:
        """Start; or, while a training runs, end it so that it can be taken up again."""
        if self.run.isRunning:
            self._stopping = True
            self.run.cancel()
            status.show(self.ui.statusLabel, "running", _("Saving the state ..."))
            self.update()
            return
        self._begin(lambda: self.logic.begin(self.volumes.checked(), settingsOf(self.parameters)), resume=False)

    def onResume(self, *_args: Any) -> None:
        """Take up the training that was interrupted."""
        self._begin(self.logic.unfinished, resume=True)

    def onDiscard(self, *_args: Any) -> None:
        """Forget the training that was interrupted."""
        with slicer.util.tryWithErrorDisplay(_("The training could not be removed.")):
            self.logic.unfinished().remove()
            self._notes = []
            self.say("ready", _("The interrupted training was discarded."))

    def onPause(self, *_args: Any) -> None:
        self.run.pause(not self.run.isPaused)
        self.update()

    def onUse(self, *_args: Any) -> None:
        """Choose the new model in the panel of MetaAffineReg."""
        with slicer.util.tryWithErrorDisplay(_("The model could not be chosen.")):
            assert self._done is not None
            self.logic.useModel(self._done["model"])
            self.say("done", _("MetaAffineReg uses {0} now.").format(Path(self._done["model"]).stem))

    def onInstallTorch(self, *_args: Any) -> None:
        """Install torch through the PyTorch extension, which asks first."""
        with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
            message = torch_offer.install()
            if message:
                self.say("error", message)
            self.update()

    def _onCurves(self, *_args: Any) -> None:
        """Show the chosen chart in Slicer's plot view, where there is one."""
        self.curves.show()
        self.logic.showChart(self.curves.chart(CHARTS[self.ui.curvesComboBox.currentIndex]))

    # A training

    def _begin(self, job: Any, resume: bool) -> None:
        with slicer.util.tryWithErrorDisplay(_("The training could not be started."), waitCursor=True):
            self._done, self._notes, self._stopping = None, [], False
            self.curves.clear()
            self.ui.exampleLabel.clear()
            self.ui.figuresLabel.setText("")
            self.ui.progressBar.setValue(0)
            try:
                folder = job()
                earlier = folder.read_events()  # of a training that was interrupted
                self.run.start(self.logic.start(folder, resume))
            except InputError as error:
                self.say("error", str(error))
                return
            self.curves.take(earlier)
            for event in [event for event in earlier if event["event"] == "evaluation"][-1:]:
                self._on_evaluation(event)
            if resume:
                self._notes = [_("Resumed where the last state was saved.")]
            self._said.forget()
            status.show(self.ui.statusLabel, "running", _("Loading PyTorch ..."))
            self._onCurves()
            self.update()

    def _onEvents(self, events: list[dict[str, Any]]) -> None:
        self.curves.take(events)
        for event in events:
            handler = getattr(self, f"_on_{event['event']}", None)
            if handler is not None:
                handler(event)
        self.curves.show()
        self.update()

    def _on_progress(self, event: dict[str, Any]) -> None:
        self.ui.progressBar.setValue(round(1000 * event["share"]))
        text = _("Step {0}, loss {1:.4f}, {2:.1f} steps/s, {3} left.")
        if not self._stopping and not self.run.isPaused:
            left = _duration(event["left"])
            status.show(self.ui.statusLabel, "running", text.format(event["step"], event["loss"] or 0.0, event["rate"], left))

    def _on_evaluation(self, event: dict[str, Any]) -> None:
        rows = [f"<tr><td></td><td><b>{_('success')}</b></td><td><b>{_('median mse4')}</b></td></tr>"]
        for method, figures in event["figures"].items():
            rows.append(
                f"<tr><td>{escape(method)}&nbsp;</td><td>{100 * figures['success']:.0f} %&nbsp;</td><td>{figures['mse4']:.2g}</td></tr>"
            )
        self.ui.figuresLabel.setText(f"<table cellpadding='2'>{''.join(rows)}</table>")

    def _on_picture(self, event: dict[str, Any]) -> None:
        setPictureFile(self.ui.exampleLabel, Path(event["path"]))

    def _on_note(self, event: dict[str, Any]) -> None:
        if event["text"] not in self._notes:
            self._notes.append(event["text"])

    def _on_paused(self, _event: dict[str, Any]) -> None:
        if self.run.isPaused:
            status.show(self.ui.statusLabel, "ambiguous", _("Paused; the time does not run on."))

    def _on_error(self, event: dict[str, Any]) -> None:
        self._said.say("error", event["text"], self._choice())

    def _on_done(self, event: dict[str, Any]) -> None:
        self._done = event
        kind, text = ("ok" if event["better"] else "ambiguous"), event["verdict"]
        status.show(self.ui.verdictLabel, kind, text)
        self.ui.cardLabel.setText(cardText(Path(event["model"]), leftOut=("verdict",)))
        self.models.show(Path(event["model"]).stem)
        self._said.say(kind, _("{0} is trained.").format(Path(event["model"]).stem), self._choice())

    def _onEnd(self, words: str) -> None:
        """The child has ended: well, asked to, for bad input, or by a crash."""
        stopped, self._stopping = self._stopping, False
        if self._done is None and self._said.sentence is None:
            ended = _("Stopped.") if stopped else _("The training ended unexpectedly ({0}).").format(words)
            resume = _("Resume, at the top, takes it up where it was.") if self.logic.unfinished() is not None else ""
            self._said.say("ready" if stopped else "error", " ".join(filter(None, (ended, resume))), self._choice())
        self.update()

    # What happens to the scene

    def onSceneClosed(self) -> None:
        """The training goes on; its curves are drawn anew in the next scene."""
        self._said.forget()

    def shutDown(self) -> None:
        """At the end of the application; touches no widget."""
        self.run.shutDown()
        self._height.stop()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s" if minutes else f"{rest} s"
