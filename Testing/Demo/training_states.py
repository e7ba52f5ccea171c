"""Pictures of the training panel in its states, each brought about as a user would; all images are made by code.

``python Testing/Demo/training_states.py FOLDER``
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
COUNT, SIDE = 12, 96


def made_slices(scene: Any) -> None:
    """Slices of a phantom, each with other shapes."""
    from MetaAffineRegLib.geometry import ImageGeometry
    from MetaAffineRegMRML.volume_nodes import add_volume_node

    row, column = np.mgrid[-1 : 1 : 1j * SIDE, -1 : 1 : 1j * SIDE]
    for number in range(COUNT):
        random = np.random.default_rng(number)
        outline = np.hypot(row / 0.75, column / 0.6)
        array = 60 * np.clip(12 * (1 - outline), 0, 1)
        for _part in range(9):
            place, size = random.uniform(-0.4, 0.4, 2), random.uniform(0.06, 0.22)
            array += random.uniform(-45, 90) * np.exp(-((row - place[0]) ** 2 + (column - place[1]) ** 2) / size**2) * (outline < 1)
        add_volume_node(
            scene, f"Phantom {number + 1}", array[None].astype(np.float32), ImageGeometry((SIDE, SIDE, 1), np.diag([2, 2, 1, 1]))
        )


class Window:
    """The training module in the test host, with a plot view beside it."""

    def __init__(self) -> None:
        import slicer
        from PySide6 import QtWidgets

        import host
        from host.plot_view import PlotView

        host.install()
        for name in ("MetaAffineReg", "MetaAffineRegTraining"):
            module = host.load_module(ROOT / name / f"{name}.py")
        self.slicer, self._module = slicer, module
        self.representation = module.widgetRepresentation()
        self.representation.enter()
        self.widget = slicer.modules.MetaAffineRegTrainingWidget
        self.window = QtWidgets.QWidget()
        layout = QtWidgets.QHBoxLayout(self.window)
        self.scroll = QtWidgets.QScrollArea()
        self.scroll.setWidget(self.representation)
        self.scroll.setWidgetResizable(True)
        self.scroll.setFixedWidth(560)
        layout.addWidget(self.scroll)
        views = QtWidgets.QVBoxLayout()
        self.plots = {name: PlotView() for name in ("error", "success", "loss")}
        for plot in self.plots.values():
            views.addWidget(plot)
        views.addStretch()
        layout.addLayout(views)
        self.window.resize(560 + 460, 1180)
        self.window.show()

    def serve(self, until: Callable[[], bool]) -> None:
        while not until():
            self.slicer.app.processEvents()
            time.sleep(0.005)

    def picture(self, path: Path) -> None:
        end = time.monotonic() + 0.3
        self.serve(lambda: time.monotonic() > end)
        for name, plot in self.plots.items():
            plot.chart = self.widget.panel.curves.chart(name)
            plot.draw()
        self.window.grab().save(str(path))

    def fold(self, *names: str) -> None:
        """Fold these groups away and no others."""
        for name in ("volumes", "pairs", "training"):
            getattr(self.widget.ui, f"{name}CollapsibleButton").setProperty("collapsed", name in names)


def pictures(folder: Path) -> None:
    """Ready, running, resumed after a crash, done."""
    window = Window()
    ui, panel, logic = window.widget.ui, window.widget.panel, window.widget.logic
    begin = logic.begin
    # A length in steps, so that the pictures look alike on fast and on slow machines.
    logic.begin = lambda nodes, settings: begin(nodes, {**settings.to_dict(), "steps": 1200, "batch": 32, "validation_pairs": 32})
    made_slices(window.slicer.mrmlScene)
    ui.checkAllButton.click()
    ui.nameLineEdit.setText("phantoms")
    ui.startComboBox.setCurrentIndex(1)
    ui.minutesSpinBox.setValue(3)
    window.picture(folder / "training-ready.png")
    ui.trainButton.click()
    window.fold("volumes", "pairs", "training")
    window.serve(lambda: ui.progressBar.value > 500 or not panel.run.isRunning)
    window.picture(folder / "training-running.png")
    panel.shutDown()
    panel.update()
    window.picture(folder / "training-interrupted.png")
    ui.resumeButton.click()
    window.serve(lambda: "Step" in ui.statusLabel.text or not panel.run.isRunning)
    window.picture(folder / "training-resumed.png")
    window.serve(lambda: not panel.run.isRunning)
    window.picture(folder / "training-done.png")
    window.window.close()
    window.representation.setParent(None)


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    for place in ("MetaAffineReg", "MetaAffineRegTraining", "Testing"):
        sys.path.insert(0, str(ROOT / place))
    with tempfile.TemporaryDirectory() as home:
        os.environ["METAAFFINEREG_HOME"] = home
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        pictures(Path(sys.argv[1]))
