"""Slices and blocks of volumes, to train on; those that show nothing are left out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.intensity import window

Orientation = Literal["axial", "coronal", "sagittal"]
_ACROSS = {"sagittal": 0, "coronal": 1, "axial": 2}  # the axis of space that a slice is perpendicular to
_SEEN, _CONTENT = 0.1, 0.03  # a sample shows something this far (of the volume's spread) from the background; so many have to
_MOST = 400  # parts of one volume; more are taken evenly


@dataclass(frozen=True)
class Parts:
    """Which parts of a volume are trained on.

    kind: "slices" or "blocks"; orientation: of the slices, by the axis of the volume that is nearest to it; first, last: the range of
    the slices as shares of the volume; skip_empty: leave out what shows nothing; block: side of a block as a share of the volume's.
    """

    kind: Literal["slices", "blocks"] = "slices"
    orientation: Orientation = "axial"
    first: float = 0.0
    last: float = 1.0
    skip_empty: bool = True
    block: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("slices", "blocks") or self.orientation not in get_args(Orientation):
            raise InputError(
                f"'{self.kind}', '{self.orientation}' are no parts of a volume; take slices, axial, coronal or sagittal, or blocks."
            )
        if not 0 <= self.first < self.last <= 1:
            raise InputError(f"The slices {self.first:g} to {self.last:g} are no range; give two shares of the volume, the smaller first.")
        if not 0.25 <= self.block <= 1:
            raise InputError(f"A block of {self.block:g} of the volume can't be used; give 0.25 to 1.")

    def of(self, image: Image) -> list[Image]:
        """The parts of a volume; a single slice is its own slice.  Raises InputError for a single slice where blocks are wanted."""
        if image.geometry.dimension == 2:
            if self.kind == "blocks":
                raise InputError(f"{image.name} is a single slice and has no blocks; train on slices, or leave it out.")
            return [image]
        boxes = list(self._slices(image) if self.kind == "slices" else self._blocks(image))
        background, spread = window(image.array)
        kept = [box for box in boxes if not self.skip_empty or _shows(image.array[_slices_of(box)], background, spread)]
        chosen = kept if len(kept) <= _MOST else [kept[i * len(kept) // _MOST] for i in range(_MOST)]
        parts = [_part(image, box) for box in chosen]
        return [part for part in parts if float(part.array.min()) < float(part.array.max())]  # a constant part has no scale

    def _slices(self, image: Image) -> Iterator[list[tuple[int, int]]]:
        """Ranges of samples along (i, j, k), one sample thick."""
        axis = int(np.argmax(np.abs(image.geometry.index_to_lps[_ACROSS[self.orientation], :3]) / image.geometry.spacing))
        size = image.geometry.size
        for n in range(math.floor(self.first * size[axis]), math.ceil(self.last * size[axis])):
            yield [(n, n + 1) if k == axis else (0, size[k]) for k in range(3)]

    def _blocks(self, image: Image) -> Iterator[list[tuple[int, int]]]:
        """Blocks that overlap so that they cover the volume."""
        along = []
        for n in image.geometry.size:
            side = max(2, round(self.block * n))
            count = 1 if side >= n else math.ceil(1.5 * n / side)
            along.append([(start, start + side) for start in sorted({round(i * (n - side) / max(count - 1, 1)) for i in range(count)})])
        for k in along[2]:
            for j in along[1]:
                yield from ([i, j, k] for i in along[0])


def _slices_of(box: list[tuple[int, int]]) -> tuple[slice, ...]:
    return tuple(slice(*ends) for ends in reversed(box))


def _shows(array: NDArray[np.float32], background: float, spread: float) -> bool:
    return float((np.abs(array - background) > _SEEN * spread).mean()) >= _CONTENT


def _part(image: Image, box: list[tuple[int, int]]) -> Image:
    """A range of samples as an image of its own, where it lies."""
    matrix = image.geometry.index_to_lps.copy()
    matrix[:3, 3] += matrix[:3, :3] @ np.array([low for low, _high in box], dtype=float)
    array = np.ascontiguousarray(image.array[_slices_of(box)])
    size = tuple(high - low for low, high in box)
    return Image(array, ImageGeometry(size, matrix), image.name)  # type: ignore[arg-type]
