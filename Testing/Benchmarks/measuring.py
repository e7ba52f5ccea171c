"""Runs of a method over the pairs of a task: what came out, how far off it is and how long it took."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from scoring import Errors, KnownPair, errors, wilson

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.registration import MethodName, Result, Settings, register
from MetaAffineRegLib.searches import DataTermChoice

SECONDS_OF_SILENCE = 20.0


@dataclass(frozen=True)
class Run:
    """What is run: a method with a model (None for the default one), what it makes of samples outside of the moving image and, for
    robust, what it compares."""

    method: MethodName
    model: str | None = None
    outside: Literal["overlap", "zero"] = "overlap"
    data_term: DataTermChoice = "auto"

    def __str__(self) -> str:
        return " ".join(
            (
                self.method,
                *([self.model] if self.model else []),
                *(["zero"] if self.outside == "zero" else []),
                *([self.data_term] if self.data_term != "auto" else []),
            )
        )


@dataclass(frozen=True)
class Outcome:
    """What came out: a result a pair, the errors, and milliseconds a pair in one batch."""

    results: list[Result]
    errors: Errors
    milliseconds: float

    @property
    def model(self) -> str | None:
        """Name of the model that was used."""
        return self.results[0].model


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the pairs lie, how many of them, on what device."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with one folder of pairs (pairs.csv) a task")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N pairs of a task")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="where to compute (default: cpu)")


def check_data_arguments(arguments: argparse.Namespace) -> None:
    """Raise InputError where there is no such folder, or no pairs are asked for."""
    if not arguments.data.is_dir():
        raise InputError(f"--data {arguments.data} is not a folder; give the one that holds the pairs of the tasks.")
    if arguments.first is not None and arguments.first < 1:
        raise InputError(f"--first {arguments.first} is not a number of pairs; give 1 or more.")


def measure(pairs: Sequence[KnownPair], run: Run, device: str, label: str) -> Outcome:
    """Run a method over all pairs as one batch, after a short run to warm up; tells on stderr how it goes."""
    settings = Settings(method=run.method, model=run.model, outside=run.outside, data_term=run.data_term, device=device)  # type: ignore[arg-type]
    images = [(pair.fixed, pair.moving) for pair in pairs]
    register(images[:2], settings)
    started = time.perf_counter()
    results = register(images, settings, progress=_teller(f"{label}: {run}"))
    milliseconds = (time.perf_counter() - started) / len(pairs) * 1000
    found = errors(pairs, [result.fixed_to_moving_lps for result in results])
    right = share(int(found.right.sum()), len(pairs))
    print(f"{label}: {run}: {len(pairs)} pairs, {right} below 1 px, {milliseconds:.0f} ms a pair", file=sys.stderr, flush=True)
    return Outcome(results, found, milliseconds)


def machine(device: str) -> str:
    """In words, what the figures were made on."""
    name = torch.cuda.get_device_name() if device != "cpu" and torch.cuda.is_available() else "cpu"
    return f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, threads {torch.get_num_threads()}, {name}"


def share(successes: int, count: int) -> str:
    """A share in per cent with its 95 % interval; a dash where nothing was counted."""
    if count == 0:
        return "-"
    low, high = wilson(successes, count)
    return f"{100 * successes / count:.1f} % ({100 * low:.1f} .. {100 * high:.1f})"


def number(value: float) -> str:
    """Two digits."""
    return f"{value:.2g}" if np.isfinite(value) else str(value)


def row(*cells: object) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def header(*names: str) -> list[str]:
    """The first two lines of a Markdown table."""
    return [row(*names), "|" + "---|" * len(names)]


def _teller(label: str) -> Callable[[str, float], None]:
    """Tells how far a run is, every now and then."""
    told = time.monotonic()

    def tell(stage: str, fraction: float) -> None:
        nonlocal told
        if time.monotonic() - told > SECONDS_OF_SILENCE:
            told = time.monotonic()
            print(f"{label}: {100 * fraction:.0f} %", file=sys.stderr, flush=True)

    return tell
