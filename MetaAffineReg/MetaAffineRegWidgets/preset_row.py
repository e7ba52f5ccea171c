"""The list of presets with its buttons."""

from collections.abc import Callable
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import InputError

from .presets import Presets


class PresetRow:
    """``read()`` gives the choices of the panel, ``choose(choices)`` sets them, ``say(text)`` gets what cannot be done."""

    def __init__(self, ui: Any, presets: Presets, read: Callable[[], Any], choose: Callable[[Any], None], say: Callable[[str], None]):
        self._ui, self._presets, self._read, self._choose, self._say = ui, presets, read, choose, say
        ui.presetComboBox.activated.connect(self._onActivated)
        ui.savePresetButton.clicked.connect(self._onSave)
        ui.deletePresetButton.clicked.connect(self._onDelete)
        self._fill()

    def show(self, choices: Any) -> None:
        """Show the preset that holds these choices, or that none does."""
        name = self._presets.nameOf(choices)
        combo = self._ui.presetComboBox
        index = combo.findText(name) if name else 0
        if combo.currentIndex != index:
            combo.setCurrentIndex(index)
        self._ui.deletePresetButton.setEnabled(self._presets.isOwn(name))

    def save(self, name: str) -> None:
        """Keep the choices of the panel under a name."""
        try:
            self._presets.save(name, self._read())
        except InputError as error:
            self._say(str(error))
            return
        self._fill()

    def _fill(self) -> None:
        combo = self._ui.presetComboBox
        combo.clear()
        combo.addItem(_("own choices"))
        for name in self._presets.names():
            combo.addItem(name)

    def _onActivated(self, *_args: Any) -> None:
        combo = self._ui.presetComboBox
        if combo.currentIndex > 0:
            self._choose(self._presets.choices(combo.currentText))

    def _onSave(self, *_args: Any) -> None:
        answer = qt.QInputDialog.getText(slicer.util.mainWindow(), _("Save preset"), _("Name of the preset:"))
        name = answer[0] if isinstance(answer, (tuple, list)) else answer
        if name:
            self.save(str(name))
            self.show(self._read())

    def _onDelete(self, *_args: Any) -> None:
        self._presets.delete(self._ui.presetComboBox.currentText)
        self._fill()
        self.show(self._read())
