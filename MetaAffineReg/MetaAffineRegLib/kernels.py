"""The criterion of an image pair under an affine map, summed in one pass over the fixed grid; compiled for the CPU by numba.

One row of samples after the other is read, interpolated, compared and summed while it lies in the processor's cache, so that no
image of intermediate results is ever written.  The formulas are those of ``data_terms`` and ``sampling``; sums run in an order
of their own, the same for a pair in any batch and for any number of threads.  What is summed, the kernels of the data terms say
(``kernel_intensities``, ``kernel_edges``).
"""

import math

import numpy as np

from .backends import BORDER
from .compiling import compiled, fast, lean

SLAB = 1 << 14  # samples of whole rows that are summed together; slabs are added in their order, whichever threads summed them


def sum_row(term, sizes, fixed, row, halves, shares, first, count, matrix, direct):
    """Sums over ``count`` columns of a row from ``first`` on: cost, content, and for both their halved derivatives along x, y (and z),
    each with its moment in the column; what they depend on the matrix besides is added to direct ``(2, 3, 3)``."""
    raise NotImplementedError("each data term has a compiled one")


def curve_row(term, sizes, fixed, row, halves, shares, first, count, matrix):
    """Sums of the products xx, xy, (xz,) yy (..) of the halved curvature's vectors, and their first and second moments in the column."""
    raise NotImplementedError("each data term has a compiled one")


@lean
def place_lines(grid, sizes, x, lines):
    """How a grid lies in the moving image of ``sizes``, in samples, to lines ``(3, 5)``: along x, y and z where its first sample is, the
    way to the next column, row and plane, and the inverse of the first of these; whether these are numbers to work with."""
    d = len(sizes)
    for direction in range(d):
        samples = sizes[d - 1 - direction] / 2
        at = x[direction, d] + 1
        for axis in range(d):
            at += x[direction, axis] * (1 / grid[d - 1 - axis] - 1)
            lines[direction, 1 + axis] = 2 * x[direction, axis] * samples / grid[d - 1 - axis]
        if d == 2:
            lines[direction, 3] = 0.0
        lines[direction, 0] = at * samples - 0.5
        lines[direction, 4] = 1 / lines[direction, 1] if abs(lines[direction, 1]) > 1e-9 else 0.0
        for number in range(4):
            if not abs(lines[direction, number]) < 1e9:
                return False
    return True


@lean
def place_row(lines, row, plane, place):
    """Where the first column of a row of a plane lies, to place ``(3,)``."""
    for direction in range(3):
        place[direction] = lines[direction, 0] + row * lines[direction, 2] + plane * lines[direction, 3]


@lean
def columns_between(place, lines, box, first, last):
    """Of the columns first .. last - 1 of a placed row those that lie between both numbers of a box ``(d, 2)``; first and last + 1."""
    start, end = first, last
    for direction in range(len(box)):
        at, inverse = place[direction], lines[direction, 4]
        if inverse == 0:
            if not box[direction, 0] < at < box[direction, 1]:
                return first, first
            continue
        one, other = (box[direction, 0] - at) * inverse, (box[direction, 1] - at) * inverse
        start = max(start, math.ceil(min(max(min(one, other), -1.0), 1e6)))
        end = min(end, math.floor(min(max(max(one, other), -1.0), 1e6)) + 1)
    return (start, end) if start < end else (first, first)


@fast
def _read_row(sizes, words, place, lines, first, count, shares, offsets, corners):
    """The pixels around ``count`` samples of a row from column ``first`` on, and where between them each lies; words
    ``(padded samples, W)`` hold two channels each."""
    d, flat = len(sizes), words.reshape(-1)
    each = np.int32(words.shape[1])
    across = np.int32(each * (sizes[d - 1] + 2 * BORDER))
    dx, dy = np.float32(lines[0, 1]), np.float32(lines[1, 1])
    x, y = np.float32(place[0] + first * lines[0, 1] + BORDER), np.float32(place[1] + first * lines[1, 1] + BORDER)
    for i in range(count):
        px, py = x + np.float32(i) * dx, y + np.float32(i) * dy
        ix, iy = np.int32(px), np.int32(py)
        shares[0, i], shares[1, i] = px - np.float32(ix), py - np.float32(iy)
        offsets[i] = iy * across + ix * each
    if d == 3:
        area = np.int32(across * (sizes[1] + 2 * BORDER))
        z, dz = np.float32(place[2] + first * lines[2, 1] + BORDER), np.float32(lines[2, 1])
        for i in range(count):
            pz = z + np.float32(i) * dz
            iz = np.int32(pz)
            shares[2, i] = pz - np.float32(iz)
            offsets[i] += iz * area
    for w in range(words.shape[1]):
        _read_four(flat[w:], np.uint64(each), np.uint64(across), offsets, corners[w, :4], count)
        if d == 3:
            _read_four(flat[w + area :], np.uint64(each), np.uint64(across), offsets, corners[w, 4:], count)


@fast
def _read_four(flat, right, down, offsets, corners, count):
    for i in range(count):
        at = np.uint64(offsets[i])
        corners[0, i] = flat[at]
        corners[1, i] = flat[at + right]
        corners[2, i] = flat[at + down]
        corners[3, i] = flat[at + down + right]


@fast
def bilinear(a, b, c, d, wx, wy):
    """Value between four pixels and its derivatives along x and y."""
    upper, lower = b - a, d - c
    top, bottom = a + wx * upper, c + wx * lower
    return top + wy * (bottom - top), upper + wy * (lower - upper), bottom - top


@fast
def trilinear(near, far, wz):
    """Value between two planes and its derivatives along x, y and z."""
    along_z = far[0] - near[0]
    return near[0] + wz * along_z, near[1] + wz * (far[1] - near[1]), near[2] + wz * (far[2] - near[2]), along_z


@lean
def slab_count(sizes):
    """How many slabs a grid has."""
    columns, rows = sizes[len(sizes) - 1], 1
    for size in sizes[:-1]:
        rows *= size
    return -(-rows // max(1, SLAB // columns))


@lean
def rows_of_slab(sizes, rows, slab):
    """Its first row and the one after its last."""
    each = max(1, SLAB // sizes[len(sizes) - 1])
    return slab * each, min(rows, (slab + 1) * each)


@lean
def _compared(span, box, row, plane, place, lines):
    """The columns of a row that are compared, first and last + 1; where the first of all lies, to place."""
    if span[1] <= span[0]:
        return 0, 0
    place_row(lines, row, plane, place)
    return columns_between(place, lines, box, span[0], span[1])


@lean
def evaluate(term, sizes, fixed, words, spans, box, x, first, last, work, sums, matrix):
    """Add up cost and content, their derivatives by the map and the cost's Gauss-Newton matrix over the rows first .. last - 1 of one pair.

    sizes: of the grid, array order; fixed ``(C, rows, columns)`` and words ``(padded samples, W)``: the channels of the data term, those
    of the moving image bordered and two by two in one int64; spans ``(rows, 2)`` and box ``(d, 2)``: see ``coverage_bounds``; x
    ``(d, d + 1)``; sums ``(2, 1 + n)`` in float64, n = d (d + 1): cost and content, each followed by its derivative in the order of
    ``flatten``; matrix ``(n, n)`` in float64, of which ``fill_lower`` makes the rest, or None; work: see ``work_space``.
    """
    d = len(sizes)
    columns = sizes[d - 1]
    shares, offsets, corners, place, lines, turn, direct, slopes, products = work
    halves = corners.view(np.float32)
    direct[:], slopes[:], products[:] = 0, 0, 0
    for i in range(d):
        for j in range(d):
            turn[i, j] = x[i, j]
    sound = place_lines(sizes, sizes, x, lines)
    for index in range(first, last):
        row, plane = index % sizes[d - 2], index // sizes[d - 2]
        start, end = _compared(spans[index], box, row, plane, place, lines) if sound else (0, 0)
        if term.outside:
            sums[0, 0] += _squares(fixed[0, index], 0, start) + _squares(fixed[0, index], end, columns)
        if end <= start:
            continue
        _read_row(sizes, words, place, lines, start, end - start, shares, offsets, corners)
        cost, content, of_cost, of_content = sum_row(term, sizes, fixed, index, halves, shares, start, end - start, turn, direct)
        sums[0, 0] += cost
        sums[1, 0] += content
        y, z = float(row), float(plane)
        for direction in range(d):
            for kind in range(2):
                total, moment = (of_cost, of_content)[kind][direction]
                slopes[kind, direction, 0] += moment
                slopes[kind, direction, 1] += total * y
                slopes[kind, direction, 2] += total * z
                slopes[kind, direction, 3] += total
        if matrix is not None:
            _add_products(curve_row(term, sizes, fixed, index, halves, shares, start, end - start, turn), y, z, products)
    for kind in range(2):
        for i in range(d):
            scale = float(sizes[d - 1 - i])  # twice the halved derivative, times samples per unit
            total = slopes[kind, i, 3] * scale
            for j in range(d):
                n = sizes[d - 1 - j]
                along = (1 / n - 1) * total + 2 / n * scale * slopes[kind, i, j]
                sums[kind, 1 + i * (d + 1) + j] += along + direct[kind, i, j]
            sums[kind, 1 + i * (d + 1) + d] += total
    if matrix is not None:
        _add_blocks(sizes, products, matrix)


@fast
def _squares(values, first, last):
    total = np.float32(0)
    for i in range(first, last):
        total += values[i] * values[i]
    return total


@compiled
def work_space(columns, words):
    """Scratch for rows of ``columns`` samples whose pixels have ``words`` words."""
    columns += 8  # rows of a power of two would lie in one set of the cache
    return (
        np.empty((3, columns), np.float32),
        np.empty(columns, np.int32),
        np.empty((words, 8, columns), np.int64),
        np.zeros(3),
        np.zeros((3, 5)),
        np.zeros((3, 3), np.float32),
        np.zeros((2, 3, 3)),
        np.zeros((2, 3, 4)),
        np.zeros((6, 10)),
    )


@lean
def _add_products(found, y, z, products):
    """Add what ``curve_row`` found in a row at y and z, in samples, to ``(6, 10)``: of each product the sums with xx, xy, xz, x, yy, yz, y,
    zz, z and one."""
    sums, moments, seconds = found
    for product in range(len(sums)):
        total, moment = sums[product], moments[product]
        one, other = total * y, total * z
        products[product, 0] += seconds[product]
        products[product, 1] += moment * y
        products[product, 2] += moment * z
        products[product, 3] += moment
        products[product, 4] += one * y
        products[product, 5] += one * z
        products[product, 6] += one
        products[product, 7] += other * z
        products[product, 8] += other
        products[product, 9] += total


@lean
def _add_blocks(sizes, products, matrix):
    d, product = len(sizes), 0
    for i in range(d):
        for j in range(i, d):
            scale = 0.5 * sizes[d - 1 - i] * sizes[d - 1 - j]
            _add_block(sizes, products[product], scale, matrix[i * (d + 1) :, j * (d + 1) :])
            product += 1


@lean
def _add_block(sizes, found, scale, block):
    """Add the sums of a product ``(10,)`` to its block ``(d + 1, d + 1)`` of the matrix, for normalised coordinates and one."""
    d = len(sizes)
    for k in range(d + 1):
        width, origin = (2 / sizes[d - 1 - k], 1 / sizes[d - 1 - k] - 1) if k < d else (0.0, 1.0)
        for m in range(d + 1):
            wide, start = (2 / sizes[d - 1 - m], 1 / sizes[d - 1 - m] - 1) if m < d else (0.0, 1.0)
            entry = origin * start * found[9]
            if k < d:
                entry += width * start * found[_moment(k, 3)]
            if m < d:
                entry += origin * wide * found[_moment(m, 3)]
            if k < d and m < d:
                entry += width * wide * found[_moment(min(k, m), max(k, m))]
            block[k, m] += scale * entry


@lean
def _moment(i, j):
    """Where the sum with coordinates i and j >= i is kept, 3 being one."""
    return i * (7 - i) // 2 + j


@lean
def fill_lower(matrix, d):
    """What ``evaluate`` leaves out: the blocks below the diagonal."""
    for row in range(d * (d + 1)):
        for column in range(d * (d + 1)):
            if row // (d + 1) > column // (d + 1):
                matrix[row, column] = matrix[column, row]
