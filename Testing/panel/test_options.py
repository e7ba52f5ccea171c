"""Options and Advanced: each reaches the registration."""

import numpy as np
import pytest
import slicer
import slicer.util

from made_volumes import blobs, lattice, rotation, transform_node, translation, volume_node
from MetaAffineRegWidgets.parameters import Backend, DataTerm, Device, Freedom, Method, librarySettings
from panel.driving import apply, choose, hint


def test_every_choice_is_a_setting_of_the_library(panel):
    from MetaAffineRegLib.registration import Settings

    parameters = panel.logic.getParameterNode()
    assert Settings(**librarySettings(parameters)) == Settings()
    parameters.freedom, parameters.method, parameters.device = Freedom.RIGID, Method.COMB, Device.CPU
    parameters.dataTerm, parameters.backend = DataTerm.INTENSITIES, Backend.TORCH
    parameters.rotationRange, parameters.model = 45.0, "heads"
    wanted = Settings("comb", "rigid", "heads", 45.0, "intensities", "cpu", backend="torch")
    assert Settings(**librarySettings(parameters)) == wanted


@pytest.mark.parametrize("choice", [Freedom, DataTerm, Method, Device, Backend])
def test_choices_are_those_of_the_library_and_have_words_of_their_own(choice):
    import typing

    from MetaAffineRegLib import backends, devices, freedom, registration, searches

    library = {
        Freedom: freedom.FREEDOMS,
        DataTerm: searches.DATA_TERM_CHOICES,
        Method: registration.METHODS,
        Device: typing.get_args(devices.DeviceName),
        Backend: typing.get_args(backends.BackendChoice),
    }[choice]
    assert {one.value for one in choice} == set(library)
    assert len({one.label() for one in choice}) == len(choice)


def test_chosen_words_can_be_read_in_a_narrow_panel(panel):
    """The application gives a panel 409 pixels at first, and its lists don't shorten their words."""
    panel.ui.optionsCollapsibleButton.setProperty("collapsed", False)
    panel.ui.advancedCollapsibleButton.setProperty("collapsed", False)
    panel.parent.resize(409, 1000)
    panel.parent.show()
    slicer.app.processEvents()
    ui = panel.ui
    for combo in (ui.presetComboBox, ui.freedomComboBox, ui.methodComboBox, ui.dataTermComboBox):
        assert hint(combo.sizeHint).width() <= combo.width
    for section in (ui.optionsCollapsibleButton, ui.advancedCollapsibleButton):
        section.setProperty("collapsed", True)
    panel.parent.hide()


def test_freedom_and_method_chosen_in_the_panel_are_used(panel, two_slices):
    choose(panel, *two_slices)
    panel.ui.freedomComboBox.setCurrentIndex(list(Freedom).index(Freedom.RIGID))
    panel.ui.methodComboBox.setCurrentIndex(list(Method).index(Method.PLAIN))
    apply(panel)
    matrix = slicer.util.arrayFromTransformMatrix(two_slices[1].GetParentTransformNode())[:3, :3]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert "plain" in panel.ui.resultLabel.text
    assert "mean squares" in panel.ui.resultLabel.text


def test_initial_transform_chosen_in_the_panel_is_used(panel, two_slices):
    """Under a far turn, L-BFGS alone finds the way only with help."""
    two_slices[1].SetAndObserveTransformNodeID(transform_node(rotation(150), slicer.mrmlScene, "far").GetID())
    initial = transform_node(np.eye(4), slicer.mrmlScene, "initial")
    choose(panel, *two_slices)
    panel.ui.initialSelector.setCurrentNode(initial)
    panel.ui.methodComboBox.setCurrentIndex(list(Method).index(Method.PLAIN))
    apply(panel)
    matrix = slicer.util.arrayFromTransformMatrix(panel.ui.outputSelector.currentNode())
    np.testing.assert_allclose(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])), -10, atol=1)


def test_non_linear_initial_transform_is_refused_before_anything_runs(panel, two_slices):
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "grid")
    grid.SetAndObserveTransformToParent(slicer.vtkOrientedGridTransform())
    choose(panel, *two_slices)
    panel.ui.initialSelector.setCurrentNode(grid)
    assert not panel.ui.applyButton.isEnabled()
    assert "The initial transform grid is non-linear" in panel.ui.statusLabel.text


def test_slice_of_a_view_is_registered_in_its_plane(panel):
    """Two volumes, the plane of the red view: the result turns nothing out of it."""
    size = (60, 60, 30)
    fixed, moving = (
        volume_node(name, size, lattice(size, (1.5, 1.5, 2.5)), lambda p, m=matrix: blobs(p @ m[:3, :3]), slicer.mrmlScene)
        for name, matrix in (("fixed", np.eye(4)), ("moving", rotation(12)))
    )
    choose(panel, fixed, moving)
    names = [panel.ui.sliceSelector.nodeFromIndex(index).GetName() for index in range(panel.ui.sliceSelector.nodeCount())]
    assert {"Red", "Green", "Yellow"} <= set(names)
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    red.SetOrientation("Axial")
    panel.ui.sliceSelector.setCurrentNode(red)
    apply(panel)
    matrix = slicer.util.arrayFromTransformMatrix(moving.GetParentTransformNode())
    np.testing.assert_allclose(matrix[2], [0, 0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])), -12, atol=0.5)


def test_plane_beside_the_volumes_is_told(panel, two_slices):
    choose(panel, *two_slices)
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    red.SetOrientation("Axial")
    red.SetSliceOffset(300)
    panel.ui.sliceSelector.setCurrentNode(red)
    apply(panel)
    red.SetSliceOffset(0)
    assert "slice shown in the view Red does not cut before" in panel.ui.statusLabel.text


def test_model_is_chosen_with_its_card_and_without_torch(panel):
    from MetaAffineRegLib.model_card import available_models, read_card

    combo = panel.ui.modelComboBox
    assert [combo.itemText(row) for row in range(combo.count)] == ["automatic", *available_models()]
    combo.setCurrentIndex(combo.findText("heads"))
    combo.activated.emit(combo.currentIndex)
    assert panel.logic.getParameterNode().model == "heads"
    assert read_card(available_models()["heads"])["data_licence"] in panel.ui.modelCardLabel.text


def test_model_file_that_is_none_is_told_below_and_by_apply(panel, two_slices, tmp_path, monkeypatch):
    import qt

    bad = tmp_path / "bad.pt"
    bad.write_text("no model")
    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", lambda *_: str(bad))
    choose(panel, *two_slices)
    panel.ui.modelFileButton.click()
    assert panel.ui.modelComboBox.currentText == "bad.pt"
    assert "not a model checkpoint" in panel.ui.modelCardLabel.text
    apply(panel)
    assert "not a model checkpoint" in panel.ui.statusLabel.text


def test_memory_is_told_on_request(panel):
    panel.ui.optionsCollapsibleButton.collapsed = panel.ui.advancedCollapsibleButton.collapsed = False
    assert panel.ui.deviceLabel.isHidden()
    panel.ui.deviceButton.click()
    assert "GPU" in panel.ui.deviceLabel.text or "GB" in panel.ui.deviceLabel.text
    assert not panel.ui.deviceLabel.isHidden()


def test_warning_is_shown_beside_the_inputs(panel, two_slices):
    choose(panel, *two_slices)
    assert panel.ui.pairWarningLabel.isHidden()
    far = transform_node(np.eye(4), slicer.mrmlScene, "far")
    far.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(translation(400, 0, 0)))
    two_slices[1].SetAndObserveTransformNodeID(far.GetID())
    choose(panel, two_slices[0], None)
    choose(panel, *two_slices)
    assert "400 mm apart" in panel.ui.pairWarningLabel.text
    assert not panel.ui.pairWarningLabel.isHidden()
    assert panel.ui.applyButton.isEnabled()
