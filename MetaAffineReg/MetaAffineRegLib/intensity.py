"""Intensity windows: which value is background and which spread becomes one."""

import numpy as np
from numpy.typing import NDArray

_SAMPLES = 200_000  # enough for a percentile
_SAME_SCALE = 2.5  # spreads that differ by less than this factor are taken for one scale


def intensity_windows(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> tuple[tuple[float, float], tuple[float, float]]:
    """(background, spread) of the fixed and of the moving array; (v - background) / spread is what is compared.

    The background is what images are filled with beyond their border.  Images on one scale share one
    window, so that mean squares compare the values as they are; images on two scales get one each.
    """
    window_fixed, window_moving = window(fixed), window(moving)
    ratio = window_fixed[1] / window_moving[1]
    if 1 / _SAME_SCALE < ratio < _SAME_SCALE:
        common = (window_moving[0], max(window_fixed[1], window_moving[1]))
        return common, common
    return window_fixed, window_moving


def window(array: NDArray[np.float32]) -> tuple[float, float]:
    """(background, spread): the median of the border, and the distance from it that 99.5 % of the samples keep."""
    border = np.concatenate([array.take((0, -1), axis).ravel() for axis in range(array.ndim) if array.shape[axis] > 1])
    background = float(np.median(border))
    values = array.ravel()[:: max(1, array.size // _SAMPLES)]
    distance = np.abs(values - background)
    spread = float(np.percentile(distance, 99.5)) or float(np.abs(array - background).max())
    return background, spread
