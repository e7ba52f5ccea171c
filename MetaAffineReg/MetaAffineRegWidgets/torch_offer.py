"""PyTorch: whether it is there, how it gets there, and its one import."""

import importlib
import importlib.util
import sys

from slicer.i18n import tr as _


def isInstalled() -> bool:
    """Looks for torch without importing it, which takes seconds."""
    try:
        return importlib.util.find_spec("torch") is not None
    except ValueError:  # an import that failed half-way leaves a torch without a specification
        return False


def isImported() -> bool:
    """Whether the seconds of the first import are over."""
    return "MetaAffineRegMRML.registration_nodes" in sys.modules


def importLibrary() -> None:
    """Import torch and the compiled kernels; on the main thread, as a thread beside Slicer's event loop would take a minute."""
    importlib.import_module("MetaAffineRegMRML.registration_nodes")
    importlib.import_module("MetaAffineRegLib.registration").import_kernels()


def install() -> str:
    """Install torch through the PyTorch extension, which asks first; returns what else is to be done, empty for nothing."""
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        return _("Install the extension PyTorch in the Extensions Manager and restart Slicer, then come back here.")
    PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True)
    importlib.invalidate_caches()
    return ""
