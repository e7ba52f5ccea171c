"""The panel driven as a user does: choose, press, wait, read."""

import dataclasses
import re
import threading
import time

import numpy as np
import slicer

from MetaAffineRegLib.errors import Cancelled


def choose(panel, fixed, moving, output=None):
    panel.ui.fixedSelector.setCurrentNode(fixed)
    panel.ui.movingSelector.setCurrentNode(moving)
    panel.ui.outputSelector.setCurrentNode(output)


def tip(widget):
    """The tool tip as it was set: the application makes a paragraph of it, so that it wraps."""
    return re.sub("^<p>|</p>$", "", widget.toolTip)


def hint(size):
    """A size hint of a widget: a property in the application, a method where Qt lets Python override it."""
    return size() if callable(size) else size


def transforms():
    """How many transforms a user sees: the application keeps a hidden one for each slice view."""
    scene = slicer.mrmlScene
    nodes = (
        scene.GetNthNodeByClass(index, "vtkMRMLTransformNode") for index in range(scene.GetNumberOfNodesByClass("vtkMRMLTransformNode"))
    )
    return sum(not node.GetHideFromEditors() for node in nodes)


def serve(until, seconds=600.0):
    """Serve the event loop until something is true."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not happen"
        slicer.app.processEvents()


def finish(panel):
    """Wait for the end of what runs, threads of cancelled runs included."""
    serve(lambda: panel.panel.watch.isIdle)


def apply(panel):
    """Press Apply and wait."""
    panel.ui.applyButton.click()
    finish(panel)


def doubt(monkeypatch, panel, status, probability=0.4):
    """Have registrations end with a status, and with a runner-up that is turned by half a turn."""
    from MetaAffineRegLib.registration import Confidence
    from MetaAffineRegMRML import registration_nodes

    register = registration_nodes.register

    def doubtful(*args, **options):
        half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])
        (result,) = register(*args, **options)
        confidence = Confidence(status, probability, 0.9, 0.01, 0.5, result.fixed_to_moving_lps @ half_turn)
        return [dataclasses.replace(result, confidence=confidence)]

    monkeypatch.setattr(registration_nodes, "register", doubtful)


class Held:
    """A registration that stays in its middle until ``release``, whatever the speed of the machine."""

    def __init__(self, registration):
        self._registration, self._gate = registration, threading.Event()

    def __getattr__(self, name):
        return getattr(self._registration, name)

    def release(self):
        self._gate.set()

    def compute(self, progress, cancelled):
        progress("standing in the middle (12.3 % unexplained)", 0.5)
        while not self._gate.wait(0.001):
            if cancelled():
                raise Cancelled
        return self._registration.compute(progress, cancelled)


def press_and_hold(panel, monkeypatch):
    """Press Apply; returns the registration, which stands in its middle."""
    make, held = panel.logic.registration, []
    monkeypatch.setattr(panel.logic, "registration", lambda *args, **settings: held.append(Held(make(*args, **settings))) or held[0])
    panel.ui.applyButton.click()
    monkeypatch.undo()
    serve(lambda: "middle" in panel.ui.statusLabel.text)
    return held[0]
