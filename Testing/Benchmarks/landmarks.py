"""``benchmark landmarks``: histological sections and X-rays of two hands, judged by landmarks that people set."""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import header, machine, row, share
from numpy.typing import NDArray
from poses import moved, random_pose
from real_pairs import check_poses

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix, pair_frame
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Settings, register

NEAR = 0.02  # of the diagonal: so much more than the best affine map is a right result

Points = NDArray[np.float64]


@dataclass(frozen=True)
class MarkedPair:
    """Two slices and corresponding points in them, (n, 2) each, in samples."""

    name: str
    fixed: Image
    moving: Image
    fixed_marks: Points
    moving_marks: Points

    @property
    def diagonal(self) -> float:
        """Of the moving image, samples."""
        return float(np.linalg.norm(self.moving.geometry.size[:2]))

    def error(self, fixed_to_moving_lps: Matrix) -> float:
        """Mean distance of the moved landmarks from their partners, of the diagonal."""
        mapped = np.linalg.inv(self.moving.geometry.index_to_lps) @ fixed_to_moving_lps @ self.fixed.geometry.index_to_lps
        ends = _homogeneous(self.fixed_marks) @ mapped[:2].T
        return float(np.linalg.norm(ends - self.moving_marks, axis=1).mean()) / self.diagonal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark landmarks``."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the data collection, with the folders xray and hands")
    parser.add_argument("--poses", type=int, default=20, help="random poses of each pair (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="where to compute (default: cpu)")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; raises InputError where a table of landmarks is missing."""
    check_poses(arguments)
    random = np.random.default_rng(arguments.seed)
    lines, near, ok = [], [], []
    for pair in read_marked_pairs(arguments.data):
        ends, oks, times = _from_poses(pair, random, arguments.poses, arguments.device)
        frame = pair_frame(pair.fixed.geometry, pair.moving.geometry)
        best = best_affine_error(pair)
        near.append(ends < best + NEAR)
        ok.append(oks)
        figures = [100 * value for value in (pair.error(frame.to_lps(frame.start)), best, np.median(ends), ends.max())]
        lines.append(
            row(
                *(pair.name, len(pair.fixed_marks), *(f"{figure:.2f}" for figure in figures), f"{int(near[-1].sum())} of {len(ends)}"),
                *(f"{int((near[-1] & oks).sum())} of {int(oks.sum())}", f"{1000 * np.mean(times):.0f}"),
            )
        )
        print(lines[-1], file=sys.stderr, flush=True)
    right, flagged = np.concatenate(near), ~np.concatenate(ok)
    return [
        f"{arguments.poses} poses a pair, any rotation in the plane; {machine(arguments.device)}. Errors are mean distances of the "
        "landmarks in per cent of the diagonal; the best affine map is the least-squares fit to the landmarks themselves. "
        f"{share(int(right.sum()), len(right))} of the results come within {100 * NEAR:g} % of it; of the others "
        f"{int((~right & flagged).sum())} of {int((~right).sum())} are flagged, of these {int((right & flagged).sum())} of "
        f"{int(right.sum())}.",
        "",
        *header("pair", "landmarks", "before", "best affine", "median", "largest", "near the best", "of those called ok", "ms"),
        *lines,
    ]


def read_marked_pairs(folder: Path) -> Iterator[MarkedPair]:
    """Pairs of folder/xray/pairs.csv whose two images have landmarks, and the hands; raises InputError where a table is missing."""
    room = folder / "xray"
    for entry in _rows(room / "pairs.csv"):
        names = [entry["fixed"], entry["moving"]]
        tables = [room / "landmarks" / f"{Path(name).stem}.csv" for name in names]
        if all(table.is_file() for table in tables):
            marks = [np.array([(float(one["x"]), float(one["y"])) for one in _rows(table)]) for table in tables]
            count = min(map(len, marks))  # the tables count from the same landmark on
            images = [read_image(room / name).image for name in names]
            yield MarkedPair(" - ".join(Path(name).stem for name in names), *images, *(some[:count] for some in marks))
    room = folder / "hands"
    rows = _rows(room / "landmarks.csv")
    marks = [np.array([(float(one[f"{side}_x_px"]), float(one[f"{side}_y_px"])) for one in rows]) for side in "RT"]
    yield MarkedPair("hands-R - hands-T", *(read_image(room / f"hands-{side}.jpg").image for side in "RT"), *marks)


def best_affine_error(pair: MarkedPair) -> float:
    """Mean distance that the affine map with the least squares leaves between the landmarks, of the diagonal."""
    fit, *_ = np.linalg.lstsq(_homogeneous(pair.fixed_marks)[:, [0, 1, 3]], pair.moving_marks, rcond=None)
    ends = _homogeneous(pair.fixed_marks)[:, [0, 1, 3]] @ fit
    return float(np.linalg.norm(ends - pair.moving_marks, axis=1).mean()) / pair.diagonal


def _from_poses(pair: MarkedPair, random: np.random.Generator, poses: int, device: str) -> tuple[Points, NDArray[np.bool_], list[float]]:
    """Errors, whether they are called ok, and seconds, pose by pose."""
    ends, oks, times = [], [], []
    for _ in range(poses):
        pose = random_pose(pair.moving.geometry, random)
        started = time.perf_counter()
        (result,) = register([(pair.fixed, moved(pair.moving, pose))], Settings(device=device))  # type: ignore[arg-type]
        times.append(time.perf_counter() - started)
        ends.append(pair.error(np.linalg.inv(pose) @ result.fixed_to_moving_lps))
        oks.append(result.status == "ok")
    return np.array(ends), np.array(oks), times


def _homogeneous(marks: Points) -> Points:
    return np.c_[marks, np.zeros(len(marks)), np.ones(len(marks))]


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        raise InputError(f"{table} does not exist; give the folder of the data collection, with xray and hands in it.")
    with table.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))
