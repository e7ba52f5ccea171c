"""``intensity_correction`` of a whole image, row by row; compiled for the CPU by numba."""

import numpy as np
from torch import Tensor

from .compiling import compiled, fast


def apply(coefficients: Tensor, lowest: float, highest: float, moving: Tensor, out: Tensor) -> None:
    """Correct an image ``(2, *S)``, values and coverage, to out, which lies in one piece."""
    columns, rows = moving.shape[-1], moving.shape[-2]
    given, found = (images.contiguous().view(2, -1, columns).numpy() for images in (moving, out))
    correct(coefficients.numpy(), np.float32(lowest), np.float32(highest), moving.ndim - 1, rows, given, found)


@compiled
def correct(coefficients, lowest, highest, d, rows, images, out):
    """coefficients ``(nodes, monomials)``; images and out ``(2, planes and rows, columns)``."""
    nodes, count, columns = len(coefficients), images.shape[1], images.shape[2]
    line, scale = np.empty((3, nodes), np.float32), np.float32(nodes - 1) / (highest - lowest)
    for index in range(count):
        y = np.float32((2 * (index % rows) + 1) / rows - 1)
        z = np.float32((2 * (index // rows) + 1) / (count // rows) - 1)
        for k in range(nodes):
            c = coefficients[k]
            if d == 2:  # one, x, y, xx, xy, yy
                line[0, k], line[1, k], line[2, k] = c[0] + y * (c[2] + y * c[5]), c[1] + y * c[4], c[3]
            else:  # one, x, y, z, xx, xy, xz, yy, yz, zz
                line[0, k] = c[0] + y * (c[2] + y * c[7] + z * c[8]) + z * (c[3] + z * c[9])
                line[1, k], line[2, k] = c[1] + y * c[5] + z * c[6], c[4]
        _correct_row(line, lowest, scale, np.float32(1 / columns), images[0, index], images[1, index], out[0, index], out[1, index])


@fast
def _correct_row(line, lowest, scale, half, values, coverage, out, out_coverage):
    """line ``(3, nodes)``: coefficients of one, x and xx along the row; half: of the way from one column to the next."""
    zero, last = np.float32(0), np.float32(line.shape[1] - 1)
    for i in range(len(values)):
        at = np.uint64(i)
        x = (np.float32(2) * np.float32(np.int32(i)) + np.float32(1)) * half - np.float32(1)
        place = min(max((values[at] - lowest) * scale, zero), last)
        node = np.uint64(min(np.int32(place), np.int32(line.shape[1] - 2)))
        share, after = place - np.float32(np.int32(node)), node + np.uint64(1)
        here = line[0, node] + x * (line[1, node] + x * line[2, node])
        there = line[0, after] + x * (line[1, after] + x * line[2, after])
        out[at] = (here + share * (there - here)) * coverage[at]
        out_coverage[at] = coverage[at]
