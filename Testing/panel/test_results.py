"""What the panel shows of a result and what can be done with it."""

import re
import time

import numpy as np
import pytest
import SimpleITK
import slicer
import slicer.util

from made_volumes import TURN, apply, rotation, to_world, transform_node, translation
from MetaAffineRegLib.errors import InputError
from MetaAffineRegMRML.volume_nodes import VolumeCopy
from panel.driving import apply as press_apply
from panel.driving import choose, doubt, transforms

PLACES = np.array([[-14.0, 9.0, 0.0], [12.0, 14.0, 0.0], [4.0, -16.0, 0.0]])


@pytest.fixture
def done(panel, two_slices):
    choose(panel, *two_slices)
    press_apply(panel)
    return two_slices


def cells(panel, table=0):
    """A table as rows of text: the figures, or the seconds."""
    rows = re.findall("<tr>(.*?)</tr>", panel.ui.resultLabel.text.split("</table>")[table])
    return [[re.sub("<[^>]*>", "", cell) for cell in re.findall("<td.*?</td>", row)] for row in rows]


def times(panel):
    """The seconds of each stage and in all."""
    return {name: float(text.split()[0]) * {"s": 1.0, "ms": 0.001}[text.split()[1]] for name, text in cells(panel, 1)}


def test_table_compares_before_and_after(panel, done):
    table = {row[0]: row[1:] for row in cells(panel)}
    assert table[""] == ["before", "after"]
    assert table["rotation"] == ["0.0°", "10.0°"]
    before, after = (float(cell.split()[0]) for cell in table["unexplained"])
    assert before > 20 > 2 > after
    assert table["overlap"][0] == "100.0 %"
    assert table["scale"][0] == "1.000 .. 1.000"
    assert re.fullmatch(r"[0-9.]+ mm", table["translation"][1])
    assert "robust" in panel.ui.resultLabel.text and "cpu" in panel.ui.resultLabel.text
    seconds = times(panel)
    assert "search of starts" in seconds
    assert sum(seconds.values()) - seconds["in all"] == pytest.approx(seconds["in all"], rel=0.3, abs=0.02)


def test_reading_has_its_line_where_it_takes_time(panel, two_slices, monkeypatch):
    quick = VolumeCopy.image

    def slow(copy):
        time.sleep(0.1)
        return quick(copy)

    monkeypatch.setattr(VolumeCopy, "image", slow)
    choose(panel, *two_slices)
    press_apply(panel)
    seconds = times(panel)
    assert 0.2 <= seconds["reading the voxels"] <= seconds["in all"]


def test_sure_result_offers_no_runner_up(panel, done):
    assert panel.ui.runnerUpButton.isHidden()


def test_runner_up_can_be_switched_to_and_back(panel, two_slices, monkeypatch):
    doubt(monkeypatch, panel, "ambiguous")
    choose(panel, *two_slices)
    press_apply(panel)
    transform = two_slices[1].GetParentTransformNode()
    best = slicer.util.arrayFromTransformMatrix(transform)
    assert not panel.ui.runnerUpButton.isHidden()
    assert [len(row) for row in cells(panel)] == [4] * 6
    panel.ui.runnerUpButton.click()
    second = slicer.util.arrayFromTransformMatrix(transform)
    np.testing.assert_allclose(second @ np.linalg.inv(best), np.diag([-1.0, -1, 1, 1]), atol=1e-9)
    assert panel.ui.runnerUpButton.text == "Switch back to the best"
    panel.ui.runnerUpButton.click()
    np.testing.assert_array_equal(slicer.util.arrayFromTransformMatrix(transform), best)


def test_runner_up_of_a_volume_that_hung_under_a_transform(panel, two_slices, monkeypatch):
    """It is laid as the result was: from where the volume hung before."""
    parent = transform_node(translation(30, 5, 0) @ rotation(20), slicer.mrmlScene, "parent")
    two_slices[1].SetAndObserveTransformNodeID(parent.GetID())
    doubt(monkeypatch, panel, "ambiguous")
    choose(panel, *two_slices)
    press_apply(panel)
    np.testing.assert_allclose(to_world(two_slices[1], apply(TURN, PLACES)), PLACES, atol=0.4)
    panel.ui.runnerUpButton.click()
    np.testing.assert_allclose(to_world(two_slices[1], apply(TURN, PLACES)), PLACES * [-1, -1, 1], atol=0.4)


def test_moving_volume_is_taken_out_and_laid_on_again(panel, done):
    moving = done[1]
    transform = moving.GetParentTransformNode()
    panel.ui.applyToMovingCheckBox.click()
    assert moving.GetParentTransformNode() is None
    panel.ui.applyToMovingCheckBox.click()
    assert moving.GetParentTransformNode() is transform


def test_moving_volume_stays_where_that_is_wanted(panel, two_slices):
    panel.ui.applyToMovingCheckBox.click()
    choose(panel, *two_slices)
    press_apply(panel)
    assert two_slices[1].GetParentTransformNode() is None
    assert panel.ui.outputSelector.currentNode().GetName() == "after to before"
    assert panel.ui.statusLabel.text.startswith("after was registered to before")
    panel.ui.applyToMovingCheckBox.click()
    assert two_slices[1].GetParentTransformNode() is panel.ui.outputSelector.currentNode()


def test_inverse_lays_the_fixed_volume_on_the_moving_one(panel, done):
    fixed, moving = done
    panel.ui.inverseButton.click()
    assert moving.GetParentTransformNode() is None
    np.testing.assert_allclose(to_world(fixed, PLACES), apply(TURN, PLACES), atol=0.3)
    assert fixed.GetParentTransformNode().GetName() == "before to after"
    assert panel.ui.inverseButton.text == "Show moving on fixed"
    panel.ui.inverseButton.click()
    assert fixed.GetParentTransformNode() is None
    np.testing.assert_allclose(to_world(moving, apply(TURN, PLACES)), PLACES, atol=0.3)
    assert transforms() == 1


def test_no_warning_of_the_headers_while_the_inverse_is_shown(panel, done, monkeypatch):
    monkeypatch.setattr("MetaAffineRegWidgets.panel.pair_warnings", lambda *nodes: ["The images are far apart."])
    panel.panel.update()
    assert not panel.ui.pairWarningLabel.isHidden()
    panel.ui.inverseButton.click()
    assert panel.ui.pairWarningLabel.isHidden()
    panel.ui.inverseButton.click()
    assert not panel.ui.pairWarningLabel.isHidden()


def test_deleted_moving_volume_takes_the_inverse_with_it(panel, done):
    fixed, moving = done
    panel.ui.inverseButton.click()
    slicer.mrmlScene.RemoveNode(moving)
    assert fixed.GetParentTransformNode() is None
    assert panel.ui.resultCollapsibleButton.isHidden() and transforms() == 1


def test_other_pair_ends_the_inverse(panel, done):
    fixed, moving = done
    panel.ui.inverseButton.click()
    panel.ui.swapButton.click()
    assert fixed.GetParentTransformNode() is None
    np.testing.assert_allclose(to_world(moving, apply(TURN, PLACES)), PLACES, atol=0.3)
    assert transforms() == 1


def test_moving_volume_that_was_not_laid_on_stays_where_it_is(panel, two_slices):
    panel.ui.applyToMovingCheckBox.click()
    choose(panel, *two_slices)
    press_apply(panel)
    panel.ui.inverseButton.click()
    panel.ui.swapButton.click()
    assert [node.GetParentTransformNode() for node in two_slices] == [None, None]


def test_apply_while_the_inverse_is_shown(panel, done):
    panel.ui.inverseButton.click()
    press_apply(panel)
    np.testing.assert_allclose(to_world(done[1], apply(TURN, PLACES)), PLACES, atol=0.3)
    assert transforms() == 1


def test_reset_leaves_no_trace(panel, two_slices):
    parent = transform_node(rotation(5), slicer.mrmlScene, "parent")
    two_slices[1].SetAndObserveTransformNodeID(parent.GetID())
    choose(panel, *two_slices)
    press_apply(panel)
    press_apply(panel)  # from the first result: Reset brings back what was before both
    panel.ui.inverseButton.click()
    panel.ui.resetButton.click()
    assert two_slices[1].GetParentTransformNode() is parent
    assert two_slices[0].GetParentTransformNode() is None
    assert transforms() == 1
    assert panel.ui.resultCollapsibleButton.isHidden()
    assert panel.ui.statusLabel.text == "Ready."


def test_reset_gives_a_chosen_output_its_matrix_back(panel, two_slices):
    output = transform_node(rotation(33), slicer.mrmlScene, "mine")
    choose(panel, *two_slices, output)
    press_apply(panel)
    panel.ui.resetButton.click()
    np.testing.assert_allclose(slicer.util.arrayFromTransformMatrix(output), rotation(33), atol=1e-12)
    assert two_slices[1].GetParentTransformNode() is None


def test_saved_file_maps_fixed_points_to_moving_points(panel, done, tmp_path, monkeypatch):
    """Read by SimpleITK, in LPS."""
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "found.tfm"))
    panel.ui.saveButton.click()
    transform = SimpleITK.ReadTransform(str(tmp_path / "found.tfm"))
    flip = np.array([-1.0, -1.0, 1.0])
    mapped = np.array([transform.TransformPoint(tuple(point * flip)) for point in PLACES]) * flip
    np.testing.assert_allclose(mapped, apply(TURN, PLACES), atol=0.3)
    assert [path.name for path in tmp_path.iterdir()] == ["found.tfm"]


def test_save_that_fails_says_so_and_leaves_what_was_there(panel, done, tmp_path, monkeypatch):
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "missing" / "found.tfm"))
    panel.ui.saveButton.click()
    assert "can't be written" in panel.ui.statusLabel.text
    from MetaAffineRegWidgets.results_view import saveTransform

    with pytest.raises(InputError, match="can't be written"):
        saveTransform(done[1].GetParentTransformNode(), tmp_path / "missing" / "found.tfm")


def test_save_without_a_name_saves_nothing(panel, done, tmp_path, monkeypatch):
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: "")
    text = panel.ui.statusLabel.text
    panel.ui.saveButton.click()
    assert panel.ui.statusLabel.text == text


def test_swap_exchanges_the_volumes_and_keeps_the_old_transform(panel, done):
    """The result of the other direction goes into a transform of its own."""
    fixed, moving = done
    first = moving.GetParentTransformNode()
    panel.ui.swapButton.click()
    assert panel.ui.fixedSelector.currentNode() is moving
    assert panel.ui.movingSelector.currentNode() is fixed
    assert panel.ui.outputSelector.currentNode() is None
    assert panel.ui.resultCollapsibleButton.isHidden()
    matrix = slicer.util.arrayFromTransformMatrix(first)
    press_apply(panel)
    np.testing.assert_array_equal(slicer.util.arrayFromTransformMatrix(first), matrix)
    assert fixed.GetParentTransformNode().GetName() == "before to after"


def test_another_moving_volume_does_not_overwrite_the_transform_of_the_first(panel, done):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other")
    slicer.util.updateVolumeFromArray(other, slicer.util.arrayFromVolume(done[1]))
    other.CopyOrientation(done[1])
    first = done[1].GetParentTransformNode()
    panel.ui.movingSelector.setCurrentNode(other)
    press_apply(panel)
    assert other.GetParentTransformNode() is not first
    assert done[1].GetParentTransformNode() is first
