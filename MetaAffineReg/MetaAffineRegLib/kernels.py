"""The criterion of an image pair under an affine map, summed in one pass over the fixed grid; compiled for the CPU by numba.

One row of samples after the other is read, interpolated, compared and summed while it lies in the processor's cache, so that no
image of intermediate results is ever written.  The formulas are those of ``data_terms`` and ``sampling``; sums run in an order
of their own, the same for a pair in any batch and for any number of threads.  What is summed, the kernels of the data terms say
(``kernel_intensities``, ``kernel_edges``).
"""

import math

import numpy as np

from .backends import BORDER
from .compiling import compiled

SLAB = 1 << 14  # samples of whole rows that are summed together; slabs are added in their order, whichever threads summed them


def sum_row(term, sizes, fixed, row, halves, shares, first, count, matrix, direct):
    """Sums over ``count`` columns of a row from ``first`` on: cost, content, and for both their halved derivatives along x, y (and z),
    each with its moment in the column; what they depend on the matrix besides is added to direct ``(2, 3, 3)``."""
    raise NotImplementedError("each data term has a compiled one")


def curve_row(term, sizes, fixed, row, halves, shares, first, count, matrix):
    """Sums of the products xx, xy, (xz,) yy (..) of the halved curvature's vectors, and their first and second moments in the column."""
    raise NotImplementedError("each data term has a compiled one")


@compiled
def _inside(position, step, size, first, last):
    """Of the columns first .. last - 1 those at which position + column * step lies in (-1, size)."""
    if abs(step) < 1e-9:
        return (first, last) if -1 < position < size else (first, first)
    one, other = (-1 - position) / step, (size - position) / step
    first = max(first, math.ceil(min(max(min(one, other), -1.0), 1e6)))
    return first, max(first, min(last, math.floor(min(max(one, other), 1e6)) + 1))


@compiled
def place_row(grid, sizes, x, row, place, step):
    """Which columns of a row of a grid meet the moving image of ``sizes``, first and last + 1; where the first of them lies in the
    bordered image, and the way to the next, go to ``place`` and ``step`` (x, y, z)."""
    d = len(sizes)
    columns = grid[d - 1]
    first, last = 0, columns
    y = (2 * (row % grid[d - 2]) + 1) / grid[d - 2] - 1
    z = (2 * (row // grid[d - 2]) + 1) / grid[0] - 1
    for direction in range(d):
        size = sizes[d - 1 - direction]
        at = x[direction, d] + x[direction, 0] * (1 / columns - 1) + x[direction, 1] * y
        if d == 3:
            at += x[direction, 2] * z
        index = (at + 1) * size / 2 - 0.5
        step[direction] = x[direction, 0] * size / columns
        place[direction] = index
        if not (abs(index) < 1e12 and abs(step[direction]) < 1e12):
            return 0, 0
        first, last = _inside(index, step[direction], size, first, last)
    for direction in range(d):
        place[direction] += first * step[direction] + BORDER
    return first, last


@compiled
def _read_row(sizes, words, place, step, count, shares, offsets, corners):
    """The pixels around each sample of a row, and where between them it lies; words ``(padded samples, W)`` hold two channels each."""
    d, flat = len(sizes), words.reshape(-1)
    each = np.int32(words.shape[1])
    across = np.int32(each * (sizes[d - 1] + 2 * BORDER))
    x, y, dx, dy = np.float32(place[0]), np.float32(place[1]), np.float32(step[0]), np.float32(step[1])
    for i in range(count):
        px, py = x + np.float32(i) * dx, y + np.float32(i) * dy
        ix, iy = np.int32(px), np.int32(py)
        shares[0, i], shares[1, i] = px - np.float32(ix), py - np.float32(iy)
        offsets[i] = iy * across + ix * each
    if d == 3:
        area = np.int32(across * (sizes[1] + 2 * BORDER))
        z, dz = np.float32(place[2]), np.float32(step[2])
        for i in range(count):
            pz = z + np.float32(i) * dz
            iz = np.int32(pz)
            shares[2, i] = pz - np.float32(iz)
            offsets[i] += iz * area
    for w in range(words.shape[1]):
        _read_four(flat[w:], np.uint64(each), np.uint64(across), offsets, corners[w, :4], count)
        if d == 3:
            _read_four(flat[w + area :], np.uint64(each), np.uint64(across), offsets, corners[w, 4:], count)


@compiled
def _read_four(flat, right, down, offsets, corners, count):
    for i in range(count):
        at = np.uint64(offsets[i])
        corners[0, i] = flat[at]
        corners[1, i] = flat[at + right]
        corners[2, i] = flat[at + down]
        corners[3, i] = flat[at + down + right]


@compiled
def bilinear(a, b, c, d, wx, wy):
    """Value between four pixels and its derivatives along x and y."""
    upper, lower = b - a, d - c
    top, bottom = a + wx * upper, c + wx * lower
    return top + wy * (bottom - top), upper + wy * (lower - upper), bottom - top


@compiled
def trilinear(near, far, wz):
    """Value between two planes and its derivatives along x, y and z."""
    along_z = far[0] - near[0]
    return near[0] + wz * along_z, near[1] + wz * (far[1] - near[1]), near[2] + wz * (far[2] - near[2]), along_z


@compiled
def slab_count(sizes):
    """How many slabs a grid has."""
    columns, rows = sizes[len(sizes) - 1], 1
    for size in sizes[:-1]:
        rows *= size
    return -(-rows // max(1, SLAB // columns))


@compiled
def rows_of_slab(sizes, rows, slab):
    """Its first row and the one after its last."""
    each = max(1, SLAB // sizes[len(sizes) - 1])
    return slab * each, min(rows, (slab + 1) * each)


@compiled
def evaluate(term, sizes, fixed, words, x, first, last, work, sums):
    """Add up cost and content, and their derivatives by the map, over the rows first .. last - 1 of one pair.

    sizes: of the grid, array order; fixed ``(C, rows, columns)`` and words ``(padded samples, W)``: the channels of the data term, those
    of the moving image bordered and two by two in one int64; x ``(d, d + 1)``; sums ``(2, 1 + d (d + 1))`` in float64: cost and content,
    each followed by its derivative in the order of ``flatten``; work: see ``work_space``.
    """
    d = len(sizes)
    columns = sizes[d - 1]
    shares, offsets, corners, place, step, matrix, direct = work
    halves = corners.view(np.float32)
    direct[:] = 0
    for i in range(d):
        for j in range(d):
            matrix[i, j] = x[i, j]
    for row in range(first, last):
        start, end = place_row(sizes, sizes, x, row, place, step)
        if term.outside:
            for i in range(columns):
                if i < start or i >= end:
                    sums[0, 0] += fixed[0, row, i] * fixed[0, row, i]
        if end <= start:
            continue
        _read_row(sizes, words, place, step, end - start, shares, offsets, corners)
        cost, content, of_cost, of_content = sum_row(term, sizes, fixed, row, halves, shares, start, end - start, matrix, direct)
        sums[0, 0] += cost
        sums[1, 0] += content
        y = (2 * (row % sizes[d - 2]) + 1) / sizes[d - 2] - 1
        z = (2 * (row // sizes[d - 2]) + 1) / sizes[0] - 1
        for direction in range(d):
            for kind in range(2):
                total, moment = (of_cost, of_content)[kind][direction]
                slope = total * float(sizes[d - 1 - direction])  # twice the halved derivative, times samples per unit
                at = 1 + direction * (d + 1)
                sums[kind, at] += slope * (1 / columns - 1) + moment * (2.0 * sizes[d - 1 - direction] / columns)
                sums[kind, at + 1] += slope * y
                if d == 3:
                    sums[kind, at + 2] += slope * z
                sums[kind, at + d] += slope
    for kind in range(2):
        for i in range(d):
            for j in range(d):
                sums[kind, 1 + i * (d + 1) + j] += direct[kind, i, j]


@compiled
def work_space(columns, words):
    """Scratch for rows of ``columns`` samples whose pixels have ``words`` words."""
    return (
        np.empty((3, columns), np.float32),
        np.empty(columns, np.int32),
        np.empty((words, 8, columns), np.int64),
        np.empty(3),
        np.empty(3),
        np.zeros((3, 3), np.float32),
        np.zeros((2, 3, 3)),
    )


@compiled
def curvature(term, sizes, fixed, words, x, first, last, work, matrix):
    """Add up the Gauss-Newton matrix of the cost over the rows first .. last - 1 of one pair, ``(n, n)`` in float64; the rest as in
    ``evaluate``."""
    d = len(sizes)
    columns = sizes[d - 1]
    shares, offsets, corners, place, step, turn, _ = work
    halves = corners.view(np.float32)
    for i in range(d):
        for j in range(d):
            turn[i, j] = x[i, j]
    at = np.ones(d + 1)  # of a sample: its normalised coordinates, and one
    for row in range(first, last):
        start, end = place_row(sizes, sizes, x, row, place, step)
        if end <= start:
            continue
        _read_row(sizes, words, place, step, end - start, shares, offsets, corners)
        sums, moments, seconds = curve_row(term, sizes, fixed, row, halves, shares, start, end - start, turn)
        origin, width = 1 / columns - 1, 2.0 / columns
        at[1] = (2 * (row % sizes[d - 2]) + 1) / sizes[d - 2] - 1
        if d == 3:
            at[2] = (2 * (row // sizes[d - 2]) + 1) / sizes[0] - 1
        product = 0
        for i in range(d):
            for j in range(i, d):
                scale = 0.5 * sizes[d - 1 - i] * sizes[d - 1 - j]
                total, moment, second = sums[product] * scale, moments[product] * scale, seconds[product] * scale
                along = origin * total + width * moment  # the product's sum times x, and times x squared
                twice = origin * origin * total + 2 * origin * width * moment + width * width * second
                for k in range(d + 1):
                    for m in range(d + 1):
                        entry = total * at[k] * at[m]
                        if k == 0 and m == 0:
                            entry = twice
                        elif k == 0:
                            entry = along * at[m]
                        elif m == 0:
                            entry = along * at[k]
                        matrix[i * (d + 1) + k, j * (d + 1) + m] += entry
                product += 1


@compiled
def fill_lower(matrix, d):
    """What ``curvature`` leaves out: the blocks below the diagonal."""
    for row in range(d * (d + 1)):
        for column in range(d * (d + 1)):
            if row // (d + 1) > column // (d + 1):
                matrix[row, column] = matrix[column, row]
