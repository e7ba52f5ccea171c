"""The criterion of an image pair under an affine map, summed in one pass over the fixed grid; compiled for the CPU by numba.

One block of samples of a plane after the other, row by row and whatever rows they belong to, is read, interpolated, compared and summed
while it lies in the processor's cache, so that no image of intermediate results is ever written.  The formulas are those of
``data_terms`` and ``sampling``; sums run in an order of their own, the same for a pair in any batch and for any number of threads.  What
is summed, the kernels of the data terms say (``kernel_squares``, ``kernel_intensities``, ``kernel_edges``).
"""

import numpy as np

from .backends import BORDER
from .compiling import fast, inlined, lean
from .kernel_pieces import copy_piece, squares_outside
from .kernel_rows import lay_row, place_lines, place_rows
from .lanes import BLOCK, FIXED, PLACES, ROWS, SHARES, WHOLE

SLAB = 1 << 14  # samples of whole rows that are summed together; slabs are added in their order, whichever threads summed them


def add_block(term, sizes, words, plane, count, work, sums, matrix):
    """Add what a data term sums of a block of ``count`` samples of a plane: its sums to sums, what their derivatives are made of to
    work.slopes and work.direct and, where there is a matrix, the products of its curvature to work.products."""
    raise NotImplementedError("each data term has a compiled one")


def compares_coverage(term):
    """Whether a data term looks at the coverage, and not at values alone."""
    raise NotImplementedError("each data term has a compiled one")


def floor_of_row(term, channels):
    """What a row of the fixed image, ``(C, columns)``, adds to the floor of a data term, and what to the cost of missing all of it: floor
    times price."""
    raise NotImplementedError("each data term has a compiled one")


@fast
def _clear(first, last, channels, lanes, offsets):
    """Make of the samples first .. last - 1 of a block such as count nothing."""
    for i in range(first, last):
        here = np.uint64(i)
        offsets[here] = 0
        for axis in range(3):
            lanes[here + SHARES[axis]] = 0
        for axis in range(2):
            lanes[here + PLACES[axis]] = 0
        for channel in range(channels):
            lanes[here + FIXED[channel]] = 0


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
def evaluate(term, sizes, fixed, words, spans, box, x, first, last, work, sums, matrix):
    """Add up cost and content, or what else a data term sums, over the rows first .. last - 1 of one pair; their derivatives by the map and
    the cost's Gauss-Newton matrix where there is room for them.

    sizes: of the grid, array order; fixed ``(C, rows, columns)`` and words ``(padded samples, W)``: the channels of the data term, those
    of the moving image bordered and two by two in one int64 (see ``fused_images``); spans ``(rows, 2)`` and box ``(d, 2)``: see
    ``coverage_bounds``; x ``(d, d + 1)``; sums ``(K,)`` or, cost and content each followed by its derivative in the order of ``flatten``,
    ``(2, 1 + n)``, n = d (d + 1), in float64; matrix ``(n, n)`` in float64, of which ``fill_lower`` makes the rest, or None; work: of
    the thread.
    """
    d, columns = len(sizes), sizes[len(sizes) - 1]
    work.direct[:], work.slopes[:], work.products[:] = 0, 0, 0
    for i in range(d):
        for j in range(d):
            work.matrix[i, j] = x[i, j]
    sound = place_lines(sizes, sizes, x, work.lines)
    rows, index, placed, start, end, row, plane, k = sizes[d - 2], first, first, 0, 0, 0, 0, 0
    while True:
        filled = 0
        while filled < BLOCK and (start < end or index < last):
            if start >= end:
                if index == placed:
                    if d == 3 and filled > 0:
                        break  # a block lies in one plane
                    row, plane, k = index % rows, index // rows, 0
                    several = min(last - index, rows - row, ROWS)
                    placed += several
                    if sound:
                        place_rows(work.lines, box, spans[index:placed], row, several, plane, work.columns, work.begins)
                    else:
                        work.columns[:] = 0
                start, end = work.columns[0, k], work.columns[1, k]
                if start >= end:
                    start, end = 0, 0
                if term.outside and (start > 0 or end < columns):
                    _add_to_cost(squares_outside(fixed[0, index], start, end), sums)
                row, k, index = row + 1, k + 1, index + 1
            else:
                some = min(end - start, BLOCK - filled)
                at = _begin(work, 0, k - 1, start), _begin(work, 1, k - 1, start), _begin(work, 2, k - 1, start)
                sixteens = (some + 15) // 16
                lay_row(sizes, words.shape[1], at, work.lines, start, sixteens, row - 1, filled, work.lanes, work.offsets)
                for channel in range(fixed.shape[0] if compares_coverage(term) else 1):
                    copy_piece(fixed[channel, index - 1], start, some, FIXED[channel], filled, work.lanes)
                start += some
                filled += some
        if filled == 0:
            break
        count = -(-filled // WHOLE) * WHOLE
        _clear(filled, count, fixed.shape[0], work.lanes, work.offsets)
        add_block(term, sizes, words, plane, count, work, sums, matrix)
    if sums.ndim == 2:
        _add_gradients(sizes, work, sums)
    if matrix is not None:
        _add_to_matrix(sizes, work.products, matrix)


@inlined
def _begin(work, direction, row, column):
    """Where a column of a placed row lies in the bordered moving image."""
    return np.float32(work.begins[direction, row] + column * work.lines[direction, 1] + BORDER)


@inlined
def _add_to_cost(number, sums):
    if sums.ndim == 1:
        sums[0] += number
    else:
        sums[0, 0] += number


@lean
def _add_gradients(sizes, work, sums):
    """Add the derivatives by the map from the sums of slopes."""
    d = len(sizes)
    for kind in range(2):
        for i in range(d):
            scale = float(sizes[d - 1 - i])  # twice the halved derivative, times samples per unit
            total = work.slopes[kind, i, 3] * scale
            for j in range(d):
                n = sizes[d - 1 - j]
                along = (1 / n - 1) * total + 2 / n * scale * work.slopes[kind, i, j]
                sums[kind, 1 + i * (d + 1) + j] += along + work.direct[kind, i, j]
            sums[kind, 1 + i * (d + 1) + d] += total


@lean
def _add_to_matrix(sizes, products, matrix):
    d, product = len(sizes), 0
    for i in range(d):
        for j in range(i, d):
            scale = 0.5 * sizes[d - 1 - i] * sizes[d - 1 - j]
            _add_product_to_matrix(sizes, products[product], scale, matrix[i * (d + 1) :, j * (d + 1) :])
            product += 1


@lean
def _add_product_to_matrix(sizes, found, scale, block):
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
