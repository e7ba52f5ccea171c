"""The rows of a grid under an affine map, for the compiled kernels: which of their columns are compared, and where these lie in the
moving image."""

import math

import numpy as np

from .backends import BORDER
from .compiling import fast, inlined, lean
from .lanes import PLACES, SHARES


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


@inlined
def place_rows(lines, box, spans, row, count, plane, columns, begins):
    """Of ``count`` rows of a plane from ``row`` on, with their spans, first column and last + 1: where column 0 lies, to the
    first d of begins ``(3, ROWS)``; and which columns of the spans lie between both numbers of a box ``(d, 2)``, first and last + 1, to
    columns ``(2, ROWS)``: none where the former is not below the latter."""
    starts, ends = columns[0], columns[1]
    for k in range(count):
        starts[k], ends[k] = spans[k, 0], spans[k, 1]
    for direction in range(len(box)):
        step, inverse = lines[direction, 2], lines[direction, 4]
        begin = lines[direction, 0] + row * step + plane * lines[direction, 3]
        if inverse == 0:
            _narrow_all(box[direction, 0], box[direction, 1], begin, step, count, begins[direction], starts, ends)
        else:
            _narrow(box[direction, 0], box[direction, 1], inverse, begin, step, count, begins[direction], starts, ends)


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
def lay_row(sizes, words, at, lines, first, sixteens, row, filled, lanes, offsets):
    """Lay the samples of a row from column ``first`` on, which lies at x, y and z, behind those of the block, so many times 16: the
    first pixel around each, where between the pixels it lies, and its place; words: of a pixel.  What is too much, others lie on."""
    d, begin, (x, y, z) = len(sizes), np.uint64(filled), at
    across = np.int32(words * (sizes[d - 1] + 2 * BORDER))
    area = np.int32(across * (sizes[d - 2] + 2 * BORDER))
    dx, dy, dz = np.float32(lines[0, 1]), np.float32(lines[1, 1]), np.float32(lines[2, 1])
    start, y_of_all = np.float32(first), np.float32(row)
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
        offsets[here] = offset
        lanes[here + PLACES[0]] = start + steps
        lanes[here + PLACES[1]] = y_of_all
