"""The panel, opened as the application opens it: in Slicer itself, or in the test host where there is no Slicer."""

from pathlib import Path

import pytest
import slicer

if not hasattr(slicer, "app"):
    import host

    host.install()
    host.load_module(Path(__file__).resolve().parents[2] / "MetaAffineReg" / "MetaAffineReg.py")

import slicer.util
from made_volumes import apply, blobs, lattice, rotation, translation, volume_node

TURN = translation(4, -3, 0) @ rotation(10)


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
    """A slice and a copy of it moved by TURN, in the scene of the panel."""
    size, spacing = (64, 64, 1), (1.4, 1.4, 3.0)

    def moved(points):
        return blobs(apply(translation(-4, 3, 0), points) @ rotation(10)[:3, :3])

    return [volume_node(name, size, lattice(size, spacing), brightness, slicer.mrmlScene) for name, brightness in (("before", blobs), ("after", moved))]
