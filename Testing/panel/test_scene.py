"""The panel while the scene comes and goes: closed, closed in the middle of a run, saved and loaded, nodes deleted."""

import numpy as np
import pytest
import slicer
import slicer.util

from made_volumes import transform_node
from panel.driving import apply, finish, press_and_hold, tip, transforms

CHOOSE_FIXED = "No fixed volume is chosen; choose one."


@pytest.fixture
def chosen(panel, two_slices):
    panel.ui.fixedSelector.setCurrentNode(two_slices[0])
    panel.ui.movingSelector.setCurrentNode(two_slices[1])
    return two_slices


def test_closed_scene_empties_the_panel(panel, chosen):
    slicer.mrmlScene.Clear()
    assert panel.ui.fixedSelector.currentNode() is None
    assert panel.ui.movingSelector.currentNode() is None
    assert tip(panel.ui.applyButton) == CHOOSE_FIXED
    assert panel.ui.statusLabel.text == CHOOSE_FIXED


def test_panel_works_after_the_scene_was_closed(panel, chosen):
    slicer.mrmlScene.Clear()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "next")
    slicer.util.updateVolumeFromArray(node, np.eye(8, dtype=np.float32)[np.newaxis])
    panel.ui.fixedSelector.setCurrentNode(node)
    assert tip(panel.ui.applyButton) == "No moving volume is chosen; choose one."
    assert panel.logic.getParameterNode().fixedVolume is node


def test_scene_closed_while_another_module_is_shown(panel, chosen):
    panel.parent.exit()
    slicer.mrmlScene.Clear()
    panel.parent.enter()
    assert panel.ui.fixedSelector.currentNode() is None
    assert tip(panel.ui.applyButton) == CHOOSE_FIXED


def test_scene_closed_in_the_middle_stops_the_run(monkeypatch, panel, chosen):
    press_and_hold(panel, monkeypatch)
    slicer.mrmlScene.Clear()
    finish(panel)
    assert panel.ui.applyButton.text == "Apply"
    assert transforms() == 0
    assert tip(panel.ui.applyButton) == CHOOSE_FIXED


@pytest.mark.parametrize("index", [0, 1])
def test_volume_deleted_in_the_middle_stops_the_run(monkeypatch, panel, chosen, index):
    press_and_hold(panel, monkeypatch)
    slicer.mrmlScene.RemoveNode(chosen[index])
    assert panel.ui.applyButton.text == "Apply"
    finish(panel)
    assert transforms() == 0
    assert chosen[1].GetParentTransformNode() is None


def test_output_deleted_in_the_middle_stops_the_run(monkeypatch, panel, chosen):
    output = transform_node(np.eye(4), slicer.mrmlScene, "mine")
    panel.ui.outputSelector.setCurrentNode(output)
    press_and_hold(panel, monkeypatch)
    slicer.mrmlScene.RemoveNode(output)
    finish(panel)
    assert panel.ui.applyButton.text == "Apply"
    assert transforms() == 0


def test_other_node_deleted_in_the_middle_changes_nothing(monkeypatch, panel, chosen):
    other = transform_node(np.eye(4), slicer.mrmlScene, "other")
    held = press_and_hold(panel, monkeypatch)
    slicer.mrmlScene.RemoveNode(other)
    held.release()
    finish(panel)
    assert chosen[1].GetParentTransformNode().GetName() == "after to before"


def test_run_goes_on_while_another_module_is_shown(monkeypatch, panel, chosen):
    held = press_and_hold(panel, monkeypatch)
    panel.parent.exit()
    held.release()
    finish(panel)
    assert chosen[1].GetParentTransformNode().GetName() == "after to before"
    panel.parent.enter()
    assert panel.ui.outputSelector.currentNode() is chosen[1].GetParentTransformNode()
    assert panel.ui.applyButton.text == "Apply"
    assert panel.ui.statusLabel.text.startswith("after was laid on before")
    panel.ui.rotationRangeSpinBox.setValue(90)
    assert panel.ui.statusLabel.text == "Ready."


def test_deleted_volume_is_no_longer_chosen(panel, chosen):
    slicer.mrmlScene.RemoveNode(chosen[0])
    assert panel.logic.getParameterNode().fixedVolume is not chosen[0]
    assert not panel.ui.applyButton.isEnabled()


def test_choice_made_elsewhere_is_shown(panel, chosen):
    """A script, or a second panel, sets the parameters."""
    output = transform_node(np.eye(4), slicer.mrmlScene, "mine")
    panel.logic.getParameterNode().outputTransform = output
    assert panel.ui.outputSelector.currentNode() is output


def test_saved_scene_brings_the_choice_back(panel, chosen, tmp_path):
    output = transform_node(np.eye(4), slicer.mrmlScene, "mine")
    panel.ui.outputSelector.setCurrentNode(output)
    for node, extension in ((chosen[0], "nrrd"), (chosen[1], "nrrd"), (output, "tfm")):
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(tmp_path / f"{node.GetName()}.{extension}"))
        assert node.GetStorageNode().WriteData(node)
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear()
    assert panel.ui.fixedSelector.currentNode() is None
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Connect()
    selectors = (panel.ui.fixedSelector, panel.ui.movingSelector, panel.ui.outputSelector)
    assert [selector.currentNode().GetName() for selector in selectors] == ["before", "after", "mine"]
    assert panel.ui.applyButton.isEnabled()


def test_result_of_a_closed_scene_is_forgotten(panel, chosen):
    apply(panel)
    assert not panel.ui.resultCollapsibleButton.isHidden()
    panel.ui.checkerboardButton.click()
    slicer.mrmlScene.Clear()
    assert panel.ui.resultCollapsibleButton.isHidden()
    assert not panel.ui.checkerboardButton.isChecked()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0


def test_result_whose_transform_was_deleted_says_so(panel, chosen):
    apply(panel)
    slicer.mrmlScene.RemoveNode(chosen[1].GetParentTransformNode())
    panel.ui.inverseButton.click()
    assert "no longer in the scene" in panel.ui.statusLabel.text


def test_every_choice_is_saved_with_the_scene(panel, chosen, tmp_path):
    from MetaAffineRegWidgets.parameters import DataTerm, Freedom

    parameters = panel.logic.getParameterNode()
    parameters.freedom, parameters.dataTerm, parameters.rotationRange, parameters.model = Freedom.RIGID, DataTerm.EDGES, 40.0, "heads"
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear()
    assert panel.ui.rotationRangeSpinBox.value == 180
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Connect()
    assert panel.ui.rotationRangeSpinBox.value == 40
    assert panel.ui.freedomComboBox.currentText == Freedom.RIGID.label()
    assert panel.ui.dataTermComboBox.currentText == DataTerm.EDGES.label()
    assert panel.ui.modelComboBox.currentText == "heads"
