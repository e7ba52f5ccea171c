"""The training process: heard, held, stopped, killed and taken up again; it ends with who started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from core.made_volumes_to_train_on import flat_volumes, quick
from MetaAffineRegLib import checkpoint
from MetaAffineRegTrainingCLI.child_process import ChildProcess
from MetaAffineRegTrainingLib.job_folder import JobFolder

ROOT = Path(__file__).resolve().parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def make_job(tmp_path):
    """Jobs whose processes are gone at the end of the test."""

    def make(name="mine", **options):
        return JobFolder.create(tmp_path / "jobs", flat_volumes(3), quick(**options), tmp_path / f"{name}.pt")

    return make


@pytest.fixture
def started():
    children = []

    def start(job, resume=False):
        children.append(ChildProcess(job, resume))
        return children[-1]

    yield start
    for child in children:
        child.kill()


def heard(child, until, seconds=600):
    """Everything that it said up to an event that ``until`` is true of."""
    events, end = [], time.monotonic() + seconds
    while True:
        new = child.events()
        events += new
        if any(until(event) for event in new):
            return events
        assert child.isRunning and time.monotonic() < end, (events[-3:], child.last_words())
        time.sleep(0.02)


def kind(name):
    return lambda event: event["event"] == name


def finished(child):
    events = heard(child, kind("done"))
    assert child._process.wait(60) == 0
    return events


@POSIX
def test_killed_in_the_middle_and_resumed_ends_with_the_weights_of_an_uninterrupted_training(make_job, started):
    whole = make_job("whole", steps=30)
    finished(started(whole))
    job = make_job("parts", steps=30)
    child = started(job)
    heard(child, lambda event: event["event"] == "evaluation" and event["step"] >= 12)
    os.kill(child.pid, signal.SIGKILL)
    child._process.wait(60)
    assert JobFolder.unfinished(job.path.parent).path == job.path and not job.model.exists()
    again = started(job, resume=True)
    events = finished(again)
    assert next(event for event in events if event["event"] == "evaluation")["step"] > 0  # it did not begin anew
    one, other = (checkpoint.load(path).network.state_dict() for path in (whole.model, job.model))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert JobFolder.unfinished(job.path.parent) is None


def test_pause_holds_continue_goes_on_and_cancel_leaves_a_state(make_job, started):
    job = make_job(steps=100_000)
    child = started(job)
    heard(child, kind("progress"))
    child.say("pause")
    heard(child, kind("paused"))
    time.sleep(0.3)
    assert not [event for event in child.events() if event["event"] == "progress"]
    child.say("continue")
    heard(child, kind("progress"))
    child.say("cancel")
    heard(child, kind("stopped"))
    assert child._process.wait(60) == 3
    assert job.state.is_file() and not job.model.exists()


def test_killed_process_is_gone_at_once(make_job, started):
    child = started(make_job(steps=100_000))
    heard(child, kind("progress"))
    child.kill()
    assert not child.isRunning
    child.say("cancel")  # nobody is there to hear it


@POSIX
def test_training_ends_with_the_process_that_started_it_even_if_that_is_killed(make_job):
    """The parent is killed with -9: nothing of it can tell its child."""
    job = make_job(steps=100_000)
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from MetaAffineRegTrainingCLI.child_process import ChildProcess\nfrom MetaAffineRegTrainingLib.job_folder import JobFolder\n"
        "child = ChildProcess(JobFolder(Path(sys.argv[1])))\nprint(child.pid, flush=True)\ntime.sleep(10000)\n"
    )
    folders = [str(ROOT / name) for name in ("MetaAffineReg", "MetaAffineRegTraining")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    with subprocess.Popen([sys.executable, "-c", code, str(job.path)], stdout=subprocess.PIPE, env=environment, text=True) as parent:
        pid = int(parent.stdout.readline())
        end = time.monotonic() + 600
        while not job.said("progress"):
            assert time.monotonic() < end
            time.sleep(0.05)
        parent.kill()
    end = time.monotonic() + 60
    while is_alive(pid):
        assert time.monotonic() < end, "the training outlived its parent"
        time.sleep(0.05)


def is_alive(pid):
    """Whether a process computes; one that waits to be buried does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.is_file() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_what_can_not_be_used_is_said_in_a_sentence(make_job, started):
    job = make_job(steps=3)
    (job.path / "volume-1.npz").write_bytes(b"damaged")
    child = started(job)
    events = heard(child, kind("error"))
    assert "A volume of the training" in events[-1]["text"] and child._process.wait(60) == 2


def test_a_crash_is_said_and_its_trace_kept(make_job, started):
    job = make_job(steps=3)
    (job.path / "job.json").write_text('{"settings": 5, "volumes": 0, "model": "m.pt"}')
    child = started(job)
    events = heard(child, kind("error"))
    assert events[-1]["text"].startswith("The training failed (") and child._process.wait(60) == 1
    assert child.last_words().startswith("TypeError")
