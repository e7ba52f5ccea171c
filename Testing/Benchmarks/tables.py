"""``benchmark tables``: plain, learn and comb on pairs with a known truth, in the paper's unit and in pixels."""

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from scoring import Errors, errors, read_pairs, wilson

from MetaAffineRegLib.checkpoint import available_models
from MetaAffineRegLib.registration import Settings, register

# Mean mse4 that the paper prints: Table 1 (one-level network) and Table 6 (multi-level).
PRINTED = {
    ("hands", "plain", ""): 1.17,
    ("brain", "plain", ""): 1.00,
    ("mri", "plain", ""): 0.69,
    ("hands", "comb", "-onelevel"): 0.02,
    ("brain", "comb", "-onelevel"): 0.28,
    ("mri", "comb", "-onelevel"): 0.58,
    ("hands", "learn", ""): 0.00,
    ("brain", "learn", ""): 0.23,
    ("mri", "learn", ""): 0.49,
    ("hands", "comb", ""): 0.00,
    ("brain", "comb", ""): 0.21,
    ("mri", "comb", ""): 0.44,
}
_HEADER = (
    "| task | method | model | outside | paper, mean mse4 | mean mse4 | median mse4 | max mse4 | eps_A | eps_b "
    "| below 1 px (95 % interval) | below 3 px | ms a pair |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark tables``."""
    parser.add_argument("--pairs", type=Path, required=True, help="folder with pairs of known truth in hands/, brain/, mri/")
    parser.add_argument("--tasks", nargs="+", default=["hands", "brain", "mri"])
    parser.add_argument("--first", type=int, help="only the first N pairs of a task")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown: the machine, then a row for each method."""
    lines = []
    count = 0
    for task in arguments.tasks:
        pairs = read_pairs(arguments.pairs / task, arguments.first)
        count = len(pairs)
        images = [(pair.fixed, pair.moving) for pair in pairs]
        for method, model, outside in _runs(task):
            settings = Settings(method=method, model=model, outside=outside, device=arguments.device)  # type: ignore[arg-type]
            register(images[:2], settings)  # warm
            started = time.perf_counter()
            results = register(images, settings)
            milliseconds = (time.perf_counter() - started) / len(images) * 1000
            found = errors(pairs, [result.fixed_to_moving_lps for result in results])
            lines.append(_line(task, method, model, outside, found, milliseconds))
            print(lines[-1], flush=True)
    return [f"{count} pairs a task; {_machine(arguments.device)}.", "", *_HEADER, *lines]


def _runs(task: str) -> list[tuple[str, str | None, str]]:
    runs: list[tuple[str, str | None, str]] = [("plain", None, "zero"), ("plain", None, "overlap")]
    for model in (f"{task}-onelevel", task):
        if model in available_models():
            runs += [("learn", model, "-"), ("comb", model, "zero"), ("comb", model, "overlap")]
    return [(method, model, "overlap" if outside == "-" else outside) for method, model, outside in runs]


def _line(task: str, method: str, model: str | None, outside: str, found: Errors, milliseconds: float) -> str:
    printed = PRINTED.get((task, method, (model or "").removeprefix(task)))
    good = int((found.rms_px < 1).sum())
    low, high = wilson(good, len(found.rms_px))
    cells = (
        task,
        method,
        model or "-",
        "-" if method == "learn" else outside,
        "-" if printed is None else f"{printed:.2f}",
        f"{found.mse4.mean():.2g}",
        f"{np.median(found.mse4):.2g}",
        f"{found.mse4.max():.2g}",
        f"{found.eps_a.mean():.2g}",
        f"{found.eps_b.mean():.2g}",
        f"{100 * good / len(found.rms_px):.1f} % ({100 * low:.1f} .. {100 * high:.1f})",
        f"{100 * float((found.rms_px < 3).mean()):.1f} %",
        f"{milliseconds:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def _machine(device: str) -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads, {device}"
