"""Volumes into a training and curves into the scene."""

import numpy as np
import pytest
import slicer

from made_volumes import blobs, lattice, volume_node
from MetaAffineRegLib.errors import InputError
from MetaAffineRegTrainingLib.settings import TrainingSettings
from MetaAffineRegTrainingMRML.curves import CHARTS, METHODS, Curves
from MetaAffineRegTrainingMRML.training_volumes import branches, check_training_nodes, images_of, scalar_volumes

SLICES, BLOCKS = TrainingSettings(), TrainingSettings(kind="blocks")


def volumes(scene, count, size=(8, 8, 8)):
    return [volume_node(f"volume {number}", size, lattice(size, (5, 5, 5)), blobs, scene) for number in range(count)]


def evaluation(step, mse4=0.01):
    return {"event": "evaluation", "step": step, "figures": {method: {"success": 0.5, "mse4": mse4} for method in METHODS}}


def column(curves, chart, line):
    series = curves.chart(chart).GetNthPlotSeriesNode(METHODS.index(line) if chart != "loss" else 0)
    table = series.GetTableNode().GetTable()
    return [table.GetColumnByName(line).GetTuple1(row) for row in range(table.GetNumberOfRows())]


def test_few_volumes_are_told_and_enough_are_not(scene):
    nodes = volumes(scene, 5)
    assert "none is held out" in check_training_nodes(nodes[:1], SLICES)[0]
    assert "fewer than five" in check_training_nodes(nodes[:4], SLICES)[0]
    assert check_training_nodes(nodes, BLOCKS) == []


def test_bad_choices_are_refused_in_a_sentence(scene):
    flat, whole = volumes(scene, 1, (8, 8, 1))[0], volumes(scene, 1)[0]
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    for nodes, settings, sentence in (
        ([], SLICES, "No volume is chosen"),
        ([flat, whole], SLICES, "train on one kind at a time"),
        ([flat], BLOCKS, "has no blocks; learn from slices"),
        ([whole, labels], SLICES, "labels is a label map"),
    ):
        with pytest.raises(InputError, match=sentence):
            check_training_nodes(nodes, settings)


def test_images_lie_in_the_world_under_the_name_of_their_node(scene):
    (node,) = volumes(scene, 1)
    (image,) = images_of([node])
    assert image.name == "volume 0"
    np.testing.assert_allclose(image.geometry.center_lps, 0, atol=1e-9)


def test_label_maps_and_hidden_volumes_are_not_offered(scene):
    nodes = volumes(scene, 2)
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    nodes[1].SetHideFromEditors(True)
    assert scalar_volumes(scene) == [nodes[0]]


def test_branch_holds_the_volumes_below_it_at_any_depth(scene):
    nodes = volumes(scene, 3)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    outer = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "study")
    inner = hierarchy.CreateFolderItem(outer, "first day")
    for node, parent in zip(nodes, (outer, inner, hierarchy.GetSceneItemID()), strict=True):
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node), parent)
    found = branches(scene)
    assert set(found["study"]) == {nodes[0].GetID(), nodes[1].GetID()}
    assert found["first day"] == [nodes[1].GetID()]


def test_curves_show_logarithms_and_percentages(scene):
    curves = Curves(scene)
    curves.take([{"event": "progress", "step": 1, "loss": 0.1}, {"event": "progress", "step": 2, "loss": None}, evaluation(2)])
    curves.show()
    assert column(curves, "loss", "loss") == pytest.approx([-1])
    assert column(curves, "error", "comb") == pytest.approx([-2])
    assert column(curves, "success", "robust") == pytest.approx([50])


def test_training_that_was_taken_up_goes_on_from_its_state(scene):
    curves = Curves(scene)
    curves.take([evaluation(step, 10.0**-step) for step in (1, 2, 3, 2, 4)])
    curves.show()
    assert column(curves, "error", "learn") == pytest.approx([-1, -2, -4])


def test_curves_come_back_in_the_next_scene_and_are_not_saved(scene):
    curves = Curves(scene)
    curves.take([evaluation(1)])
    curves.show()
    scene.Clear(True)
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 0
    curves.show()
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == len(CHARTS)
    assert not curves.chart("error").GetSaveWithScene()
    curves.remove()
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
