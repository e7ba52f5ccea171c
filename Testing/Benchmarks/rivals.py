"""``benchmark rivals``: external registration tools and this extension's method on the same pairs with a known truth.

The tools live in an environment of their own, ``.venv-rivals``.  Each runs as a process of its own on the pairs of one task,
see ``rivals/worker.py``; what is in the output folder already is not computed again.
"""

import argparse
import hashlib
import importlib.util
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import header, number, row, share
from scoring import KnownPair, errors, read_pairs, read_table

from MetaAffineRegLib.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
ROOM = Path(__file__).resolve().with_name("rivals")
VENV = ROOT / ".venv-rivals"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed-requirements"
REQUIREMENTS = ROOM / "requirements.txt"
TASKS = ("hands", "brain", "mri", "mri-affine", "mri-180", "mri-crop")
PROGRAMS = {  # of the tools: modules in the folder rivals
    "ants_search": "ants_search",
    "elastix_default": "elastix_affine",
    "elastix_tuned": "elastix_affine",
    "greedy_search": "greedy_search",
    "simpleitk_multistart": "simpleitk_multistart",
}
OURS = ("metaaffinereg", "metaaffinereg_batch")
FIRST = {2: 100, 3: 24}  # pairs of a task, by dimension
_NAMES = {
    "elastix_default": "elastix, its default settings",
    "elastix_tuned": "elastix, tuned",
    "simpleitk_multistart": "SimpleITK, many starts",
    "ants_search": "ANTs, search of all rotations",
    "greedy_search": "greedy, random search",
    "metaaffinereg": "MetaAffineReg, pair by pair",
    "metaaffinereg_batch": "MetaAffineReg, one batch",
}
_CRASHES = {-getattr(signal, name) for name in ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGBUS") if hasattr(signal, name)}
_COLUMNS = (
    *("tool", "pairs", "below 1 sample (95 % interval)", "below 3 samples", "median mse4", "mean mse4", "max mse4"),
    *("s a pair, median", "time over ours alone", "over ours in the batch", "peak memory, MiB", "without a result"),
)


def _load_worker() -> Any:
    """The worker's module: it lies in the folder of the tools, which is no package."""
    spec = importlib.util.spec_from_file_location("rivals_worker", ROOM / "worker.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = _load_worker()


@dataclass(frozen=True)
class Job:
    """One tool on the pairs of one folder; ``first``: only so many, None for all; ``key`` names what the results depend on."""

    tool: str
    folder: Path
    first: int | None
    results: Path
    threads: int
    key: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark rivals``."""
    parser.add_argument("--data", type=Path, required=True, help="folder with pairs of known truth, a folder with pairs.csv for each task")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), help=f"default: {' '.join(TASKS)}")
    parser.add_argument("--tools", nargs="*", choices=PROGRAMS, default=list(PROGRAMS), help="tools to compare with (default: all)")
    parser.add_argument("--first", type=int, help=f"pairs of a task for the tools (default: {FIRST[2]} in the plane, {FIRST[3]} in space)")
    parser.add_argument(
        "--ours-first", type=int, help="pairs of a task for this extension's batch (default: all in the plane, those of the tools in space)"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads for every tool (default: 2)")
    parser.add_argument("--output-dir", type=Path, default=ROOT / "out" / "rivals", help="where results are kept (default: out/rivals)")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown, a table for each task; raises InputError for folders and numbers that can't be used."""
    _check(arguments)
    if arguments.tools:
        set_up()
    lines = [f"{platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads for every tool, no GPU."]
    for task in arguments.tasks:
        section = ["", f"### {task}", "", *header(*_COLUMNS), *_run_task(arguments, task)]
        print("\n".join(section), flush=True)
        lines += section
    return lines


def set_up() -> None:
    """Make ``.venv-rivals`` unless it holds what the requirements say; raises InputError where that fails."""
    if is_set_up():
        return
    print("Setting up .venv-rivals; the first time this takes some minutes.", file=sys.stderr)
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True, stdout=sys.stderr)
        subprocess.run([*install, "--requirement", str(REQUIREMENTS)], check=True, stdout=sys.stderr)
    except subprocess.CalledProcessError as error:
        raise InputError(f"The environment in .venv-rivals could not be made ({error}); start again to repair it.") from error
    STAMP.write_text(_wanted())


def is_set_up() -> bool:
    """Whether ``.venv-rivals`` holds what the requirements say."""
    return PYTHON.exists() and STAMP.is_file() and STAMP.read_text() == _wanted()


def key_of(tool: str, folder: Path, threads: int) -> str:
    """What the results of a tool depend on, as a short digest: its program, its settings, its versions, the pairs, the threads."""
    files = [ROOM / "worker.py", ROOM / f"{PROGRAMS.get(tool, tool)}.py", folder / "pairs.csv"]
    if tool in OURS:
        files += sorted(path for path in (ROOT / "MetaAffineReg").rglob("*") if path.suffix in (".py", ".pt"))
        files.append(ROOT / "requirements.lock")
    else:
        files += [ROOM / "rotations.py", settings_of(tool, folder), REQUIREMENTS]
    digest = hashlib.sha256(str(threads).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def settings_of(tool: str, folder: Path) -> Path:
    """The settings of a tool for the pairs of a folder: by their dimension, and of their own where the contrasts differ.

    That they do is told by the name of the folder, which ends in -contrast; raises InputError where a file of the pairs can't be used.
    """
    room = f"{dimension_of(folder)}d"
    own = ROOM / "settings" / f"{room}-contrast" / f"{tool}.toml"
    return own if folder.name.endswith("-contrast") and own.is_file() else ROOM / "settings" / room / f"{tool}.toml"


def dimension_of(folder: Path) -> int:
    """2 or 3, that of the first pair of a folder."""
    return read_pairs(folder, 1)[0].fixed.geometry.dimension


def results_of(job: Job) -> dict[str, dict[str, Any]]:
    """The lines of a job by pair (see ``rivals/worker.py``), computed where they are missing; raises InputError where the tool can't run.

    A tool that takes its process down with it fails on that pair, and the next pair gets a new process.
    """
    job.results.parent.mkdir(parents=True, exist_ok=True)
    names = [name for name, _, _ in worker.read_pairs(job.folder, job.first)]
    found = worker.read_results(job.results, job.key)
    while not found.keys() >= set(names):
        print(f"{job.folder.name}: {job.tool}, {len(set(names) - found.keys())} of {len(names)} pairs to do", file=sys.stderr, flush=True)
        process = subprocess.run(_command(job), env=_environment(job), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        found = worker.read_results(job.results, job.key)
        missing = [name for name in names if name not in found]
        if missing and process.returncode in _CRASHES and job.tool not in OURS:
            worker.append_result(job.results, worker.failed(missing[0], job.key, "the process of the tool crashed"))
            found = worker.read_results(job.results, job.key)
        elif missing:
            said = process.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            raise InputError(f"{job.tool} can't be run on {job.folder} ({said[-1]}); see that its environment and the pairs are whole.")
    return {name: found[name] for name in names}


def table(results: dict[str, dict[str, dict[str, Any]]], pairs: list[KnownPair], first: int) -> list[str]:
    """Rows of Markdown for one task: ours in one batch on all its pairs and on the first ones, then all tools on the first ones."""
    together = results[OURS[1]]
    start = pairs[:first]
    times = _seconds(results[OURS[0]], start), _seconds(together, pairs)
    rows = [_row(_NAMES[OURS[1]], pairs, together, times)]
    if len(start) < len(pairs):
        rows.append(_row(f"{_NAMES[OURS[1]]}, the first {len(start)} of it", start, together, times))
    return [*rows, *(_row(_NAMES.get(tool, tool), start, results[tool], times) for tool in results if tool != OURS[1])]


def _wanted() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _check(arguments: argparse.Namespace) -> None:
    for option in ("first", "ours_first", "threads"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise InputError(f"--{option.replace('_', '-')} {value} is not a number to work with; give 1 or more.")
    for task in arguments.tasks:
        read_table(arguments.data / task)


def _run_task(arguments: argparse.Namespace, task: str) -> list[str]:
    folder = arguments.data / task
    dimension = dimension_of(folder)
    tools_first = FIRST[dimension] if arguments.first is None else arguments.first
    ours_first = tools_first if arguments.ours_first is None and dimension == 3 else arguments.ours_first
    ours_first = None if ours_first is None else max(tools_first, ours_first)
    results = {}
    for tool in (*OURS, *arguments.tools):
        first = ours_first if tool == OURS[1] else tools_first
        place = arguments.output_dir / task / f"{tool}.jsonl"
        results[tool] = results_of(Job(tool, folder, first, place, arguments.threads, key_of(tool, folder, arguments.threads)))
    return table(results, read_pairs(folder, ours_first), tools_first)


def _command(job: Job) -> list[str]:
    python = sys.executable if job.tool in OURS else str(PYTHON)
    return [
        *(python, str(ROOM / "worker.py"), "--tool", PROGRAMS.get(job.tool, job.tool), "--pairs", str(job.folder), "--key", job.key),
        *("--results", str(job.results)),
        *(() if job.tool in OURS else ("--settings", str(settings_of(job.tool, job.folder)))),
        *(() if job.first is None else ("--first", str(job.first))),
    ]


def _environment(job: Job) -> dict[str, str]:
    """The environment of a worker: the same number of threads for every library, and our packages for our own tools only."""
    names = ("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    packages = str(ROOT / "MetaAffineReg") if job.tool in OURS else ""
    return {**os.environ, **dict.fromkeys(names, str(job.threads)), "ANTS_RANDOM_SEED": "1", "PYTHONPATH": packages}


def _seconds(lines: dict[str, dict[str, Any]], pairs: list[KnownPair]) -> float:
    return float(np.median([lines[pair.id]["seconds"] for pair in pairs]))


def _row(name: str, pairs: list[KnownPair], lines: dict[str, dict[str, Any]], ours: tuple[float, float]) -> str:
    own = [lines[pair.id] for pair in pairs]
    found = errors(pairs, [np.reshape(line["matrix"], (4, 4)) for line in own])
    seconds = _seconds(lines, pairs)
    peaks = [line["peak_mib"] for line in own if line["peak_mib"] is not None]
    return row(
        name,
        len(pairs),
        share(int(found.right.sum()), len(pairs)),
        f"{100 * float((found.rms_px < 3).mean()):.1f} %",
        *(number(float(value)) for value in (np.median(found.mse4), found.mse4.mean(), found.mse4.max())),
        f"{seconds:.3f}",
        *(number(seconds / own_seconds) for own_seconds in ours),
        f"{max(peaks):.0f}" if peaks else "-",
        sum(line["status"] != "ok" for line in own),
    )
