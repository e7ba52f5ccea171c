"""Intensity windows: which value is background and which spread becomes one."""

import math

import numpy as np
from numpy.typing import NDArray

Window = tuple[float, float]

_SAMPLES = 200_000  # enough for a quantile
_FEW, _DEVIATIONS = 2048, 6  # so many samples tell between which two values a quantile lies, that wide apart
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
    """What ``np.quantile`` and ``np.median`` give, which take many times as long, most of all where a value is that of many samples."""
    place = share * (values.size - 1)
    lower = math.floor(place)
    some, rank = _around(values, share, lower) if values.size > 4 * _FEW else (values, lower)
    ordered = np.partition(some, rank)
    above = float(ordered[rank + 1 :].min()) if rank + 1 < some.size else float(ordered[rank])
    return float(ordered[rank]) + (place - lower) * (above - float(ordered[rank]))


def _around(values: NDArray[np.float32], share: float, rank: int) -> tuple[NDArray[np.float32], int]:
    """Few of the values, which hold that of ``rank`` among all and the next, and its rank among these; where that fails all of them."""
    few = np.sort(values[:: (values.size // _FEW) | 1])  # every odd one, so that not all are of the same columns
    k, margin = round(share * (few.size - 1)), math.ceil(_DEVIATIONS * math.sqrt(few.size * share * (1 - share)))
    low, guess, high = few[max(0, k - margin)], few[k], few[min(few.size - 1, k + margin)]
    below, upto = int(np.count_nonzero(values < guess)), int(np.count_nonzero(values <= guess))
    if below <= rank < upto - 1:
        return np.array([guess, guess]), 0
    if rank < below:
        some, found = values[(values >= low) & (values < guess)], rank - int(np.count_nonzero(values < low))
    else:
        some, found = values[(values > guess) & (values <= high)], rank - upto
    return (some, found) if 0 <= found < some.size - 1 else (values, rank)
