"""The kernels of the data terms that compare intensities; the formulas are those of ``data_terms``.

Channel 0 of both images holds the values, channel 1 the coverage.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from .compiling import FAST
from .kernels import bilinear, curve_row, sum_row, trilinear


class MeanSquares(NamedTuple):
    """The data term of that name; each is a type, for which the kernels are compiled apart."""

    outside: bool = True  # samples that the moving image does not meet have a cost too


class OverlapMeanSquares(NamedTuple):
    outside: bool = False


class UnexplainedContent(NamedTuple):
    outside: bool
    inverse_square: np.float32  # of the scale


class UnexplainedOfFixed(NamedTuple):
    outside: bool
    inverse_square: np.float32


class UnexplainedOfMoving(NamedTuple):
    outside: bool
    inverse_square: np.float32


def compare(term, f, c, v, m):
    """Of one sample, fixed value and coverage f, c, moving v, m: cost, content, and half their derivatives by v and m (cost first)."""
    raise NotImplementedError("only compiled code compares samples one by one")


def curve(term, f, c, v, m):
    """Weight w and directions p, q: the Gauss-Newton curvature of a sample's cost is 2 w (p v' + q m')^2."""
    raise NotImplementedError("only compiled code compares samples one by one")


@overload(compare, jit_options=FAST)
def _compare(term, f, c, v, m):
    one, zero = np.float32(1), np.float32(0)
    of_moving = term.instance_class is UnexplainedOfMoving

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

    def unexplained_side(term, f, c, v, m):
        shown_moving, shown_fixed = c * v, m * f
        side = shown_moving if of_moving else shown_fixed
        residual = shown_moving - shown_fixed
        square, square_side = residual * residual, side * side
        share, share_side = one / (one + square * term.inverse_square), one / (one + square_side * term.inverse_square)
        content = square_side * share_side
        part, slope = content * term.inverse_square, share_side * share_side * side * (c if of_moving else f)
        weight, by_part = share * share * residual * part, square * share * term.inverse_square * slope
        by_v, by_m = (by_part, zero) if of_moving else (zero, by_part)
        slope_v, slope_m = (slope, zero) if of_moving else (zero, slope)
        return square * share * part, content, weight * c + by_v, -weight * f + by_m, slope_v, slope_m

    return {
        MeanSquares: mean_squares,
        OverlapMeanSquares: overlap_mean_squares,
        UnexplainedContent: unexplained_content,
        UnexplainedOfFixed: unexplained_side,
        UnexplainedOfMoving: unexplained_side,
    }[term.instance_class]


@overload(curve, jit_options=FAST)
def _curve(term, f, c, v, m):
    one, zero = np.float32(1), np.float32(0)
    of_moving = term.instance_class is UnexplainedOfMoving

    def mean_squares(term, f, c, v, m):
        return one, one, zero

    def overlap_mean_squares(term, f, c, v, m):
        return one, c, -f

    def unexplained_content(term, f, c, v, m):
        residual = c * v - m * f
        share = one / (one + residual * residual * term.inverse_square)
        return share * share, c, -f

    def unexplained_side(term, f, c, v, m):
        shown_moving, shown_fixed = c * v, m * f
        side = shown_moving if of_moving else shown_fixed
        residual = shown_moving - shown_fixed
        share = one / (one + residual * residual * term.inverse_square)
        part = side * side * term.inverse_square
        return share * share * part / (one + part), c, -f

    return {
        MeanSquares: mean_squares,
        OverlapMeanSquares: overlap_mean_squares,
        UnexplainedContent: unexplained_content,
        UnexplainedOfFixed: unexplained_side,
        UnexplainedOfMoving: unexplained_side,
    }[term.instance_class]


_TERMS = (MeanSquares, OverlapMeanSquares, UnexplainedContent, UnexplainedOfFixed, UnexplainedOfMoving)


@overload(sum_row, jit_options=FAST)
def _sum_row(term, sizes, fixed, row, halves, shares, first, count, matrix, direct):
    if term.instance_class not in _TERMS:
        return None
    deep = len(sizes) == 3

    def sums(term, sizes, fixed, row, halves, shares, first, count, matrix, direct):
        zero = np.float32(0)
        cost, content, ax, ay, az, axc, ayc, azc = zero, zero, zero, zero, zero, zero, zero, zero
        bx, by, bz, bxc, byc, bzc = zero, zero, zero, zero, zero, zero
        f, c = fixed[0, row], fixed[1, row]
        share_x, share_y, share_z = shares[0], shares[1], shares[2]
        c0, c1, c2, c3 = halves[0, 0], halves[0, 1], halves[0, 2], halves[0, 3]
        c4, c5, c6, c7 = halves[0, 4], halves[0, 5], halves[0, 6], halves[0, 7]
        for i in range(count):
            j, k, column, wx, wy = 2 * i, 2 * i + 1, np.float32(first + i), share_x[i], share_y[i]
            v, vx, vy = bilinear(c0[j], c1[j], c2[j], c3[j], wx, wy)
            m, mx, my = bilinear(c0[k], c1[k], c2[k], c3[k], wx, wy)
            if deep:
                v, vx, vy, vz = trilinear((v, vx, vy), bilinear(c4[j], c5[j], c6[j], c7[j], wx, wy), share_z[i])
                m, mx, my, mz = trilinear((m, mx, my), bilinear(c4[k], c5[k], c6[k], c7[k], wx, wy), share_z[i])
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
            if deep:
                gz, hz = av * vz + am * mz, bv * vz + bm * mz
                az += gz
                bz += hz
                azc += gz * column
                bzc += hz * column
        return cost, content, ((ax, axc), (ay, ayc), (az, azc)), ((bx, bxc), (by, byc), (bz, bzc))

    return sums


@overload(curve_row, jit_options=FAST)
def _curve_row(term, sizes, fixed, row, halves, shares, first, count, matrix):
    if term.instance_class not in _TERMS:
        return None
    if len(sizes) == 2:
        return _curve_row_2d
    return _curve_row_3d


def _curve_row_2d(term, sizes, fixed, row, halves, shares, first, count, matrix):
    zero = np.float32(0)
    s0, s1, s2, t0, t1, t2, u0, u1, u2 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    f, c, share_x, share_y = fixed[0, row], fixed[1, row], shares[0], shares[1]
    c0, c1, c2, c3 = halves[0, 0], halves[0, 1], halves[0, 2], halves[0, 3]
    for i in range(count):
        j, k, column = 2 * i, 2 * i + 1, np.float32(first + i)
        v, vx, vy = bilinear(c0[j], c1[j], c2[j], c3[j], share_x[i], share_y[i])
        m, mx, my = bilinear(c0[k], c1[k], c2[k], c3[k], share_x[i], share_y[i])
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


def _curve_row_3d(term, sizes, fixed, row, halves, shares, first, count, matrix):
    zero = np.float32(0)
    s0, s1, s2, s3, s4, s5 = zero, zero, zero, zero, zero, zero
    t0, t1, t2, t3, t4, t5 = zero, zero, zero, zero, zero, zero
    u0, u1, u2, u3, u4, u5 = zero, zero, zero, zero, zero, zero
    f, c, share_x, share_y, share_z = fixed[0, row], fixed[1, row], shares[0], shares[1], shares[2]
    c0, c1, c2, c3 = halves[0, 0], halves[0, 1], halves[0, 2], halves[0, 3]
    c4, c5, c6, c7 = halves[0, 4], halves[0, 5], halves[0, 6], halves[0, 7]
    for i in range(count):
        j, k, column, wx, wy = 2 * i, 2 * i + 1, np.float32(first + i), share_x[i], share_y[i]
        near, far = bilinear(c0[j], c1[j], c2[j], c3[j], wx, wy), bilinear(c4[j], c5[j], c6[j], c7[j], wx, wy)
        v, vx, vy, vz = trilinear(near, far, share_z[i])
        near, far = bilinear(c0[k], c1[k], c2[k], c3[k], wx, wy), bilinear(c4[k], c5[k], c6[k], c7[k], wx, wy)
        m, mx, my, mz = trilinear(near, far, share_z[i])
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
