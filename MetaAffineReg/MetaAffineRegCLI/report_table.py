"""``report.csv``: a line for each row of a batch."""

import csv
from pathlib import Path
from typing import Any

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
    try:
        with path.open(newline="", encoding="utf-8") as f:
            return {line["id"]: {"done": "no", **line} for line in csv.DictReader(f) if line.get("id")}
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        return {}


def write_report(path: Path, lines: list[Line]) -> None:
    """Write the report, whole or not at all."""
    with written_together(path) as (part,), part.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, _COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
