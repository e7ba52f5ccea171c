"""The units of a batch on the workers of a Dask cluster: on this machine, or on any number of machines that share their files.

A unit whose worker is lost goes to another one, and so does one that raised an error, up to three times; one that takes its
workers with it is halved until the job that does so is alone and gets a sentence.  Lines come back to the one process that keeps the
report, so that a unit that was done twice is counted once.  A few units for each worker are under way at any time.
"""

import importlib.util
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.registration import Settings

from .batch_run import Engine
from .jobs import BatchFolder, Job
from .report_table import Line, failed_line
from .units import register_unit, sentence

if TYPE_CHECKING:
    from distributed import Client, Future

_RETRIES = 3  # after an error; the loss of a worker is forgiven as often by the scheduler
_UNDER_WAY = 3  # units for each thread of a worker, so that none waits for the next
_NOT_LOADED = "Error during deserialization"  # how distributed says that the scheduler lacks a module
_PATIENCE = 20  # seconds until a scheduler must have answered


def check_distributed() -> None:
    """Raise InputError where the package is missing."""
    if importlib.util.find_spec("distributed") is None:
        raise InputError(
            "--workers and --scheduler need the package distributed, which is not installed; install it by pip, or leave both out."
        )


@contextmanager
def workers_here(count: int) -> Iterator[Engine]:
    """``count`` processes on this machine, a thread each, that are started anew where one is lost."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        yield partial(registered_by, client)


@contextmanager
def workers_of(address: str) -> Iterator[Engine]:
    """The workers of the scheduler at ``address``; raises InputError where none answers."""
    from distributed import Client

    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(f"No scheduler answers at --scheduler {address}; start one (dask scheduler) and give its address.") from error
    with client:
        yield partial(registered_by, client)


def registered_by(client: "Client", units: Iterable[Sequence[Job]], settings: Settings, folder: BatchFolder) -> Generator[list[Line]]:
    """Lines of the report, unit by unit as they are finished, in any order.

    Raises InputError where files can't be written, where the workers lack this program, or where the scheduler is gone.
    """
    from distributed import as_completed

    waiting, under_way, finished = iter(units), dict["Future", Sequence[Job]](), as_completed()

    def start(unit: Sequence[Job]) -> None:
        future = client.submit(register_unit, list(unit), settings, folder, retries=_RETRIES, pure=False)
        under_way[future] = unit
        finished.add(future)

    def fill() -> None:
        room = _UNDER_WAY * max(1, sum(client.nthreads().values())) - len(under_way)
        for _, unit in zip(range(room), waiting, strict=False):
            start(unit)

    fill()
    while under_way:
        future = next(finished)
        unit = under_way.pop(future)
        if future.status == "cancelled":
            raise InputError("The scheduler was lost; start the same command again to go on where it was.")
        error = future.exception()
        if error is None:
            yield future.result()
        elif isinstance(error, (InputError, OSError)):
            raise error
        elif isinstance(error, ImportError) or _NOT_LOADED in str(error):
            raise InputError(
                "The scheduler or a worker can't load this program; start them with the same packages and with MetaAffineReg on PYTHONPATH."
            ) from error
        elif len(unit) > 1:
            for half in (unit[: len(unit) // 2], unit[len(unit) // 2 :]):
                start(half)
        else:
            yield [failed_line(unit[0].id, _loss(error))]
        fill()


def _loss(error: BaseException) -> str:
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "The processes that registered this pair were lost, perhaps for want of memory; try it alone."
    return sentence(error)
