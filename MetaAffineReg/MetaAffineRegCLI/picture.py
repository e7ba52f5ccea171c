"""A picture of a result: fixed, moving before and after, checkerboard and difference."""

from pathlib import Path

import matplotlib

from MetaAffineRegLib.geometry import Matrix
from MetaAffineRegLib.image import Image

from .views import TITLES, plane_views

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(path: Path, fixed: Image, moving: Image, before: Matrix, after: Matrix, caption: str) -> None:
    """Write a PNG with the caption under it: one row for a slice, one for each middle plane of a volume.

    ``before`` and ``after``: 4 x 4, fixed point -> moving point, LPS mm.
    """
    planes = list(plane_views(fixed, moving, before, after))
    figure, axes = plt.subplots(len(planes), 5, figsize=(15, 3.2 * len(planes) + 0.5), squeeze=False)
    try:
        for row, views in zip(axes, planes, strict=True):
            grays = (views.fixed, views.before, views.after, views.checkerboard)
            for axes_of_view, gray in zip(row, grays, strict=False):
                axes_of_view.imshow(gray, cmap="gray", vmin=0, vmax=1, aspect=views.aspect)
            row[4].imshow(views.difference, cmap="RdBu", vmin=-1, vmax=1, aspect=views.aspect)
            for axes_of_view in row:
                axes_of_view.set_axis_off()
        for axes_of_column, title in zip(axes[0], TITLES, strict=True):
            axes_of_column.set_title(title)
        figure.text(0.5, 0.01, caption, ha="center")
        figure.tight_layout(rect=(0, 0.06, 1, 0.97))
        figure.savefig(path, format="png", dpi=100)
    finally:
        plt.close(figure)
