"""``slicer.app``, the scene, the list of modules; and where all stand-ins are put in their places."""

import sys
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from PySide6 import QtWidgets

from . import scripted_module, widgets
from .flat_qt import make_qt
from .parameter_node import make_parameter_node_module
from .ui_loader import STAND_INS, QUiLoader


class ModuleManager:
    def __init__(self) -> None:
        self.modules: dict[str, scripted_module.Module] = {}

    def module(self, name: str) -> scripted_module.Module | None:
        return self.modules.get(name)


class Application(QtWidgets.QApplication):
    """The few words of qSlicerApplication that are in use."""

    def __init__(self) -> None:
        super().__init__([])
        self.setApplicationName("Test host")
        self._manager = ModuleManager()

    def moduleManager(self) -> ModuleManager:
        return self._manager

    def layoutManager(self) -> None:
        """None, as in Slicer without its main window."""

    def testingEnabled(self) -> bool:
        return False


def install() -> None:
    """Complete slicer-core to what a scripted module finds in the application."""
    qt = make_qt(QUiLoader)
    ctk = types.ModuleType("ctk")
    ctk.ctkCollapsibleButton = widgets.ctkCollapsibleButton
    ctk.ctkMessageBox = widgets.ctkMessageBox
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda _context, text: text
    bases, parameters = scripted_module.make_base_module(), make_parameter_node_module()
    for module in (qt, ctk, i18n, bases, parameters):
        sys.modules[module.__name__] = module
    slicer.i18n = i18n
    slicer.app = Application()
    slicer.mrmlScene = slicer.vtkMRMLScene()
    slicer.modules = types.SimpleNamespace()
    slicer.qSlicerScriptedLoadableModuleWidget = scripted_module.ModuleRepresentation
    for cls in STAND_INS:
        if cls.__name__.startswith("qMRML"):
            setattr(slicer, cls.__name__, cls)


def load_module(path: Path) -> Any:
    """Load a module file as the application does at start-up."""
    module = scripted_module.load(str(path))
    slicer.app.moduleManager().modules[module.name] = module
    setattr(slicer.modules, module.name.lower(), module)
    return module
