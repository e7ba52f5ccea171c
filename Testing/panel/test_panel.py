"""The panel as a user drives it: choose, press, read."""

import re
import sys

import numpy as np
import pytest
import slicer
import slicer.util

from made_volumes import TURN, apply, blobs, lattice, to_world, transform_node, translation, volume_node
from panel.driving import apply as press_apply
from panel.driving import choose, doubt, finish, press_and_hold, tip, transforms

PLACES = np.array([[-14.0, 9.0, 0.0], [12.0, 14.0, 0.0], [4.0, -16.0, 0.0]])


def assert_moving_lies_on_fixed(moving):
    np.testing.assert_allclose(to_world(moving, apply(TURN, PLACES)), PLACES, atol=0.3)


def assert_refused(panel, sentence):
    assert not panel.ui.applyButton.isEnabled()
    assert sentence in tip(panel.ui.applyButton)
    assert sentence in panel.ui.statusLabel.text


def test_choose_and_apply(panel, two_slices):
    fixed, moving = two_slices
    assert not panel.ui.applyButton.isEnabled()
    choose(panel, fixed, moving)
    assert panel.ui.applyButton.isEnabled()
    assert panel.ui.statusLabel.text == "Ready."
    press_apply(panel)
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
    doubt(monkeypatch, panel, status)
    choose(panel, *two_slices)
    press_apply(panel)
    assert panel.ui.statusLabel.text.endswith(sentence)
    assert_moving_lies_on_fixed(two_slices[1])


def test_status_has_a_color_of_its_own(panel, two_slices, monkeypatch):
    choose(panel, *two_slices)
    grounds = []
    for status in ("ok", "ambiguous", "failed"):
        with monkeypatch.context() as patch:
            doubt(patch, panel, status)
            press_apply(panel)
        grounds.append(re.search("background-color: (#[0-9a-f]{6})", panel.ui.statusLabel.styleSheet).group(1))
    assert len(set(grounds)) == 3
    panel.ui.movingSelector.setCurrentNode(None)
    assert panel.ui.statusLabel.styleSheet == ""


def test_voxels_of_the_moving_volume_stay(panel, two_slices):
    fixed, moving = two_slices
    voxels, origin = slicer.util.arrayFromVolume(moving).copy(), moving.GetOrigin()
    choose(panel, fixed, moving)
    press_apply(panel)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(moving), voxels)
    assert moving.GetOrigin() == origin


def test_apply_again_gives_the_same_and_no_second_transform(panel, two_slices):
    choose(panel, *two_slices)
    press_apply(panel)
    transform = two_slices[1].GetParentTransformNode()
    first = slicer.util.arrayFromTransformMatrix(transform)
    press_apply(panel)
    np.testing.assert_array_equal(slicer.util.arrayFromTransformMatrix(transform), first)
    assert transforms() == 1


def test_chosen_output_is_filled(panel, two_slices):
    output = transform_node(np.eye(4), slicer.mrmlScene, "mine")
    choose(panel, *two_slices, output)
    press_apply(panel)
    assert two_slices[1].GetParentTransformNode() is output
    assert_moving_lies_on_fixed(two_slices[1])


def test_progress_is_shown_while_apply_is_cancel(panel, two_slices, monkeypatch):
    choose(panel, *two_slices)
    assert panel.ui.progressBar.isHidden()
    held = press_and_hold(panel, monkeypatch)
    assert not panel.ui.progressBar.isHidden()
    assert panel.ui.progressBar.value == 500
    assert panel.ui.statusLabel.text == "Standing in the middle (12.3 % unexplained)"
    assert panel.ui.applyButton.text == "Cancel"
    assert panel.ui.applyButton.isEnabled()
    assert not panel.ui.inputsCollapsibleButton.isEnabled()
    held.release()
    finish(panel)
    assert panel.ui.applyButton.text == "Apply"
    assert panel.ui.progressBar.isHidden()
    assert panel.ui.inputsCollapsibleButton.isEnabled()
    assert_moving_lies_on_fixed(two_slices[1])


def test_reasons_follow_the_choice(panel, two_slices):
    fixed, moving = two_slices
    assert_refused(panel, "No fixed volume is chosen; choose one.")
    panel.ui.fixedSelector.setCurrentNode(fixed)
    assert_refused(panel, "No moving volume is chosen; choose one.")
    panel.ui.movingSelector.setCurrentNode(fixed)
    assert_refused(panel, "before is chosen as fixed and as moving volume; choose two different volumes.")
    panel.ui.movingSelector.setCurrentNode(moving)
    assert tip(panel.ui.applyButton) == "Register the moving volume to the fixed volume."


def test_label_map_is_refused_by_name(panel, two_slices):
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(labels, np.eye(8, dtype=np.uint8)[np.newaxis])
    choose(panel, two_slices[0], labels)
    assert_refused(panel, "labels is a label map")


def test_vector_volume_is_refused_by_its_components(panel, two_slices):
    vectors = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "vectors")
    slicer.util.updateVolumeFromArray(vectors, np.zeros((1, 8, 8, 2), dtype=np.float32))
    choose(panel, two_slices[0], vectors)
    assert_refused(panel, "vectors has 2 values in each voxel")


def test_volume_without_image_data_is_refused(panel, two_slices):
    choose(panel, two_slices[0], slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    assert_refused(panel, "empty holds no image data")
    assert not panel.ui.qualityCollapsibleButton.isEnabled()


def test_volume_under_a_non_linear_transform_is_refused(panel, two_slices):
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "grid")
    grid.SetAndObserveTransformToParent(slicer.vtkOrientedGridTransform())
    two_slices[1].SetAndObserveTransformNodeID(grid.GetID())
    choose(panel, *two_slices)
    assert_refused(panel, "after is under the non-linear transform grid")


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
    press_apply(panel)
    assert sentence in panel.ui.statusLabel.text
    assert transforms() == 0
    assert two_slices[1].GetParentTransformNode() is None
    assert panel.ui.applyButton.isEnabled()


def test_volume_moved_under_a_bad_transform_after_the_choice_is_told(panel, two_slices):
    choose(panel, *two_slices)
    hidden = transform_node(translation(1, 0, 0), slicer.mrmlScene, "grid")
    hidden.SetAndObserveTransformToParent(slicer.vtkOrientedBSplineTransform())
    two_slices[0].SetAndObserveTransformNodeID(hidden.GetID())
    press_apply(panel)
    assert "before is under the non-linear transform grid" in panel.ui.statusLabel.text
    assert two_slices[1].GetParentTransformNode() is None


def test_defect_of_the_library_is_an_error_and_leaves_the_panel_usable(panel, two_slices, monkeypatch):
    choose(panel, *two_slices)
    told = []

    def fail(*_args, **_settings):
        raise ZeroDivisionError("made by the test")

    with monkeypatch.context() as patch:
        patch.setattr("MetaAffineRegMRML.registration_nodes.register", fail)
        patch.setattr(sys, "excepthook", lambda _kind, error, _trace: told.append(str(error)))  # where the application prints it
        press_apply(panel)
    assert told == ["made by the test"]
    assert panel.ui.statusLabel.text == "Registration failed."
    assert "background-color" in panel.ui.statusLabel.styleSheet
    press_apply(panel)
    assert_moving_lies_on_fixed(two_slices[1])


def test_self_test_of_the_module_passes(panel):
    import MetaAffineReg

    MetaAffineReg.MetaAffineRegTest().runTest()
