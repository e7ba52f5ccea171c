"""``batch``: the pairs of a table, a transform file each, and a report."""

import argparse
import csv
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MetaAffineRegLib.errors import InputError

from .console import run_command
from .options import RUNNER_UP, add_registration_options, runner_up_path, settings_of

if TYPE_CHECKING:
    from MetaAffineRegLib.geometry import Matrix
    from MetaAffineRegLib.image import Image
    from MetaAffineRegLib.registration import Result, Settings

_COLUMNS = ("id", "fixed", "moving")
_REPORT = (
    *("id", "done", "message", "status", "probability", "overlap", "margin", "consistency_mm", "runner_up"),
    *("criterion", "criterion_before", "criterion_after", "rotation_degrees", "shift_mm", "scale_min", "scale_max"),
    *("evaluations", "seconds", "method", "model", "device", "notes"),
)
_MOST_SAMPLES = 1 << 26  # of images that are held at once
_LONGEST_ID = 100  # characters; file systems end at 255 bytes
_JUDGED = ("ok", "ambiguous", "failed")


@dataclass(frozen=True)
class Row:
    """One line of the table, its paths resolved."""

    id: str
    fixed: Path
    moving: Path


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
    return p


def register_table(arguments: argparse.Namespace) -> int:
    """Run the table; 0 when every row has its transform, 1 when some do not, or have one that says of itself that it failed."""
    rows = read_table(arguments.pairs)
    folder: Path = arguments.output_dir
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size {arguments.batch_size} is not a number of pairs; give 1 or more.")
    if not folder.is_dir() and (folder.exists() or not folder.parent.is_dir()):
        raise InputError(f"--output-dir {folder} can't be used: it is a file, or its parent folder does not exist; choose another.")
    if arguments.initial and arguments.initial.resolve() in {runner_up_path(folder / f"{row.id}.tfm").resolve() for row in rows}:
        raise InputError(f"--initial {arguments.initial} is the name of the runner-up of a row; choose another name or --output-dir.")
    from MetaAffineRegLib.checkpoint import load
    from MetaAffineRegLib.registration import register

    from .transform_files import read_transform

    settings = settings_of(arguments)
    register([], settings)  # raises InputError where there is no such device or no such range of rotations
    if settings.model is not None:
        load(settings.model)
    initial = read_transform(arguments.initial) if arguments.initial else None
    folder.mkdir(exist_ok=True)
    report = _earlier_report(folder / "report.csv")
    todo = [row for row in rows if not (folder / f"{row.id}.tfm").exists()]
    started, done = time.monotonic(), 0
    for lines in _registered(todo, settings, initial, folder, arguments.batch_size):
        report.update({line["id"]: line for line in lines})
        _write_report(folder / "report.csv", [report[row.id] for row in rows if row.id in report])
        done += len(lines)
        print(f"{done} of {len(todo)} pairs, {time.monotonic() - started:.1f} s", file=sys.stderr)
    _write_report(folder / "report.csv", [report[row.id] for row in rows if row.id in report])
    bad = [report[row.id] for row in todo if report[row.id]["done"] != "yes"]
    _say_doubts([report[row.id] for row in todo])
    judged = Counter(report[row.id].get("status") for row in rows if row.id in report)
    counts = ", ".join(f"{judged[status]} {status}" for status in _JUDGED)
    print(
        f"{len(todo) - len(bad)} registered, {len(rows) - len(todo)} already there, {len(bad)} not done"
        + (f"; of all rows {counts}" if any(judged[status] for status in _JUDGED) else "")
    )
    return 1 if bad or judged["failed"] else 0


def _say_doubts(lines: list[dict[str, Any]]) -> None:
    """Say on the error stream which lines of the report are not done, ambiguous or failed, and why."""
    from .report import caution

    for line in lines:
        if line["done"] != "yes":
            print(f"error: {line['id']}: {line['message']}", file=sys.stderr)
        elif warning := caution(line["status"], line["runner_up"]):
            print(f"{line['status']}: {line['id']}: {warning}", file=sys.stderr)


def read_table(path: Path) -> list[Row]:
    """The rows of a table of pairs; raises InputError where it is missing or lacks columns, or where IDs can't name files."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a CSV file with the columns id, fixed, moving.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            reader = csv.DictReader(f)
            lines = list(reader)
            names = reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a CSV file; save it as plain text, UTF-8.") from error
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise InputError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; the first line must name id, fixed, moving."
        )
    if not lines:
        raise InputError(f"{path} has no rows; add one for each pair.")
    seen: set[str] = set()
    for line in lines:
        name = line["id"] or ""
        if not name or name in seen or name != Path(name).name or name.startswith(".") or "\\" in name or len(name) > _LONGEST_ID:
            raise InputError(f"{path} has an id '{name}' that is empty, not alone or no file name; give every row an id of its own.")
        seen.add(name)
    for name in sorted(seen):
        if name + RUNNER_UP in seen:
            raise InputError(
                f"{path} has the ids '{name}' and '{name}{RUNNER_UP}', which is the name of the runner-up of the former; rename one."
            )
    return [Row(line["id"], path.parent / (line["fixed"] or ""), path.parent / (line["moving"] or "")) for line in lines]


def _registered(
    rows: list[Row], settings: "Settings", initial: "Matrix | None", folder: Path, batch_size: int
) -> Iterator[list[dict[str, Any]]]:
    """Lines of the report, batch by batch, once their transforms are written."""
    from MetaAffineRegLib.files import written_together
    from MetaAffineRegLib.registration import register

    from .report import runner_up
    from .transform_files import write_transform

    for part, bad in _read(rows, settings, batch_size):
        results = register([(fixed, moving) for _, fixed, moving in part], settings, [initial] * len(part))
        lines = bad
        for (row, fixed, _), result in zip(part, results, strict=True):
            output = folder / f"{row.id}.tfm"
            other, second = runner_up(result), runner_up_path(output)
            with written_together(output, *(() if other is None else (second,))) as parts:
                write_transform(parts[0], result.fixed_to_moving_lps)
                if other is None:
                    second.unlink(missing_ok=True)  # of an earlier run
                else:
                    write_transform(parts[1], other)
            lines.append(_line(row, fixed, result, None if other is None else second.name))
        yield lines


def _read(
    rows: list[Row], settings: "Settings", batch_size: int
) -> Iterator[tuple[list[tuple[Row, "Image", "Image"]], list[dict[str, Any]]]]:
    """Batches of rows with their images, and report lines for rows that can't be used."""
    from MetaAffineRegLib.registration import check_pair

    from .image_files import read_image

    part: list[tuple[Row, Image, Image]] = []
    bad: list[dict[str, Any]] = []
    samples = 0
    for row in rows:
        try:
            fixed, moving = read_image(row.fixed).image, read_image(row.moving).image
            check_pair(fixed, moving, settings)
        except InputError as error:
            bad.append({"id": row.id, "done": "no", "message": str(error)})
            continue
        part.append((row, fixed, moving))
        samples += fixed.array.size + moving.array.size
        if len(part) == batch_size or samples > _MOST_SAMPLES:
            yield part, bad
            part, bad, samples = [], [], 0
    if part or bad:
        yield part, bad


def _line(row: Row, fixed: "Image", result: "Result", runner_up_file: str | None) -> dict[str, Any]:
    from .report import figures

    values = figures(result, fixed.geometry)
    return {"id": row.id, "done": "yes", "message": "", "runner_up": runner_up_file, **values, "notes": "; ".join(values["notes"])}


def _earlier_report(path: Path) -> dict[str, dict[str, Any]]:
    """Lines of a report that an earlier run left."""
    if not path.is_file():
        return {}
    with path.open(newline="") as f:
        return {line["id"]: dict(line) for line in csv.DictReader(f) if line.get("id")}


def _write_report(path: Path, lines: list[dict[str, Any]]) -> None:
    from MetaAffineRegLib.files import written_together

    with written_together(path) as (part,), part.open("w", newline="") as f:
        writer = csv.DictWriter(f, _REPORT, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), register_table, words)


if __name__ == "__main__":
    sys.exit(main())
