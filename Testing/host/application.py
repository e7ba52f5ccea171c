"""``slicer.app``, the scene, the list of modules; and where all stand-ins are put in their places."""

import ctypes
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from PySide6 import QtCore, QtWidgets

from . import scripted_module, widgets
from .flat_qt import make_qt
from .parameter_node import make_parameter_node_module
from .sample_data import make_sample_data_module
from .slice_views import add_slice_nodes
from .ui_loader import STAND_INS, QUiLoader


class ModuleManager:
    def __init__(self) -> None:
        self.modules: dict[str, scripted_module.Module] = {}

    def module(self, name: str) -> scripted_module.Module | None:
        return self.modules.get(name)


class Application(QtWidgets.QApplication):
    """The few words of qSlicerApplication that are in use."""

    startupCompleted = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__([])
        self.setApplicationName("Test host")
        self._manager = ModuleManager()
        self._folder = tempfile.TemporaryDirectory()  # goes with the application
        self._settings = QtCore.QSettings(str(Path(self._folder.name) / "Slicer.ini"), QtCore.QSettings.Format.IniFormat)

    def moduleManager(self) -> ModuleManager:
        return self._manager

    def layoutManager(self) -> None:
        """None, as in Slicer without its main window."""

    def userSettings(self) -> QtCore.QSettings:
        """Those of the user whatever the version of Slicer; here of this run alone."""
        return self._settings

    def testingEnabled(self) -> bool:
        return False


def _keep_none_alive() -> None:
    """PySide6 6.12 takes a reference to None with every call that returns nothing; before Python 3.12 these are counted, and run out."""
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def install() -> None:
    """Complete slicer-core to what a scripted module finds in the application."""
    _keep_none_alive()
    qt = make_qt(QUiLoader)
    ctk = types.ModuleType("ctk")
    ctk.ctkCollapsibleButton = widgets.ctkCollapsibleButton
    ctk.ctkMessageBox = widgets.ctkMessageBox
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda _context, text: text
    sample_data = make_sample_data_module()
    bases, parameters = scripted_module.make_base_module(), make_parameter_node_module()
    for module in (qt, ctk, i18n, bases, parameters, sample_data):
        sys.modules[module.__name__] = module
    slicer.i18n = i18n
    slicer.app = Application()
    slicer.mrmlScene = slicer.vtkMRMLScene()
    add_slice_nodes(slicer.mrmlScene)
    slicer.modules = types.SimpleNamespace()
    slicer.qSlicerScriptedLoadableModule = scripted_module.Module
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
