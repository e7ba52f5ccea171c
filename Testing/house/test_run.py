"""``run.py``: words, exit codes and an environment that is made once, without making one here."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run.py as a module, in a folder of its own with small lock files; what it would start is kept in ``run.started``."""
    spec = importlib.util.spec_from_file_location("run_under_test", ROOT / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    locks = {tmp_path / "a.lock": [], tmp_path / "b.lock": ["--no-deps"]}
    for lock in locks:
        lock.write_text("numpy==1.0\n")
    venv = tmp_path / ".venv"
    for name, value in {"VENV": venv, "PYTHON": venv / "python", "STAMP": venv / "stamp", "LOCKS": locks}.items():
        monkeypatch.setattr(module, name, value)
    module.started = []
    processes = SimpleNamespace(run=lambda command, **_: started(module, command), CalledProcessError=subprocess.CalledProcessError)
    monkeypatch.setattr(module, "subprocess", processes)
    monkeypatch.setattr(module, "pass_on", lambda command: module.started.append(command) or 7)
    return module


def started(module, command):
    """Stands in for a process that succeeds: ``-m venv`` empties the folder and puts a Python there."""
    module.started.append(command)
    if "venv" in command:
        module.VENV.mkdir(exist_ok=True)
        module.STAMP.unlink(missing_ok=True)
        module.PYTHON.touch()


def test_environment_is_made_once(run):
    run.set_up()
    assert [("venv" in command, "--no-deps" in command) for command in run.started] == [(True, False), (False, False), (False, True)]
    run.started.clear()
    run.set_up()
    assert run.started == []


def test_changed_lock_makes_the_environment_anew(run):
    run.set_up()
    run.started.clear()
    next(iter(run.LOCKS)).write_text("numpy==2.0\n")
    run.set_up()
    assert len(run.started) == 3


def test_set_up_that_failed_or_was_interrupted_is_done_again(run, monkeypatch, capsys):
    def fail(command, **_):
        started(run, command)
        if "--no-deps" in command:
            raise subprocess.CalledProcessError(1, command)

    working = run.subprocess.run
    monkeypatch.setattr(run.subprocess, "run", fail)
    assert run.main(["register", "a"]) == 1
    assert "start again" in capsys.readouterr().err
    assert not run.STAMP.exists()
    monkeypatch.setattr(run.subprocess, "run", working)
    assert run.main(["register", "a"]) == 7
    assert run.STAMP.exists()


def test_environment_whose_python_is_gone_is_made_anew(run):
    run.set_up()
    run.PYTHON.unlink()
    run.started.clear()
    run.set_up()
    assert len(run.started) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_environment_behind_a_link_is_used_but_never_cleared(run, tmp_path, capsys):
    run.set_up()
    run.VENV.rename(tmp_path / "elsewhere")
    run.VENV.symlink_to(tmp_path / "elsewhere")
    assert run.main(["demo"]) == 7
    run.started.clear()
    next(iter(run.LOCKS)).write_text("numpy==2.0\n")
    assert run.main(["demo"]) == 2
    said = capsys.readouterr().err
    assert "is a symbolic link" in said and "remove the link" in said and said.splitlines()[-1].endswith(".")
    assert run.started == [] and (tmp_path / "elsewhere" / "stamp").is_file()


def test_words_and_exit_code_are_passed_on(run):
    assert run.main(["register", "fixed.png", "--method", "plain"]) == 7
    assert run.started[-1] == [str(run.PYTHON), "-m", "MetaAffineRegCLI.register", "fixed.png", "--method", "plain"]


def test_rings_become_folders_and_other_words_stay(run, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run.main(["test", "core", "-k", "lbfgs", "mrml"]) == 7
    assert run.started[-1][1:] == ["-m", "pytest", "-k", "lbfgs", "Testing/core", "Testing/mrml"]
    assert all((ROOT / "Testing" / ring).is_dir() for ring in run.RINGS)


@pytest.mark.parametrize("words", [[], ["bogus"], ["tests"]])
def test_unknown_word_shows_the_usage(run, capsys, words):
    assert run.main(words) == 2
    assert capsys.readouterr().err.startswith("usage: ")
    assert run.started == []


@pytest.mark.parametrize("version", ["3.10.4", "3.14.0"])
def test_python_without_a_lock_is_refused_in_one_sentence(run, monkeypatch, capsys, version):
    numbers = tuple(map(int, version.split(".")))
    monkeypatch.setattr(run, "sys", SimpleNamespace(version_info=numbers, version=f"{version} (main)", stderr=sys.stderr))
    assert run.main(["demo"]) == 2
    assert capsys.readouterr().err == f"MetaAffineReg needs Python 3.11, 3.12 or 3.13; this is {version}.\n"
    assert run.started == []


@pytest.mark.skipif(sys.platform == "win32", reason="there the process waits instead of being replaced")
def test_command_takes_the_place_of_the_process(tmp_path):
    """Its exit code comes out and both import roots are on its path."""
    code = "import MetaAffineRegLib, MetaAffineRegTrainingLib, sys; sys.exit(5)"
    outer = f"import run, sys; run.pass_on([sys.executable, '-c', {code!r}])"
    assert subprocess.run([sys.executable, "-c", outer], cwd=ROOT, check=False).returncode == 5
