"""``benchmark real``: pairs of real volumes with a known transform, from random poses."""

import argparse
import csv
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import header, machine, row, share
from numpy.typing import NDArray

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegCLI.transform_files import read_transform
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Settings, register

NEAR = 2.0  # mm: target registration error of a right result
_EVERY = 4  # so manieth sample along each axis is a target
_BRIGHT = 0.15  # of the brightest: what counts as the object, where the targets lie
_SHIFT = 40.0  # mm, largest of a pose along each axis

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class RealPair:
    """Two volumes, the true transform (4 x 4, fixed point -> moving point, LPS mm) and whether it is more than nearly true."""

    fixed: Path
    moving: Path
    kind: str
    truth: Matrix
    certain: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark real``."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with pairs.csv (fixed, moving, kind, truth, transforms)"
    )
    parser.add_argument("--poses", type=int, default=20, help="random poses of each pair (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="where to compute (default: cpu)")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; raises InputError where the table of pairs is missing."""
    if arguments.poses < 1:
        raise InputError(f"--poses {arguments.poses} is not a number of poses; give 1 or more.")
    random = np.random.default_rng(arguments.seed)
    lines, near, flagged, seconds = [], [], [], []
    for pair in read_real_pairs(arguments.data):
        errors, statuses, looks, times = _from_poses(pair, random, arguments.poses, arguments.device)
        name = f"{pair.fixed.name.split('.')[0]} - {pair.moving.name.split('.')[0]}"
        lines.append(
            row(
                *(name, pair.kind, "yes" if pair.certain else "nearly", f"{int((errors < NEAR).sum())} of {len(errors)}"),
                *(f"{np.median(errors):.2f}", f"{errors.max():.2f}", statuses.count("ok"), looks.count("edges"), f"{np.mean(times):.1f}"),
            )
        )
        print(lines[-1], file=sys.stderr, flush=True)
        seconds += times
        if pair.certain:
            near += list(errors < NEAR)
            flagged += [status != "ok" for status in statuses]
    wrong, unsure = ~np.array(near), np.array(flagged)
    right = ~wrong
    return [
        f"{arguments.poses} poses a pair, any rotation, shifts up to {_SHIFT:g} mm; {machine(arguments.device)}. "
        f"Where the truth is certain, {share(int(right.sum()), len(right))} of the results are within {NEAR:g} mm; "
        f"of the wrong ones {int((wrong & unsure).sum())} of {int(wrong.sum())} are flagged, "
        f"of the right ones {int((right & unsure).sum())} of {int(right.sum())}.",
        "",
        *header(
            *("pair", "kind", "truth certain", f"within {NEAR:g} mm", "median mm", "largest mm"),
            *("called ok", "by edges", "s"),
        ),
        *lines,
    ]


def read_real_pairs(folder: Path) -> Iterator[RealPair]:
    """The pairs of pairs.csv whose transform is known, at least nearly; raises InputError where there is no such table."""
    table = folder / "pairs.csv"
    if not table.is_file():
        raise InputError(f"{table} does not exist; give the folder of volumes of the data collection.")
    with table.open(newline="", encoding="utf-8") as f:
        for entry in csv.DictReader(f):
            said, files = entry["truth"], [folder / name for name in entry["transforms"].replace(";", " ").split()]
            if said.startswith("affine given: x -> b(inv(a) x)"):
                first, second = (read_transform(path) for path in files)
                truth = second @ np.linalg.inv(first)
            elif said.startswith("affine given"):
                truth = read_transform(files[0])
            elif "identity" in said:
                truth = np.eye(4)
            else:
                continue
            certain = said == "identity" or said.startswith("affine given")
            yield RealPair(folder / entry["fixed"], folder / entry["moving"], entry["kind"], truth, certain)


def _from_poses(pair: RealPair, random: np.random.Generator, poses: int, device: str) -> tuple[Matrix, list[str], list[str], list[float]]:
    """Mean target registration errors in mm, statuses, what was compared, and seconds, of each pose."""
    fixed, moving = read_image(pair.fixed).image, read_image(pair.moving).image
    targets = _targets(fixed)
    centre = moving.geometry.index_to_lps @ np.append((np.array(moving.geometry.size) - 1) / 2, 1)
    errors, statuses, looks, times = [], [], [], []
    for _ in range(poses):
        pose = np.eye(4)
        pose[:3, :3] = _any_rotation(random)
        pose[:3, 3] = centre[:3] - pose[:3, :3] @ centre[:3] + random.uniform(-_SHIFT, _SHIFT, 3)
        posed = Image.checked(moving.array, ImageGeometry(moving.geometry.size, pose @ moving.geometry.index_to_lps), moving.name)
        started = time.perf_counter()
        (result,) = register([(fixed, posed)], Settings(device=device))  # type: ignore[arg-type]
        times.append(time.perf_counter() - started)
        away = ((result.fixed_to_moving_lps - pose @ pair.truth) @ targets)[:3]
        errors.append(float(np.sqrt((away**2).sum(0)).mean()))
        assert result.confidence is not None
        statuses.append(result.confidence.status)
        looks.append(result.confidence.compared)
    return np.array(errors), statuses, looks, times


def _targets(image: Image) -> Matrix:
    """LPS points ``(4, n)`` in the object."""
    grid = np.meshgrid(*(np.arange(0, n, _EVERY) for n in image.array.shape), indexing="ij")
    index = np.stack(grid, -1).reshape(-1, 3)
    bright = image.array[tuple(index.T)] > _BRIGHT * np.percentile(image.array, 99.5)
    return image.geometry.index_to_lps @ np.c_[index[bright][:, ::-1], np.ones(int(bright.sum()))].T


def _any_rotation(random: np.random.Generator) -> Matrix:
    """Uniform over all rotations (Shoemake 1992)."""
    x, y, z, w = (q := random.normal(size=4)) / math.sqrt((q**2).sum())
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
