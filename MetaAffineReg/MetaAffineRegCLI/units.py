"""A unit of work of a batch: some jobs, whose files are written whole and whose lines are handed back.

A unit may be done twice, on any machine of one kind: the files are the same, and each is renamed to its name when it is whole.
While one part of a unit is computed, the next is read and laid on its grids and the one before is written.  At any time at most
five parts are held: one is read, one waits, one is computed, one waits, one is written.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from MetaAffineRegLib import registration
from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.registration import Batch, Result, Settings

from . import transform_files
from .jobs import BatchFolder, Job, Pair
from .options import runner_up_path
from .overlapping import ahead, closed_after, in_turn
from .report import runner_up
from .report_table import Line, failed_line, registered_line
from .views import write_strip

_MOST_SAMPLES = 1 << 25  # of the images of a part
_TROUBLE = (ValueError, ArithmeticError, RuntimeError, MemoryError)  # that of a pair, not of the run


@dataclass
class _Part:
    """Jobs of a unit that are computed together, with images of one dimension, and lines of jobs that can't be done.

    batch: the images prepared, None where that failed; last: whether the unit ends with it.
    """

    jobs: list[Job] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    bad: list[Line] = field(default_factory=list)
    batch: Batch | None = None
    last: bool = False

    def takes(self, pair: Pair, settings: Settings) -> bool:
        """Whether a pair fits in: of the same dimension, and no more than are computed at once."""
        if not self.pairs:
            return True
        dimension = self.pairs[0].fixed.geometry.dimension
        samples = sum(one.fixed.array.size + one.moving.array.size for one in (*self.pairs, pair))
        fits = len(self.pairs) < registration.pairs_at_once(dimension, settings) and samples <= _MOST_SAMPLES
        return fits and pair.fixed.geometry.dimension == dimension


def register_unit(unit: Sequence[Job], settings: Settings, folder: BatchFolder) -> list[Line]:
    """Do one unit; the lines of its jobs.  Raises InputError where files can't be written."""
    (lines,) = registered([unit], settings, folder)
    return lines


def registered(units: Iterable[Sequence[Job]], settings: Settings, folder: BatchFolder, overlap: bool = True) -> Generator[list[Line]]:
    """Lines of the report, unit by unit, once the files of their jobs are written; files are written in the caller's thread.

    Without ``overlap`` all is done there, one after the other: for jobs that must not be read in another thread.
    Raises InputError where files can't be written.
    """
    stage = ahead if overlap else in_turn
    stop = threading.Event()
    lines: list[Line] = []
    with closing(stage(_computed(stage(_read(units, settings)), settings, stop.is_set))) as parts:
        try:
            for part, results in parts:
                lines += [*part.bad, *_written(part, results, folder)]
                if part.last:
                    yield lines
                    lines = []
        finally:
            stop.set()


def sentence(error: BaseException) -> str:
    """What went wrong with a pair, and what to do."""
    if isinstance(error, InputError):
        return str(error)
    text = str(error).strip().splitlines()
    if isinstance(error, MemoryError) or (text and "out of memory" in text[0]):
        return "There is not enough memory for these images; resample or crop them, or compute on another device."
    return f"The registration broke off ({type(error).__name__}: {text[0] if text else 'no reason given'}); try another method or device."


def _read(units: Iterable[Sequence[Job]], settings: Settings) -> Iterator[_Part]:
    """The units in parts, whose images are read and prepared."""
    for unit in units:
        part = _Part()
        for job in unit:
            try:
                pair = job.read()
                registration.check_pair(pair.fixed, pair.moving, settings)
            except _TROUBLE as error:
                part.bad.append(failed_line(job.id, sentence(error)))
                continue
            if not part.takes(pair, settings):
                yield _prepared(part, settings)
                part = _Part()
            part.jobs.append(job)
            part.pairs.append(pair)
        part.last = True
        yield _prepared(part, settings)


def _prepared(part: _Part, settings: Settings) -> _Part:
    if part.pairs:
        try:
            part.batch = _batch(part.pairs, settings).prepared()
        except _TROUBLE:
            part.batch = None  # which pair it was is found where they are computed one by one
    return part


def _batch(pairs: list[Pair], settings: Settings) -> Batch:
    images = [(pair.fixed, pair.moving) for pair in pairs]
    ((_, batch),) = registration.batches(images, settings, [pair.initial for pair in pairs])
    return batch


def _computed(parts: Generator[_Part], settings: Settings, cancelled: Callable[[], bool]) -> Generator[tuple[_Part, list[Result | str]]]:
    for part in closed_after(parts):
        results = _results(part, settings, cancelled)
        part.batch = None  # only its images are needed from here on
        yield part, results


def _results(part: _Part, settings: Settings, cancelled: Callable[[], bool]) -> list[Result | str]:
    """The result of each pair, or a sentence that says why there is none: one pair does not take the others with it."""

    def report(stage: str, fraction: float) -> None:
        if cancelled():
            raise Cancelled

    if part.batch is not None:
        try:
            return [*registration.compute(part.batch, report)]
        except _TROUBLE as error:
            if len(part.pairs) == 1:
                return [sentence(error)]
    found: list[Result | str] = []
    for pair in part.pairs:
        try:
            found += registration.compute(_batch([pair], settings).prepared(), report)
        except _TROUBLE as error:
            found.append(sentence(error))
    return found


def _written(part: _Part, results: list[Result | str], folder: BatchFolder) -> Iterator[Line]:
    """Lines of the jobs of a part, once their files are written."""
    for job, pair, result in zip(part.jobs, part.pairs, results, strict=True):
        if isinstance(result, str):
            yield failed_line(job.id, result)
            continue
        try:
            second = _write(folder, job.id, pair, result)
        except RuntimeError as error:  # ITK's
            raise InputError(f"The files of {job.id} can't be written to {folder.path}; make room or choose another place.") from error
        yield registered_line(job.id, pair.fixed.geometry, result, second, pair.notes)


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
