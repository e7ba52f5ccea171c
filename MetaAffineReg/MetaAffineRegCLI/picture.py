"""A picture of a result: fixed, moving before and after, checkerboard and difference."""

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

from MetaAffineRegLib.image import Image

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_FIELDS = 8  # of the checkerboard along an axis
_TITLES = ("fixed", "moving, before", "moving, after", "checkerboard", "difference, after")


def draw(path: Path, fixed: Image, before: NDArray[np.float32], after: NDArray[np.float32], caption: str) -> None:
    """Write a PNG with the caption under it: one row for a slice, one for each middle plane of a volume.

    ``before`` and ``after`` are the moving image on the fixed lattice, (nk, nj, ni).
    """
    planes = [axis for axis in range(3) if fixed.array.shape[axis] == 1] or [0, 1, 2]
    spacing = fixed.geometry.spacing[::-1]
    figure, axes = plt.subplots(len(planes), 5, figsize=(15, 3.2 * len(planes) + 0.5), squeeze=False)
    try:
        for row, axis in zip(axes, planes, strict=True):
            middle = fixed.array.shape[axis] // 2
            # k and j run up the picture except in a plain slice, whose first row is its top
            slices = [array.take(middle, axis) for array in (fixed.array, before, after)]
            across = [spacing[other] for other in range(3) if other != axis]
            _draw_row(row, slices, float(across[0] / across[1]), "upper" if axis == 0 else "lower")
        for axes_of_column, title in zip(axes[0], _TITLES, strict=True):
            axes_of_column.set_title(title)
        figure.text(0.5, 0.01, caption, ha="center")
        figure.tight_layout(rect=(0, 0.06, 1, 0.97))
        figure.savefig(path, format="png", dpi=100)
    finally:
        plt.close(figure)


def _draw_row(row: NDArray[np.object_], slices: list[NDArray[np.float32]], aspect: float, origin: str) -> None:
    fixed, before, after = (_stretched(values) for values in slices)
    ni, nj = fixed.shape
    fields = (np.arange(ni)[:, None] * _FIELDS // ni + np.arange(nj) * _FIELDS // nj) % 2
    pictures = (fixed, before, after, np.where(fields == 0, fixed, after))
    for axes, picture in zip(row, pictures, strict=False):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect=aspect, origin=origin)
    row[4].imshow(after - fixed, cmap="RdBu", vmin=-1, vmax=1, aspect=aspect, origin=origin)
    for axes in row:
        axes.set_axis_off()


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(values, (0.5, 99.5))
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)
