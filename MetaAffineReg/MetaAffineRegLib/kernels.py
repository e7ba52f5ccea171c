"""The criterion of an image pair under an affine map, summed in one pass over the fixed grid; compiled for the CPU by numba.

One block of samples after the other, row by row and whatever rows they belong to, is read, interpolated, compared and summed while it
lies in the processor's cache, so that no image of intermediate results is ever written.  The formulas are those of ``data_terms`` and
``sampling``; sums run in an order of their own, the same for a pair in any batch and for any number of threads.  What is
summed, the kernels of the data terms say (``kernel_intensities``, ``kernel_edges``).
"""

import math

import numpy as np

from .backends import BORDER
from .compiling import fast, inlined, lean
from .kernel_interpolation import sample_moving
from .lanes import BLOCK, CONTENT_SLOPES, COST_SLOPES, FIXED, PLACES, PRODUCTS, ROWS, SHARES, WHOLE

SLAB = 1 << 14  # samples of whole rows that are summed together; slabs are added in their order, whichever threads summed them


def add_samples(term, sizes, lanes, count, matrix):
    """What a data term sums of the samples of a block, as a tuple: cost and content first.  A sample whose fixed channels are zero has
    none."""
    raise NotImplementedError("each data term has a compiled one")


def compare_samples(term, sizes, lanes, count, matrix, direct):
    """``add_samples``, the slopes of cost and content to their lanes; what these depend on the map's matrix besides is added to direct
    ``(2, 3, 3)``."""
    raise NotImplementedError("each data term has a compiled one")


def curve_samples(term, sizes, lanes, count, matrix):
    """The products of the cost's curvature to their lanes."""
    raise NotImplementedError("each data term has a compiled one")


def compares_coverage(term):
    """Whether a data term looks at the coverage, and its content depends on the map."""
    raise NotImplementedError("each data term has a compiled one")


def floor_of_row(term, channels):
    """What a row of the fixed image, ``(C, columns)``, adds to the floor of a data term, and what to the cost of missing all of it: floor
    times price."""
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


@inlined
def _place_rows(lines, box, spans, row, count, plane, work):
    """Of ``count`` rows of a plane from ``row`` on, with their spans, which columns are compared, first and last + 1, to work.columns, and
    where their first columns lie, to work.begins; as ``place_row`` and ``columns_between`` have it of one."""
    starts, ends = work.columns[0], work.columns[1]
    for k in range(count):
        starts[k], ends[k] = spans[k, 0], spans[k, 1]
    for direction in range(len(box)):
        begins, step, inverse = work.begins[direction], lines[direction, 2], lines[direction, 4]
        begin = lines[direction, 0] + row * step + plane * lines[direction, 3]
        if inverse == 0:
            _narrow_all(box[direction, 0], box[direction, 1], begin, step, count, begins, starts, ends)
        else:
            _narrow(box[direction, 0], box[direction, 1], inverse, begin, step, count, begins, starts, ends)


@fast
def _narrow_all(low, high, begin, step, count, begins, starts, ends):
    for i in range(count):
        k = np.uint64(i)
        at = begin + i * step
        begins[k] = at
        ends[k] = ends[k] if (low < at) & (at < high) else starts[k]


@fast
def _narrow(low, high, inverse, begin, step, count, begins, starts, ends):
    for i in range(count):
        k = np.uint64(i)
        at = begin + i * step
        begins[k] = at
        one, other = (low - at) * inverse, (high - at) * inverse
        starts[k] = max(starts[k], np.int32(math.ceil(min(max(min(one, other), -1.0), 1e6))))
        ends[k] = min(ends[k], np.int32(math.floor(min(max(max(one, other), -1.0), 1e6))) + np.int32(1))


@fast
def _lay_row(sizes, words, x, y, z, lines, first, sixteens, row, plane, filled, lanes, offsets):
    """Lay the samples of a row from column ``first`` on, which lies at x, y and z, behind those of the block, so many times 16: the
    first pixel around each, where between the pixels it lies, and its place; words: of a pixel."""
    d, begin = len(sizes), np.uint64(filled)
    across = np.int32(words * (sizes[d - 1] + 2 * BORDER))
    area = np.int32(across * (sizes[d - 2] + 2 * BORDER))
    dx, dy, dz = np.float32(lines[0, 1]), np.float32(lines[1, 1]), np.float32(lines[2, 1])
    start, y_of_all, z_of_all = np.float32(first), np.float32(row), np.float32(plane)
    for i in range(16 * sixteens):
        here, steps = begin + np.uint64(i), np.float32(np.int32(i))
        px, py = x + steps * dx, y + steps * dy
        ix, iy = np.int32(px), np.int32(py)
        lanes[here + SHARES[0]], lanes[here + SHARES[1]] = px - np.float32(ix), py - np.float32(iy)
        offset = iy * across + ix * np.int32(words)
        if d == 3:
            pz = z + steps * dz
            iz = np.int32(pz)
            lanes[here + SHARES[2]] = pz - np.float32(iz)
            offset += iz * area
            lanes[here + PLACES[2]] = z_of_all
        offsets[here] = offset
        lanes[here + PLACES[0]] = start + steps
        lanes[here + PLACES[1]] = y_of_all


@fast
def _copy_row(values, first, count, lane, filled, lanes):
    for i in range(count):
        lanes[lane + np.uint64(filled + i)] = values[np.uint64(first + i)]


@fast
def _clear(first, last, channels, lanes, offsets):
    """Make of the samples first .. last - 1 of a block such as count nothing."""
    for i in range(first, last):
        here = np.uint64(i)
        offsets[here] = 0
        for axis in range(3):
            lanes[here + SHARES[axis]] = 0
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
    of the moving image bordered and two by two in one int64; spans ``(rows, 2)`` and box ``(d, 2)``: see ``coverage_bounds``; x
    ``(d, d + 1)``; sums ``(K,)`` or, cost and content each followed by its derivative in the order of ``flatten``, ``(2, 1 + n)``,
    n = d (d + 1), in float64; matrix ``(n, n)`` in float64, of which ``fill_lower`` makes the rest, or None; work: of the thread.
    """
    d, columns, filled = len(sizes), sizes[len(sizes) - 1], 0
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
                    row, plane, k = index % rows, index // rows, 0
                    count = min(last - index, rows - row, ROWS)
                    placed += count
                    if sound:
                        _place_rows(work.lines, box, spans[index:placed], row, count, plane, work)
                    else:
                        work.columns[:] = 0
                start, end = work.columns[0, k], work.columns[1, k]
                if start >= end:
                    start, end = 0, 0
                if term.outside:
                    _add(_squares(fixed[0, index], 0, start) + _squares(fixed[0, index], end, columns), 0, sums)
                row, k, index = row + 1, k + 1, index + 1
            else:
                some = min(end - start, BLOCK - filled)
                x0 = np.float32(work.begins[0, k - 1] + start * work.lines[0, 1] + BORDER)
                y0 = np.float32(work.begins[1, k - 1] + start * work.lines[1, 1] + BORDER)
                z0 = np.float32(work.begins[2, k - 1] + start * work.lines[2, 1] + BORDER)
                _lay_row(
                    sizes, words.shape[1], x0, y0, z0, work.lines, start, (some + 15) // 16, row - 1, plane, filled, work.lanes, work.offsets
                )
                for channel in range(fixed.shape[0] if compares_coverage(term) else 1):
                    _copy_row(fixed[channel, index - 1], start, some, FIXED[channel], filled, work.lanes)
                start += some
                filled += some
        if filled == 0:
            break
        _sum_block(term, sizes, fixed.shape[0], words, filled, work, sums, matrix)
    if sums.ndim == 2:
        _add_gradients(sizes, work, sums)
    if matrix is not None:
        _add_blocks(sizes, work.products, matrix)


@inlined
def _add(number, n, sums):
    """Add a number to the sum n, not to its derivatives."""
    if sums.ndim == 1:
        sums[n] += number
    else:
        sums[n, 0] += number


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


@inlined
def _sum_block(term, sizes, channels, words, filled, work, sums, matrix):
    """Add what a block of ``filled`` samples gives."""
    d, lanes = len(sizes), work.lanes
    count = -(-filled // WHOLE) * WHOLE
    _clear(filled, count, channels, lanes, work.offsets)
    sample_moving(sizes, words, compares_coverage(term), work, count, sums)
    if sums.ndim == 1:
        found = add_samples(term, sizes, lanes, count, work.matrix)
    else:
        found = compare_samples(term, sizes, lanes, count, work.matrix, work.direct)
        for direction in range(d):
            _add_slopes(d, COST_SLOPES[direction], lanes, count, work.slopes[0, direction])
            if compares_coverage(term):
                _add_slopes(d, CONTENT_SLOPES[direction], lanes, count, work.slopes[1, direction])
    for n in range(len(found)):
        _add(found[n], n, sums)
    if matrix is not None:
        curve_samples(term, sizes, lanes, count, work.matrix)
        for product in range(d * (d + 1) // 2):
            _add_moments(d, PRODUCTS[product], lanes, count, work.products[product])


@fast
def _add_slopes(d, lane, lanes, count, sums):
    """Add a block's slopes to ``(4,)``: times column, row and plane, and alone."""
    x, y, z, one = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for k in range(count):
        i = np.uint64(k)
        slope = lanes[i + lane]
        x += slope * lanes[i + PLACES[0]]
        y += slope * lanes[i + PLACES[1]]
        if d == 3:
            z += slope * lanes[i + PLACES[2]]
        one += slope
    sums[0] += x
    sums[1] += y
    sums[2] += z
    sums[3] += one


@fast
def _add_moments(d, lane, lanes, count, sums):
    """Add a block's products to ``(10,)``: times xx, xy, xz, x, yy, yz, y, zz, z and one, column, row and plane being x, y and z."""
    zero = np.float32(0)
    xx, xy, xz, x, yy, yz, y, zz, z, one = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
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
        if d == 3:
            plane = lanes[i + PLACES[2]]
            by_plane = product * plane
            xz += by_column * plane
            yz += by_row * plane
            zz += by_plane * plane
            z += by_plane
    found = (xx, xy, xz, x, yy, yz, y, zz, z, one)
    for k in range(10):
        sums[k] += found[k]


@fast
def _squares(values, first, last):
    total = np.float32(0)
    for i in range(first, last):
        total += values[i] * values[i]
    return total


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
