"""``benchmark speed``: evaluations of the criterion, pairs and batches against the limit of the machine, on images made by code.

The limit is measured in the same run: what memory can be copied and what can be multiplied and added in a second.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import speed_evaluation
import speed_processes
import speed_registration
import speed_rivals
import torch
from measuring import header, machine, row
from speed_ceilings import Ceilings, measured_ceilings
from speed_sizes import SIZES, Size

from MetaAffineRegLib.backends import Backend, choose_backend
from MetaAffineRegLib.devices import choose_device
from MetaAffineRegLib.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """What is measured: on which device and backends, for which sizes, and how many pairs in the plane and in space."""

    device: torch.device
    backends: list[Backend]
    sizes: list[Size]
    pairs: dict[int, int]
    ceilings: Ceilings

    @property
    def device_name(self) -> str:
        return self.device.type


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark speed``."""
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help=f"what to measure (default: {' '.join(PARTS)})")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help=f"of the images (default: {' '.join(SIZES)})")
    parser.add_argument(
        "--backends", nargs="+", choices=get_args(Backend), help="what computes the criterion (default: all that the device has)"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="where to compute (default: cpu)")
    parser.add_argument("--threads", type=int, help="of the CPU (default: as torch chooses)")
    parser.add_argument("--pairs-2d", type=int, default=200, metavar="N", help="pairs of slices in a batch (default: 200)")
    parser.add_argument("--pairs-3d", type=int, default=8, metavar="N", help="pairs of volumes in a batch (default: 8)")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown, a table for each part; raises InputError for what can't be used."""
    for name in ("threads", "pairs_2d", "pairs_3d"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} {value} is not a number to work with; give 1 or more.")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    backends = [choose_backend(name, device, "float32") for name in arguments.backends] if arguments.backends else backends_of(device)
    ceilings = measured_ceilings(device)
    pairs = {2: arguments.pairs_2d, 3: arguments.pairs_3d}
    case = Case(device, backends, [Size.named(name) for name in arguments.sizes], pairs, ceilings)
    lines = [
        f"{machine(arguments.device)}, {busy()}. Limits of this run: "
        f"{ceilings.bandwidth / 1e9:.3g} GB/s of memory copied (read and written), "
        f"{ceilings.arithmetic / 1e9:.3g} GFLOP/s."
    ]
    for title, part in (PARTS[name] for name in PARTS if name in arguments.parts):
        section = ["", f"### {title}", "", *part(case)]
        print("\n".join(section), file=sys.stderr, flush=True)
        lines += section
    return lines


def backends_of(device: torch.device) -> list[Backend]:
    """Those that can compute there."""
    found: list[Backend] = []
    for name in get_args(Backend):
        try:
            found.append(choose_backend(name, device, "float32"))
        except InputError:
            continue
    return found


def busy() -> str:
    """How many processes wanted a core in the last minute: times on a machine that does other work are too long."""
    return f"{os.getloadavg()[0]:.1f} processes busy before the run" if hasattr(os, "getloadavg") else "other load not known"


def _table(columns: Iterable[str], rows: Iterable[tuple[object, ...]]) -> list[str]:
    def told(cells: tuple[object, ...]) -> str:
        print(" ", *cells, file=sys.stderr, flush=True)
        return row(*cells)

    return [*header(*columns), *map(told, rows)]


def _evaluation(case: Case) -> list[str]:
    return _table(speed_evaluation.COLUMNS, speed_evaluation.rows(case.sizes, case.backends, case.device, case.ceilings))


def _pair(case: Case) -> list[str]:
    few = {dimension: max(1, count // 8) for dimension, count in case.pairs.items()}
    return _table(speed_registration.COLUMNS, speed_registration.pair_rows(case.sizes, case.backends, case.device, case.ceilings, few))


def _batch(case: Case) -> list[str]:
    rows = speed_registration.batch_rows(case.sizes, case.backends, case.device, case.ceilings, case.pairs)
    return _table(speed_registration.COLUMNS, rows)


def _growth(case: Case) -> list[str]:
    """Seconds = c quantity^p: the exponent p, over sides of images and over pairs of a batch."""

    def rows() -> Iterable[tuple[object, ...]]:
        dimensions = sorted({size.dimension for size in case.sizes})
        for backend in case.backends:
            for dimension in dimensions:
                sides, seconds = speed_evaluation.growth(dimension, backend, case.device)
                yield backend, f"evaluation, over samples ({dimension}D)", *_law([side**dimension for side in sides], seconds)
            for size in {size.dimension: size for size in reversed(case.sizes)}.values():
                most = speed_registration.affordable(case.pairs[size.dimension], backend, case.device)
                if most > 1:
                    yield (
                        *(backend, f"registration, over pairs of a batch ({size})"),
                        *_law(*speed_registration.growth(size, backend, case.device, most)),
                    )

    return _table(("backend", "time of", "at", "ms each", "exponent"), rows())


def _law(quantities: list[int], seconds: list[float]) -> tuple[str, str, str]:
    each = ", ".join(
        f"{1000 * value / count:.3g}" if count < 1000 else f"{1000 * value:.3g}" for count, value in zip(quantities, seconds, strict=True)
    )
    return ", ".join(map(str, quantities)), each, f"{speed_evaluation.exponent(quantities, seconds):.2f}"


def _memory(case: Case) -> list[str]:
    rows = speed_processes.memory_rows(case.sizes, list(case.backends), case.device_name)
    return _table(speed_processes.MEMORY_COLUMNS, rows)


def _start(case: Case) -> list[str]:
    return _table(speed_processes.START_COLUMNS, speed_processes.start_rows(case.device_name))


def _rivals(case: Case) -> list[str]:
    smallest = list({size.dimension: size for size in reversed(case.sizes)}.values())
    few = {dimension: max(1, count // 10) for dimension, count in case.pairs.items()}
    return speed_rivals.lines(smallest, few, torch.get_num_threads(), ROOT / "out" / "speed")


PARTS: dict[str, tuple[str, Callable[[Case], list[str]]]] = {
    "evaluation": ("One evaluation of the criterion", _evaluation),
    "pair": ("One warm pair", _pair),
    "batch": ("A batch", _batch),
    "growth": ("Growth", _growth),
    "memory": ("Memory", _memory),
    "start": ("Start-up", _start),
    "rivals": ("Other programs on the same pairs", _rivals),
}
