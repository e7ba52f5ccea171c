"""What a picture of a result shows: the middle planes of the fixed image, and the moving image there, before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MetaAffineRegLib.geometry import ImageGeometry, Matrix
from MetaAffineRegLib.image import Image

from .image_files import resample

TITLES = ("fixed", "moving, before", "moving, after", "checkerboard", "difference, after")
_FIELDS = 8  # of the checkerboard along an axis
_SIDE, _GAP = 240, 4  # pixels of a view in a strip, and between views
_QUALITY = 88  # of the JPEG, in percent


@dataclass(frozen=True)
class PlaneViews:
    """Views of one plane, first row at the top, ``(rows, columns)``: grey values 0 .. 1, the difference -1 .. 1.

    aspect: height of a sample over its width.
    """

    fixed: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    checkerboard: NDArray[np.float32]
    difference: NDArray[np.float32]
    aspect: float


def plane_views(fixed: Image, moving: Image, before: Matrix, after: Matrix) -> Iterator[PlaneViews]:
    """Views of a slice, or of the middle plane of a volume along each axis; ``before`` and ``after``: 4 x 4, fixed -> moving, LPS mm."""
    for axis in [axis for axis in range(3) if fixed.array.shape[axis] == 1] or [0, 1, 2]:
        plane = _middle_plane(fixed, axis)
        arrays = [plane.array, resample(moving, plane, before), resample(moving, plane, after)]
        # k and j run up the picture except in a plain slice, whose first row is its top
        up = slice(None, None, 1 if axis == 0 else -1)
        still, start, end = (_stretched(np.take(array, 0, axis)[up]) for array in arrays)
        rows, columns = still.shape
        fields = (np.arange(rows)[:, None] * _FIELDS // rows + np.arange(columns) * _FIELDS // columns) % 2
        across = [spacing for other, spacing in enumerate(fixed.geometry.spacing[::-1]) if other != axis]
        yield PlaneViews(still, start, end, np.where(fields == 0, still, end), end - still, float(across[0] / across[1]))


def write_strip(path: Path, fixed: Image, moving: Image, before: Matrix, after: Matrix) -> None:
    """Write the views side by side in the order of TITLES, a row for each plane, without words (JPEG)."""
    rows = []
    for views in plane_views(fixed, moving, before, after):
        grays = (views.fixed, views.before, views.after, views.checkerboard)
        cells = [*(np.repeat(gray[..., None], 3, axis=2) for gray in grays), _red_and_blue(views.difference)]
        rows.append(np.concatenate([_square(cell, views.aspect) for cell in cells], axis=1)[:, :-_GAP])
    strip = sitk.GetImageFromArray(np.round(255 * np.concatenate(rows)[:-_GAP]).astype(np.uint8), isVector=True)
    sitk.WriteImage(strip, str(path), imageIO="JPEGImageIO", useCompression=True, compressionLevel=_QUALITY)


def _middle_plane(image: Image, axis: int) -> Image:
    """One plane of the image, across an axis of its array."""
    index = 2 - axis
    middle = image.array.shape[axis] // 2
    matrix = image.geometry.index_to_lps.copy()
    matrix[:3, 3] += middle * matrix[:3, index]
    size = [1 if other == index else n for other, n in enumerate(image.geometry.size)]
    return Image(image.array.take([middle], axis), ImageGeometry((size[0], size[1], size[2]), matrix), image.name)


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(values, (0.5, 99.5))
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)


def _red_and_blue(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """White where there is no difference, blue where the moving image is brighter, red where the fixed one is, ``(.., 3)``."""
    faded = 1 - np.abs(difference)
    return np.stack((np.where(difference > 0, faded, 1), faded, np.where(difference < 0, faded, 1)), axis=-1)


def _square(cell: NDArray[np.float32], aspect: float) -> NDArray[np.float32]:
    """A view ``(rows, columns, 3)`` in the middle of a white square of _SIDE pixels with a gap to its right and below."""
    rows, columns = cell.shape[0] * aspect, cell.shape[1]
    scale = max(rows, columns) / _SIDE  # columns of the view a pixel
    image = sitk.GetImageFromArray(cell, isVector=True)
    image.SetSpacing((1.0, aspect))
    image.SetOrigin((0.5, aspect / 2))  # the view begins at 0
    factors = (max(1, int(scale)), max(1, int(scale / aspect)))
    if max(factors) > 1:  # without the mean of what a pixel covers, fine stripes would turn into coarse ones
        image = sitk.BinShrink(image, factors)
    corner = ((columns - _SIDE * scale) / 2 + scale / 2, (rows - _SIDE * scale) / 2 + scale / 2)
    drawn = sitk.Resample(image, (_SIDE, _SIDE), sitk.Transform(), sitk.sitkLinear, corner, (scale, scale), (1, 0, 0, 1), 1.0)
    return np.pad(sitk.GetArrayFromImage(drawn), ((0, _GAP), (0, _GAP), (0, 0)), constant_values=1.0)
