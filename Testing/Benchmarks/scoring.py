"""How far transforms are from a known truth, over the grid of the fixed image, and what a judgement of them is worth."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegCLI.transform_files import read_transform
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix, PairFrame, pair_frame
from MetaAffineRegLib.image import Image

RIGHT = 1.0  # px: a result with a smaller root mean square error counts as right
COLUMNS = ("id", "fixed", "moving", "truth")


@dataclass(frozen=True)
class KnownPair:
    """A pair with its true transform (4 x 4, fixed point -> moving point, LPS mm)."""

    id: str
    fixed: Image
    moving: Image
    truth: Matrix

    @property
    def start(self) -> Matrix:
        """Where registration sets out: the centres on each other (4 x 4, LPS mm); the identity for images of one geometry."""
        frame = pair_frame(self.fixed.geometry, self.moving.geometry)
        return frame.to_lps(frame.start)

    @property
    def rotation(self) -> float:
        """Angle of the rotation nearest to the truth, degrees in [0, 180]."""
        frame = pair_frame(self.fixed.geometry, self.moving.geometry)
        d = frame.dimension
        u, _, vh = np.linalg.svd(_normalised(self.truth, frame)[:, :-1])
        cosine = (float(np.trace(u @ vh)) - (d - 2)) / 2  # of a rotation in the plane, and of one in space
        return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


@dataclass(frozen=True)
class Errors:
    """Arrays ``(N,)``, one entry a pair.

    mse4: four times the mean squared distance over [-1, 1]^d, the paper's unit; rms_px: its root in samples of the fixed image;
    eps_a, eps_b: Frobenius norm of the error of A and Euclidean norm of the error of b, the paper's Tables 3 and 4.
    """

    mse4: NDArray[np.float64]
    rms_px: NDArray[np.float64]
    eps_a: NDArray[np.float64]
    eps_b: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Below one pixel."""
        return self.rms_px < RIGHT


@dataclass(frozen=True)
class Bin:
    """Pairs whose stated probability lies between ``low`` and ``high``: how many, the mean of it, how many are right."""

    low: float
    high: float
    count: int
    stated: float
    right: int


def read_table(folder: Path) -> list[dict[str, str]]:
    """The rows of ``folder/pairs.csv`` (id, fixed, moving, truth; paths relative to the folder).

    Raises InputError where the table is missing, unreadable or empty, lacks a column or leaves a cell of one out.
    """
    path = folder / "pairs.csv"
    if not path.is_file():
        raise InputError(f"{path} does not exist; make the pairs of this task first, as RESULTS.md says.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            rows = list(csv.DictReader(f))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a CSV file; make the pairs of this task anew.") from error
    if not rows:
        raise InputError(f"{path} has no rows; make the pairs of this task anew.")
    if any(not row.get(column) for row in rows for column in COLUMNS):
        raise InputError(f"{path} must have {', '.join(COLUMNS)} in every row; make the pairs of this task anew.")
    return rows


def read_pairs(folder: Path, first: int | None = None) -> list[KnownPair]:
    """The pairs of a folder with pairs.csv, or the first of them; raises InputError as ``read_table`` and where a file can't be used."""
    return [
        KnownPair(
            row["id"],
            read_image(folder / row["fixed"]).image,
            read_image(folder / row["moving"]).image,
            read_transform(folder / row["truth"]),
        )
        for row in read_table(folder)[:first]
    ]


def errors(pairs: Sequence[KnownPair], transforms: Sequence[Matrix]) -> Errors:
    """Errors of one transform (4 x 4, fixed point -> moving point, LPS mm) a pair."""
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
    """95 % interval of a share of ``count`` > 0 (Wilson 1927)."""
    z = 1.959964
    share = successes / count
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    scale = 1 + z * z / count
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def reliability(stated: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> list[Bin]:
    """Bins of equal width over stated probabilities ``(N,)`` in [0, 1] with what became of them; empty bins are left out."""
    index = np.minimum((stated * bins).astype(int), bins - 1)
    return [
        Bin(k / bins, (k + 1) / bins, int((index == k).sum()), float(stated[index == k].mean()), int(right[index == k].sum()))
        for k in range(bins)
        if (index == k).any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance between the stated probability and the share that is right, weighted by the pairs of a bin (Naeini 2015)."""
    return sum(abs(b.stated * b.count - b.right) for b in bins) / sum(b.count for b in bins)


def _normalised(transform: Matrix, frame: PairFrame) -> Matrix:
    relative = np.linalg.inv(frame.moving_to_lps) @ transform @ frame.fixed_to_lps
    d = frame.dimension
    return np.hstack((relative[:d, :d], relative[:d, 3:]))
