"""``report.csv``: a line for each row of a batch."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.registration import Result

from .report import figures, percent

Line = dict[str, Any]
_COLUMNS = (
    *("id", "done", "message", "status", "probability", "overlap", "margin", "consistency_mm", "runner_up"),
    *("criterion", "criterion_before", "criterion_after", "rotation_degrees", "shift_mm", "scale_min", "scale_max"),
    *("evaluations", "seconds", "method", "model", "device", "notes"),
)


def registered_line(row: str, fixed: ImageGeometry, result: Result, runner_up_file: str | None, notes: tuple[str, ...]) -> Line:
    """The line of a row that was registered, ``notes`` about its images before those of the result."""
    values = figures(result, fixed)
    remarks = "; ".join((*notes, *values["notes"]))
    return {"id": row, "done": "yes", "message": "", "runner_up": runner_up_file, **values, "notes": remarks}


def failed_line(row: str, message: str) -> Line:
    """The line of a row that could not be registered, with the sentence that says why."""
    return {"id": row, "done": "no", "message": message}


def verdict(line: Line) -> str:
    """What a line says of its result: "ok", "ambiguous", "failed", "not judged" by its method, or "not done"."""
    if line["done"] != "yes":
        return "not done"
    return line.get("status") or "not judged"


def verdict_in_words(line: Line) -> str:
    """The verdict and, where it is known, the probability."""
    known = f", {percent(float(line['probability']))} % likely to be right" if line.get("probability") else ""
    return verdict(line) + known


def read_report(path: Path) -> dict[str, Line]:
    """Lines by their IDs, values as text; none where there is no report, or a file that is none."""
    return {line["id"]: line for line in report_lines(path)}


def report_lines(path: Path) -> Iterator[Line]:
    """The lines of a report, values as text; none of a file that is no report, and not a last one that was cut off."""
    try:
        with path.open(newline="", encoding="utf-8") as f:
            for line in csv.DictReader(text for text in f if text.endswith("\n")):
                if line.get("id"):
                    yield {"done": "no", **line}
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        return


class GrowingReport:
    """The report of a batch that runs: lines are appended to the file and not held; where a row has several, the last one counts.

    It begins with the lines of an earlier run that are to stay.  Raises OSError where the file can't be written.
    """

    def __init__(self, path: Path, stays: Callable[[Line], bool]):
        self.path = path
        self._places: dict[str, int] = {}
        self._rewrite(line for line in report_lines(path) if stays(line))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, row: str) -> bool:
        return row in self._places

    def __getitem__(self, row: str) -> Line:
        """The line of a row, values as text."""
        with self.path.open("rb") as f:
            f.seek(self._places[row])
            values = next(csv.reader([f.readline().decode("utf-8")]))
        return dict(zip(_COLUMNS, values, strict=True))

    def append(self, lines: Iterable[Line]) -> None:
        """Add lines; once this returns they are in the file."""
        with self.path.open("ab") as f:
            self._places.update(_written(f, lines))

    def put_in_order(self, rows: Iterable[str]) -> None:
        """Rewrite the file with one line for each of ``rows`` that has any, in their order."""
        self._rewrite(self[row] for row in rows if row in self)

    def _rewrite(self, lines: Iterable[Line]) -> None:
        with written_together(self.path) as (part,), part.open("wb") as f:
            f.write(_as_text(dict(zip(_COLUMNS, _COLUMNS, strict=True))))
            places = dict(_written(f, lines))
        self._places = places


def _written(f: BinaryIO, lines: Iterable[Line]) -> Iterator[tuple[str, int]]:
    """Write lines; the row of each, and where in the file it begins."""
    for line in lines:
        yield line["id"], f.tell()
        f.write(_as_text(line))


def _as_text(line: Line) -> bytes:
    """One line of the file: no cell goes over several."""
    text = io.StringIO()
    cells = {name: value.replace("\r", " ").replace("\n", " ") if isinstance(value, str) else value for name, value in line.items()}
    csv.DictWriter(text, _COLUMNS, restval="", extrasaction="ignore").writerow(cells)
    return text.getvalue().encode("utf-8")
