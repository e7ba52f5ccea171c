"""A batch of registrations: files that are there whole or not at all, a report that grows, and a run that is taken up where it was left.

In the folder of a batch: ``<id>.tfm``, ``<id>-runner-up.tfm`` where a result is not sure, ``report.csv``, and where they are asked
for ``quality.html`` and its pictures ``pictures/<id>.jpg``.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from MetaAffineRegLib import registration
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.geometry import Matrix, pair_frame
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Result, Settings

from . import transform_files
from .options import runner_up_path
from .quality_report import Entry, write_quality_report
from .report import caution, runner_up
from .report_table import Line, failed_line, read_report, registered_line, verdict_in_words, write_report
from .views import write_strip

_MOST_SAMPLES = 1 << 26  # of images that are held at once
_JUDGED = ("ok", "ambiguous", "failed")


@dataclass(frozen=True)
class Pair:
    """What is registered; ``initial`` (4 x 4, fixed -> moving, LPS mm) and remarks on the images."""

    fixed: Image
    moving: Image
    initial: Matrix | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One registration of a batch: what its files are called, what its images are called, and how to read them.

    ``read`` raises InputError where the images can't be used.
    """

    id: str
    fixed: str
    moving: str
    read: Callable[[], Pair]


@dataclass(frozen=True)
class BatchFolder:
    """Where the files of a batch lie; with ``quality`` it holds pictures and a page that shows them."""

    path: Path
    quality: bool = False

    @classmethod
    def checked(cls, path: Path, quality: bool) -> "BatchFolder":
        """Raises InputError where the folder can't be made."""
        if not path.is_dir() and (path.exists() or not path.parent.is_dir()):
            raise InputError(f"--output-dir {path} can't be used: it is a file, or its parent folder does not exist; choose another.")
        return cls(path, quality)

    @property
    def report(self) -> Path:
        return self.path / "report.csv"

    @property
    def page(self) -> Path:
        return self.path / "quality.html"

    def transform(self, row: str) -> Path:
        return self.path / f"{row}.tfm"

    def picture(self, row: str) -> Path:
        return self.path / "pictures" / f"{row}.jpg"

    def make(self) -> None:
        """Make the folders that are missing."""
        self.path.mkdir(exist_ok=True)
        if self.quality:
            (self.path / "pictures").mkdir(exist_ok=True)

    def is_finished(self, row: str, line: Line | None) -> bool:
        """Whether an earlier run left all that belongs to a row; its line is written last."""
        files = [self.transform(row), *([self.picture(row)] if self.quality else [])]
        return line is not None and line.get("done") == "yes" and all(path.is_file() for path in files)


class _Paced:
    """Calls ``write`` where ten times as long has passed as its last call took: what is written anew does not outgrow the work."""

    def __init__(self, write: Callable[[], None]) -> None:
        self.write = write
        self._next = 0.0

    def __call__(self) -> None:
        started = time.monotonic()
        if started >= self._next:
            self.write()
            self._next = time.monotonic() + 10 * (time.monotonic() - started)


def register_jobs(jobs: Sequence[Job], settings: Settings, folder: BatchFolder, batch_size: int) -> int:
    """Do what is missing; 0 when every job has its transform, 1 when some do not, or have one that says of itself that it failed."""
    folder.make()
    report = read_report(folder.report)
    todo = [job for job in jobs if not folder.is_finished(job.id, report.get(job.id))]
    for job in todo:
        report.pop(job.id, None)

    def write_table() -> None:
        write_report(folder.report, [report[job.id] for job in jobs if job.id in report])

    def write_page() -> None:
        if folder.quality:
            entries = [Entry(job.fixed, job.moving, report[job.id], folder.picture(job.id)) for job in jobs if job.id in report]
            write_quality_report(folder.page, entries, len(jobs), settings)

    table, page = _Paced(write_table), _Paced(write_page)
    started, done = time.monotonic(), 0
    try:
        for lines in _registered(todo, settings, folder, batch_size):
            report.update({line["id"]: line for line in lines})
            done += len(lines)
            _say_progress(done, len(todo), time.monotonic() - started, lines[-1])
            table()
            page()
    finally:
        write_table()
        write_page()
    return _sum_up(jobs, todo, report)


def _registered(jobs: list[Job], settings: Settings, folder: BatchFolder, batch_size: int) -> Iterator[list[Line]]:
    """Lines of the report, batch by batch, once the files of their jobs are written."""
    for part, lines in _read(jobs, settings, batch_size):
        for (job, pair), result in zip(part, _results([pair for _, pair in part], settings), strict=True):
            if isinstance(result, str):
                lines.append(failed_line(job.id, result))
                continue
            try:
                second = _write(folder, job.id, pair, result)
            except RuntimeError as error:  # ITK's
                raise InputError(f"The files of {job.id} can't be written to {folder.path}; make room or choose another place.") from error
            lines.append(registered_line(job.id, pair.fixed.geometry, result, second, pair.notes))
        yield lines


def _read(jobs: list[Job], settings: Settings, batch_size: int) -> Iterator[tuple[list[tuple[Job, Pair]], list[Line]]]:
    """Batches of jobs with their images, and report lines for jobs that can't be done."""
    part: list[tuple[Job, Pair]] = []
    bad: list[Line] = []
    samples = 0
    for job in jobs:
        try:
            pair = job.read()
            registration.check_pair(pair.fixed, pair.moving, settings)
        except (ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
            bad.append(failed_line(job.id, _sentence(error)))
            continue
        part.append((job, pair))
        samples += pair.fixed.array.size + pair.moving.array.size
        if len(part) == batch_size or samples > _MOST_SAMPLES:
            yield part, bad
            part, bad, samples = [], [], 0
    if part or bad:
        yield part, bad


def _results(pairs: list[Pair], settings: Settings) -> list[Result | str]:
    """The result of each pair, or a sentence that says why there is none: one pair does not take the others with it."""
    try:
        return [*registration.register([(pair.fixed, pair.moving) for pair in pairs], settings, [pair.initial for pair in pairs])]
    except (ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        if len(pairs) > 1:
            return [result for pair in pairs for result in _results([pair], settings)]
        return [_sentence(error)]


def _sentence(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    text = str(error).strip().splitlines()
    if isinstance(error, MemoryError) or (text and "out of memory" in text[0]):
        return "There is not enough memory for these images; resample or crop them, or compute on another device."
    return f"The registration broke off ({type(error).__name__}: {text[0] if text else 'no reason given'}); try another method or device."


def _write(folder: BatchFolder, row: str, pair: Pair, result: Result) -> str | None:
    """All files of a job, or none; returns the name of the runner-up's where there is one, and leaves none of an earlier run."""
    output = folder.transform(row)
    other, second = runner_up(result), runner_up_path(output)
    names = [output, *([] if other is None else [second]), *([folder.picture(row)] if folder.quality else [])]
    with written_together(*names) as parts:
        transform_files.write_transform(parts[0], result.fixed_to_moving_lps)
        if other is None:
            second.unlink(missing_ok=True)
        else:
            transform_files.write_transform(parts[1], other)
        if folder.quality:
            frame = pair_frame(pair.fixed.geometry, pair.moving.geometry, pair.initial)
            write_strip(parts[-1], pair.fixed, pair.moving, frame.to_lps(frame.start), result.fixed_to_moving_lps)
    return None if other is None else second.name


def _say_progress(done: int, count: int, seconds: float, last: Line) -> None:
    left = f", about {seconds / done * (count - done):.0f} s left" if done < count else ""
    print(f"{done} of {count} pairs, {seconds:.1f} s{left}; {last['id']}: {verdict_in_words(last)}", file=sys.stderr)


def _sum_up(jobs: Sequence[Job], todo: list[Job], report: dict[str, Line]) -> int:
    """Say which jobs of this run are not done or doubtful, and count all; returns the exit code."""
    new = [report[job.id] for job in todo]
    for line in new:
        if line["done"] != "yes":
            print(f"error: {line['id']}: {line['message']}", file=sys.stderr)
        elif warning := caution(line["status"], line["runner_up"]):
            print(f"{line['status']}: {line['id']}: {warning}", file=sys.stderr)
    bad = sum(line["done"] != "yes" for line in new)
    judged = Counter(report[job.id].get("status") for job in jobs)
    counts = ", ".join(f"{judged[status]} {status}" for status in _JUDGED)
    print(
        f"{len(todo) - bad} registered, {len(jobs) - len(todo)} already there, {bad} not done"
        + (f"; of all rows {counts}" if any(judged[status] for status in _JUDGED) else "")
    )
    return 1 if bad or judged["failed"] else 0
