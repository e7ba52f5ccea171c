"""Kernels are compiled in a process beside the panel, once, and not where that is of no use."""

import subprocess

import pytest
import slicer

from MetaAffineRegLib import kernel_cache
from MetaAffineRegWidgets import compile_ahead, torch_offer


class Process:
    """Runs until it is killed."""

    def __init__(self):
        self.killed = False

    def poll(self):
        return -9 if self.killed else None

    def kill(self):
        self.killed = True

    def wait(self):
        assert self.killed


@pytest.fixture
def started(monkeypatch):
    """Commands and options of what is started."""
    found = []

    def start(command, **options):
        found.append((command, options))
        return Process()

    monkeypatch.setattr(subprocess, "Popen", start)
    return found


@pytest.fixture
def ahead(started, monkeypatch):
    monkeypatch.setattr(compile_ahead.slicer, "app", type("App", (), {"testingEnabled": staticmethod(lambda: False)}))
    monkeypatch.setattr(kernel_cache, "is_complete", lambda: False)
    return compile_ahead.CompileAhead()


def test_it_is_started_once_and_ended_with_the_application(ahead, started):
    ahead.start()
    ahead.start()
    ((command, options),) = started
    assert command[1:] == ["-m", "MetaAffineRegLib.compile_all"] and options["stdout"] == subprocess.DEVNULL
    assert ahead.isRunning
    ahead.end()
    assert not ahead.isRunning


@pytest.mark.parametrize("reason", ["all is there", "no torch", "no numba", "a test"])
def test_it_is_not_started_where_it_is_of_no_use(ahead, started, monkeypatch, reason):
    if reason == "all is there":
        monkeypatch.setattr(kernel_cache, "is_complete", lambda: True)
    elif reason == "no torch":
        monkeypatch.setattr(torch_offer, "isInstalled", lambda: False)
    elif reason == "no numba":
        monkeypatch.setattr(kernel_cache, "folder", lambda: None)
    else:
        monkeypatch.setattr(slicer.app, "testingEnabled", staticmethod(lambda: True))
    ahead.start()
    assert not started and not ahead.isRunning
    ahead.end()


def test_what_can_not_be_started_is_done_without(ahead, monkeypatch):
    def fail(command, **options):
        raise OSError("no such file")

    monkeypatch.setattr(subprocess, "Popen", fail)
    ahead.start()
    assert not ahead.isRunning


def test_panel_starts_it_when_it_is_entered(panel, monkeypatch):
    started = []
    monkeypatch.setattr(compile_ahead.CompileAhead, "start", lambda self: started.append(self))
    panel.parent.exit()
    panel.parent.enter()
    assert started == [panel.panel.compileAhead]
