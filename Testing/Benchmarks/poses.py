"""Registrations from random poses of the moving image, against a known transform."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from measuring import header, row, share
from numpy.typing import NDArray

from MetaAffineRegLib.geometry import ImageGeometry, Matrix
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Confidence, Settings, register

NEAR = 2.0  # mm: mean target registration error of a right result, or a voxel where that is less
_EVERY = 4  # so manieth sample along each axis is a target
_BRIGHT = 0.15  # of the way from the darkest to the brightest: what counts as the object, where the targets lie

COLUMNS = ("within reach", "median mm", "largest mm", "called ok", "right ones flagged", "wrong ones flagged", "by edges", "s")


@dataclass(frozen=True)
class Posed:
    """A result: its error in mm, what of it counts as right, what it says of itself and how long it took, s."""

    error: float
    near: float
    confidence: Confidence
    seconds: float

    @property
    def right(self) -> bool:
        return self.error < self.near


@dataclass
class Tally:
    """Results of one kind."""

    results: list[Posed] = field(default_factory=list)

    def row(self, *names: object) -> str:
        """A line of Markdown under COLUMNS, with cells of one's own before them."""
        right = [one for one in self.results if one.right]
        errors = [one.error for one in self.results]
        flagged = {whose: sum(one.confidence.status != "ok" for one in self.results if one.right == whose) for whose in (True, False)}
        return row(
            *names,
            f"{len(right)} of {len(self.results)}",
            *(f"{np.median(errors):.2f}", f"{max(errors):.2f}", sum(one.confidence.status == "ok" for one in self.results)),
            *(f"{flagged[True]} of {len(right)}", f"{flagged[False]} of {len(self.results) - len(right)}"),
            sum(one.confidence.compared == "edges" for one in self.results),
            f"{np.mean([one.seconds for one in self.results]):.1f}",
        )

    def sentence(self) -> str:
        """How many are right, and how many of both kinds are flagged."""
        right = [one.right for one in self.results]
        flagged = [one.confidence.status != "ok" for one in self.results]
        both = [sum(f for f, r in zip(flagged, right, strict=True) if r == whose) for whose in (True, False)]
        return (
            f"{share(sum(right), len(right))} of {len(right)} results are within reach; of the wrong ones {both[1]} of "
            f"{len(right) - sum(right)} are flagged, of the right ones {both[0]} of {sum(right)}"
        )


def header_of(*names: str) -> list[str]:
    """The first lines of a table of ``Tally.row``."""
    return header(*names, *COLUMNS)


def together(tallies: Iterable[Tally]) -> Tally:
    """All their results."""
    return Tally([one for tally in tallies for one in tally.results])


def register_posed(fixed: Image, moving: Image, truth: Matrix, targets: Matrix, random: np.random.Generator, device: str) -> Posed:
    """Register to the moving image in a random pose; ``truth`` (4 x 4) is that of the image as it lies, ``targets`` (4, n) LPS mm."""
    pose = random_pose(moving.geometry, random)
    started = time.perf_counter()
    (result,) = register([(fixed, moved(moving, pose))], Settings(device=device))  # type: ignore[arg-type]
    seconds = time.perf_counter() - started
    assert result.confidence is not None
    near = min(NEAR, *(float(fixed.geometry.spacing[axis]) for axis in fixed.geometry.axes))
    return Posed(float(distances(result.fixed_to_moving_lps, pose @ truth, targets).mean()), near, result.confidence, seconds)


def random_pose(geometry: ImageGeometry, random: np.random.Generator) -> Matrix:
    """Any rotation about the middle of an image, in its plane for a slice, and shifts up to half of its longest side; 4 x 4, LPS mm."""
    d = geometry.dimension
    turn, shift = np.eye(3), np.zeros(3)
    turn[:d, :d] = any_rotation(random, d)
    shift[:d] = random.uniform(-geometry.extent / 2, geometry.extent / 2, d)
    basis = geometry.directions
    pose = np.eye(4)
    pose[:3, :3] = basis @ turn @ basis.T
    pose[:3, 3] = geometry.center_lps - pose[:3, :3] @ geometry.center_lps + basis @ shift
    return pose


def moved(image: Image, pose: Matrix) -> Image:
    """The image in another place: its samples as they are, on a lattice that is moved by ``pose`` (4 x 4, LPS mm)."""
    return Image.checked(image.array, ImageGeometry(image.geometry.size, pose @ image.geometry.index_to_lps), image.name)


def distances(one: Matrix, other: Matrix, points: Matrix) -> NDArray[np.float64]:
    """How far apart two maps put each of the points (4, n), mm."""
    return np.linalg.norm(((one - other) @ points)[:3], axis=0)


def object_points(image: Image) -> Matrix:
    """LPS points ``(4, n)`` in the object."""
    grid = np.meshgrid(*(np.arange(0, n, _EVERY if n > 1 else 1) for n in image.array.shape), indexing="ij")
    index = np.stack(grid, -1).reshape(-1, 3)
    low, high = np.percentile(image.array, (0.5, 99.5))
    bright = image.array[tuple(index.T)] > low + _BRIGHT * (high - low)
    return image.geometry.index_to_lps @ np.c_[index[bright][:, ::-1], np.ones(int(bright.sum()))].T


def any_rotation(random: np.random.Generator, d: int) -> Matrix:
    """Uniform over all rotations (d, d) of the plane or of space (Shoemake 1992)."""
    if d == 2:
        angle = random.uniform(-math.pi, math.pi)
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    x, y, z, w = (q := random.normal(size=4)) / math.sqrt((q**2).sum())
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
