"""How far transforms are from a known truth, over the grid of the fixed image."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegCLI.transform_files import read_transform
from MetaAffineRegLib.geometry import Matrix, PairFrame, pair_frame
from MetaAffineRegLib.image import Image


@dataclass(frozen=True)
class KnownPair:
    """A pair with its true transform (4 x 4, fixed point -> moving point, LPS mm)."""

    id: str
    fixed: Image
    moving: Image
    truth: Matrix


@dataclass(frozen=True)
class Errors:
    """mse4: four times the mean squared distance over [-1, 1]^d, the paper's unit; rms_px: its root in samples of the fixed image."""

    mse4: np.ndarray
    rms_px: np.ndarray
    eps_a: np.ndarray
    eps_b: np.ndarray


def read_pairs(folder: Path, first: int | None = None) -> list[KnownPair]:
    """The pairs of a folder with pairs.csv (id, fixed, moving, truth; paths relative to it)."""
    with (folder / "pairs.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))[:first]
    return [
        KnownPair(
            row["id"],
            read_image(folder / row["fixed"]).image,
            read_image(folder / row["moving"]).image,
            read_transform(folder / row["truth"]),
        )
        for row in rows
    ]


def errors(pairs: list[KnownPair], transforms: list[Matrix]) -> Errors:
    """Errors of one transform a pair."""
    rows = []
    for pair, transform in zip(pairs, transforms, strict=True):
        frame = pair_frame(pair.fixed.geometry, pair.moving.geometry)
        difference = _normalised(transform, frame) - _normalised(pair.truth, frame)
        sizes = [pair.fixed.geometry.size[axis] for axis in pair.fixed.geometry.axes]
        variance = np.array([np.mean(((2 * np.arange(n) + 1) / n - 1) ** 2) for n in sizes])
        mse = float((difference[:, :-1] ** 2 @ variance).sum() + (difference[:, -1] ** 2).sum())
        rows.append((4 * mse, math.sqrt(mse) * max(sizes) / 2, np.linalg.norm(difference[:, :-1]), np.linalg.norm(difference[:, -1])))
    return Errors(*np.array(rows).T)


def wilson(successes: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z = 1.959964
    share = successes / count
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    scale = 1 + z * z / count
    return (middle - reach) / scale, (middle + reach) / scale


def _normalised(transform: Matrix, frame: PairFrame) -> Matrix:
    relative = np.linalg.inv(frame.moving_to_lps) @ transform @ frame.fixed_to_lps
    d = frame.dimension
    return np.hstack((relative[:d, :d], relative[:d, 3:]))
