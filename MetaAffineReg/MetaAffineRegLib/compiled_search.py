"""The criterion of ``correlation_features.IntensityWaves`` at all shifts of a small grid, one after the other; compiled for the CPU."""

import numpy as np
import torch
from torch import Tensor

from .compiling import compiled, fast, lean
from .correlation_features import RHO

_RHO = np.array(RHO, np.float32)


def values_of_shifts(fixed: Tensor, turned: Tensor, floor: Tensor) -> Tensor:
    """What is left unexplained, ``(B, S, *(n + 1,) * d)``.

    fixed ``(B, 4, *(n,) * d)``, turned ``(B, S, 4, *(2 n,) * d)``: the phases of both images, the moving one on the wide grid; floor
    ``(B,)``: of the content.
    """
    (batch, count), n, d = turned.shape[:2], fixed.shape[-1], fixed.ndim - 2
    found = torch.empty(batch, count, (n + 1) ** d)
    images = (tensor.contiguous().numpy() for tensor in (fixed.flatten(2), turned.flatten(3)))
    _try_all(n, d, *images, floor.numpy(), _RHO, found.numpy())
    return found.unflatten(2, (n + 1,) * d)


@compiled
def _try_all(n, d, fixed, turned, floor, rho, found):
    strip = np.empty((4, (2 * n) ** (d - 1) * n), np.float32)
    for k in range(turned.shape[0]):
        for m in range(turned.shape[1]):
            _try_one(n, d, fixed[k], turned[k, m], floor[k], rho, strip, found[k, m])


@lean
def _try_one(n, d, fixed, turned, floor, rho, strip, found):
    """strip: scratch for the columns that one shift along x looks at, in one piece."""
    area, depth = n * n, n if d == 3 else 1
    for x in range(n + 1):
        for channel in range(4):
            _copy_columns(turned[channel], x, n, strip[channel])
        for shift in range((n + 1) ** (d - 1)):
            y, z = shift % (n + 1), shift // (n + 1)
            cost, shown = 0.0, 0.0
            for plane in range(depth):
                a, b = _sum_plane(rho, fixed, plane * area, strip, (2 * (plane + z) * n + y) * n, area)
                cost += a
                shown += b
            found[shift * (n + 1) + x] = (cost + max(floor - shown, 0.0)) / max(shown, floor)


@fast
def _copy_columns(image, first, count, out):
    """Of an image with rows of 2 count columns those from the first on."""
    for row in range(len(out) // count):
        at, start = np.uint64(2 * count * row + first), np.uint64(count * row)
        for i in range(count):
            out[start + np.uint64(i)] = image[at + np.uint64(i)]


@fast
def _sum_plane(rho, fixed, first, turned, other, count):
    """Cost and content of ``count`` samples, of the fixed image from the ``first`` on, of the turned one from the ``other``: rho is a
    polynomial in the cosine of the difference of two angles."""
    cost, shown = np.float32(0), np.float32(0)
    r0, r1, r2, r3, r4, r5, r6, r7 = rho[0], rho[1], rho[2], rho[3], rho[4], rho[5], rho[6], rho[7]
    for step in range(count):
        i, j = np.uint64(first + step), np.uint64(other + step)
        c = fixed[0, i] * turned[0, j] + fixed[1, i] * turned[1, j]
        square = c * c
        low, high = (r0 + c * r1) + square * (r2 + c * r3), (r4 + c * r5) + square * (r6 + c * r7)
        cost += fixed[2, i] * turned[2, j] * (low + square * square * high)
        shown += fixed[3, i] * turned[2, j] + fixed[2, i] * turned[3, j]
    return cost, shown
