"""The list of models, and the card of the one that is chosen."""

from html import escape
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.model_card import available_models, read_card
from MetaAffineRegLib.user_models import user_models

_SHOWN = {"trained_on": "Trained on", "data_licence": "Licence of the data", "deformations": "Moved by", "version": "Version"}


class ModelChoice:
    """Binds the list of models and the text below it to the parameter ``model``: a shipped name, a file, or empty for automatic.

    ``onChosen(model)`` is called for what the user chooses.
    """

    def __init__(self, comboBox: Any, fileButton: Any, label: Any, onChosen: Any):
        self._comboBox, self._label, self._onChosen = comboBox, label, onChosen
        self._comboBox.addItem(_("automatic"), "")
        for name in available_models():
            self._comboBox.addItem(name, name)
        self._own: dict[str, str] = {}
        self._comboBox.activated.connect(self._onActivated)
        fileButton.clicked.connect(self._onFile)
        self.show("")

    def show(self, model: str) -> None:
        """Show a choice that was made elsewhere, with its card; the list follows the folder of the user's models."""
        self._listOwn()
        index = self._comboBox.findData(model)
        if index < 0:
            self._comboBox.addItem(Path(model).name, model)
            index = self._comboBox.count - 1
        if self._comboBox.currentIndex != index:
            self._comboBox.setCurrentIndex(index)
        text = self._card(model)
        if self._label.text != text:
            self._label.setText(text)

    def _listOwn(self) -> None:
        own = {name: str(path) for name, path in user_models().items()}
        for path in set(self._own.values()) - set(own.values()):
            self._comboBox.removeItem(self._comboBox.findData(path))
        for name in own.keys() - self._own.keys():
            if self._comboBox.findData(own[name]) < 0:
                self._comboBox.addItem(name, own[name])
        self._own = own

    def _onActivated(self, *_args: Any) -> None:
        self._onChosen(self._comboBox.itemData(self._comboBox.currentIndex) or "")

    def _onFile(self, *_args: Any) -> None:
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Choose a model"), "", _("Models (*.pt)"))
        path = path[0] if isinstance(path, (tuple, list)) else path
        if path:
            self._onChosen(str(path))

    @staticmethod
    def _card(model: str) -> str:
        if not model:
            return _("The model that belongs to the method and to the images is taken, or none where there is none.")
        try:
            card = read_card(available_models().get(model, Path(model)))
        except InputError as error:
            return escape(str(error))
        lines = [f"<b>{title}</b>: {escape(str(card[name]))}" for name, title in _SHOWN.items() if name in card]
        return "<br>".join(lines)
