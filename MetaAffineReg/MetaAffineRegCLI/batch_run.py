"""A run of a batch: what is missing is done, a report grows, and a run that was stopped is taken up where it was left.

What is held for each row of the table is its text and where its line stands in the report, however long the table.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing

from MetaAffineRegLib.registration import Settings

from .jobs import BatchFolder, Job
from .quality_report import Entry, write_quality_report
from .report import caution
from .report_table import GrowingReport, Line, report_lines, verdict_in_words
from .units import registered

_JUDGED = ("ok", "ambiguous", "failed")

Engine = Callable[[Iterable[Sequence[Job]], Settings, BatchFolder], Generator[list[Line]]]


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


class _Entries(Sequence[Entry]):
    """What the page shows: the jobs that have a line, each read from the report when it is asked for."""

    def __init__(self, jobs: Sequence[Job], report: GrowingReport, folder: BatchFolder) -> None:
        self._jobs, self._report, self._folder = jobs, report, folder
        self._places = [place for place, job in enumerate(jobs) if job.id in report]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> Entry:  # type: ignore[override] # no slices
        job = self._jobs[self._places[place]]
        return Entry(job.fixed, job.moving, self._report[job.id], self._folder.picture(job.id))


def register_jobs(jobs: Sequence[Job], settings: Settings, folder: BatchFolder, batch_size: int, engine: Engine = registered) -> int:
    """Do what is missing in units of ``batch_size`` jobs; ``engine`` does the units, in any order.

    0 when every job has its transform, 1 when some do not, or have one that says of itself that it failed.
    """
    folder.make()
    known = {job.id for job in jobs}
    report = GrowingReport(folder.report, lambda line: line["id"] in known and folder.is_finished(line["id"], line))
    todo = [place for place, job in enumerate(jobs) if job.id not in report]
    units = ([jobs[place] for place in todo[first : first + batch_size]] for first in range(0, len(todo), batch_size))

    def write_page() -> None:
        if folder.quality:
            write_quality_report(folder.page, _Entries(jobs, report, folder), len(jobs), settings)

    page = _Paced(write_page)
    started, done = time.monotonic(), 0
    try:
        with closing(engine(units, settings, folder)) as finished:
            for lines in finished:
                report.append(lines)
                done += len(lines)
                _say_progress(done, len(todo), time.monotonic() - started, lines[-1])
                page()
    finally:
        folder.clear()
        report.put_in_order(job.id for job in jobs)
        write_page()
    return _sum_up(report_lines(folder.report), {jobs[place].id for place in todo}, len(jobs))


def _say_progress(done: int, count: int, seconds: float, last: Line) -> None:
    left = f", about {seconds / done * (count - done):.0f} s left" if done < count else ""
    print(f"{done} of {count} pairs, {seconds:.1f} s{left}; {last['id']}: {verdict_in_words(last)}", file=sys.stderr)


def _sum_up(lines: Iterator[Line], new: set[str], count: int) -> int:
    """Say which jobs of this run are not done or doubtful, and count all; returns the exit code."""
    bad, judged = 0, Counter[str]()
    for line in lines:
        judged[line["status"]] += 1
        if line["id"] not in new:
            continue
        if line["done"] != "yes":
            bad += 1
            print(f"error: {line['id']}: {line['message']}", file=sys.stderr)
        elif warning := caution(line["status"], line["runner_up"]):
            print(f"{line['status']}: {line['id']}: {warning}", file=sys.stderr)
    counts = ", ".join(f"{judged[status]} {status}" for status in _JUDGED)
    print(
        f"{len(new) - bad} registered, {count - len(new)} already there, {bad} not done"
        + (f"; of all rows {counts}" if any(judged[status] for status in _JUDGED) else "")
    )
    return 1 if bad or judged["failed"] else 0
