"""The panel, opened as the application opens it: in Slicer itself, or in the test host where there is no Slicer."""

from pathlib import Path

import pytest
import slicer

if not hasattr(slicer, "app"):
    import host

    host.install()
    for name in ("MetaAffineReg", "MetaAffineRegTraining"):
        host.load_module(Path(__file__).resolve().parents[2] / name / f"{name}.py")

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


@pytest.fixture
def training(tmp_path, monkeypatch):
    """The widget of the training module, entered, on an empty scene, with a folder for the user's models of its own."""
    monkeypatch.setenv("METAAFFINEREG_HOME", str(tmp_path / "home"))
    slicer.mrmlScene.Clear()
    representation = slicer.util.getModule("MetaAffineRegTraining").widgetRepresentation()
    representation.enter()
    yield slicer.util.getModuleWidget("MetaAffineRegTraining")
    slicer.util.getModuleWidget("MetaAffineRegTraining").panel.shutDown()
    representation.exit()
    slicer.mrmlScene.Clear()
