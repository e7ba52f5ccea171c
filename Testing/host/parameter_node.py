"""The part of ``slicer.parameterNodeWrapper`` that is in use: fields that are MRML nodes, bound to node selectors."""

import types
import typing
from collections.abc import Callable
from typing import Any

import slicer
import slicer.util
import vtk

from .widgets import qMRMLNodeComboBox


def parameterNodeWrapper(cls: type) -> type:
    """Give a class with annotated fields the constructor and the methods of a parameter node wrapper."""
    cls.allParameters = typing.get_type_hints(cls)
    for name, field_type in cls.allParameters.items():
        if not (isinstance(field_type, type) and issubclass(field_type, slicer.vtkMRMLNode)):
            raise TypeError(f"the test host knows node fields only; {name} is {field_type}")
        setattr(cls, name, _field(name))
    for method in (_Wrapper.__init__, *(value for name, value in vars(_Wrapper).items() if not name.startswith("__"))):
        setattr(cls, method.__name__, method)
    return cls


def make_parameter_node_module() -> types.ModuleType:
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper = parameterNodeWrapper
    return module


def _field(name: str) -> property:
    return property(lambda self: self._values[name], lambda self, node: self.setValue(name, node))


class _Wrapper:
    """The methods that a wrapped class gets."""

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._values: dict[str, Any] = {}
        self._connections: dict[int, tuple[int, list[tuple[qMRMLNodeComboBox, Callable[[Any], None]]]]] = {}
        self._updatingGui = False
        for name in self.allParameters:
            if not parameterNode.HasParameter(name):
                parameterNode.SetParameter(name, "")
                parameterNode.SetNodeReferenceID(name, None)
        self._read()
        # Values are cached and read again only on this event: what changes without it is not seen, as in Slicer.
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, self._read, 1.0)

    def _read(self, *_: Any) -> None:
        self._values = {name: self.parameterNode.GetNodeReference(name) for name in self.allParameters}

    def getValue(self, name: str) -> Any:
        return getattr(self, name)

    def setValue(self, name: str, node: Any) -> None:
        if node is not None and not isinstance(node, self.allParameters[name]):
            raise TypeError(f"{name} must be a {self.allParameters[name].__name__}, not {node.GetClassName()}")
        with slicer.util.NodeModify(self.parameterNode):
            self.parameterNode.SetParameter(name, "")
            self.parameterNode.SetNodeReferenceID(name, node.GetID() if node is not None else None)
            self._read()

    def connectGui(self, ui: Any) -> int:
        """Bind each widget whose dynamic property SlicerParameterName names a field; the .ui node types are overwritten."""
        bound = []
        for widget in vars(ui).values():
            name = widget.property("SlicerParameterName")
            if not name:
                continue
            if name not in self.allParameters:
                raise ValueError(f"no parameter is called {name}")
            widget.nodeTypes = [self.allParameters[name].__name__]
            widget.setCurrentNode(self.getValue(name))
            bound.append((name, widget, self._writer(name, widget)))
            widget.currentNodeChanged.connect(bound[-1][2])

        def show(*_: Any) -> None:
            if not self._updatingGui:
                self._updatingGui = True
                with slicer.util.NodeModify(self.parameterNode):
                    for name, widget, _write in bound:
                        widget.setCurrentNode(self.getValue(name))
                self._updatingGui = False

        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, show)
        self._connections[tag] = (tag, [(widget, write) for _name, widget, write in bound])
        return tag

    def disconnectGui(self, guiTag: int | None) -> None:
        tag, bound = self._connections.pop(guiTag, (None, []))
        for widget, write in bound:
            widget.currentNodeChanged.disconnect(write)
        if tag is not None:
            self.RemoveObserver(tag)

    def _writer(self, name: str, widget: qMRMLNodeComboBox) -> Callable[[Any], None]:
        def write(_node: Any) -> None:
            if not self._updatingGui:
                self.setValue(name, widget.currentNode())

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
