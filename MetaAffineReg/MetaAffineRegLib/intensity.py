"""Intensity windows: which value is background and which spread becomes one."""

import math

import numpy as np
from numpy.typing import NDArray

Window = tuple[float, float]

_SAMPLES = 200_000  # enough for a quantile
_KEPT = 0.995  # of the samples, within the spread
_SAME_SCALE = 2.5  # spreads that differ by less than this factor are taken for one scale


def common_windows(fixed: Window, moving: Window) -> tuple[Window, Window]:
    """(background, spread) of the fixed and of the moving image of a pair, from those of each; (v - background) / spread is compared.

    The background is what images are filled with beyond their border.  Images on one scale share one
    window, so that mean squares compare the values as they are; images on two scales get one each.
    """
    ratio = fixed[1] / moving[1]
    if 1 / _SAME_SCALE < ratio < _SAME_SCALE:
        common = (moving[0], max(fixed[1], moving[1]))
        return common, common
    return fixed, moving


def window(array: NDArray[np.float32]) -> Window:
    """(background, spread): the median of the border, and the distance from it that 99.5 % of the samples keep."""
    border = np.concatenate([array.take((0, -1), axis).ravel() for axis in range(array.ndim) if array.shape[axis] > 1])
    background = _quantile(border, 0.5)
    values = array.ravel()[:: max(1, array.size // _SAMPLES)]
    spread = _quantile(np.abs(values - background), _KEPT) or float(np.abs(array - background).max())
    return background, spread


def _quantile(values: NDArray[np.float32], share: float) -> float:
    """What ``np.quantile`` and ``np.median`` give, which take ten times as long."""
    place = share * (values.size - 1)
    lower = math.floor(place)
    ordered = np.partition(values, lower)
    above = float(ordered[lower + 1 :].min()) if lower + 1 < values.size else float(ordered[lower])
    return float(ordered[lower]) + (place - lower) * (above - float(ordered[lower]))
