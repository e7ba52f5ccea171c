"""The models of the user: listed, renamed, removed, exported, imported."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.model_card import read_card
from MetaAffineRegLib.user_models import export_model, import_model, remove_model, rename_model, user_models

_LINES = {
    "trained_on": _("Trained on"),
    "training": _("Training"),
    "deformations": _("Moved by"),
    "verdict": _("Verdict"),
    "version": _("Version"),
}


class ModelRow:
    """``onChange()`` is called after a file was changed, ``say(text)`` gets what cannot be done."""

    def __init__(self, ui: Any, onChange: Callable[[], None], say: Callable[[str], None]):
        self._ui, self._onChange, self._say = ui, onChange, say
        self._names: list[str] | None = None
        ui.modelComboBox.activated.connect(lambda *_args: self.show())
        ui.renameButton.clicked.connect(self._onRename)
        ui.removeButton.clicked.connect(lambda *_args: self._act(lambda: remove_model(self.name)))
        ui.exportButton.clicked.connect(self._onExport)
        ui.importButton.clicked.connect(self._onImport)

    @property
    def name(self) -> str:
        """Of the model that is shown, empty where there is none."""
        return str(self._ui.modelComboBox.currentText)

    def show(self, name: str = "") -> None:
        """Bring the list in line with the folder; show the card of a model."""
        ui, models = self._ui, user_models()
        if list(models) != self._names:
            shown, self._names = name or self.name, list(models)
            ui.modelComboBox.clear()
            for one in models:
                ui.modelComboBox.addItem(one)
            name = shown
        if name in models:
            ui.modelComboBox.setCurrentIndex(list(models).index(name))
        for button in (ui.renameButton, ui.removeButton, ui.exportButton):
            button.setEnabled(bool(models))
        ui.modelCardLabel.setText(cardText(models[self.name]) if models else _("You have trained no model yet."))

    def rename(self, name: str) -> None:
        self._act(lambda: rename_model(self.name, name), shown=name)

    def takeIn(self, path: Path) -> None:
        """Import a file."""
        self._act(lambda: import_model(path))

    def _act(self, action: Callable[[], Any], shown: str = "") -> None:
        with slicer.util.tryWithErrorDisplay(_("That could not be done.")):
            try:
                action()
            except InputError as error:
                self._say(str(error))
                shown = ""
            self.show(shown)
            self._onChange()

    def _onRename(self, *_args: Any) -> None:
        answer = qt.QInputDialog.getText(slicer.util.mainWindow(), _("Rename model"), _("New name:"))
        name = answer[0] if isinstance(answer, (tuple, list)) else answer
        if name:
            self.rename(str(name))

    def _onExport(self, *_args: Any) -> None:
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Export the model"), f"{self.name}.pt", _("Models (*.pt)"))
        path = path[0] if isinstance(path, (tuple, list)) else path
        if path:
            self._act(lambda: export_model(self.name, Path(str(path))))

    def _onImport(self, *_args: Any) -> None:
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import a model"), "", _("Models (*.pt)"))
        path = path[0] if isinstance(path, (tuple, list)) else path
        if path:
            self.takeIn(Path(str(path)))


def cardText(path: Path, leftOut: tuple[str, ...] = ()) -> str:
    """The card of a model file for people, HTML, without the lines ``leftOut``; what is wrong with the file where it has none."""
    try:
        card = read_card(path)
    except InputError as error:
        return escape(str(error))
    shown = {name: title for name, title in _LINES.items() if name in card and name not in leftOut}
    return "<br>".join(f"<b>{title}</b>: {escape(str(card[name]))}" for name, title in shown.items())
