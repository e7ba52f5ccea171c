"""The panel, opened as the application opens it: in Slicer itself, or in the test host where there is no Slicer."""

from pathlib import Path

import pytest
import slicer

if not hasattr(slicer, "app"):
    import host

    host.install()
    host.load_module(Path(__file__).resolve().parents[2] / "MetaAffineReg" / "MetaAffineReg.py")

import slicer.util

from made_volumes import two_moved_slices


@pytest.fixture
def panel():
    """The widget of the module, entered, on an empty scene."""
    slicer.mrmlScene.Clear()
    representation = slicer.util.getModule("MetaAffineReg").widgetRepresentation()
    representation.enter()
    yield slicer.util.getModuleWidget("MetaAffineReg")
    representation.exit()
    slicer.mrmlScene.Clear()


@pytest.fixture
def two_slices(panel):
    """A slice and a moved copy of it, in the scene of the panel."""
    return two_moved_slices(slicer.mrmlScene)
