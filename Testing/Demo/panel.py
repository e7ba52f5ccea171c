"""``run.py panel``: the panel beside three slice views, for a human to try without Slicer; or pictures of its states.

The panel, the scene and the slice computation are the real ones; the window around them is the test host.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from MetaAffineRegCLI.console import run_command
from MetaAffineRegLib.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SIDE = 250  # pixels of a slice view


def parser() -> argparse.ArgumentParser:
    """The options of ``panel``."""
    p = argparse.ArgumentParser(prog="run.py panel", description="Open the panel of the Slicer module on a screen, with sample volumes.")
    p.add_argument("volumes", nargs="*", type=Path, help="image files to load instead of the sample")
    p.add_argument("--pictures", type=Path, metavar="FOLDER", help="write a picture of the panel in each of its states instead")
    return p


class Window:
    """The module on an empty scene, in the test host, with the three slice views beside it."""

    def __init__(self) -> None:
        sys.path.insert(0, str(ROOT / "Testing"))
        import slicer
        from PySide6 import QtWidgets

        import host
        from host.slice_views import SliceView

        host.install()
        self.slicer, self._module = slicer, host.load_module(ROOT / "MetaAffineReg" / "MetaAffineReg.py")
        self.representation = self._module.widgetRepresentation()
        self.representation.enter()
        self.module = slicer.modules.MetaAffineRegWidget
        self.window = QtWidgets.QWidget()
        self.window.setWindowTitle("MetaAffineReg")
        self._scroll = QtWidgets.QScrollArea()
        self._scroll.setWidget(self.representation)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFixedWidth(470)
        layout = QtWidgets.QHBoxLayout(self.window)
        layout.addWidget(self._scroll)
        views = QtWidgets.QVBoxLayout()
        self.views = [SliceView(slicer.mrmlScene, name, SIDE) for name in ("Red", "Green", "Yellow")]
        for view in self.views:
            views.addWidget(view)
        views.addStretch()
        layout.addLayout(views)
        self.window.resize(470 + SIDE + 40, 3 * SIDE + 40)
        self.window.show()

    def serve(self, until: Callable[[], bool]) -> None:
        """Serve the event loop until something is true."""
        while not until():
            self.slicer.app.processEvents()
            time.sleep(0.001)

    def finish(self) -> None:
        """Serve the event loop until nothing runs."""
        self.serve(lambda: self.module.panel.watch.isIdle)

    def choose(self, fixed: Any, moving: Any) -> None:
        self.module.ui.fixedSelector.setCurrentNode(fixed)
        self.module.ui.movingSelector.setCurrentNode(moving)

    def picture(self, path: Path) -> None:
        """Write the window as it is now."""
        end = time.monotonic() + 0.3
        self.serve(lambda: time.monotonic() > end)
        for view in self.views:
            view.draw()
        self.window.grab().save(str(path))

    def close(self) -> None:
        self.window.close()
        self.representation.setParent(None)
        self._module.close()


def panel(arguments: argparse.Namespace) -> int:
    """Open the window and wait until it is closed; or write the pictures."""
    if arguments.pictures:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    elif sys.platform == "linux" and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise InputError("There is no screen; start it on a desktop, or write pictures with --pictures FOLDER.")
    from MetaAffineRegMRML.sample_volumes import make_sample

    window = Window()
    try:
        if arguments.pictures:
            from panel_states import STATES

            arguments.pictures.mkdir(parents=True, exist_ok=True)
            for name, state in STATES.items():
                window.slicer.mrmlScene.Clear()
                with state(window):
                    window.picture(arguments.pictures / f"{name}.png")
                window.finish()
            return 0
        nodes = [_load(window.slicer.mrmlScene, path) for path in arguments.volumes] or make_sample(window.slicer.mrmlScene)
        if len(nodes) > 1:
            window.choose(*nodes[:2])
        return int(window.slicer.app.exec())
    finally:
        window.close()


def _load(scene: Any, path: Path) -> Any:
    """A file as a volume node; raises InputError as the commands do."""
    from demo import volume_node
    from SimpleITK import ReadImage, sitkFloat32

    from MetaAffineRegCLI.image_files import read_image

    read_image(path)  # says what is wrong with a file
    return volume_node(scene, path.name.split(".")[0], ReadImage(str(path), sitkFloat32))


if __name__ == "__main__":
    sys.exit(run_command(parser(), panel, None))
