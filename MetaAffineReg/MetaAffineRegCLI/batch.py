"""``batch``: the pairs of a table, a transform file each, and a report."""

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from MetaAffineRegLib.errors import InputError

from .console import run_command
from .options import add_registration_options, runner_up_path, settings_of
from .pairs_table import read_table

if TYPE_CHECKING:
    from MetaAffineRegLib.geometry import Matrix
    from MetaAffineRegLib.registration import Settings

    from .batch_run import Engine
    from .jobs import BatchFolder


def parser() -> argparse.ArgumentParser:
    """The options of ``batch``."""
    p = argparse.ArgumentParser(
        prog="run.py batch",
        description="Register every row of a table. Writes DIR/<id>.tfm and DIR/report.csv, and DIR/<id>-runner-up.tfm "
        "where a result is ambiguous or failed; a second run does only what is missing.",
    )
    p.add_argument("pairs", type=Path, help="CSV with the columns id, fixed, moving; paths relative to it")
    p.add_argument("--output-dir", type=Path, required=True, help="folder for transforms and report; made where only it is missing")
    add_registration_options(p)
    p.add_argument("--batch-size", type=int, default=64, help="pairs that are registered together, and by one worker (default: 64)")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="share the work out to N processes on this machine")
    where.add_argument("--scheduler", metavar="ADDRESS", help="share the work out to the workers of a Dask scheduler, as tcp://host:8786")
    p.add_argument("--quality", action="store_true", help="write a page with pictures of every pair too, DIR/quality.html")
    return p


def register_table(arguments: argparse.Namespace) -> int:
    """Run the table; 0 when every row has its transform, 1 when some do not, or have one that says of itself that it failed."""
    _check(arguments)
    if arguments.workers or arguments.scheduler:
        from .cluster import check_distributed

        check_distributed()
        for name in ("pairs", "output_dir", "initial"):  # workers may run in another folder
            given = getattr(arguments, name)
            setattr(arguments, name, given and given.absolute())
    rows = read_table(arguments.pairs)
    from .batch_run import register_jobs
    from .jobs import BatchFolder
    from .table_jobs import TableJobs

    folder = BatchFolder.checked(arguments.output_dir, arguments.quality)
    settings, initial = checked_settings(arguments, folder, [row.id for row in rows])
    with _engine(arguments) as engine:
        return register_jobs(TableJobs(rows, initial), settings, folder, arguments.batch_size, engine)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size {arguments.batch_size} is not a number of pairs; give 1 or more.")
    if arguments.workers is not None and arguments.workers < 1:
        raise InputError(f"--workers {arguments.workers} is not a number of processes; give 1 or more.")


def _engine(arguments: argparse.Namespace) -> "AbstractContextManager[Engine]":
    """What does the units of work: this process, some on this machine, or the workers of a scheduler."""
    from .units import registered

    if not arguments.workers and not arguments.scheduler:
        return nullcontext(registered)
    from .cluster import workers_here, workers_of

    return workers_of(arguments.scheduler) if arguments.scheduler else workers_here(arguments.workers)


def checked_settings(arguments: argparse.Namespace, folder: "BatchFolder", ids: list[str]) -> "tuple[Settings, Matrix | None]":
    """The library's settings and the initial transform; raises InputError for what no row could be registered with."""
    given: Path | None = arguments.initial
    if given and given.resolve() in {runner_up_path(folder.transform(row)).resolve() for row in ids}:
        raise InputError(f"--initial {given} is the name of the runner-up of a row; choose another name or --output-dir.")
    from MetaAffineRegLib.checkpoint import load
    from MetaAffineRegLib.registration import register

    from .transform_files import read_transform

    settings = settings_of(arguments)
    register([], settings)  # raises InputError where there is no such device or no such range of rotations
    if settings.model is not None:
        load(settings.model)
    return settings, read_transform(given) if given else None


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), register_table, words)


if __name__ == "__main__":
    sys.exit(main())
