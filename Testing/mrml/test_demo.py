"""The demo: what it leaves, what it prints last, and that its exit code tells a bad result."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_demo_finds_the_truth_within_a_tenth_of_a_pixel_and_says_that_it_is_sure(tmp_path):
    folder = tmp_path / "new" / "demo"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "MetaAffineReg")}
    command = [sys.executable, str(DEMO), "--output-dir", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert float(re.search(r"([0-9.]+) pixels", last).group(1)) < 0.1
    assert re.fullmatch(r"What the registration says of itself: ok, 9\d % likely to be right", done.stdout.splitlines()[-2])
    assert sorted(path.name for path in folder.iterdir()) == ["demo.png", "fixed.nrrd", "moving-to-fixed.tfm", "moving.nrrd"]


def test_error_above_the_limit_is_exit_code_1(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "LARGEST_ERROR", 0.001)
    assert run(demo, "--output-dir", str(tmp_path)) == 1


def test_missing_head_image_is_one_sentence(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert run(demo, "--output-dir", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith("error: The package nilearn")
    assert not list(tmp_path.iterdir())


def test_folder_that_can_not_be_made_is_one_sentence(demo, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(demo, "--output-dir", str(tmp_path / "file" / "demo")) == 2
    assert "choose another --output-dir" in capsys.readouterr().err
