"""The criterion of an image pair under an affine map, summed in one pass over the fixed grid; compiled for the CPU by numba.

One row of samples after the other is read, interpolated, compared and summed while it lies in the processor's cache, so that no
image of intermediate results is ever written.  The formulas are those of ``data_terms`` and ``sampling``; sums run in an order
of their own, the same for a pair in any batch and for any number of threads.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numba.extending import overload

BORDER = 2  # zeros around the moving image: what lies just outside is read like the rest

# Sums may be reordered and multiplications fused, or rows could not be summed by vector instructions; infinities and NaN stay.
compiled = numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy", cache=True)


class MeanSquares(NamedTuple):
    """The data term of that name; each is a type, for which the kernels are compiled apart."""

    outside: bool = True  # samples that the moving image does not meet have a cost too


class OverlapMeanSquares(NamedTuple):
    outside: bool = False


class UnexplainedContent(NamedTuple):
    outside: bool
    inverse_square: np.float32  # of the scale


def compare(term, f, c, v, m):
    """Of one sample, fixed value and coverage f, c, moving v, m: cost, content, and half their derivatives by v and m (cost first)."""
    raise NotImplementedError("only compiled code compares samples one by one")


def curve(term, f, c, v, m):
    """Weight w and directions p, q: the Gauss-Newton curvature of a sample's cost is 2 w (p v' + q m')^2."""
    raise NotImplementedError("only compiled code compares samples one by one")


@overload(compare)
def _compare(term, f, c, v, m):
    one, zero = np.float32(1), np.float32(0)

    def mean_squares(term, f, c, v, m):
        residual = v - f
        return residual * residual, zero, residual, zero, zero, zero

    def overlap_mean_squares(term, f, c, v, m):
        residual, weight = c * v - m * f, c * m
        return residual * residual, weight * weight, residual * c, -residual * f, zero, weight * c

    def unexplained_content(term, f, c, v, m):
        shown_moving, shown_fixed = c * v, m * f
        residual = shown_moving - shown_fixed
        square, square_moving, square_fixed = residual * residual, shown_moving * shown_moving, shown_fixed * shown_fixed
        share = one / (one + square * term.inverse_square)
        share_moving, share_fixed = one / (one + square_moving * term.inverse_square), one / (one + square_fixed * term.inverse_square)
        weight = share * share
        return (
            square * share,
            square_moving * share_moving + square_fixed * share_fixed,
            weight * residual * c,
            -weight * residual * f,
            share_moving * share_moving * shown_moving * c,
            share_fixed * share_fixed * shown_fixed * f,
        )

    return {MeanSquares: mean_squares, OverlapMeanSquares: overlap_mean_squares, UnexplainedContent: unexplained_content}[
        term.instance_class
    ]


@overload(curve)
def _curve(term, f, c, v, m):
    one, zero = np.float32(1), np.float32(0)

    def mean_squares(term, f, c, v, m):
        return one, one, zero

    def overlap_mean_squares(term, f, c, v, m):
        return one, c, -f

    def unexplained_content(term, f, c, v, m):
        residual = c * v - m * f
        share = one / (one + residual * residual * term.inverse_square)
        return share * share, c, -f

    return {MeanSquares: mean_squares, OverlapMeanSquares: overlap_mean_squares, UnexplainedContent: unexplained_content}[
        term.instance_class
    ]


@compiled
def _inside(position, step, size, first, last):
    """Of the columns first .. last - 1 those at which position + column * step lies in (-1, size)."""
    if abs(step) < 1e-9:
        return (first, last) if -1 < position < size else (first, first)
    one, other = (-1 - position) / step, (size - position) / step
    first = max(first, math.ceil(min(max(min(one, other), -1.0), 1e6)))
    return first, max(first, min(last, math.floor(min(max(one, other), 1e6)) + 1))


@compiled
def _place_row(sizes, x, row, place, step):
    """Which columns of a row of the fixed grid meet the moving image, first and last + 1; where the first of them lies in the bordered
    image, and the way to the next, go to ``place`` and ``step`` (x, y, z)."""
    d = len(sizes)
    columns = sizes[d - 1]
    first, last = 0, columns
    y = (2 * (row % sizes[d - 2]) + 1) / sizes[d - 2] - 1
    z = (2 * (row // sizes[d - 2]) + 1) / sizes[0] - 1
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
    """The pixels around each sample of a row, and where between them it lies; a word holds value and coverage of a pixel."""
    d = len(sizes)
    across = np.int32(sizes[d - 1] + 2 * BORDER)
    x, y, dx, dy = np.float32(place[0]), np.float32(place[1]), np.float32(step[0]), np.float32(step[1])
    for i in range(count):
        px, py = x + np.float32(i) * dx, y + np.float32(i) * dy
        ix, iy = np.int32(px), np.int32(py)
        shares[0, i], shares[1, i] = px - np.float32(ix), py - np.float32(iy)
        offsets[i] = iy * across + ix
    if d == 3:
        area = np.int32(across * (sizes[1] + 2 * BORDER))
        z, dz = np.float32(place[2]), np.float32(step[2])
        for i in range(count):
            pz = z + np.float32(i) * dz
            iz = np.int32(pz)
            shares[2, i] = pz - np.float32(iz)
            offsets[i] += iz * area
    down = np.uint64(across)
    for i in range(count):
        at = np.uint64(offsets[i])
        corners[0, i] = words[at]
        corners[1, i] = words[at + np.uint64(1)]
        corners[2, i] = words[at + down]
        corners[3, i] = words[at + down + np.uint64(1)]
    if d == 3:
        for i in range(count):
            at = np.uint64(offsets[i]) + np.uint64(area)
            corners[4, i] = words[at]
            corners[5, i] = words[at + np.uint64(1)]
            corners[6, i] = words[at + down]
            corners[7, i] = words[at + down + np.uint64(1)]


@compiled
def _bilinear(a, b, c, d, wx, wy):
    """Value between four pixels and its derivatives along x and y."""
    upper, lower = b - a, d - c
    top, bottom = a + wx * upper, c + wx * lower
    return top + wy * (bottom - top), upper + wy * (lower - upper), bottom - top


@compiled
def _trilinear(near, far, wz):
    """Value between two planes and its derivatives along x, y and z."""
    along_z = far[0] - near[0]
    return near[0] + wz * along_z, near[1] + wz * (far[1] - near[1]), near[2] + wz * (far[2] - near[2]), along_z


@compiled
def _sum_row_2d(term, f, c, corners, share_x, share_y, first, count):
    """Sums over a row of a plane: cost, content, and the derivatives of both along x and y with their moments in the column."""
    zero = np.float32(0)
    cost, content, ax, ay, axc, ayc, bx, by, bxc, byc = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3 = corners[0], corners[1], corners[2], corners[3]
    for i in range(count):
        j, column = 2 * i, np.float32(first + i)
        v, vx, vy = _bilinear(c0[j], c1[j], c2[j], c3[j], share_x[i], share_y[i])
        m, mx, my = _bilinear(c0[j + 1], c1[j + 1], c2[j + 1], c3[j + 1], share_x[i], share_y[i])
        a, b, av, am, bv, bm = compare(term, f[first + i], c[first + i], v, m)
        cost += a
        content += b
        gx, gy, hx, hy = av * vx + am * mx, av * vy + am * my, bv * vx + bm * mx, bv * vy + bm * my
        ax += gx
        ay += gy
        bx += hx
        by += hy
        axc += gx * column
        ayc += gy * column
        bxc += hx * column
        byc += hy * column
    return cost, content, ((ax, axc), (ay, ayc)), ((bx, bxc), (by, byc))


@compiled
def _sum_row_3d(term, f, c, corners, share_x, share_y, share_z, first, count):
    """The same for a row of a volume, along x, y and z."""
    zero = np.float32(0)
    cost, content, ax, ay, az, axc, ayc, azc = zero, zero, zero, zero, zero, zero, zero, zero
    bx, by, bz, bxc, byc, bzc = zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3, c4, c5, c6, c7 = corners[0], corners[1], corners[2], corners[3], corners[4], corners[5], corners[6], corners[7]
    for i in range(count):
        j, k, column, wx, wy = 2 * i, 2 * i + 1, np.float32(first + i), share_x[i], share_y[i]
        near, far = _bilinear(c0[j], c1[j], c2[j], c3[j], wx, wy), _bilinear(c4[j], c5[j], c6[j], c7[j], wx, wy)
        v, vx, vy, vz = _trilinear(near, far, share_z[i])
        near, far = _bilinear(c0[k], c1[k], c2[k], c3[k], wx, wy), _bilinear(c4[k], c5[k], c6[k], c7[k], wx, wy)
        m, mx, my, mz = _trilinear(near, far, share_z[i])
        a, b, av, am, bv, bm = compare(term, f[first + i], c[first + i], v, m)
        cost += a
        content += b
        gx, gy, gz = av * vx + am * mx, av * vy + am * my, av * vz + am * mz
        hx, hy, hz = bv * vx + bm * mx, bv * vy + bm * my, bv * vz + bm * mz
        ax += gx
        ay += gy
        az += gz
        bx += hx
        by += hy
        bz += hz
        axc += gx * column
        ayc += gy * column
        azc += gz * column
        bxc += hx * column
        byc += hy * column
        bzc += hz * column
    return cost, content, ((ax, axc), (ay, ayc), (az, azc)), ((bx, bxc), (by, byc), (bz, bzc))


@compiled
def evaluate(term, sizes, fixed, words, x, first, last, work, sums):
    """Add up cost and content, and their derivatives by the map, over the rows first .. last - 1 of one pair.

    sizes: of the grid, array order; fixed ``(2, rows, columns)``: values and coverage; words ``(padded samples,)``: value and
    coverage of the moving image, bordered, as one int64 each; x ``(d, d + 1)``; sums ``(2, 1 + d (d + 1))`` in float64: cost and
    content, each followed by its derivative in the order of ``flatten``; work: see ``work_space``.
    """
    d = len(sizes)
    columns = sizes[d - 1]
    shares, offsets, corners, place, step = work
    halves = corners.view(np.float32)
    for row in range(first, last):
        start, end = _place_row(sizes, x, row, place, step)
        f, c = fixed[0, row], fixed[1, row]
        if term.outside:
            for i in range(columns):
                if i < start or i >= end:
                    sums[0, 0] += f[i] * f[i]
        if end <= start:
            continue
        _read_row(sizes, words, place, step, end - start, shares, offsets, corners)
        if d == 2:
            cost, content, of_cost, of_content = _sum_row_2d(term, f, c, halves, shares[0], shares[1], start, end - start)
        else:
            cost, content, of_cost, of_content = _sum_row_3d(term, f, c, halves, shares[0], shares[1], shares[2], start, end - start)
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


@compiled
def work_space(columns):
    """Scratch for rows of a length."""
    return (
        np.empty((3, columns), np.float32),
        np.empty(columns, np.int32),
        np.empty((8, columns), np.int64),
        np.empty(3),
        np.empty(3),
    )


@compiled
def _curve_row_2d(term, f, c, corners, share_x, share_y, first, count):
    """Over a row of a plane the products of the residual's derivatives xx, xy, yy by the curvature's weight: their sums, and their
    first and second moments in the column."""
    zero = np.float32(0)
    s0, s1, s2, t0, t1, t2, u0, u1, u2 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3 = corners[0], corners[1], corners[2], corners[3]
    for i in range(count):
        j, column = 2 * i, np.float32(first + i)
        v, vx, vy = _bilinear(c0[j], c1[j], c2[j], c3[j], share_x[i], share_y[i])
        m, mx, my = _bilinear(c0[j + 1], c1[j + 1], c2[j + 1], c3[j + 1], share_x[i], share_y[i])
        weight, cv, cm = curve(term, f[first + i], c[first + i], v, m)
        gx, gy = cv * vx + cm * mx, cv * vy + cm * my
        xx, xy, yy = weight * gx * gx, weight * gx * gy, weight * gy * gy
        s0 += xx
        s1 += xy
        s2 += yy
        t0 += xx * column
        t1 += xy * column
        t2 += yy * column
        u0 += xx * column * column
        u1 += xy * column * column
        u2 += yy * column * column
    return (s0, s1, s2), (t0, t1, t2), (u0, u1, u2)


@compiled
def _curve_row_3d(term, f, c, corners, share_x, share_y, share_z, first, count):
    """The same for a row of a volume: xx, xy, xz, yy, yz, zz."""
    zero = np.float32(0)
    s0, s1, s2, s3, s4, s5 = zero, zero, zero, zero, zero, zero
    t0, t1, t2, t3, t4, t5 = zero, zero, zero, zero, zero, zero
    u0, u1, u2, u3, u4, u5 = zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3, c4, c5, c6, c7 = corners[0], corners[1], corners[2], corners[3], corners[4], corners[5], corners[6], corners[7]
    for i in range(count):
        j, k, column, wx, wy = 2 * i, 2 * i + 1, np.float32(first + i), share_x[i], share_y[i]
        near, far = _bilinear(c0[j], c1[j], c2[j], c3[j], wx, wy), _bilinear(c4[j], c5[j], c6[j], c7[j], wx, wy)
        v, vx, vy, vz = _trilinear(near, far, share_z[i])
        near, far = _bilinear(c0[k], c1[k], c2[k], c3[k], wx, wy), _bilinear(c4[k], c5[k], c6[k], c7[k], wx, wy)
        m, mx, my, mz = _trilinear(near, far, share_z[i])
        weight, cv, cm = curve(term, f[first + i], c[first + i], v, m)
        gx, gy, gz = cv * vx + cm * mx, cv * vy + cm * my, cv * vz + cm * mz
        xx, xy, xz, yy, yz, zz = weight * gx * gx, weight * gx * gy, weight * gx * gz, weight * gy * gy, weight * gy * gz, weight * gz * gz
        s0 += xx
        s1 += xy
        s2 += xz
        s3 += yy
        s4 += yz
        s5 += zz
        t0 += xx * column
        t1 += xy * column
        t2 += xz * column
        t3 += yy * column
        t4 += yz * column
        t5 += zz * column
        u0 += xx * column * column
        u1 += xy * column * column
        u2 += xz * column * column
        u3 += yy * column * column
        u4 += yz * column * column
        u5 += zz * column * column
    return (s0, s1, s2, s3, s4, s5), (t0, t1, t2, t3, t4, t5), (u0, u1, u2, u3, u4, u5)


@compiled
def curvature(term, sizes, fixed, words, x, first, last, work, matrix):
    """Add up the Gauss-Newton matrix of the cost over the rows first .. last - 1 of one pair, ``(n, n)`` in float64; the rest as in
    ``evaluate``."""
    d = len(sizes)
    columns = sizes[d - 1]
    shares, offsets, corners, place, step = work
    halves = corners.view(np.float32)
    at = np.ones(d + 1)  # of a sample: its normalised coordinates, and one
    for row in range(first, last):
        start, end = _place_row(sizes, x, row, place, step)
        if end <= start:
            continue
        f, c = fixed[0, row], fixed[1, row]
        _read_row(sizes, words, place, step, end - start, shares, offsets, corners)
        if d == 2:
            sums, moments, seconds = _curve_row_2d(term, f, c, halves, shares[0], shares[1], start, end - start)
        else:
            sums, moments, seconds = _curve_row_3d(term, f, c, halves, shares[0], shares[1], shares[2], start, end - start)
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
