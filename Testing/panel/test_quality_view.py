"""Fixed and moving volume in the slice views: what the views hold, and what they show."""

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from made_volumes import blobs, lattice, transform_node, translation, volume_node
from panel.driving import apply, choose, serve


def composites():
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")
    return [slicer.mrmlScene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode") for index in range(count)]


def layers():
    """Background, foreground and opacity of every view, which are alike."""
    (found,) = {(node.GetBackgroundVolumeID(), node.GetForegroundVolumeID(), node.GetForegroundOpacity()) for node in composites()}
    return found


def picture():
    return slicer.mrmlScene.GetNodeByID(layers()[0])


def colors():
    return slicer.util.arrayFromVolume(picture()).astype(int)


def tint():
    """How far the picture is from gray, in all."""
    return (colors().max(-1) - colors().min(-1)).sum()


@pytest.fixture
def chosen(panel, two_slices):
    slicer.util.setSliceViewerLayers(background=None, foreground=None, foregroundOpacity=0)
    choose(panel, *two_slices)
    return two_slices


@pytest.fixture
def scene_of_a_sagittal_slice(panel):
    slicer.util.setSliceViewerLayers(background=None, foreground=None)
    axes = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    size = (40, 40, 1)
    nodes = [volume_node(name, size, lattice(size, (2, 2, 3), axes), blobs, slicer.mrmlScene) for name in ("one", "other")]
    choose(panel, *nodes)
    return nodes


def test_buttons_wait_for_two_volumes(panel, two_slices):
    assert not panel.ui.qualityCollapsibleButton.isEnabled()
    panel.ui.fixedSelector.setCurrentNode(two_slices[0])
    panel.ui.movingSelector.setCurrentNode(two_slices[0])
    assert not panel.ui.qualityCollapsibleButton.isEnabled()
    panel.ui.movingSelector.setCurrentNode(two_slices[1])
    assert panel.ui.qualityCollapsibleButton.isEnabled()
    assert not panel.ui.qualitySlider.isEnabled()


def test_fade_follows_the_slider(panel, chosen):
    panel.ui.fadeButton.click()
    assert layers() == (chosen[0].GetID(), chosen[1].GetID(), 0.5)
    panel.ui.qualitySlider.setValue(80)
    assert layers()[2] == 0.8


def test_flicker_shows_one_and_the_other(panel, chosen):
    panel.ui.flickerButton.click()
    panel.ui.qualitySlider.setValue(100)
    seen = set()
    serve(lambda: seen.add(layers()[2]) or seen >= {0.0, 1.0}, 20)
    panel.ui.flickerButton.click()
    assert layers() == (None, None, 0)


def test_views_are_as_before_when_no_button_is_down(panel, chosen):
    slicer.util.setSliceViewerLayers(background=chosen[1], foreground=None, foregroundOpacity=0.25)
    for button in (panel.ui.fadeButton, panel.ui.checkerboardButton, panel.ui.differenceButton):
        button.click()
        assert layers()[0] != chosen[1].GetID()
        assert [b.isChecked() for b in (panel.ui.fadeButton, panel.ui.checkerboardButton, panel.ui.differenceButton)].count(True) == 1
    panel.ui.differenceButton.click()
    assert layers() == (chosen[1].GetID(), None, 0.25)
    assert not panel.ui.qualitySlider.isEnabled()


def test_single_slice_is_turned_to_and_the_views_are_turned_back(panel, scene_of_a_sagittal_slice):
    """From the side it would be a line."""
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    red.SetOrientation("Axial")
    red.SetSliceOffset(17)
    before = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())
    panel.ui.fadeButton.click()
    shown = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())
    np.testing.assert_allclose(np.abs(shown[:3, 2]), [1, 0, 0], atol=1e-6)
    panel.ui.checkerboardButton.click()
    panel.ui.checkerboardButton.click()
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()), before, atol=1e-9)


def test_views_that_show_the_volumes_already_stay_where_they_are(panel):
    size = (20, 20, 20)
    nodes = [volume_node(name, size, lattice(size, (4, 4, 4)), blobs, slicer.mrmlScene) for name in ("one", "other")]
    choose(panel, *nodes)
    slicer.util.setSliceViewerLayers(background=nodes[0])
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    red.SetOrientation("Axial")
    red.SetSliceOffset(5)
    panel.ui.fadeButton.click()
    red.SetSliceOffset(9)
    panel.ui.fadeButton.click()
    assert red.GetSliceOffset() == 9


def test_leaving_the_module_brings_the_views_back(panel, chosen):
    panel.ui.checkerboardButton.click()
    panel.parent.exit()
    assert layers() == (None, None, 0)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVectorVolumeNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVectorVolumeDisplayNode") == 0


def test_picture_is_removed_after_its_display_node(panel, chosen):
    """The application removes the display node with the volume, and complains of a node that is removed again."""
    removed = []
    note = vtk.calldata_type(vtk.VTK_OBJECT)(lambda _scene, _event, node: removed.append(node.GetClassName()))
    panel.ui.checkerboardButton.click()
    tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeRemovedEvent, note)
    panel.ui.checkerboardButton.click()
    slicer.mrmlScene.RemoveObserver(tag)
    assert removed == ["vtkMRMLVectorVolumeDisplayNode", "vtkMRMLVectorVolumeNode"]


def test_difference_fades_where_the_volumes_agree(panel, chosen):
    panel.ui.differenceButton.click()
    before = tint()
    apply(panel)
    serve(lambda: tint() < 0.3 * before, 30)


def test_picture_follows_a_transform_that_is_moved_by_hand(panel, chosen):
    transform = transform_node(np.eye(4), slicer.mrmlScene)
    chosen[1].SetAndObserveTransformNodeID(transform.GetID())
    panel.ui.differenceButton.click()
    before = tint()
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(translation(25, 0, 0)))
    serve(lambda: tint() > 1.3 * before, 30)


def test_slider_changes_the_fields_of_the_checkerboard(panel, chosen):
    panel.ui.checkerboardButton.click()
    panel.ui.qualitySlider.setValue(0)
    serve(lambda: not panel.panel.quality._settle.active, 30)
    few = colors().copy()
    panel.ui.qualitySlider.setValue(100)
    serve(lambda: not panel.panel.quality._settle.active, 30)
    assert (colors() != few).mean() > 0.05


def test_each_button_remembers_its_slider(panel, chosen):
    panel.ui.fadeButton.click()
    panel.ui.qualitySlider.setValue(11)
    panel.ui.differenceButton.click()
    panel.ui.qualitySlider.setValue(77)
    panel.ui.fadeButton.click()
    assert panel.ui.qualitySlider.value == 11


def test_other_volumes_are_compared_at_once(panel, chosen):
    panel.ui.fadeButton.click()
    panel.ui.swapButton.click()
    assert layers()[:2] == (chosen[1].GetID(), chosen[0].GetID())


def test_deleted_volume_ends_the_comparison(panel, chosen):
    panel.ui.checkerboardButton.click()
    slicer.mrmlScene.RemoveNode(chosen[1])
    assert not panel.ui.checkerboardButton.isChecked()
    assert not panel.ui.qualityCollapsibleButton.isEnabled()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVectorVolumeNode") == 0


def test_picture_is_not_saved_with_the_scene(panel, chosen, tmp_path):
    panel.ui.checkerboardButton.click()
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    assert "MetaAffineReg comparison" not in (tmp_path / "scene.mrml").read_text()
