"""A stand-in for the Slicer application, for tests on a machine that has only slicer-core and PySide6.

Everything below MRML is the real thing (scene, nodes, storage, ``slicer.util``).  What slicer-core lacks, and the module
uses, is supplied here: ``qt``, ``ctk``, the widgets named in the .ui files, ``slicer.app``, the bases of scripted modules,
the parameter node wrapper and translation.  A difference from Slicer is a defect of this package.
"""

from .application import install, load_module

__all__ = ["install", "load_module"]
