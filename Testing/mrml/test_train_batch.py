"""``slicer-train``: files, folders and scenes in, a model out; Slicer's way to run it; bad words in a sentence."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer

from core.made_files import write
from core.made_volumes_to_train_on import FLAT, flat_volumes
from made_volumes import blobs, volume_node
from made_volumes import lattice as ras_lattice
from MetaAffineRegLib import checkpoint
from MetaAffineRegMRML.scene_files import write_scene

SCRIPT = Path(__file__).resolve().parents[2] / "MetaAffineRegTraining" / "Scripts" / "train_batch.py"
QUICK = ["--network", "one-level", "--steps", "2", "--batch", "4", "--validation-pairs", "4", "--device", "cpu"]


@pytest.fixture
def script(monkeypatch, tmp_path):
    """The script as in a process of its own; the models of the user are in a folder of the test."""
    monkeypatch.delattr(slicer, "mrmlScene", raising=False)
    monkeypatch.setenv("METAAFFINEREG_HOME", str(tmp_path / "home"))
    spec = importlib.util.spec_from_file_location("train_batch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """Three slices in a folder."""
    path = tmp_path / "images"
    path.mkdir()
    for image in flat_volumes(3):
        write(path / f"{image.name}.nrrd", image)
    return path


def run(script, *words):
    return script.exit_code([*map(str, words), *QUICK])


def test_a_folder_makes_a_model_and_says_how_good_it_is(script, folder, tmp_path, capsys):
    assert run(script, folder, "--output", tmp_path / "mine.pt") == 0
    said = capsys.readouterr().out
    assert "success and median mse4: plain" in said and "keep the default" in said.splitlines()[-1]
    card = checkpoint.load(tmp_path / "mine.pt").card
    assert "of 2 volumes, 1 more held out" in card["trained_on"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "mine.pt"]


def test_a_scene_gives_its_volumes_and_files_are_added(script, folder, tmp_path):
    scene = slicer.vtkMRMLScene()
    for number in range(2):
        volume_node(f"in scene {number}", FLAT.size, ras_lattice(FLAT.size, (2.5, 2.5, 1), center=(0, 0, 5 * number)), blobs, scene)
    write_scene(scene, tmp_path / "scene.mrb")
    assert run(script, tmp_path / "scene.mrb", folder / "flat 0.nrrd", "--output", tmp_path / "mine.pt", "--names-in-card") == 0
    trained_on = checkpoint.load(tmp_path / "mine.pt").card["trained_on"]
    assert "(in scene 0, in scene 1, flat 0.nrrd)" in trained_on


def test_without_an_output_the_model_is_one_of_the_users(script, folder, tmp_path):
    assert run(script, folder, "--name", "my knees") == 0
    assert checkpoint.load(tmp_path / "home" / "Models" / "my knees.pt").card["task"] == "my knees"
    assert run(script, folder, "--name", "my knees") == 2  # it is there already


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none.nrrd", "--output", "m.pt"], "none.nrrd does not exist; give an image file"),
        (["--output", "m.png"], "is not a name for a model; end it in .pt"),
        (["--output", "m.pt", "--resume"], "There is nothing to resume"),
        (["--output", "m.pt", "--rotation", "999"], "A rotation of 999 can't be used"),
        (["--output", "m.pt", "--kind", "blocks"], "is a single slice and has no blocks"),
        (["--output", "m.pt", "--start", "nobody"], "There is no model 'nobody'"),
    ],
)
def test_bad_words_are_refused_in_a_sentence_and_leave_no_file(script, folder, tmp_path, capsys, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(script, folder, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and sentence in said
    assert sorted(tmp_path.rglob("*")) == before


def test_script_runs_by_itself_with_the_words_behind_two_hyphens(folder, tmp_path):
    """As ``Slicer --python-script train_batch.py -- WORDS`` does, on slicer-core alone and with no path set."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(SCRIPT), "--", str(folder), "--output", str(tmp_path / "mine.pt"), *QUICK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert np.isfinite(checkpoint.load(tmp_path / "mine.pt").card["figures"]["learn"]["mse4"])
