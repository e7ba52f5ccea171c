"""``benchmark panel``: whether the panel stays live while a volume is registered, and how soon Cancel takes effect.

The panel runs in the test host; started in Slicer (Slicer --python-script Testing/Benchmarks/panel_latency.py) it is measured there.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BEAT_MILLISECONDS = 1


def add_arguments(p: argparse.ArgumentParser) -> None:
    """The options of ``benchmark panel``."""
    p.add_argument("--runs", type=int, default=10, help="registrations that are left alone, and as many that are cancelled (default: 10)")


class Heart:
    """A timer of the event loop that notes the times at which it was served."""

    def __init__(self, qt: Any):
        self.beats: list[float] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(BEAT_MILLISECONDS)
        self._timer.timeout.connect(lambda *_args: self.beats.append(time.perf_counter()))
        self._timer.start()

    def gaps(self, begin: float, end: float) -> np.ndarray:
        """Milliseconds between the times at which the loop was served, from begin to end (seconds)."""
        inside = [beat for beat in self.beats if begin <= beat <= end]
        return 1000 * np.diff([begin, *inside, end])


def open_panel() -> tuple[Any, Any, Any]:
    """qt, the widget of the module, and what serves the event loop; in Slicer or in the test host."""
    import slicer

    if not hasattr(slicer, "app"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        sys.path.insert(0, str(ROOT / "Testing"))
        import host

        host.install()
        host.load_module(ROOT / "MetaAffineReg" / "MetaAffineReg.py")
    import qt
    import slicer.util

    slicer.util.getModule("MetaAffineReg").widgetRepresentation().enter()
    return qt, slicer.util.getModuleWidget("MetaAffineReg"), slicer.app.processEvents


def measure(runs: int) -> dict[str, np.ndarray]:
    """Milliseconds: the longest gaps of the event loop of each run, their seconds, and what Cancel takes."""
    import slicer

    qt, module, serve = open_panel()
    from MetaAffineRegMRML.sample_volumes import make_sample

    slicer.mrmlScene.Clear()
    fixed, moving = make_sample(slicer.mrmlScene)
    module.ui.fixedSelector.setCurrentNode(fixed)
    module.ui.movingSelector.setCurrentNode(moving)
    heart, watch, button = Heart(qt), module.panel.watch, module.ui.applyButton

    def until(condition: Callable[[], bool]) -> float:
        while not condition():
            serve()
        return time.perf_counter()

    button.click()  # imports torch and compiles or loads the kernels, once in the life of the application
    until(lambda: watch.isIdle)
    alone, seconds, pressed, scene, thread, cancelled_gaps = [], [], [], [], [], []
    for _ in range(runs):
        began = time.perf_counter()
        button.click()
        pressed.append(1000 * (time.perf_counter() - began))
        ended = until(lambda: watch.isIdle)
        alone.append(heart.gaps(began, ended).max())
        seconds.append(ended - began)
    for run in range(runs):
        until(lambda: watch.isIdle)
        button.click()
        began = time.perf_counter()
        wait = seconds[0] * (run + 0.5) / runs  # at another moment of the registration each time
        until(lambda begin=began, wait=wait: time.perf_counter() > begin + wait or not watch.isRunning)
        if not watch.isRunning:
            continue
        asked = time.perf_counter()
        button.click()
        scene.append(1000 * (time.perf_counter() - asked))
        ended = until(lambda: watch.isIdle)
        thread.append(1000 * (ended - asked))
        cancelled_gaps.append(heart.gaps(asked, ended).max())
    names = (
        "longest gap",
        "longest gap while a cancelled run ends",
        "Apply",
        "Cancel, until the panel is ready",
        "Cancel, until the thread ends",
    )
    numbers = (alone, cancelled_gaps, pressed, scene, thread)
    return {name: np.array(values) for name, values in zip(names, numbers, strict=True)} | {"seconds": np.array(seconds)}


def report(measured: dict[str, np.ndarray]) -> list[str]:
    """A table in Markdown."""
    took = measured.pop("seconds")
    rows = [f"| {name} | {np.median(values):.1f} | {values.max():.1f} |" for name, values in measured.items() if len(values)]
    return [
        f"Milliseconds; {len(took)} registrations of the sample volumes (96 x 108 x 96), {np.median(took):.2f} s each.",
        "",
        "| what | median | worst |",
        "|---|---|---|",
        *rows,
    ]


def run(arguments: argparse.Namespace) -> list[str]:
    """The section of the results."""
    from measuring import machine

    return [f"{machine('cpu')}.", "", *report(measure(arguments.runs))]


if __name__ == "__main__":  # in Slicer
    import slicer

    print("\n".join(report(measure(10))), flush=True)
    slicer.util.exit(0)
