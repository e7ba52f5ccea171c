"""The states of the panel, each brought about as a user would, for pictures."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from MetaAffineRegMRML import registration_nodes
from MetaAffineRegMRML.sample_volumes import make_sample

_LONGEST = 30.0  # seconds that a registration waits for its picture


@contextmanager
def ready(window: Any) -> Iterator[None]:
    """Two volumes are chosen, and faded in the views."""
    window.choose(*make_sample(window.slicer.mrmlScene))
    window.module.ui.fadeButton.click()
    yield


@contextmanager
def running(window: Any) -> Iterator[None]:
    """In the middle of a registration, which waits there until the picture is taken."""
    taken, register = threading.Event(), registration_nodes.register

    def waiting(pairs: Any, settings: Any, initials: Any, progress: Callable[[str, float], None], cancelled: Callable[[], bool]) -> Any:
        def noted(stage: str, fraction: float) -> None:
            progress(stage, fraction)
            if "unexplained" in stage:
                taken.wait(_LONGEST)

        return register(pairs, settings, initials, noted, cancelled)

    with patch.object(registration_nodes, "register", waiting):
        window.choose(*make_sample(window.slicer.mrmlScene))
        window.module.ui.fadeButton.click()
        window.module.ui.applyButton.click()
        window.serve(lambda: "unexplained" in window.module.ui.statusLabel.text or not window.module.panel.watch.isRunning)
        yield
        taken.set()
        if window.module.panel.watch.isRunning:
            window.module.ui.applyButton.click()


@contextmanager
def done(window: Any) -> Iterator[None]:
    """A result that is likely right, seen as a checkerboard."""
    window.choose(*make_sample(window.slicer.mrmlScene))
    window.module.ui.applyButton.click()
    window.finish()
    window.module.ui.checkerboardButton.click()
    yield


@contextmanager
def difference(window: Any) -> Iterator[None]:
    """The same result as a difference in color."""
    with done(window):
        window.module.ui.differenceButton.click()
        yield


@contextmanager
def ambiguous(window: Any) -> Iterator[None]:
    """Slices of an object that looks the same after half a turn."""
    row, column = np.mgrid[-48:48, -48:48]
    nodes = []
    for name, degrees in (("Ellipse", 0.0), ("Turned ellipse", 50.0)):
        turn = np.radians(degrees)
        along, across = np.cos(turn) * column + np.sin(turn) * row, np.cos(turn) * row - np.sin(turn) * column
        values = 100 * np.clip(6 * (1.2 - np.hypot(along / 36, across / 20)), 0, 1)
        node = window.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        window.slicer.util.updateVolumeFromArray(node, values[np.newaxis].astype(np.float32))
        node.SetOrigin(48, 48, 0)
        node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
        node.CreateDefaultDisplayNodes()
        nodes.append(node)
    window.choose(*nodes)
    window.module.ui.applyButton.click()
    window.finish()
    window.module.ui.fadeButton.click()
    yield


@contextmanager
def error(window: Any) -> Iterator[None]:
    """Voxels that are no numbers, which only Apply sees."""
    fixed, moving = make_sample(window.slicer.mrmlScene)
    window.slicer.util.updateVolumeFromArray(moving, np.full((8, 8, 8), np.nan, dtype=np.float32))
    window.choose(fixed, moving)
    window.module.ui.applyButton.click()
    window.finish()
    yield


@contextmanager
def refused(window: Any) -> Iterator[None]:
    """One volume for both."""
    fixed, _moving = make_sample(window.slicer.mrmlScene)
    window.choose(fixed, fixed)
    yield


@contextmanager
def no_torch(window: Any) -> Iterator[None]:
    """PyTorch is not installed."""
    window.choose(*make_sample(window.slicer.mrmlScene))
    torch = sys.modules.get("torch")
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        window.module.panel.update()
        yield
    finally:
        if torch is None:
            del sys.modules["torch"]
        else:
            sys.modules["torch"] = torch
        window.module.panel.update()


@contextmanager
def options(window: Any) -> Iterator[None]:
    """Everything that is folded away, unfolded."""
    window.choose(*make_sample(window.slicer.mrmlScene))
    ui = window.module.ui
    groups = (ui.optionsCollapsibleButton, ui.advancedCollapsibleButton)
    for group in groups:
        group.setProperty("collapsed", False)
    ui.deviceButton.click()
    window.module.logic.getParameterNode().model = "general-2d"
    yield
    for group in groups:
        group.setProperty("collapsed", True)


STATES: dict[str, Callable[[Any], AbstractContextManager[None]]] = {
    state.__name__.replace("_", "-"): state for state in (no_torch, ready, running, done, difference, ambiguous, error, refused, options)
}
