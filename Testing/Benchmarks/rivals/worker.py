"""Run one tool on the pairs of one folder and write a line of JSON for each pair.

Runs in the environment of the tool, apart from the rest of the benchmark, and sees no truth.  A line has the keys id, key,
status (ok or failed), message, seconds (reading the two files and registering them), peak_mib (most memory of this process so far)
and matrix (16 numbers, row by row: 4 x 4, fixed point -> moving point, LPS mm).  Pairs that have a line with the same key are left out.
"""

import argparse
import csv
import importlib
import json
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Pair = tuple[str, Path, Path]
_COLUMNS = ("id", "key", "status", "message", "seconds", "peak_mib", "matrix")


def parser() -> argparse.ArgumentParser:
    """The options of the worker."""
    p = argparse.ArgumentParser(description="Run one tool on the pairs of a folder; see the module for the lines it writes.")
    p.add_argument("--tool", required=True, help="name of a module beside this file")
    p.add_argument("--pairs", type=Path, required=True, help="folder with pairs.csv (id, fixed, moving)")
    p.add_argument("--first", type=int, help="only the first N pairs")
    p.add_argument("--settings", type=Path, help="TOML file with the settings of the tool; none where it is left out")
    p.add_argument("--results", type=Path, required=True, help="file to append lines to")
    p.add_argument("--key", required=True, help="what names this state of tool, settings and pairs; lines of another key are ignored")
    return p


def read_pairs(folder: Path, first: int | None) -> list[Pair]:
    """(id, fixed file, moving file) of a folder's table."""
    with (folder / "pairs.csv").open(newline="", encoding="utf-8-sig") as f:
        rows = list(csv.DictReader(f))[:first]
    return [(row["id"], folder / row["fixed"], folder / row["moving"]) for row in rows]


def read_results(path: Path, key: str) -> dict[str, dict[str, Any]]:
    """Lines of a file of results by pair; those of another key, and a line that was cut off, are left out."""
    if not path.is_file():
        return {}
    found = {}
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:  # the process ended while it wrote
            continue
        if isinstance(line, dict) and set(line) == set(_COLUMNS) and line["key"] == key:
            found[line["id"]] = line
    return found


def append_result(path: Path, line: dict[str, Any]) -> None:
    """Append a line; one that was cut off before it is ended first."""
    with path.open("a+b") as f:
        if f.tell() > 0:
            f.seek(-1, 2)
            if f.read(1) != b"\n":
                f.write(b"\n")
        f.write((json.dumps(line) + "\n").encode())


def failed(name: str, key: str, message: str, seconds: float = 0.0) -> dict[str, Any]:
    """The line of a pair without a transform: it counts with the identity."""
    identity = [float(value) for value in np.eye(4).ravel()]
    return dict(zip(_COLUMNS, (name, key, "failed", message, seconds, peak_mib(), identity), strict=True))


def peak_mib() -> float | None:
    """Most resident memory of this process so far, MiB; None where the system does not tell."""
    status = Path("/proc/self/status")  # getrusage would count the parent's memory as well, on Linux
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) / 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def lines_of(tool: Any, pairs: list[Pair], settings: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """A line for each pair: one by one, or all at once where the tool has ``register_batch``."""
    if hasattr(tool, "register_batch"):
        files = [(fixed, moving) for _, fixed, moving in pairs]
        tool.register_batch(files[:2], settings)  # warm
        started = time.perf_counter()
        matrices = tool.register_batch(files, settings)
        seconds = (time.perf_counter() - started) / len(pairs)
        for (name, _, _), matrix in zip(pairs, matrices, strict=True):
            yield _line(name, key, matrix, seconds)
        return
    for number, (name, fixed, moving) in enumerate(pairs):
        if number == 0:
            _one(tool.register, name, fixed, moving, settings, key)  # warm
        yield _one(tool.register, name, fixed, moving, settings, key)


def _one(
    register: Callable[[Path, Path, dict[str, Any]], np.ndarray], name: str, fixed: Path, moving: Path, settings: dict[str, Any], key: str
) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        matrix = register(fixed, moving, settings)
    except Exception as error:  # whatever a tool raises is its failure on this pair
        message = (str(error).strip() or type(error).__name__).splitlines()[-1]
        return failed(name, key, message, time.perf_counter() - started)
    return _line(name, key, matrix, time.perf_counter() - started)


def _line(name: str, key: str, matrix: np.ndarray, seconds: float) -> dict[str, Any]:
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        return failed(name, key, "the transform holds numbers that are not finite", seconds)
    values = [float(value) for value in matrix.ravel()]
    return dict(zip(_COLUMNS, (name, key, "ok", "", seconds, peak_mib(), values), strict=True))


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    arguments = parser().parse_args(words)
    settings = tomllib.loads(arguments.settings.read_text()) if arguments.settings else {}
    done = read_results(arguments.results, arguments.key)
    todo = [pair for pair in read_pairs(arguments.pairs, arguments.first) if pair[0] not in done]
    if todo:
        tool = importlib.import_module(arguments.tool)
        for line in lines_of(tool, todo, settings, arguments.key):
            append_result(arguments.results, line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
