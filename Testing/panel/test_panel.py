"""The panel as a user drives it: choose, press, read."""

import dataclasses
import re

import numpy as np
import pytest
import slicer
import slicer.util

from made_volumes import TURN, apply, blobs, lattice, to_world, transform_node, translation, volume_node

PLACES = np.array([[-14.0, 9.0, 0.0], [12.0, 14.0, 0.0], [4.0, -16.0, 0.0]])


def choose(panel, fixed, moving, output=None):
    panel.ui.fixedSelector.setCurrentNode(fixed)
    panel.ui.movingSelector.setCurrentNode(moving)
    panel.ui.outputSelector.setCurrentNode(output)


def assert_moving_lies_on_fixed(moving):
    np.testing.assert_allclose(to_world(moving, apply(TURN, PLACES)), PLACES, atol=0.3)


def assert_refused(panel, sentence):
    assert not panel.ui.applyButton.isEnabled()
    assert sentence in panel.ui.applyButton.toolTip
    assert sentence in panel.ui.statusLabel.text


def test_choose_and_apply(panel, two_slices):
    fixed, moving = two_slices
    assert not panel.ui.applyButton.isEnabled()
    choose(panel, fixed, moving)
    assert panel.ui.applyButton.isEnabled()
    assert panel.ui.statusLabel.text == "Ready."
    panel.ui.applyButton.click()
    transform = moving.GetParentTransformNode()
    assert transform.GetName() == "after to before"
    assert transform.GetNodeReference(slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole()) is fixed
    assert panel.ui.outputSelector.currentNode() is transform
    assert_moving_lies_on_fixed(moving)
    told = r"after was laid on before in [0-9.]+ s on \w+\. It is 9\d % likely to be right\."
    assert re.fullmatch(told, panel.ui.statusLabel.text)
    assert panel.ui.applyButton.isEnabled()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("ambiguous", "It is ambiguous (40 % likely to be right): another alignment may be the right one; check it by eye."),
        ("failed", "Do not trust it (40 % likely to be right); check it by eye."),
    ],
)
def test_doubtful_result_is_laid_on_and_said(panel, two_slices, monkeypatch, status, sentence):
    """Whether it is right can be seen only where it lies."""
    from MetaAffineRegLib.registration import Confidence

    process = panel.logic.process
    confidence = Confidence(status, 0.4, 0.9, 0.01, 0.5, None)
    monkeypatch.setattr(
        panel.logic, "process", lambda *nodes, **options: dataclasses.replace(process(*nodes, **options), confidence=confidence)
    )
    choose(panel, *two_slices)
    panel.ui.applyButton.click()
    assert panel.ui.statusLabel.text.endswith(sentence)
    assert_moving_lies_on_fixed(two_slices[1])


def test_voxels_of_the_moving_volume_stay(panel, two_slices):
    fixed, moving = two_slices
    voxels, origin = slicer.util.arrayFromVolume(moving).copy(), moving.GetOrigin()
    choose(panel, fixed, moving)
    panel.ui.applyButton.click()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(moving), voxels)
    assert moving.GetOrigin() == origin


def test_apply_again_gives_the_same_and_no_second_transform(panel, two_slices):
    choose(panel, *two_slices)
    panel.ui.applyButton.click()
    transform = two_slices[1].GetParentTransformNode()
    first = slicer.util.arrayFromTransformMatrix(transform)
    panel.ui.applyButton.click()
    np.testing.assert_array_equal(slicer.util.arrayFromTransformMatrix(transform), first)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLinearTransformNode") == 1


def test_chosen_output_is_filled(panel, two_slices):
    output = transform_node(np.eye(4), slicer.mrmlScene, "mine")
    choose(panel, *two_slices, output)
    panel.ui.applyButton.click()
    assert two_slices[1].GetParentTransformNode() is output
    assert_moving_lies_on_fixed(two_slices[1])


def test_progress_is_shown_and_apply_can_not_be_pressed_twice(panel, two_slices, monkeypatch):
    seen = []

    def note():
        seen.append((panel.ui.statusLabel.text, panel.ui.applyButton.isEnabled(), panel.ui.applyButton.toolTip))

    monkeypatch.setattr(panel, "showProgress", lambda *words: (type(panel).showProgress(panel, *words), note()))
    choose(panel, *two_slices)
    panel.ui.applyButton.click()
    assert len(seen) > 3
    assert all("%)" in text for text, _enabled, _tip in seen)
    assert {(enabled, tip) for _text, enabled, tip in seen} == {(False, "Registration is running.")}


def test_reasons_follow_the_choice(panel, two_slices):
    fixed, moving = two_slices
    assert_refused(panel, "No fixed volume is chosen; choose one.")
    panel.ui.fixedSelector.setCurrentNode(fixed)
    assert_refused(panel, "No moving volume is chosen; choose one.")
    panel.ui.movingSelector.setCurrentNode(fixed)
    assert_refused(panel, "before is chosen as fixed and as moving volume; choose two different volumes.")
    panel.ui.movingSelector.setCurrentNode(moving)
    assert panel.ui.applyButton.toolTip == "Register the moving volume to the fixed volume."


def test_label_map_is_refused_by_name(panel, two_slices):
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(labels, np.eye(8, dtype=np.uint8)[np.newaxis])
    choose(panel, two_slices[0], labels)
    assert_refused(panel, "labels is a label map")


def test_output_above_an_input_is_refused(panel, two_slices):
    output = transform_node(np.eye(4), slicer.mrmlScene, "mine")
    two_slices[0].SetAndObserveTransformNodeID(output.GetID())
    choose(panel, *two_slices, output)
    assert_refused(panel, "before is under the output transform mine")


def test_slice_and_volume_are_refused(panel, two_slices):
    whole = volume_node("whole", (8, 8, 8), lattice((8, 8, 8), (5, 5, 5)), blobs, slicer.mrmlScene)
    choose(panel, two_slices[0], whole)
    assert_refused(panel, "give two slices or two volumes")


@pytest.mark.parametrize(("spoil", "sentence"), [(np.nan, "after holds samples that are not a number"), (None, "after is constant")])
def test_bad_voxels_are_told_and_change_nothing(panel, two_slices, spoil, sentence):
    """Voxels are read only when Apply is pressed."""
    voxels = slicer.util.arrayFromVolume(two_slices[1])
    if spoil is None:
        voxels[:] = 7
    else:
        voxels[0, 3, 3] = spoil
    choose(panel, *two_slices)
    panel.ui.applyButton.click()
    assert sentence in panel.ui.statusLabel.text
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 0
    assert two_slices[1].GetParentTransformNode() is None
    assert panel.ui.applyButton.isEnabled()


def test_volume_moved_under_a_bad_transform_after_the_choice_is_told(panel, two_slices):
    choose(panel, *two_slices)
    hidden = transform_node(translation(1, 0, 0), slicer.mrmlScene, "grid")
    hidden.SetAndObserveTransformToParent(slicer.vtkOrientedBSplineTransform())
    two_slices[0].SetAndObserveTransformNodeID(hidden.GetID())
    panel.ui.applyButton.click()
    assert "before is under the non-linear transform grid" in panel.ui.statusLabel.text
    assert two_slices[1].GetParentTransformNode() is None


def test_defect_of_the_library_is_an_error_and_leaves_the_panel_usable(panel, two_slices, monkeypatch, caplog):
    choose(panel, *two_slices)

    def fail(*_args, **_settings):
        raise ZeroDivisionError("made by the test")

    monkeypatch.setattr(panel.logic, "process", fail)
    with pytest.raises(ZeroDivisionError):
        panel.onApply()
    assert "Registration failed." in caplog.text and "made by the test" in caplog.text
    assert panel.ui.statusLabel.text == "Registration failed."
    assert panel.ui.applyButton.isEnabled()


def test_self_test_of_the_module_passes(panel):
    import MetaAffineReg

    MetaAffineReg.MetaAffineRegTest().runTest()


def test_screenshot(panel, two_slices, tmp_path):
    choose(panel, *two_slices)
    panel.ui.applyButton.click()
    panel.parent.resize(460, 360)
    picture = panel.parent.grab()
    assert picture.save(str(tmp_path / "panel.png"))
    shades = {picture.toImage().pixelColor(x, y).lightness() for x in range(0, 460, 3) for y in range(0, 360, 3)}
    assert len(shades) > 10, "the picture is blank"
