"""Batches on Dask workers: one that is killed loses nothing and doubles nothing; what is refused."""

import csv
import os
import signal
import sys
from types import SimpleNamespace

import pytest
from distributed import KilledWorker

from core.made_files import write
from core.made_images import affine, lattice, made
from MetaAffineRegCLI import batch, cluster
from MetaAffineRegCLI.batch_run import register_jobs
from MetaAffineRegCLI.jobs import BatchFolder, Job
from MetaAffineRegCLI.pairs_table import read_table
from MetaAffineRegCLI.table_jobs import TableJobs
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.registration import Settings

SMALL = lattice((40, 32, 1), (2.0, 2.0, 1.0))
COUNT, UNIT = 60, 4
HOW = Settings(method="plain", freedom="rigid", backend="torch", device="cpu")  # torch alone starts sooner in a process


@pytest.fixture
def table(tmp_path):
    """Six images, each with moved ones; one row names a file that is missing."""
    for number in range(6):
        write(tmp_path / f"{number}-fixed.nrrd", made(SMALL, seed=number))
        write(tmp_path / f"{number}-moving.nrrd", made(SMALL, affine(3 * number - 8, (number - 3, 2, 0)), number))
    rows = [f"{row:02d},{row % 6}-fixed.nrrd,{'no' if row == 17 else row % 6}-moving.nrrd" for row in range(COUNT)]
    (tmp_path / "pairs.csv").write_text("\n".join(["id,fixed,moving", *rows]) + "\n")
    return tmp_path / "pairs.csv"


def report(folder):
    """Lines without what depends on the clock."""
    with folder.report.open(newline="") as f:
        return [{name: value for name, value in line.items() if name != "seconds"} for line in csv.DictReader(f)]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.path.iterdir() if path.name != "report.csv"}


def killing(engine, after, pids):
    """The engine, and a worker is killed once ``after`` units are done."""

    def units_and_a_kill(*arguments):
        for number, lines in enumerate(engine(*arguments), 1):
            yield lines
            if number == after:
                os.kill(pids()[0], signal.SIGKILL)

    return units_and_a_kill


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed otherwise there")
def test_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing(table, tmp_path, capsys):
    jobs = TableJobs(read_table(table), None)
    alone, shared = BatchFolder(tmp_path / "alone"), BatchFolder(tmp_path / "shared")
    assert register_jobs(jobs, HOW, alone, UNIT) == 1  # row 17
    with cluster.workers_here(2) as engine:
        client = engine.args[0]
        before = client.run(os.getpid)
        engine = killing(engine, 5, lambda: list(before.values()))
        assert register_jobs(jobs, HOW, shared, UNIT, engine) == 1
        assert set(before.values()) != set(client.run(os.getpid).values())
    said = capsys.readouterr().out.splitlines()
    assert said == ["59 registered, 0 already there, 1 not done"] * 2
    lines = report(shared)
    assert [line["id"] for line in lines] == [f"{row:02d}" for row in range(COUNT)]
    assert lines == report(alone)
    assert files(shared) == files(alone) and len(files(shared)) == COUNT - 1


class Future:
    """As distributed's, finished."""

    status = "finished"

    def __init__(self, unit, error):
        self.unit, self.error = unit, error

    def exception(self):
        return self.error

    def result(self):
        return [{"id": job.id, "done": "yes"} for job in self.unit]


class Client:
    """As distributed's with one worker; ``error_of`` says what becomes of a unit, ``started`` which ones there were."""

    def __init__(self, error_of):
        self.error_of, self.started = error_of, []

    def nthreads(self):
        return {"worker": 1}

    def submit(self, function, unit, *arguments, **how):
        self.started.append("".join(job.id for job in unit))
        return Future(unit, self.error_of(unit))


class Arriving:
    """As ``distributed.as_completed``: futures in the order in which they were added."""

    def __init__(self):
        self.futures = []

    def add(self, future):
        self.futures.append(future)

    def __next__(self):
        return self.futures.pop(0)


@pytest.fixture
def played(tmp_path, monkeypatch):
    """The lines of one unit of five jobs, by a client that is played."""
    monkeypatch.setattr("distributed.as_completed", Arriving)
    jobs = [Job(str(number), "fixed", "moving", None) for number in range(5)]
    return lambda client: [line for lines in cluster.registered_by(client, [jobs], HOW, BatchFolder(tmp_path)) for line in lines]


def test_job_that_takes_its_worker_with_it_is_found(played):
    """Its unit is halved until it is alone."""
    client = Client(lambda unit: KilledWorker("unit", SimpleNamespace(address="worker"), 3) if any(job.id == "2" for job in unit) else None)
    lines = played(client)
    assert client.started == ["01234", "01", "234", "2", "34"]
    assert {line["id"]: line["done"] for line in lines} == {"0": "yes", "1": "yes", "2": "no", "3": "yes", "4": "yes"}
    (message,) = [line["message"] for line in lines if line["done"] == "no"]
    assert message.startswith("The processes that registered this pair were lost")


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named x"), RuntimeError("Error during deserialization of the task graph.")]
)
def test_program_that_is_missing_elsewhere_ends_the_run(played, error):
    client = Client(lambda unit: error)
    with pytest.raises(InputError, match="can't load this program"):
        played(client)
    assert client.started == ["01234"]


def test_scheduler_that_is_lost_ends_the_run(played, monkeypatch):
    monkeypatch.setattr(Future, "status", "cancelled")
    with pytest.raises(InputError, match="The scheduler was lost; start the same command again"):
        played(Client(lambda unit: None))


BAD = {
    "no workers": (("--workers", "0"), "--workers 0 is not a number of processes; give 1 or more."),
    "no scheduler": (("--scheduler", "tcp://127.0.0.1:9"), "No scheduler answers at --scheduler tcp://127.0.0.1:9"),
    "an address that is none": (("--scheduler", "nowhere"), "No scheduler answers at --scheduler nowhere"),
    "both": (("--workers", "2", "--scheduler", "tcp://127.0.0.1:9"), "not allowed with argument"),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_cluster_is_refused_in_one_sentence(table, tmp_path, monkeypatch, capsys, case):
    words, sentence = BAD[case]
    monkeypatch.setattr(cluster, "_PATIENCE", 0.5)
    try:
        code = batch.main([str(table), "--output-dir", str(tmp_path / "out"), *words])
    except SystemExit as stop:  # argparse's
        code = stop.code
    assert code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_package_is_one_sentence(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    assert batch.main([str(table), "--output-dir", str(tmp_path / "out"), "--workers", "2"]) == 2
    said = capsys.readouterr().err
    assert (
        said.startswith("error: --workers and --scheduler need the package distributed, which is not installed") and said.count("\n") == 1
    )
