"""Cancel: at once, and the scene is as it was."""

import threading
import time

import numpy as np
import slicer
import slicer.util

from made_volumes import rotation, transform_node
from MetaAffineRegMRML.sample_volumes import make_sample
from panel.driving import apply, choose, finish, press_and_hold, serve


def state():
    nodes = [slicer.mrmlScene.GetNthNode(index) for index in range(slicer.mrmlScene.GetNumberOfNodes())]
    matrices = {node.GetID(): slicer.util.arrayFromTransformMatrix(node).tolist() for node in nodes if node.IsA("vtkMRMLTransformNode")}
    return sorted(node.GetID() for node in nodes), matrices, [node.GetTransformNodeID() for node in nodes if node.IsA("vtkMRMLVolumeNode")]


def test_cancel_in_the_middle_changes_nothing(panel, two_slices, monkeypatch):
    output = transform_node(rotation(3), slicer.mrmlScene, "mine")
    choose(panel, *two_slices, output)
    before = state()
    press_and_hold(panel, monkeypatch)
    panel.ui.applyButton.click()
    assert panel.ui.statusLabel.text == "Cancelled; nothing was changed."
    assert panel.ui.applyButton.text == "Apply"
    assert state() == before
    finish(panel)
    assert state() == before
    assert panel.ui.resultCollapsibleButton.isHidden()


def test_cancel_of_a_volume_in_its_search(panel):
    """The library itself is stopped, not only let go."""
    choose(panel, *make_sample(slicer.mrmlScene))
    before = state()
    panel.ui.applyButton.click()
    serve(lambda: "Search" in panel.ui.statusLabel.text)
    panel.ui.applyButton.click()
    assert state() == before
    finish(panel)
    assert state() == before
    assert "MetaAffineReg" not in {thread.name for thread in threading.enumerate()}


def test_apply_again_while_the_cancelled_run_still_ends(panel, two_slices, monkeypatch):
    """A run that does not look at its flag for long says nothing any more."""
    choose(panel, *two_slices)
    ended = []

    def deaf(self, progress, cancelled):
        time.sleep(0.3)
        progress("too late", 0.9)
        ended.append(1)

    with monkeypatch.context() as patch:
        patch.setattr("MetaAffineRegMRML.registration_nodes.NodeRegistration.compute", deaf)
        panel.ui.applyButton.click()
        panel.ui.applyButton.click()
    apply(panel)
    assert ended == [1]
    assert "was laid on" in panel.ui.statusLabel.text
    assert not np.allclose(slicer.util.arrayFromTransformMatrix(two_slices[1].GetParentTransformNode()), np.eye(4))


def test_module_is_closed_in_the_middle(panel, two_slices, monkeypatch):
    """The application ends: the thread ends first."""
    choose(panel, *two_slices)
    press_and_hold(panel, monkeypatch)
    panel.panel.shutDown()
    assert "MetaAffineReg" not in {thread.name for thread in threading.enumerate()}
    panel.panel.update()


def test_event_loop_is_served_while_it_runs(panel, two_slices, monkeypatch):
    """How often is measured by a benchmark; here, that it is at all, and that the thread is a thread."""
    choose(panel, *two_slices)
    held = press_and_hold(panel, monkeypatch)
    assert "MetaAffineReg" in {thread.name for thread in threading.enumerate()}
    panel.ui.fadeButton.click()
    assert panel.ui.fadeButton.isChecked()
    held.release()
    finish(panel)
