"""Kernels are compiled in a process beside the panel, once, and not where that is of no use."""

import os
import subprocess
import sys
import time

import pytest
import slicer

from MetaAffineRegLib import kernel_cache, processes
from MetaAffineRegWidgets import compile_ahead, torch_offer


@pytest.fixture
def ahead(tmp_path, monkeypatch):
    """That of an application that is no test, whose cache is empty; starts are counted, and end at once."""
    monkeypatch.setattr(compile_ahead.slicer, "app", type("App", (), {"testingEnabled": staticmethod(lambda: False)}))
    monkeypatch.setattr(kernel_cache, "folder", lambda: tmp_path)
    monkeypatch.setattr(processes, "python", lambda: sys.executable)
    return compile_ahead.CompileAhead()


@pytest.fixture
def started(monkeypatch):
    """The commands of what is started, in whose place nothing is done, in a process."""
    found, popen = [], subprocess.Popen

    def start(command, **options):
        found.append(command)
        return popen([sys.executable, "-c", ""], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    return found


def test_it_is_started_once(ahead, started):
    ahead.start()
    ahead.start()
    ((_, *words),) = started
    assert words == ["-m", "MetaAffineRegLib.compile_all"]
    ahead.end()
    assert not ahead.isRunning


@pytest.mark.skipif(os.name != "posix", reason="the launcher is a shell script")
def test_it_ends_with_the_application_behind_a_launcher_too(ahead, tmp_path, monkeypatch):
    launcher, told = tmp_path / "PythonSlicer", tmp_path / "pid"
    launcher.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {told}.part\nmv {told}.part {told}\nwait\n")
    launcher.chmod(0o755)
    monkeypatch.setattr(processes, "python", lambda: str(launcher))
    ahead.start()
    assert ahead.isRunning
    while not told.exists():
        time.sleep(0.01)
    ahead.end()
    assert not ahead.isRunning
    for _ in range(500):
        if subprocess.run(["ps", "-o", "stat=", "-p", told.read_text().strip()], capture_output=True, check=False).stdout.strip()[:1] in (
            b"",
            b"Z",
        ):
            return
        time.sleep(0.01)
    pytest.fail("what the launcher started goes on")


@pytest.mark.parametrize("reason", ["all is there", "no torch", "no numba", "no Python", "a test"])
def test_it_is_not_started_where_it_is_of_no_use(ahead, started, monkeypatch, tmp_path, reason):
    if reason == "all is there":
        kernel_cache.note_complete(tmp_path)
    elif reason == "no torch":
        monkeypatch.setattr(torch_offer, "isInstalled", lambda: False)
    elif reason == "no numba":
        monkeypatch.setattr(kernel_cache, "folder", lambda: None)
    elif reason == "no Python":
        monkeypatch.setattr(processes, "python", lambda: None)
    else:
        monkeypatch.setattr(slicer.app, "testingEnabled", staticmethod(lambda: True))
    ahead.start()
    assert not started and not ahead.isRunning
    ahead.end()


def test_application_is_not_taken_for_python(monkeypatch):
    monkeypatch.setattr(processes.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", "/somewhere/SlicerApp-real")
    assert processes.python() is None
    monkeypatch.setattr(sys, "executable", "/somewhere/python3.12")
    assert processes.python() == "/somewhere/python3.12"


def test_what_can_not_be_started_is_done_without(ahead, monkeypatch):
    monkeypatch.setattr(processes, "python", lambda: "/no/such/file")
    ahead.start()
    assert not ahead.isRunning


def test_panel_starts_it_when_it_is_entered(panel, monkeypatch):
    started = []
    monkeypatch.setattr(compile_ahead.CompileAhead, "start", lambda self: started.append(self))
    panel.parent.exit()
    panel.parent.enter()
    assert started == [panel.panel.compileAhead]
