"""The training panel as a user drives it: check volumes, press Train, read the verdict, use the model."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util

from core.made_images import lattice as lps_lattice
from core.made_images import made
from MetaAffineRegLib.model_card import read_card
from MetaAffineRegLib.user_models import import_model, user_folder, user_models
from MetaAffineRegMRML.volume_nodes import add_volume_node
from panel.driving import hint, serve

FLAT = lps_lattice((40, 40, 1), (2.5, 2.5, 1))


def add_slices(count=4):
    images = [made(FLAT, seed=seed) for seed in range(count)]
    return [add_volume_node(slicer.mrmlScene, f"patient {seed}", image.array, image.geometry) for seed, image in enumerate(images)]


def of_length(training, monkeypatch, steps):
    """Trainings of so many steps with four pairs to judge by, whatever the panel says of minutes."""
    begin = training.logic.begin

    def quick(nodes, settings):
        return begin(nodes, {**settings.to_dict(), "steps": steps, "batch": 4, "validation_pairs": 4, "start": ""})

    monkeypatch.setattr(training.logic, "begin", quick)
    return training


@pytest.fixture
def short(training, monkeypatch):
    return of_length(training, monkeypatch, 4)


def wait(until):
    """Serve the event loop, leaving the processor to the child process."""
    serve(lambda: until() or time.sleep(0.01))


def finish(training):
    wait(lambda: not training.panel.run.isRunning)


def told(training):
    return training.ui.statusLabel.text


def test_nothing_is_checked_at_first_and_train_says_so(training):
    add_slices(2)
    assert training.ui.volumeList.count == 2
    assert not training.ui.trainButton.isEnabled()
    assert "check the volumes to train on" in training.ui.trainButton.toolTip


def test_checking_a_volume_draws_sample_pairs_that_follow_the_deformations(training):
    add_slices(2)
    assert training.ui.sampleLabel.pixmap.isNull()
    training.ui.checkAllButton.click()
    assert training.ui.trainButton.isEnabled()
    first = training.ui.sampleLabel.pixmap.toImage()
    training.ui.rotationSpinBox.setValue(5)
    assert training.ui.sampleLabel.pixmap.toImage() != first
    training.ui.rotationSpinBox.setValue(60)
    assert training.ui.sampleLabel.pixmap.toImage() == first


def test_sample_pairs_take_room_only_when_there_are_some(training):
    add_slices(1)
    label = training.ui.sampleLabel
    assert label.wordWrap
    assert hint(label.minimumSizeHint).height() < 60
    training.ui.checkAllButton.click()
    assert hint(label.minimumSizeHint).height() >= label.pixmap.height() > 100
    training.ui.checkAllButton.click()
    assert label.wordWrap
    assert hint(label.minimumSizeHint).height() < 60


def test_checks_are_kept_in_the_scene(training, tmp_path):
    nodes = add_slices(3)
    training.panel.volumes.check([nodes[1].GetID()])
    training.ui.rotationSpinBox.setValue(33)
    training.parent.exit()
    training.parent.enter()
    assert [node.GetName() for node in training.panel.volumes.checked()] == ["patient 1"]
    assert training.ui.rotationSpinBox.value == 33
    slicer.mrmlScene.RemoveNode(nodes[1])
    assert training.panel.volumes.checked() == [] and training.ui.volumeList.count == 2


def test_branch_of_the_subject_hierarchy_checks_its_volumes(training):
    nodes = add_slices(3)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "knees")
    for node in nodes[:2]:
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(folder, node)
        hierarchy.SetItemParent(item, folder)
    training.panel.update()
    combo = training.ui.branchComboBox
    combo.setCurrentIndex(combo.findText("knees"))
    combo.activated.emit(combo.currentIndex)
    assert [node.GetName() for node in training.panel.volumes.checked()] == ["patient 0", "patient 1"]


def test_folder_of_images_is_loaded_and_checked(training, tmp_path):
    from core.made_files import write

    for seed in range(2):
        write(tmp_path / f"scan{seed}.nrrd", made(FLAT, seed=seed))
    training.panel.volumes.load(tmp_path)
    assert [node.GetName() for node in training.panel.volumes.checked()] == ["scan0", "scan1"]


def test_slice_and_volume_are_refused(training):
    solid = made(lps_lattice((20, 20, 20), (5, 5, 5)))
    add_slices(1)
    add_volume_node(slicer.mrmlScene, "whole", solid.array, solid.geometry)
    training.ui.checkAllButton.click()
    assert not training.ui.trainButton.isEnabled()
    assert "patient 0 is a single slice and whole is a volume; train on one kind at a time." in told(training)


def test_blocks_of_slices_are_refused(training):
    add_slices(2)
    training.ui.checkAllButton.click()
    assert training.ui.trainButton.isEnabled()
    training.ui.kindComboBox.setCurrentIndex(1)
    assert "has no blocks; learn from slices" in told(training)


def test_choices_without_effect_are_disabled(training):
    ui = training.ui
    assert ui.orientationComboBox.isEnabled() and not ui.blockSpinBox.isEnabled() and not ui.networkComboBox.isEnabled()
    ui.startComboBox.setCurrentIndex(1)
    assert ui.networkComboBox.isEnabled()
    ui.startComboBox.setCurrentIndex(0)
    ui.kindComboBox.setCurrentIndex(1)
    assert not ui.orientationComboBox.isEnabled() and ui.blockSpinBox.isEnabled() and ui.networkComboBox.isEnabled()


def test_range_that_ends_first_is_refused(training):
    add_slices(2)
    training.ui.checkAllButton.click()
    training.ui.lastSpinBox.setValue(10)
    training.ui.firstSpinBox.setValue(50)
    assert not training.ui.trainButton.isEnabled()
    assert "no range" in told(training)


def test_one_volume_is_allowed_and_told(training):
    add_slices(1)
    training.ui.checkAllButton.click()
    assert training.ui.trainButton.isEnabled()
    assert "none is held out" in training.ui.noteLabel.text


def test_train_judge_and_use(short):
    add_slices()
    ui = short.ui
    ui.checkAllButton.click()
    ui.nameLineEdit.setText("mine")
    ui.trainButton.click()
    assert short.panel.run.isRunning and ui.trainButton.text == "Cancel" and ui.pauseButton.isEnabled()
    assert not ui.volumesCollapsibleButton.isEnabled()
    finish(short)
    assert told(short) == "mine is trained.", told(short)
    path = user_models()["mine"]
    assert ui.verdictLabel.text == read_card(path)["verdict"]
    assert "3 volumes" in ui.cardLabel.text and "patient" not in ui.cardLabel.text
    assert not ui.exampleLabel.pixmap.isNull() and "robust" in ui.figuresLabel.text
    ui.useButton.click()
    assert slicer.util.getModuleLogic("MetaAffineReg").getParameterNode().model == str(path)
    assert short.logic.unfinished() is None


def test_curves_are_tables_and_charts_of_the_scene(short):
    add_slices()
    short.ui.checkAllButton.click()
    short.ui.trainButton.click()
    finish(short)
    chart = short.panel.curves.chart("success")
    assert chart.GetNumberOfPlotSeriesNodes() == 4
    series = chart.GetNthPlotSeriesNode(3)
    table = series.GetTableNode().GetTable()
    assert (series.GetXColumnName(), series.GetYColumnName()) == ("step", "robust")
    shares = [table.GetColumnByName("robust").GetTuple1(row) for row in range(table.GetNumberOfRows())]
    assert len(shares) >= 2 and all(0 <= share <= 100 for share in shares)


def test_cancel_keeps_the_state_and_resume_takes_it_up(training, monkeypatch):
    short = of_length(training, monkeypatch, 100000)
    add_slices()
    short.ui.checkAllButton.click()
    short.ui.trainButton.click()
    wait(lambda: "Step" in told(short))
    short.ui.pauseButton.click()
    wait(lambda: "Paused" in told(short))
    assert short.ui.pauseButton.text == "Continue"
    short.ui.pauseButton.click()
    short.ui.trainButton.click()
    finish(short)
    assert told(short) == "Stopped. Resume, at the top, takes it up where it was."
    assert not short.ui.resumePanel.isHidden()
    short.ui.resumeButton.click()
    wait(lambda: "Step" in told(short))
    assert short.ui.resumePanel.isHidden()
    short.panel.shutDown()  # as a crash of Slicer does
    short.panel.update()
    assert not short.ui.resumePanel.isHidden()
    short.ui.discardButton.click()
    assert short.ui.resumePanel.isHidden() and short.logic.unfinished() is None


def test_child_that_crashes_is_told(short, monkeypatch):
    from MetaAffineRegTrainingCLI.child_process import ChildProcess

    crashing = [sys.executable, "-c", "raise SystemExit('it broke')"]
    monkeypatch.setattr(short.logic, "start", lambda job, resume: ChildProcess(job, resume, crashing))
    add_slices()
    short.ui.checkAllButton.click()
    short.ui.trainButton.click()
    finish(short)
    assert "ended unexpectedly (it broke)" in told(short)


def test_end_is_told_to_who_was_elsewhere(short):
    add_slices()
    short.ui.checkAllButton.click()
    short.ui.trainButton.click()
    short.parent.exit()
    finish(short)
    short.parent.enter()
    assert told(short).endswith("is trained.")


def test_models_folder_that_can_not_be_written_is_told(training):
    user_folder().parent.mkdir(parents=True, exist_ok=True)
    user_folder().write_text("a file where the folder should be")
    add_slices()
    training.ui.checkAllButton.click()
    training.ui.trainButton.click()
    assert "can't be written" in told(training) and not training.panel.run.isRunning


def test_models_are_imported_renamed_exported_and_removed(training, tmp_path):
    shipped = Path(slicer.util.modulePath("MetaAffineReg")).parent / "Resources" / "Models" / "heads.pt"
    import_model(shipped, "first")
    training.panel.update()
    assert training.ui.modelComboBox.currentText == "first"
    assert "Trained on" in training.ui.modelCardLabel.text
    training.panel.models.rename("second")
    assert list(user_models()) == ["second"]
    training.panel.models.rename("heads")
    assert "There is a model 'heads' already" in told(training)
    training.ui.removeButton.click()
    assert user_models() == {} and "no model yet" in training.ui.modelCardLabel.text
    (tmp_path / "bad.pt").write_text("nothing")
    training.panel.models.takeIn(tmp_path / "bad.pt")
    assert "is not a model checkpoint" in told(training)


def test_registration_panel_offers_the_users_models(training, panel):
    shipped = Path(slicer.util.modulePath("MetaAffineReg")).parent / "Resources" / "Models" / "heads.pt"
    import_model(shipped, "own heads")
    panel.panel.update()
    combo = panel.ui.modelComboBox
    assert combo.findText("own heads") >= 0
    combo.setCurrentIndex(combo.findText("own heads"))
    combo.activated.emit(combo.currentIndex)
    assert panel.logic.getParameterNode().model == str(user_models()["own heads"])


def test_console_trains_in_one_call(training):
    events = []
    path = training.logic.train(add_slices(2), {"steps": 2, "batch": 2, "validation_pairs": 4, "name": "console"}, events.append)
    assert Path(path) == user_models()["console"] and events[-1]["event"] == "done"
    assert not list((user_folder() / "Trainings").iterdir())


def test_voxels_that_are_no_numbers_are_told(training):
    nodes = add_slices(2)
    slicer.util.arrayFromVolume(nodes[0])[0, 3, 3] = np.nan
    training.ui.checkAllButton.click()
    training.ui.trainButton.click()
    assert "patient 0 holds samples that are not a number" in told(training)
