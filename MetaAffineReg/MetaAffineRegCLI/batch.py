"""``batch``: the pairs of a table, a transform file each, and a report."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from MetaAffineRegLib.errors import InputError

from .console import run_command
from .options import add_registration_options, runner_up_path, settings_of
from .pairs_table import Row, read_table

if TYPE_CHECKING:
    from MetaAffineRegLib.geometry import Matrix
    from MetaAffineRegLib.registration import Settings

    from .jobs import BatchFolder, Job


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
    p.add_argument("--batch-size", type=int, default=64, help="pairs that are registered together (default: 64)")
    p.add_argument("--quality", action="store_true", help="write a page with pictures of every pair too, DIR/quality.html")
    return p


def register_table(arguments: argparse.Namespace) -> int:
    """Run the table; 0 when every row has its transform, 1 when some do not, or have one that says of itself that it failed."""
    rows = read_table(arguments.pairs)
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size {arguments.batch_size} is not a number of pairs; give 1 or more.")
    from .jobs import BatchFolder, register_jobs

    folder = BatchFolder.checked(arguments.output_dir, arguments.quality)
    settings, initial = checked_settings(arguments, folder, [row.id for row in rows])
    return register_jobs(jobs_of_table(rows, initial), settings, folder, arguments.batch_size)


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


def jobs_of_table(rows: list[Row], initial: "Matrix | None") -> list["Job"]:
    """A job for each row, whose files are read when its turn comes."""
    from .image_files import read_image
    from .jobs import Job, Pair

    def job(row: Row) -> Job:
        def read() -> Pair:
            fixed, moving = read_image(row.fixed), read_image(row.moving)
            return Pair(fixed.image, moving.image, initial, (*fixed.remarks, *moving.remarks))

        return Job(row.id, str(row.fixed), str(row.moving), read)

    return [job(row) for row in rows]


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), register_table, words)


if __name__ == "__main__":
    sys.exit(main())
