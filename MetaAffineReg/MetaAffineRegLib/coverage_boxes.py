"""Where images are covered, as boxes, so that compiled kernels pass over everything else."""

import numpy as np
import numpy.typing as npt

from .compiling import compiled


def boxes_of(fixed: npt.NDArray[np.float32], moving: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Of coverages ``(B, *S)`` two boxes a pair, ``(B, 2, d, 2)``: what lies between the two numbers, in samples along x, y (and z).

    They hold what the fixed image covers at all, and what is touched by a covered sample of the moving one.
    """
    d = fixed.ndim - 1
    deep = (1, *fixed.shape[1:])[-3:]
    pairs = zip(fixed, moving, strict=True)
    return np.stack([np.stack([_bounds(one.reshape(deep))[:d] for one in pair]) for pair in pairs]) - np.array([1.0, 0.0])


def everywhere(count: int, sizes: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The boxes of pairs whose images count as covered wherever they are sampled."""
    box = np.array([(-1.0, size) for size in reversed(sizes)])
    return np.broadcast_to(box, (count, 2, *box.shape)).copy()


@compiled
def _bounds(coverage):
    """First and last + 1 along x, y and z of the covered samples of ``(z, y, x)``, ``(3, 2)``; all zero where there is none."""
    planes, rows, columns = coverage.shape
    bounds = np.zeros((3, 2), np.int64)
    for z in range(planes):
        for y in range(rows):
            line = coverage[z, y]
            first, last = 0, columns
            while first < last and not line[first] > 0:
                first += 1
            if first == last:
                continue
            while not line[last - 1] > 0:
                last -= 1
            new = bounds[0, 1] == 0
            for axis in range(3):
                low, high = (first, last) if axis == 0 else (y, y + 1) if axis == 1 else (z, z + 1)
                bounds[axis, 0] = low if new else min(low, bounds[axis, 0])
                bounds[axis, 1] = max(high, bounds[axis, 1])
    return bounds
