"""What the test host takes for granted about Slicer, each with the file of Slicer's sources where it was read.

In a real Slicer these tests check the application itself.
"""

import ctk
import numpy as np
import pytest
import qt
import slicer
import slicer.util
import vtk
from slicer.parameterNodeWrapper import parameterNodeWrapper

from made_volumes import blobs, lattice, transform_node, volume_node


@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    transform: slicer.vtkMRMLTransformNode


@pytest.fixture
def scene():
    slicer.mrmlScene.Clear()
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear()


@pytest.fixture
def selector(scene):
    made = slicer.qMRMLNodeComboBox()
    made.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    made.noneEnabled = True
    made.setMRMLScene(scene)
    yield made
    made.setMRMLScene(None)
    made.deleteLater()


@pytest.fixture
def parameters(scene):
    return Parameters(scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


def volume(scene, name="v"):
    return volume_node(name, (4, 4, 4), lattice((4, 4, 4), (9, 9, 9)), blobs, scene)


# PythonQt


def test_a_property_is_a_value():
    """Utilities/Templates/Modules/Scripted/TemplateKey.py: ``applyButton.toolTip = ...``, ``checkBox.checked``."""
    button = qt.QPushButton("Apply")
    assert button.text == "Apply"
    assert button.enabled is True
    with pytest.raises(TypeError):
        button.text()
    button.toolTip = "why"
    assert button.toolTip == "why"
    button.enabled = False
    assert not button.isEnabled()


def test_name_is_the_object_name():
    """Base/Python/slicer/util.py: ``childWidgetVariables`` and ``findChildren`` read ``name``."""
    label = qt.QLabel()
    label.setObjectName("label")
    assert label.name == "label"


def test_an_object_takes_no_new_attribute():
    """PythonQt refuses what is neither property nor slot, so state is kept on Python objects."""
    with pytest.raises(AttributeError):
        qt.QLabel().somethingNew = 1


def test_a_slot_gets_no_more_arguments_than_it_takes():
    """Utilities/Templates/Modules/Scripted/TemplateKey.py: ``clicked(bool)`` calls ``onApplyButton(self)``."""
    button, pressed = qt.QPushButton(), []
    button.clicked.connect(lambda: pressed.append(1))
    button.click()
    assert pressed == [1]


# Widgets


def test_selector_offers_none_first_and_nodes_of_its_types(scene, selector):
    """Libs/MRML/Widgets/qMRMLNodeComboBox.h: noneEnabled, nodeTypes; qMRMLSortFilterProxyModel.cxx: HideFromEditors."""
    assert selector.currentNode() is None
    shown, hidden = volume(scene), volume(scene, "hidden")
    hidden.SetHideFromEditors(True)
    transform_node(np.eye(4), scene)
    assert selector.currentNode() is None
    assert (selector.nodeCount(), selector.nodeFromIndex(0)) == (1, shown)


def test_selector_offers_child_types_until_told_otherwise(scene, selector):
    """Libs/MRML/Widgets/qMRMLSortFilterProxyModel.cxx: ShowChildNodeTypes is true by default."""
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert selector.nodeCount() == 1
    selector.showChildNodeTypes = False
    assert selector.nodeCount() == 0


def test_selector_tells_a_change_from_code_too(scene, selector):
    """Libs/MRML/Widgets/qMRMLNodeComboBox.cxx: currentNodeChanged follows the text of the box, whoever changed it."""
    node, told = volume(scene), []
    selector.currentNodeChanged.connect(lambda *_: told.append(selector.currentNode()))
    selector.setCurrentNode(node)
    selector.setCurrentNode(None)
    assert told[0] is node and told[-1] is None


def test_selector_without_scene_is_disabled():
    """Libs/MRML/Widgets/qMRMLNodeComboBox.h: disabled (grayed out) until a scene is set."""
    selector = slicer.qMRMLNodeComboBox()
    assert not selector.isEnabled()
    selector.deleteLater()


def test_deleted_node_is_no_longer_current(scene, selector):
    """Libs/MRML/Widgets/qMRMLNodeComboBox.cxx: the box shows the rows of the scene model, from which the node is gone."""
    node = volume(scene)
    selector.setCurrentNode(node)
    scene.RemoveNode(node)
    assert selector.currentNode() is None


def test_widget_passes_its_scene_on(scene):
    """Libs/MRML/Widgets/qMRMLWidget.cxx: setMRMLScene emits mrmlSceneChanged, to which the .ui connects its selectors."""
    widget, told = slicer.qMRMLWidget(), []
    widget.mrmlSceneChanged.connect(lambda *_: told.append(widget.mrmlScene()))
    widget.setMRMLScene(scene)
    widget.setMRMLScene(scene)
    assert told == [scene]
    widget.setMRMLScene(None)
    widget.deleteLater()


def test_collapsible_button_has_text_and_collapsed():
    """Base/Python/slicer/ScriptedLoadableModule.py: ``ctkCollapsibleButton().text = ...``; TemplateKey.ui: ``collapsed``."""
    button = ctk.ctkCollapsibleButton()
    button.text = "Inputs"
    assert (button.text, button.collapsed) == ("Inputs", False)
    button.collapsed = True
    assert button.collapsed is True


# Parameter node: Base/Python/slicer/parameterNodeWrapper


def test_node_field_is_none_at_first_and_is_checked(scene, parameters):
    """serializers.py, NodeSerializer: default None; validators.py, IsInstance: TypeError."""
    assert parameters.volume is None
    with pytest.raises(TypeError):
        parameters.volume = transform_node(np.eye(4), scene)
    parameters.volume = node = volume(scene)
    assert parameters.volume is node
    assert parameters.parameterNode.GetNodeReference("volume") is node


def test_value_is_read_again_only_when_the_node_says_so(scene, parameters):
    """wrapper.py, _CachedParameterWrapper: the cache follows ModifiedEvent and nothing else."""
    node, parameter_node = volume(scene), parameters.parameterNode
    parameter_node.SetDisableModifiedEvent(1)
    parameter_node.SetNodeReferenceID("volume", node.GetID())
    assert parameters.volume is None
    parameter_node.SetDisableModifiedEvent(0)
    parameter_node.Modified()
    assert parameters.volume is node


def bound(selector, name="volume"):
    selector.setProperty("SlicerParameterName", name)
    return type("ui", (), {})(), selector


def test_bound_selector_and_field_follow_each_other(scene, parameters, selector):
    """wrapper.py, _connectGui: widgets found by the dynamic property SlicerParameterName among the attributes of ``ui``."""
    first, second = volume(scene, "first"), volume(scene, "second")
    ui, ui.selector = bound(selector)
    parameters.volume = first
    tag = parameters.connectGui(ui)
    assert selector.currentNode() is first
    selector.setCurrentNode(second)
    assert parameters.volume is second
    parameters.volume = None
    assert selector.currentNode() is None
    parameters.disconnectGui(tag)
    selector.setCurrentNode(first)
    assert parameters.volume is None


def test_binding_overwrites_the_node_types_of_the_ui(parameters, selector):
    """guiConnectors.py, qMRMLNodeComboBoxToNodeConnector: ``nodeTypes`` are those of the field."""
    ui, ui.selector = bound(selector, "transform")
    tag = parameters.connectGui(ui)
    assert tuple(selector.nodeTypes) == ("vtkMRMLTransformNode",)
    parameters.disconnectGui(tag)


def test_binding_to_an_unknown_name_is_an_error(parameters, selector):
    """wrapper.py, _checkParamName."""
    ui, ui.selector = bound(selector, "misspelled")
    with pytest.raises(ValueError, match="misspelled"):
        parameters.connectGui(ui)


def test_wrapper_is_observed_like_a_node(scene, parameters):
    """wrapper.py: AddObserver and RemoveObserver go to the parameter node (TemplateKey.py observes it for its Apply button)."""
    events = []
    tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: events.append(1))
    parameters.volume = volume(scene)
    assert events
    parameters.RemoveObserver(tag)
    seen = len(events)
    parameters.volume = None
    assert len(events) == seen


# Application


def test_parameter_node_is_a_singleton_that_outlives_the_scene(panel):
    """Base/Python/slicer/ScriptedLoadableModule.py, getParameterNode: closing resets the node, its attribute is restored."""
    before = panel.logic.getParameterNode().parameterNode
    slicer.mrmlScene.Clear()
    after = panel.logic.getParameterNode().parameterNode
    assert after is before
    assert after.GetAttribute("ModuleName") == "MetaAffineReg"


def test_is_entered_tells_whether_the_panel_is_shown(panel):
    """Base/QTGUI/qSlicerAbstractModuleWidget.h: property isEntered, set by enter() and exit()."""
    assert panel.parent.isEntered is True
    panel.parent.exit()
    assert panel.parent.isEntered is False


def test_module_and_widget_are_found_by_name(panel):
    """Base/Python/slicer/util.py, modulePath and getModuleWidget; qSlicerScriptedLoadableModuleWidget.cxx, setPythonSource."""
    assert slicer.util.modulePath("MetaAffineReg").endswith("MetaAffineReg.py")
    assert slicer.modules.MetaAffineRegWidget is panel
