"""The part of ``slicer.parameterNodeWrapper`` that is in use: fields that are MRML nodes, text, numbers, truth values and choices
(Enum), and the widgets that they are bound to."""

import enum
import types
import typing
from collections.abc import Callable
from typing import Any

import slicer
import slicer.util
import vtk
from PySide6 import QtWidgets

from .widgets import qMRMLNodeComboBox


class WithinRange:
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum


class Field:
    """One field: its type, its range if any, its default; how it is kept in the parameter node."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        self.name = name
        self.type, *annotations = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        self.range = next((one for one in annotations if isinstance(one, WithinRange)), None)
        self.isNode = isinstance(self.type, type) and issubclass(self.type, slicer.vtkMRMLNode)
        if not (self.isNode or self.isEnum or self.type in (bool, int, float, str)):
            raise TypeError(f"the test host knows no field of type {hint}, as {name} is")
        first = next(iter(self.type)) if self.isEnum else None if self.isNode else self.type()
        self.default = first if default is None else default

    @property
    def isEnum(self) -> bool:
        return isinstance(self.type, type) and issubclass(self.type, enum.Enum)

    def check(self, value: Any) -> None:
        accepted = (int, float) if self.type is float else self.type
        if value is None and self.isNode:
            return
        if not isinstance(value, accepted):
            raise TypeError(f"{self.name} must be a {self.type.__name__}, not {value!r}")
        if self.range is not None and not self.range.minimum <= value <= self.range.maximum:
            raise ValueError(f"Value must be within range [{self.range.minimum}, {self.range.maximum}], is {value}")

    def write(self, node: Any, value: Any) -> None:
        self.check(value)
        if self.isNode:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, value.name if self.isEnum else str(value))

    def read(self, node: Any) -> Any:
        if not node.HasParameter(self.name):  # as after the scene was closed, which empties the node
            self.write(node, self.default)
        if self.isNode:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if self.isEnum:
            if text not in self.type.__members__:
                raise ValueError(f"Found {text!r} in parameter node but it is not a name in {self.type!r}")
            return self.type[text]
        return text == "True" if self.type is bool else self.type(text)


class Connector:
    """A widget that shows a field: how it is read and written, and the signal that tells of a change."""

    def __init__(self, widget: Any, field: Field) -> None:
        self.widget, self.field = widget, field
        if field.isNode and type(widget) is qMRMLNodeComboBox:
            widget.nodeTypes = [field.type.__name__]
            self.signal, self.read, self.write = widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode
        elif field.isEnum and type(widget) is QtWidgets.QComboBox:
            choices = list(field.type)
            widget.clear()
            for choice in choices:
                widget.addItem(choice.label() if hasattr(choice, "label") else choice.name)
            self.signal = widget.currentIndexChanged
            self.read = lambda: choices[widget.currentIndex]
            self.write = lambda value: widget.setCurrentIndex(choices.index(value))
        elif field.type is bool and type(widget) is QtWidgets.QCheckBox:
            self.signal, self.read, self.write = widget.stateChanged, widget.isChecked, widget.setChecked
        elif field.type is float and type(widget) is QtWidgets.QDoubleSpinBox:
            low, high = (field.range.minimum, field.range.maximum) if field.range else (float("-inf"), float("inf"))
            widget.setRange(low, high)
            self.signal, self.read, self.write = widget.valueChanged, lambda: widget.value, widget.setValue
        elif field.type is str and type(widget) is QtWidgets.QLineEdit:
            self.signal, self.read, self.write = widget.textChanged, lambda: widget.text, widget.setText
        else:
            raise RuntimeError(f"Unable to create GUI connector from datatype '{field.type}' to widget type '{type(widget)}'.")


def parameterNodeWrapper(cls: type) -> type:
    """Give a class with annotated fields the constructor and the methods of a parameter node wrapper."""
    hints = typing.get_type_hints(cls, include_extras=True)
    cls.allParameters = {name: Field(name, hint, getattr(cls, name, None)) for name, hint in hints.items()}
    for name in cls.allParameters:
        setattr(cls, name, _property(name))
    for method in (_Wrapper.__init__, *(value for name, value in vars(_Wrapper).items() if not name.startswith("__"))):
        setattr(cls, method.__name__, method)
    return cls


def make_parameter_node_module() -> types.ModuleType:
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper = parameterNodeWrapper
    module.WithinRange = WithinRange
    return module


def _property(name: str) -> property:
    return property(lambda self: self._values[name], lambda self, value: self.setValue(name, value))


class _Wrapper:
    """The methods that a wrapped class gets."""

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._values: dict[str, Any] = {}
        self._connections: dict[int, list[tuple[Connector, Callable[..., None]]]] = {}
        self._updatingGui = False
        for field in self.allParameters.values():
            if not parameterNode.HasParameter(field.name):
                field.write(parameterNode, field.default)
        self._read()
        # Values are cached and read again only on this event: what changes without it is not seen, as in Slicer.
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, self._read, 1.0)

    def _read(self, *_: Any) -> None:
        self._values = {name: field.read(self.parameterNode) for name, field in self.allParameters.items()}

    def getValue(self, name: str) -> Any:
        return getattr(self, name)

    def setValue(self, name: str, value: Any) -> None:
        with slicer.util.NodeModify(self.parameterNode):
            self.allParameters[name].write(self.parameterNode, value)
            self._read()

    def connectGui(self, ui: Any) -> int:
        """Bind each widget whose dynamic property SlicerParameterName names a field; node types and choices of the .ui are overwritten."""
        bound = []
        for widget in vars(ui).values():
            name = widget.property("SlicerParameterName")
            if not name:
                continue
            if name not in self.allParameters:
                raise ValueError(f"no parameter is called {name}")
            connector = Connector(widget, self.allParameters[name])
            connector.write(self.getValue(name))
            bound.append((connector, self._writer(connector)))
            connector.signal.connect(bound[-1][1])

        def show(*_: Any) -> None:
            if not self._updatingGui:
                self._updatingGui = True
                with slicer.util.NodeModify(self.parameterNode):
                    for connector, _write in bound:
                        connector.write(self.getValue(connector.field.name))
                self._updatingGui = False

        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, show)
        self._connections[tag] = bound
        return tag

    def disconnectGui(self, guiTag: int | None) -> None:
        for connector, write in self._connections.pop(guiTag, []):
            connector.signal.disconnect(write)
        if guiTag is not None:
            self.RemoveObserver(guiTag)

    def _writer(self, connector: Connector) -> Callable[..., None]:
        def write(*_: Any) -> None:
            if not self._updatingGui:
                self.setValue(connector.field.name, connector.read())

        return write

    def AddObserver(self, event: Any, callback: Callable[..., None], priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: int) -> None:
        self.parameterNode.EndModify(wasModified)

    def Modified(self) -> None:
        self.parameterNode.Modified()
