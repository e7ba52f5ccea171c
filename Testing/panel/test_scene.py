"""The panel while the scene comes and goes: closed, closed in the middle of a run, saved and loaded, nodes deleted."""

import numpy as np
import pytest
import slicer
import slicer.util

from made_volumes import transform_node

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
    assert panel.ui.applyButton.toolTip == CHOOSE_FIXED
    assert panel.ui.statusLabel.text == CHOOSE_FIXED


def test_panel_works_after_the_scene_was_closed(panel, chosen):
    slicer.mrmlScene.Clear()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "next")
    slicer.util.updateVolumeFromArray(node, np.eye(8, dtype=np.float32)[np.newaxis])
    panel.ui.fixedSelector.setCurrentNode(node)
    assert panel.ui.applyButton.toolTip == "No moving volume is chosen; choose one."
    assert panel.logic.getParameterNode().fixedVolume is node


def test_scene_closed_while_another_module_is_shown(panel, chosen):
    panel.parent.exit()
    slicer.mrmlScene.Clear()
    panel.parent.enter()
    assert panel.ui.fixedSelector.currentNode() is None
    assert panel.ui.applyButton.toolTip == CHOOSE_FIXED


def during_the_run(monkeypatch, panel, action):
    """Have ``action`` happen once while a registration serves the event loop."""
    done = []

    def events():
        if not done:
            done.append(action())

    monkeypatch.setattr(panel, "showProgress", lambda *_words: events())
    panel.ui.applyButton.click()
    assert done


def test_scene_closed_in_the_middle_stops_the_run(monkeypatch, panel, chosen):
    during_the_run(monkeypatch, panel, slicer.mrmlScene.Clear)
    assert panel.ui.statusLabel.text == "Cancelled; nothing was changed."
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 0
    assert panel.ui.applyButton.toolTip == CHOOSE_FIXED


@pytest.mark.parametrize("index", [0, 1])
def test_volume_deleted_in_the_middle_stops_the_run(monkeypatch, panel, chosen, index):
    during_the_run(monkeypatch, panel, lambda: slicer.mrmlScene.RemoveNode(chosen[index]))
    assert panel.ui.statusLabel.text == "Cancelled; nothing was changed."
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 0
    assert chosen[1].GetParentTransformNode() is None


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
