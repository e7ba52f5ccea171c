"""What the test host takes for granted about Slicer, each with the file of Slicer's sources where it was read.

In a real Slicer these tests check the application itself.
"""

import enum
import importlib
import logging
from typing import Annotated

import ctk
import numpy as np
import pytest
import qt
import slicer
import slicer.util
import vtk
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from made_volumes import blobs, lattice, transform_node, volume_node


class Color(enum.Enum):
    RED = "r"
    GREEN = "g"

    def label(self):
        return f"the color {self.value}"


@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    transform: slicer.vtkMRMLTransformNode
    color: Color
    share: Annotated[float, WithinRange(0, 10)] = 4.0
    wanted: bool = True
    text: str = "first"


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
    button.objectName = "why"
    assert button.objectName == "why"
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
    shown, hidden = volume(scene), slicer.vtkMRMLScalarVolumeNode()
    hidden.SetHideFromEditors(True)  # before it is added: the list does not follow later
    scene.AddNode(hidden)
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

    def tell(*_):
        told.append(selector.currentNode())

    selector.currentNodeChanged.connect(tell)
    selector.setCurrentNode(node)
    selector.setCurrentNode(None)
    selector.currentNodeChanged.disconnect(tell)  # the application crashes where a widget that is being deleted still calls
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

    def tell(*_):
        told.append(widget.mrmlScene())

    widget.mrmlSceneChanged.connect(tell)
    widget.setMRMLScene(scene)
    widget.setMRMLScene(scene)
    widget.mrmlSceneChanged.disconnect(tell)
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


def test_fields_have_their_defaults(parameters):
    """wrapper.py, _processClass: what the class assigns; serializers.py, EnumSerializer: else the first of an Enum."""
    assert (parameters.color, parameters.share, parameters.wanted, parameters.text) == (Color.RED, 4.0, True, "first")


def test_fields_are_kept_as_text(parameters):
    """serializers.py: an Enum by its name, numbers and truth values by str."""
    parameters.color, parameters.share, parameters.wanted, parameters.text = Color.GREEN, 2.5, False, "second"
    node = parameters.parameterNode
    assert [node.GetParameter(name) for name in ("color", "share", "wanted", "text")] == ["GREEN", "2.5", "False", "second"]
    again = Parameters(node)
    assert (again.color, again.share, again.wanted, again.text) == (Color.GREEN, 2.5, False, "second")


@pytest.mark.parametrize(("field", "value"), [("share", 11.0), ("share", "x"), ("color", "GREEN"), ("text", 3)])
def test_value_that_does_not_fit_is_refused(parameters, field, value):
    """validators.py, WithinRange and IsInstance."""
    with pytest.raises((ValueError, TypeError)):
        setattr(parameters, field, value)
    assert (parameters.share, parameters.color, parameters.text) == (4.0, Color.RED, "first")


def test_closed_scene_leaves_the_defaults(scene):
    """serializers.py and wrapper.py, _Parameter.read: a parameter that is no longer in the node is written anew."""
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("ContractTest")
    parameters = Parameters(scene.AddNode(node))
    parameters.share = 9.0
    scene.Clear()
    assert parameters.share == 4.0


@pytest.mark.parametrize(
    ("widget", "field", "act", "expected"),
    [
        (qt.QComboBox, "color", lambda combo: combo.setCurrentIndex(1), Color.GREEN),
        (qt.QDoubleSpinBox, "share", lambda box: box.setValue(7.0), 7.0),
        (qt.QCheckBox, "wanted", lambda box: box.setChecked(False), False),
        (qt.QLineEdit, "text", lambda line: line.setText("typed"), "typed"),
    ],
)
def test_bound_widget_and_field_follow_each_other(parameters, widget, field, act, expected):
    """guiConnectors.py, the connectors of these widgets."""
    made = widget()
    ui, ui.widget = bound(made, field)
    before = getattr(parameters, field)
    tag = parameters.connectGui(ui)
    act(made)
    assert getattr(parameters, field) == expected
    setattr(parameters, field, before)
    parameters.disconnectGui(tag)
    act(made)
    assert getattr(parameters, field) == before


def test_choices_are_shown_by_their_labels_and_numbers_within_their_range(parameters):
    """guiConnectors.py, QComboBoxToEnumConnector (``label``) and QDoubleSpinBoxCtkSliderWidgetToFloatIntConnector (``WithinRange``)."""
    combo, box = qt.QComboBox(), qt.QDoubleSpinBox()
    combo.addItem("of the .ui")
    ui, ui.combo = bound(combo, "color")
    _ui, ui.box = bound(box, "share")
    tag = parameters.connectGui(ui)
    assert [combo.itemText(index) for index in range(combo.count)] == ["the color r", "the color g"]
    assert (box.minimum, box.maximum, box.value) == (0, 10, 4)
    parameters.disconnectGui(tag)


def test_widget_that_can_not_show_a_field_is_an_error(parameters):
    """guiConnectors.py, createGuiConnector."""
    ui, ui.widget = bound(qt.QCheckBox(), "text")
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        parameters.connectGui(ui)


# Application


def test_settings_of_the_user_keep_text(panel):
    """Base/QTCore/qSlicerCoreApplication.h: userSettings() are QSettings; what was never set is None."""
    settings = slicer.app.userSettings()
    settings.setValue("MetaAffineReg/ContractTest", '{"a": 1}')
    assert settings.value("MetaAffineReg/ContractTest") == '{"a": 1}'
    settings.remove("MetaAffineReg/ContractTest")
    assert not settings.value("MetaAffineReg/ContractTest")


def test_slice_views_have_nodes_that_outlive_the_scene(scene):
    """Libs/MRML/Logic/vtkMRMLLayoutLogic.cxx: singletons by the names of the views."""
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        view = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        view.SetOrientation(orientation)
        assert view.GetID() == f"vtkMRMLSliceNode{name}"
        assert view.GetOrientation() == orientation
        assert scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode").GetLayoutName() == name
    scene.Clear()
    assert scene.GetSingletonNode("Red", "vtkMRMLSliceNode") is not None


def test_startup_can_be_waited_for():
    """Base/QTGUI/qSlicerApplication.h and Utilities/Templates/Modules/Scripted/TemplateKey.py: the signal startupCompleted()."""
    called = []
    slicer.app.startupCompleted.connect(lambda *_: called.append(1))
    slicer.app.startupCompleted.emit()
    assert called == [1]


def test_observer_of_a_removal_gets_the_node(scene):
    """Libs/MRML/Core/vtkMRMLScene.cxx: NodeAboutToBeRemovedEvent carries the node, which is still in the scene."""
    seen = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def observe(_scene, _event, node):
        seen.append((node, node.GetScene()))

    tag = scene.AddObserver(scene.NodeAboutToBeRemovedEvent, observe)
    node = volume(scene)
    scene.RemoveNode(node)
    scene.RemoveObserver(tag)
    assert seen == [(node, scene)]


def test_collapsible_button_shows_again_what_it_has_hidden_itself(panel):
    """CTK, ctkCollapsibleButton.cpp, setChildVisibility: a child that was hidden by others stays hidden."""
    ui = panel.ui
    ui.advancedCollapsibleButton.setProperty("collapsed", False)
    assert ui.deviceLabel.isHidden() and not ui.methodComboBox.isHidden()
    ui.advancedCollapsibleButton.setProperty("collapsed", True)
    assert not ui.methodComboBox.isVisible()


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


def test_each_slice_view_has_a_hidden_transform(scene):
    """Libs/MRML/Logic/vtkMRMLSliceLogic.cxx, CreateSliceModel: a transform for each slice model, which no selector offers."""
    found = [
        scene.GetNthNodeByClass(index, "vtkMRMLTransformNode") for index in range(scene.GetNumberOfNodesByClass("vtkMRMLTransformNode"))
    ]
    assert len(found) >= 3
    assert all(node.GetHideFromEditors() and not node.GetSaveWithScene() for node in found)


def test_sample_data_that_is_made_needs_empty_lists(scene):
    """Modules/Scripted/SampleData/SampleData.py: the constructor counts the files whether there is a customDownloader or not."""
    from SampleData import SampleDataSource

    with pytest.raises(TypeError):
        SampleDataSource("made", customDownloader=print)
    made = SampleDataSource("made", uris=[], fileNames=[], customDownloader=print)
    assert made.uris == made.fileNames == made.nodeNames == made.checksums == []


def test_numba_is_silent_where_the_root_logger_takes_debug(caplog):
    """Base/Python/slicerqt.py, initLogging: the root logger is at DEBUG and hands every record, of whatever thread, to a model of Qt."""
    importlib.import_module("MetaAffineRegLib.compiling")
    with caplog.at_level(logging.DEBUG):
        assert not logging.getLogger("numba.core.byteflow").isEnabledFor(logging.DEBUG)
