"""``benchmark rivals``: what it keeps, what it computes again, what it counts and what it refuses, without the rivals' environment.

Two tools of this file stand in for the rivals and run in the environment of the tests; this extension's method runs in earnest.
"""

import argparse
import ast
import json
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.made_files import write_task
from core.made_images import lattice
from MetaAffineRegCLI.console import run_command

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import rivals
from poses import any_rotation
from scoring import read_pairs

ROOM = rivals.ROOM
GEOMETRY = lattice((40, 40, 1), (3.0, 3.0, 3.0))
TURNS = (5, -5, 3, 8)
# Tells every call in calls.txt beside the fixed image; pair 1 fails, pair 2 has no finite transform, one more takes the process down.
STAND_IN = """
import numpy as np
import ctypes

def register(fixed, moving, settings):
    with (fixed.parent / "calls.txt").open("a") as f:
        f.write(moving.stem + " ")
    if moving.stem == settings.get("crash"):
        ctypes.string_at(0)
    if moving.stem == "1":
        raise RuntimeError("ITK says no\\nall samples map outside")
    return np.full((4, 4), np.nan) if moving.stem == "2" else np.diag([2.0, 1.0, 1.0, 1.0])
"""


@pytest.fixture
def data(tmp_path):
    """A task ``mri`` of four pairs."""
    write_task(tmp_path / "data" / "mri", GEOMETRY, TURNS, (1, -1, 0))
    return tmp_path / "data"


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder of tools with the worker and one tool, ``stand_in``, that runs in the environment of the tests."""
    folder = tmp_path / "room"
    (folder / "settings" / "2d").mkdir(parents=True)
    (folder / "worker.py").write_text((rivals.ROOM / "worker.py").read_text())
    (folder / "stand_in.py").write_text(STAND_IN)
    (folder / "rotations.py").write_text((rivals.ROOM / "rotations.py").read_text())
    (folder / "settings" / "2d" / "stand_in.toml").write_text("")
    monkeypatch.setattr(rivals, "ROOM", folder)
    monkeypatch.setattr(rivals, "PYTHON", Path(sys.executable))
    return folder


def job(data, tmp_path, first=None):
    folder = data / "mri"
    return rivals.Job("stand_in", folder, first, tmp_path / "out" / "stand_in.jsonl", 1, rivals.key_of("stand_in", folder, 1))


def calls(data):
    path = data / "mri" / "calls.txt"
    return path.read_text().split() if path.exists() else []


def command(data, tmp_path, *words):
    """Exit code and lines of the benchmark."""
    parser = argparse.ArgumentParser()
    rivals.add_arguments(parser)
    lines = []

    def benchmark(arguments):
        lines.extend(rivals.run(arguments))
        return 0

    words = ["--data", data, "--output-dir", tmp_path / "out", *words]
    return run_command(parser, benchmark, list(map(str, words))), lines


def test_every_tool_has_its_program_and_its_settings():
    kinds = {"2d", "2d-contrast", "3d", "3d-contrast"}
    assert {path.name for path in (rivals.ROOM / "settings").iterdir()} == kinds
    for kind in kinds:
        found = {path.stem: tomllib.loads(path.read_text()) for path in (rivals.ROOM / "settings" / kind).glob("*.toml")}
        assert all(found.values()) and found.keys() <= rivals.PROGRAMS.keys()
        assert "contrast" in kind or len(found) == len(rivals.PROGRAMS)
    for tool in {*rivals.PROGRAMS.values(), *rivals.OURS}:
        tree = ast.parse((rivals.ROOM / f"{tool}.py").read_text())
        functions = {node.name: [arg.arg for arg in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert functions.get("register") == ["fixed", "moving", "settings"] or functions.get("register_batch") == ["files", "settings"]


def test_no_file_of_the_folder_hides_a_package_that_a_tool_imports():
    names = {path.stem for path in rivals.ROOM.iterdir()}
    trees = [ast.parse(path.read_text()) for path in rivals.ROOM.glob("*.py")]
    imported = {
        alias.name.split(".")[0] for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert {"itk", "SimpleITK", "ants", "picsl_greedy"} <= imported
    assert not names & imported


def test_requirements_pin_one_version_of_everything():
    lines = rivals.REQUIREMENTS.read_text().splitlines()
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9.]+", line)]
    assert {"itk-elastix", "simpleitk", "antspyx", "picsl_greedy"} <= {line.split("==")[0].lower() for line in lines}


def test_failed_pair_has_a_line_and_does_not_stop_the_run(data, room, tmp_path):
    found = rivals.results_of(job(data, tmp_path))
    assert [line["status"] for line in found.values()] == ["ok", "failed", "failed", "ok"]
    assert found["1"]["message"] == "all samples map outside" and "not finite" in found["2"]["message"]
    np.testing.assert_array_equal(np.reshape(found["1"]["matrix"], (4, 4)), np.eye(4))
    assert found["3"]["matrix"][0] == 2 and found["3"]["seconds"] >= 0
    assert calls(data) == ["0", "0", "1", "2", "3"]  # the first pair warms up


def test_second_run_computes_what_is_missing_and_first_takes_the_first(data, room, tmp_path):
    assert list(rivals.results_of(job(data, tmp_path, first=2))) == ["0", "1"]
    before = calls(data)
    rivals.results_of(job(data, tmp_path, first=2))
    assert calls(data) == before
    assert list(rivals.results_of(job(data, tmp_path))) == ["0", "1", "2", "3"]
    assert calls(data)[len(before) :] == ["2", "2", "3"]


def test_line_that_was_cut_off_is_computed_again(data, room, tmp_path):
    rivals.results_of(job(data, tmp_path))
    path, before = job(data, tmp_path).results, calls(data)
    path.write_text(path.read_text()[:-40])
    assert list(rivals.results_of(job(data, tmp_path))) == ["0", "1", "2", "3"]
    assert calls(data)[len(before) :] == ["3", "3"]
    assert json.loads(path.read_text().splitlines()[-1])["id"] == "3"


@pytest.mark.parametrize("name", ["settings/2d/stand_in.toml", "stand_in.py", "rotations.py"])
def test_results_of_other_settings_or_another_program_are_not_used(data, room, tmp_path, name):
    rivals.results_of(job(data, tmp_path))
    before = len(calls(data))
    (room / name).write_text((room / name).read_text() + "\n# changed\n")
    rivals.results_of(job(data, tmp_path))
    assert len(calls(data)) == 2 * before


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="a crash is told by the signal")
def test_pair_that_takes_the_process_down_fails_and_the_next_is_done(data, room, tmp_path):
    (room / "settings" / "2d" / "stand_in.toml").write_text('crash = "2"\n')
    found = rivals.results_of(job(data, tmp_path))
    assert [line["status"] for line in found.values()] == ["ok", "failed", "failed", "ok"]
    assert "crashed" in found["2"]["message"]


def test_tool_that_can_not_be_imported_is_told_in_one_sentence(data, room, tmp_path, capsys):
    (room / "stand_in.py").write_text("import no_such_package")
    with pytest.raises(rivals.InputError, match="no_such_package"):
        rivals.results_of(job(data, tmp_path))


def test_ours_is_run_in_earnest_and_counted_beside_a_rival(data, room, tmp_path, monkeypatch, capsys):
    for tool in rivals.OURS:
        (room / f"{tool}.py").write_text((ROOM / f"{tool}.py").read_text())
    monkeypatch.setattr(rivals, "PROGRAMS", {"stand_in": "stand_in"})
    monkeypatch.setattr(rivals, "set_up", lambda: None)
    code, lines = command(data, tmp_path, "--tasks", "mri", "--tools", "stand_in", "--first", 2, "--threads", 1)
    assert code == 0, capsys.readouterr().err
    rows = {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:2] == "| ")}
    alone, batch = rows["MetaAffineReg, pair by pair"], rows["MetaAffineReg, one batch"]
    assert (alone[0], batch[0]) == ("2", "4") and batch[1] == "100.0 % (51.0 .. 100.0)"
    assert alone[7] == "1" and batch[8] == "1" and alone[10] == "0" and float(alone[6]) > 0
    assert rows["MetaAffineReg, one batch, the first 2 of it"][0] == "2"
    assert rows["stand_in"][:3] == ["2", "0.0 % (0.0 .. 65.8)", "50.0 %"] and rows["stand_in"][10] == "1"  # the identity is right to 3 px


def test_settings_are_those_of_the_dimension_and_of_the_contrast(data, room, tmp_path):
    cube = lattice((20, 22, 24), (3.0, 3.0, 3.0))
    for task, geometry in (("v-180", cube), ("v-contrast", cube), ("mri-contrast", GEOMETRY)):
        write_task(data / task, geometry, TURNS[:1], (1, -1, 0))
    for kind in ("3d", "3d-contrast"):
        (room / "settings" / kind).mkdir()
        (room / "settings" / kind / "stand_in.toml").write_text("")
    kinds = {task: rivals.settings_of("stand_in", data / task).parent.name for task in ("mri", "mri-contrast", "v-180", "v-contrast")}
    assert kinds == {"mri": "2d", "mri-contrast": "2d", "v-180": "3d", "v-contrast": "3d-contrast"}


def test_fewer_pairs_are_the_default_in_space(data, tmp_path, monkeypatch, capsys):
    """And this extension's batch takes the same ones."""
    write_task(data / "v", lattice((20, 22, 24), (3.0, 3.0, 3.0)), TURNS, (1, -1, 0))
    monkeypatch.setattr(rivals, "FIRST", {2: 2, 3: 1})
    jobs = []

    def stand_in(job):
        jobs.append((job.folder.name, job.tool, job.first))
        pairs = read_pairs(job.folder, job.first)
        return {pair.id: {"seconds": 1.0, "peak_mib": 1.0, "status": "ok", "matrix": pair.truth.ravel().tolist()} for pair in pairs}

    monkeypatch.setattr(rivals, "results_of", stand_in)
    code, _ = command(data, tmp_path, "--tasks", "mri", "v", "--tools")
    assert code == 0, capsys.readouterr().err
    alone, batch = rivals.OURS
    assert jobs == [("mri", alone, 2), ("mri", batch, None), ("v", alone, 1), ("v", batch, 1)]


def _rotations():
    sys.path.insert(0, str(ROOM))
    try:
        import rotations
    finally:
        sys.path.remove(str(ROOM))
    return rotations.rotations


@pytest.mark.parametrize(("d", "count", "degrees"), [(2, 24, 7.6), (3, 60, 44.5), (3, 24, 62.8)])
def test_starts_are_rotations_that_lie_near_to_any(d, count, degrees):
    """No rotation is further than so many degrees from the nearest start."""
    starts = _rotations()(count, d)
    assert len(starts) == count
    np.testing.assert_allclose(starts @ starts.swapaxes(1, 2), np.tile(np.eye(d), (count, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(starts), 1)
    random = np.random.default_rng(0)
    some = np.array([any_rotation(random, d) for _ in range(2000)])
    cosines = (np.einsum("aij,bij->ab", some, starts) - (d - 2)) / 2
    assert np.degrees(np.arccos(np.clip(cosines.max(1), -1, 1))).max() < degrees


def test_table_scores_the_truth_as_right_and_tells_time_over_ours(data):
    pairs = read_pairs(data / "mri")
    lines = {pair.id: {"seconds": 0.5, "peak_mib": 100.0, "status": "ok", "matrix": pair.truth.ravel().tolist()} for pair in pairs}
    slow = {name: {**line, "seconds": 2.0, "peak_mib": None} for name, line in lines.items()}
    rows = rivals.table({**dict.fromkeys(rivals.OURS, lines), "slow": slow}, pairs, 100)
    assert len(rows) == 3 and rows[0].startswith(
        "| MetaAffineReg, one batch | 4 | 100.0 % (51.0 .. 100.0) | 100.0 % | 0 | 0 | 0 | 0.500 | 1 | 1 | 100 |"
    )
    assert rows[2].endswith("| 2.000 | 4 | 4 | - | 0 |")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tasks", "mri", "brain"], "pairs.csv does not exist"),
        (["--tasks", "mri", "--first", "0"], "--first 0"),
        (["--tasks", "mri", "--ours-first", "-1"], "--ours-first -1"),
        (["--tasks", "mri", "--threads", "0"], "--threads 0"),
    ],
)
def test_unusable_words_are_refused_before_anything_is_computed(data, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.setattr(rivals, "set_up", lambda: pytest.fail("nothing may be installed"))
    assert command(data, tmp_path, *words) == (2, [])
    said = capsys.readouterr().err
    assert said.startswith("error: ") and says in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_environment_is_made_once_and_anew_for_other_versions(tmp_path, monkeypatch):
    started = []

    def start(words, **options):
        started.append(words)
        (tmp_path / "venv").mkdir(exist_ok=True)
        (tmp_path / "venv" / "python").touch()

    (tmp_path / "requirements.txt").write_text("a==1\n")
    names = {"VENV": "venv", "PYTHON": "venv/python", "STAMP": "venv/stamp", "REQUIREMENTS": "requirements.txt"}
    for name, place in names.items():
        monkeypatch.setattr(rivals, name, tmp_path / place)
    monkeypatch.setattr(rivals, "subprocess", SimpleNamespace(run=start, CalledProcessError=subprocess.CalledProcessError))
    rivals.set_up()
    rivals.set_up()
    assert len(started) == 2 and "venv" in started[0] and "install" in started[1]
    (tmp_path / "requirements.txt").write_text("a==2\n")
    rivals.set_up()
    assert len(started) == 4
