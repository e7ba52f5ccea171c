"""What the slopes and products of a block of samples of a plane add to the sums of a map, for the compiled kernels: times their places,
column, row and plane being x, y and z."""

import numpy as np

from .compiling import fast, inlined
from .lanes import PLACES


@inlined
def add_slopes(plane, lane, lanes, count, sums):
    """``add_slope`` of the slopes in a lane."""
    x, y, one = _slopes(lane, lanes, count)
    add_slope(plane, x, y, one, sums)


@inlined
def add_slope(plane, x, y, one, sums):
    """Add slopes to ``(4,)``: times x, y and z, and alone."""
    sums[0] += x
    sums[1] += y
    sums[2] += plane * np.float64(one)
    sums[3] += one


@fast
def _slopes(lane, lanes, count):
    x, y, one = np.float32(0), np.float32(0), np.float32(0)
    for k in range(count):
        i = np.uint64(k)
        slope = lanes[i + lane]
        x += slope * lanes[i + PLACES[0]]
        y += slope * lanes[i + PLACES[1]]
        one += slope
    return x, y, one


@inlined
def add_products(plane, lane, lanes, count, sums):
    """``add_product`` of the products in a lane."""
    xx, xy, x, yy, y, one = _moments(lane, lanes, count)
    add_product(plane, xx, xy, x, yy, y, one, sums)


@inlined
def add_product(plane, xx, xy, x, yy, y, one, sums):
    """Add products to ``(10,)``: times xx, xy, xz, x, yy, yz, y, zz, z and one."""
    z = float(plane)
    found = (xx, xy, z * x, x, yy, z * y, y, z * z * one, z * one, one)
    for k in range(10):
        sums[k] += found[k]


@fast
def _moments(lane, lanes, count):
    zero = np.float32(0)
    xx, xy, x, yy, y, one = zero, zero, zero, zero, zero, zero
    for k in range(count):
        i = np.uint64(k)
        product, column, row = lanes[i + lane], lanes[i + PLACES[0]], lanes[i + PLACES[1]]
        by_column, by_row = product * column, product * row
        xx += by_column * column
        xy += by_column * row
        x += by_column
        yy += by_row * row
        y += by_row
        one += product
    return np.float64(xx), np.float64(xy), np.float64(x), np.float64(yy), np.float64(y), np.float64(one)
