"""The bases of a scripted module and what the application keeps of one: ``slicer.ScriptedLoadableModule`` and its C++ side."""

import importlib.util
import os
import sys
import types
import unittest
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .widgets import qMRMLWidget


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        icon = os.path.join(os.path.dirname(parent.path), "Resources", "Icons", self.moduleName + ".png")
        if os.path.isfile(icon):
            parent.icon = QtGui.QIcon(icon)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()

    def setup(self) -> None:
        """The application adds its developer buttons here."""

    def resourcePath(self, name: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", name)

    def cleanup(self) -> None:
        """Called before the widget goes."""

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The one parameter node of this module in the scene, made where there is none."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            made = slicer.vtkMRMLScriptedModuleNode()
            made.SetSingletonTag(self.moduleName)
            made.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(made)
        # Closing the scene resets the attributes of a singleton.
        node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str, *_: Any) -> None:
        slicer.util.delayDisplay(message, 0)

    def runTest(self) -> None:
        """A test class runs its tests here."""


class Module:
    """The C++ side of a loaded module (qSlicerScriptedLoadableModule)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        self._representation: ModuleRepresentation | None = None

    def widgetRepresentation(self) -> "ModuleRepresentation":
        if self._representation is None:
            self._representation = ModuleRepresentation(self)
            self._representation.reload()
        return self._representation

    def close(self) -> None:
        """What the application does with the panel when it ends."""
        if self._representation is not None:
            self._representation.self().cleanup()
            self._representation.deleteLater()
            self._representation = None


class ModuleRepresentation(qMRMLWidget):
    """The panel of a module (qSlicerScriptedLoadableModuleWidget), parent of the Python widget class."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._module = module
        self._widget: Any = None
        self._entered = False
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    isEntered = QtCore.Property(bool, lambda self: self._entered)

    def self(self) -> Any:
        return self._widget

    def reload(self) -> None:
        name = self._module.name + "Widget"
        self._widget = getattr(sys.modules[self._module.name], name)(self)
        setattr(slicer.modules, name, self._widget)
        self._widget.setup()

    def enter(self) -> None:
        self._entered = True
        self._widget.enter()

    def exit(self) -> None:
        self._entered = False
        self._widget.exit()


def load(path: str) -> Module:
    """Load a module file as the application does at start-up; its folder goes on ``sys.path``."""
    module = Module(path)
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(module.name, path)
    assert spec is not None and spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    sys.modules[module.name] = source
    spec.loader.exec_module(source)
    getattr(source, module.name)(module)
    return module


def make_base_module() -> types.ModuleType:
    bases = types.ModuleType("slicer.ScriptedLoadableModule")
    for cls in (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest):
        setattr(bases, cls.__name__, cls)
    return bases
