"""What a map does, in figures for people: degrees, mm, shares."""

import math
from dataclasses import dataclass

import numpy as np

from .geometry import ImageGeometry, Matrix

_SAMPLES = 32  # along each axis, for the overlap


@dataclass(frozen=True)
class MapFigures:
    """A map fixed point -> moving point.

    rotation_degrees: angle of the rotation nearest to its matrix; shift_mm: how far the centre of the fixed image moves; scale_min,
    scale_max: smallest and largest stretch.
    """

    rotation_degrees: float
    shift_mm: float
    scale_min: float
    scale_max: float

    @classmethod
    def of(cls, fixed_to_moving_lps: Matrix, fixed: ImageGeometry) -> "MapFigures":
        """Figures of a 4 x 4 map, LPS mm."""
        matrix, center = fixed_to_moving_lps[:3, :3], fixed.center_lps
        u, stretches, vh = np.linalg.svd(matrix)
        cosine = (float(np.trace(u @ vh)) - 1) / 2
        return cls(
            rotation_degrees=math.degrees(math.acos(min(1.0, max(-1.0, cosine)))),
            shift_mm=float(np.linalg.norm(matrix @ center + fixed_to_moving_lps[:3, 3] - center)),
            scale_min=float(stretches[-1]),
            scale_max=float(stretches[0]),
        )


def overlap(fixed_to_moving_lps: Matrix, fixed: ImageGeometry, moving: ImageGeometry) -> float:
    """Share of the fixed image, 0..1, that a 4 x 4 map (LPS mm) lays into the moving image; a slice has no thickness to miss."""
    steps = [np.linspace(-0.5, size - 0.5, 2 * _SAMPLES + 1)[1::2] if size > 1 else np.zeros(1) for size in fixed.size]
    points = np.stack([*(axis.ravel() for axis in np.meshgrid(*steps, indexing="ij"))], axis=-1)
    to_moving = np.linalg.inv(moving.index_to_lps) @ fixed_to_moving_lps @ fixed.index_to_lps
    index = points @ to_moving[:3, :3].T + to_moving[:3, 3]
    axes = list(moving.axes)
    within = (index[:, axes] >= -0.5) & (index[:, axes] <= np.array(moving.size)[axes] - 0.5)
    return float(within.all(axis=1).mean())
