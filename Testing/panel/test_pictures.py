"""``run.py panel``: a picture of every state, made by the program that opens the panel for a human."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "Testing" / "Demo" / "panel.py"
STATES = {"no-torch", "ready", "running", "done", "difference", "ambiguous", "error", "refused", "options"}

if "host" not in sys.modules:
    pytest.skip("Slicer itself shows the panel", allow_module_level=True)


def start(*words, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    roots = os.pathsep.join(str(ROOT / folder) for folder in ("MetaAffineReg", "MetaAffineRegTraining"))
    return subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, words)], env={**kept, "PYTHONPATH": roots, **environment}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Size and pixels of each picture, read by Qt."""
    from PySide6.QtGui import QImage

    folder = tmp_path_factory.mktemp("pictures")
    ran = start("--pictures", folder)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return {path.stem: QImage(str(path)) for path in folder.glob("*.png")}


def panel_half(image):
    """The pixels of the panel, without the slice views beside it."""
    return image.copy(0, 0, 480, image.height())


def test_there_is_a_picture_of_every_state(pictures):
    assert set(pictures) == STATES


def test_no_two_states_look_alike(pictures):
    halves = [panel_half(image) for image in pictures.values()]
    assert all(one != other for index, one in enumerate(halves) for other in halves[:index])


@pytest.mark.parametrize(
    ("state", "ground"),
    [("running", "#1f5fa8"), ("done", "#1b7f3b"), ("ambiguous", "#a85c00"), ("error", "#b3261e"), ("no-torch", "#a85c00"), ("ready", None)],
)
def test_state_is_seen_by_its_color(pictures, state, ground):
    from MetaAffineRegWidgets.status import _GROUND

    image = pictures[state]
    colors = [image.pixelColor(x, y).name() for x in range(40, 460, 7) for y in range(0, image.height(), 5)]
    grounds = {color: colors.count(color) for color in set(_GROUND.values()) - {""} if colors.count(color) > 40}
    assert set(grounds) == ({ground} if ground else set())


def test_slice_views_show_the_volumes(pictures):
    """Bright and dark pixels where the views are."""
    image = pictures["done"]
    shades = [image.pixelColor(x, y).lightness() for x in range(500, image.width() - 20, 5) for y in range(20, image.height() - 20, 5)]
    assert 0.1 < sum(shade > 60 for shade in shades) / len(shades) < 0.9


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_without_a_screen_it_says_so():
    ran = start()
    assert ran.returncode == 2
    assert ran.stderr.strip() == "error: There is no screen; start it on a desktop, or write pictures with --pictures FOLDER."
