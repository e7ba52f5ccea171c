"""The demo: what it leaves, what it prints last, and that its exit code tells a bad result."""

import importlib.util
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import slicer

pytestmark = pytest.mark.skipif(hasattr(slicer, "app"), reason="the demo is started by run.py, outside Slicer, with packages of its own")
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "Testing" / "Demo" / "demo.py"


@pytest.fixture
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(demo, *words):
    return demo.run_command(demo.parser(), demo.demo, list(words))


def test_demo_finds_both_truths_within_a_tenth_of_a_sample_and_says_that_it_is_sure(tmp_path):
    folder = tmp_path / "new" / "demo"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "MetaAffineReg")}
    command = [sys.executable, str(DEMO), "--output-dir", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    errors = re.findall(r"^Error of the (\w+) against the truth: ([0-9.]+) samples", done.stdout, re.MULTILINE)
    assert [name for name, _ in errors] == ["slice", "volume"] and max(float(error) for _, error in errors) < 0.1
    assert len(re.findall(r"^What the registration says of itself: ok, 9\d % likely to be right$", done.stdout, re.MULTILINE)) == 2
    for name in ("slice", "volume"):
        assert sorted(path.name for path in (folder / name).iterdir()) == ["demo.png", "fixed.nrrd", "moving-to-fixed.tfm", "moving.nrrd"]


@pytest.fixture
def small(demo, monkeypatch):
    """The demo with the slice alone."""
    cases = demo.cases()[:1]
    monkeypatch.setattr(demo, "cases", lambda: cases)
    return demo


def test_error_above_the_limit_is_exit_code_1(small, tmp_path, monkeypatch):
    monkeypatch.setattr(small, "LARGEST_ERROR", 0.001)
    assert run(small, "--output-dir", str(tmp_path)) == 1


def test_volume_is_turned_about_the_truth_and_has_other_voxels(demo):
    """A point of the head shines in the moving volume where the truth puts it."""
    case = demo.cases()[1]
    moving = demo.moved(case)
    assert moving.GetSpacing() != case.clean.GetSpacing()
    index = (40, 60, 50)
    point = case.clean.TransformIndexToPhysicalPoint(index)
    there = (case.truth @ [*point, 1])[:3]
    assert moving.EvaluateAtPhysicalPoint(there.tolist()) == pytest.approx(case.clean[index], rel=0.05)
    turn = case.truth[:3, :3] / 0.95
    assert (turn.trace() - 1) / 2 == pytest.approx(math.cos(math.radians(130)))


def test_missing_head_image_is_one_sentence(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert run(demo, "--output-dir", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith("error: The package nilearn")
    assert not list(tmp_path.iterdir())


def test_folder_that_can_not_be_made_is_one_sentence(demo, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(demo, "--output-dir", str(tmp_path / "file" / "demo")) == 2
    assert "choose another --output-dir" in capsys.readouterr().err
