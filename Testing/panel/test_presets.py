"""Presets: shipped ones, the user's own, and settings of other versions."""

import json

import pytest
import slicer

from MetaAffineRegLib.errors import InputError
from MetaAffineRegWidgets import presets
from MetaAffineRegWidgets.parameters import DataTerm, Freedom, choicesOf
from MetaAffineRegWidgets.presets import SHIPPED, Presets


class Settings(dict):
    """Settings as Qt's: what is not there is None."""

    def value(self, key):
        return self.get(key)

    def setValue(self, key, value):
        self[key] = value


@pytest.fixture(autouse=True)
def own_settings():
    """The user's presets are left as they were, inside Slicer too."""
    before = slicer.app.userSettings().value(presets._KEY)
    slicer.app.userSettings().setValue(presets._KEY, "{}")
    yield
    slicer.app.userSettings().setValue(presets._KEY, before or "{}")


def pick(panel, name):
    """Choose a preset as a user does."""
    combo = panel.ui.presetComboBox
    combo.setCurrentIndex(combo.findText(name))
    combo.activated.emit(combo.currentIndex)


def test_new_panel_shows_the_preset_of_the_defaults(panel):
    assert panel.ui.presetComboBox.currentText == "Automatic"
    assert choicesOf(panel.logic.getParameterNode()) == SHIPPED["Automatic"]


def test_preset_sets_the_choices(panel):
    pick(panel, "One patient, same position")
    assert panel.ui.rotationRangeSpinBox.value == 30
    assert panel.logic.getParameterNode().freedom is Freedom.RIGID
    pick(panel, "Automatic")
    assert panel.ui.rotationRangeSpinBox.value == 180


def test_change_by_hand_is_no_preset_any_more(panel):
    panel.ui.rotationRangeSpinBox.setValue(77)
    assert panel.ui.presetComboBox.currentText == "own choices"
    panel.ui.rotationRangeSpinBox.setValue(180)
    assert panel.ui.presetComboBox.currentText == "Automatic"


def test_saved_preset_outlives_the_panel_and_can_be_deleted(panel, monkeypatch):
    import qt

    parameters = panel.logic.getParameterNode()
    parameters.rotationRange, parameters.dataTerm = 25.0, DataTerm.EDGES
    monkeypatch.setattr(qt.QInputDialog, "getText", lambda *_: "Mine")
    panel.ui.savePresetButton.click()
    assert panel.ui.presetComboBox.currentText == "Mine"
    assert panel.ui.deletePresetButton.isEnabled()
    again = Presets(slicer.app.userSettings())
    assert again.choices("Mine")["rotationRange"] == 25.0
    pick(panel, "Automatic")
    assert not panel.ui.deletePresetButton.isEnabled()
    pick(panel, "Mine")
    assert parameters.rotationRange == 25.0 and parameters.dataTerm is DataTerm.EDGES
    panel.ui.deletePresetButton.click()
    assert "Mine" not in Presets(slicer.app.userSettings()).names()
    assert panel.ui.presetComboBox.currentText == "own choices"


@pytest.mark.parametrize(("name", "sentence"), [("Automatic", "can't be replaced"), ("  ", "needs a name")])
def test_name_that_can_not_be_used_is_told(panel, monkeypatch, name, sentence):
    import qt

    monkeypatch.setattr(qt.QInputDialog, "getText", lambda *_: name)
    panel.ui.savePresetButton.click()
    assert sentence in panel.ui.statusLabel.text


def test_cancelled_question_saves_nothing(panel, monkeypatch):
    import qt

    monkeypatch.setattr(qt.QInputDialog, "getText", lambda *_: "")
    before = Presets(slicer.app.userSettings()).names()
    panel.ui.savePresetButton.click()
    assert Presets(slicer.app.userSettings()).names() == before


def test_preset_of_another_version_sets_what_is_known(panel):
    """A choice that is gone, one that is new there, and one beyond the range: the rest holds."""
    foreign = {"freedom": "rigid", "dataTerm": "holograms", "speed": 11, "rotationRange": 720.0}
    slicer.app.userSettings().setValue(presets._KEY, json.dumps({"Old": foreign}))
    panel.panel.presets._fill()
    pick(panel, "Old")
    parameters = panel.logic.getParameterNode()
    assert (parameters.freedom, parameters.dataTerm, parameters.rotationRange) == (Freedom.RIGID, DataTerm.AUTO, 180.0)


@pytest.mark.parametrize("broken", ["", "not json", "[1, 2]", '{"a": 3}', None])
def test_damaged_settings_count_as_none(broken):
    settings = Settings({presets._KEY: broken})
    assert Presets(settings).names() == list(SHIPPED)
    Presets(settings).save("new", {"freedom": "rigid"})
    assert Presets(settings).names() == [*SHIPPED, "new"]


def test_unknown_preset_is_refused():
    with pytest.raises(InputError, match="no preset Nobody"):
        Presets(Settings()).choices("Nobody")


def test_shipped_presets_hold_every_choice(panel):
    for name, choices in SHIPPED.items():
        assert set(choices) == set(choicesOf(panel.logic.getParameterNode())), name
