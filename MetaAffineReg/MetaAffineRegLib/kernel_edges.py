"""The kernels of normalised gradient fields; the formulas are those of ``normalized_gradients``.

Channels of the fixed image: the entries of T in the order xx, xy, yy or xx, xy, xz, yy, yz, zz, those beside the diagonal times the
root of two, and the coverage.  Of the moving one: its gradient along x, y (and z) and the coverage.
"""

import math
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from .compiling import FAST, fast
from .kernels import bilinear, curve_row, sum_row, trilinear

_ROOT = np.float32(math.sqrt(0.5))


class NormalizedGradients(NamedTuple):
    """The data term of that name; a type, for which the kernels are compiled apart."""

    outside: bool  # never: samples that the moving image does not meet cost nothing
    square: np.float32  # of the edge


@fast
def _cotangents(u, tu, agreement, half_fixed, q, inverse, cover, coverage):
    """Of one sample with share q = |T_m|: cost, content, and half their derivatives by u and by the coverage of the moving image."""
    half = np.float32(0.5)
    common = cover * coverage
    content = half_fixed + half * q * q
    by_share = common * q * inverse * (np.float32(1) - q)
    by_agreement = common * inverse
    b = (by_share * u[0], by_share * u[1], by_share * u[2])
    a = (
        b[0] - by_agreement * (tu[0] - agreement * u[0]),
        b[1] - by_agreement * (tu[1] - agreement * u[1]),
        b[2] - by_agreement * (tu[2] - agreement * u[2]),
    )
    return common * (content - agreement), common * content, a, b, half * cover * (content - agreement), half * cover * content


@fast
def _metric(u, square, inverse, weight):
    """Half the Gauss-Newton curvature of a sample's cost by u is alpha |du|^2 + beta (u . du)^2: alpha and beta."""
    squared = inverse * inverse
    share = square * inverse
    return weight * square * squared, weight * squared * (np.float32(1) - share * (np.float32(4) - np.float32(2) * share))


@overload(sum_row, jit_options=FAST)
def _sum_row(term, sizes, fixed, row, halves, shares, first, count, matrix, direct):
    if term.instance_class is not NormalizedGradients:
        return None
    return _sum_row_2d if len(sizes) == 2 else _sum_row_3d


@overload(curve_row, jit_options=FAST)
def _curve_row(term, sizes, fixed, row, halves, shares, first, count, matrix):
    if term.instance_class is not NormalizedGradients:
        return None
    return _curve_row_2d if len(sizes) == 2 else _curve_row_3d


def _sum_row_2d(term, sizes, fixed, row, halves, shares, first, count, matrix, direct):
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    cost, content, ax, ay, axc, ayc, bx, by, bxc, byc = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
    a00, a01, a10, a11, b00, b01, b10, b11 = zero, zero, zero, zero, zero, zero, zero, zero
    m00, m01, m10, m11 = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    e0, e1, e2, covers = fixed[0, row], fixed[1, row], fixed[2, row], fixed[3, row]
    share_x, share_y = shares[0], shares[1]
    c0, c1, c2, c3 = halves[0, 0], halves[0, 1], halves[0, 2], halves[0, 3]
    d0, d1, d2, d3 = halves[1, 0], halves[1, 1], halves[1, 2], halves[1, 3]
    for i in range(count):
        j, k, column, wx, wy = 2 * i, 2 * i + 1, np.float32(first + i), share_x[i], share_y[i]
        g0, g0x, g0y = bilinear(c0[j], c1[j], c2[j], c3[j], wx, wy)
        g1, g1x, g1y = bilinear(c0[k], c1[k], c2[k], c3[k], wx, wy)
        m, mx, my = bilinear(d0[j], d1[j], d2[j], d3[j], wx, wy)
        xx, xy, yy = e0[first + i], e1[first + i], e2[first + i]
        u0, u1 = m00 * g0 + m10 * g1, m01 * g0 + m11 * g1
        square = u0 * u0 + u1 * u1
        inverse = one / (square + term.square)
        t0, t1 = xx * u0 + _ROOT * xy * u1, _ROOT * xy * u0 + yy * u1
        agreement = (u0 * t0 + u1 * t1) * inverse
        half_fixed = half * (xx * xx + xy * xy + yy * yy)
        s, t, p, q, pm, qm = _cotangents(
            (u0, u1, zero), (t0, t1, zero), agreement, half_fixed, square * inverse, inverse, covers[first + i], m
        )
        cost += s
        content += t
        a00 += g0 * p[0]
        a01 += g0 * p[1]
        a10 += g1 * p[0]
        a11 += g1 * p[1]
        b00 += g0 * q[0]
        b01 += g0 * q[1]
        b10 += g1 * q[0]
        b11 += g1 * q[1]
        p0, p1, q0, q1 = m00 * p[0] + m01 * p[1], m10 * p[0] + m11 * p[1], m00 * q[0] + m01 * q[1], m10 * q[0] + m11 * q[1]
        gx, gy = p0 * g0x + p1 * g1x + pm * mx, p0 * g0y + p1 * g1y + pm * my
        hx, hy = q0 * g0x + q1 * g1x + qm * mx, q0 * g0y + q1 * g1y + qm * my
        ax += gx
        ay += gy
        bx += hx
        by += hy
        axc += gx * column
        ayc += gy * column
        bxc += hx * column
        byc += hy * column
    _add(direct[0], ((a00, a01, zero), (a10, a11, zero), (zero, zero, zero)))
    _add(direct[1], ((b00, b01, zero), (b10, b11, zero), (zero, zero, zero)))
    return cost, content, ((ax, axc), (ay, ayc), (zero, zero)), ((bx, bxc), (by, byc), (zero, zero))


def _sum_row_3d(term, sizes, fixed, row, halves, shares, first, count, matrix, direct):
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    cost, content, ax, ay, az, axc, ayc, azc = zero, zero, zero, zero, zero, zero, zero, zero
    bx, by, bz, bxc, byc, bzc = zero, zero, zero, zero, zero, zero
    a00, a01, a02, a10, a11, a12, a20, a21, a22 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    b00, b01, b02, b10, b11, b12, b20, b21, b22 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    e0, e1, e2, e3, e4, e5 = fixed[0, row], fixed[1, row], fixed[2, row], fixed[3, row], fixed[4, row], fixed[5, row]
    covers, share_x, share_y, share_z = fixed[6, row], shares[0], shares[1], shares[2]
    for i in range(count):
        column, wx, wy, wz = np.float32(first + i), share_x[i], share_y[i], share_z[i]
        g0, g0x, g0y, g0z = _channel(halves[0], 2 * i, wx, wy, wz)
        g1, g1x, g1y, g1z = _channel(halves[0], 2 * i + 1, wx, wy, wz)
        g2, g2x, g2y, g2z = _channel(halves[1], 2 * i, wx, wy, wz)
        m, mx, my, mz = _channel(halves[1], 2 * i + 1, wx, wy, wz)
        xx, xy, xz, yy, yz, zz = e0[first + i], e1[first + i], e2[first + i], e3[first + i], e4[first + i], e5[first + i]
        u0, u1, u2 = m00 * g0 + m10 * g1 + m20 * g2, m01 * g0 + m11 * g1 + m21 * g2, m02 * g0 + m12 * g1 + m22 * g2
        square = u0 * u0 + u1 * u1 + u2 * u2
        inverse = one / (square + term.square)
        t0 = xx * u0 + _ROOT * (xy * u1 + xz * u2)
        t1 = yy * u1 + _ROOT * (xy * u0 + yz * u2)
        t2 = zz * u2 + _ROOT * (xz * u0 + yz * u1)
        agreement = (u0 * t0 + u1 * t1 + u2 * t2) * inverse
        half_fixed = half * (xx * xx + xy * xy + xz * xz + yy * yy + yz * yz + zz * zz)
        s, t, p, q, pm, qm = _cotangents((u0, u1, u2), (t0, t1, t2), agreement, half_fixed, square * inverse, inverse, covers[first + i], m)
        cost += s
        content += t
        a00 += g0 * p[0]
        a01 += g0 * p[1]
        a02 += g0 * p[2]
        a10 += g1 * p[0]
        a11 += g1 * p[1]
        a12 += g1 * p[2]
        a20 += g2 * p[0]
        a21 += g2 * p[1]
        a22 += g2 * p[2]
        b00 += g0 * q[0]
        b01 += g0 * q[1]
        b02 += g0 * q[2]
        b10 += g1 * q[0]
        b11 += g1 * q[1]
        b12 += g1 * q[2]
        b20 += g2 * q[0]
        b21 += g2 * q[1]
        b22 += g2 * q[2]
        p0, q0 = m00 * p[0] + m01 * p[1] + m02 * p[2], m00 * q[0] + m01 * q[1] + m02 * q[2]
        p1, q1 = m10 * p[0] + m11 * p[1] + m12 * p[2], m10 * q[0] + m11 * q[1] + m12 * q[2]
        p2, q2 = m20 * p[0] + m21 * p[1] + m22 * p[2], m20 * q[0] + m21 * q[1] + m22 * q[2]
        gx, hx = p0 * g0x + p1 * g1x + p2 * g2x + pm * mx, q0 * g0x + q1 * g1x + q2 * g2x + qm * mx
        gy, hy = p0 * g0y + p1 * g1y + p2 * g2y + pm * my, q0 * g0y + q1 * g1y + q2 * g2y + qm * my
        gz, hz = p0 * g0z + p1 * g1z + p2 * g2z + pm * mz, q0 * g0z + q1 * g1z + q2 * g2z + qm * mz
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
    _add(direct[0], ((a00, a01, a02), (a10, a11, a12), (a20, a21, a22)))
    _add(direct[1], ((b00, b01, b02), (b10, b11, b12), (b20, b21, b22)))
    return cost, content, ((ax, axc), (ay, ayc), (az, azc)), ((bx, bxc), (by, byc), (bz, bzc))


@fast
def _channel(corners, j, wx, wy, wz):
    """A channel between eight pixels and its derivatives along x, y and z."""
    near = bilinear(corners[0, j], corners[1, j], corners[2, j], corners[3, j], wx, wy)
    return trilinear(near, bilinear(corners[4, j], corners[5, j], corners[6, j], corners[7, j], wx, wy), wz)


@fast
def _add(direct, halved):
    """Add twice the numbers to ``(3, 3)``."""
    for i in range(3):
        for j in range(3):
            direct[i, j] += 2 * halved[i][j]


def _curve_row_2d(term, sizes, fixed, row, halves, shares, first, count, matrix):
    zero, one = np.float32(0), np.float32(1)
    s0, s1, s2, t0, t1, t2, r0, r1, r2 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    m00, m01, m10, m11 = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    covers, share_x, share_y = fixed[3, row], shares[0], shares[1]
    c0, c1, c2, c3 = halves[0, 0], halves[0, 1], halves[0, 2], halves[0, 3]
    d0, d1, d2, d3 = halves[1, 0], halves[1, 1], halves[1, 2], halves[1, 3]
    for i in range(count):
        j, k, column, wx, wy = 2 * i, 2 * i + 1, np.float32(first + i), share_x[i], share_y[i]
        g0, g0x, g0y = bilinear(c0[j], c1[j], c2[j], c3[j], wx, wy)
        g1, g1x, g1y = bilinear(c0[k], c1[k], c2[k], c3[k], wx, wy)
        m, _, _ = bilinear(d0[j], d1[j], d2[j], d3[j], wx, wy)
        u0, u1 = m00 * g0 + m10 * g1, m01 * g0 + m11 * g1
        square = u0 * u0 + u1 * u1
        alpha, beta = _metric((u0, u1), square, one / (square + term.square), covers[first + i] * m)
        u0x, u1x, u0y, u1y = m00 * g0x + m10 * g1x, m01 * g0x + m11 * g1x, m00 * g0y + m10 * g1y, m01 * g0y + m11 * g1y
        along_x, along_y = u0 * u0x + u1 * u1x, u0 * u0y + u1 * u1y
        xx = alpha * (u0x * u0x + u1x * u1x) + beta * along_x * along_x
        xy = alpha * (u0x * u0y + u1x * u1y) + beta * along_x * along_y
        yy = alpha * (u0y * u0y + u1y * u1y) + beta * along_y * along_y
        s0 += xx
        s1 += xy
        s2 += yy
        t0 += xx * column
        t1 += xy * column
        t2 += yy * column
        r0 += xx * column * column
        r1 += xy * column * column
        r2 += yy * column * column
    return (s0, s1, s2), (t0, t1, t2), (r0, r1, r2)


def _curve_row_3d(term, sizes, fixed, row, halves, shares, first, count, matrix):
    zero, one = np.float32(0), np.float32(1)
    s0, s1, s2, s3, s4, s5 = zero, zero, zero, zero, zero, zero
    t0, t1, t2, t3, t4, t5 = zero, zero, zero, zero, zero, zero
    r0, r1, r2, r3, r4, r5 = zero, zero, zero, zero, zero, zero
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    covers, share_x, share_y, share_z = fixed[6, row], shares[0], shares[1], shares[2]
    for i in range(count):
        column, wx, wy, wz = np.float32(first + i), share_x[i], share_y[i], share_z[i]
        g0, g0x, g0y, g0z = _channel(halves[0], 2 * i, wx, wy, wz)
        g1, g1x, g1y, g1z = _channel(halves[0], 2 * i + 1, wx, wy, wz)
        g2, g2x, g2y, g2z = _channel(halves[1], 2 * i, wx, wy, wz)
        m, _, _, _ = _channel(halves[1], 2 * i + 1, wx, wy, wz)
        u0, u1, u2 = m00 * g0 + m10 * g1 + m20 * g2, m01 * g0 + m11 * g1 + m21 * g2, m02 * g0 + m12 * g1 + m22 * g2
        square = u0 * u0 + u1 * u1 + u2 * u2
        alpha, beta = _metric((u0, u1, u2), square, one / (square + term.square), covers[first + i] * m)
        u0x, u1x, u2x = m00 * g0x + m10 * g1x + m20 * g2x, m01 * g0x + m11 * g1x + m21 * g2x, m02 * g0x + m12 * g1x + m22 * g2x
        u0y, u1y, u2y = m00 * g0y + m10 * g1y + m20 * g2y, m01 * g0y + m11 * g1y + m21 * g2y, m02 * g0y + m12 * g1y + m22 * g2y
        u0z, u1z, u2z = m00 * g0z + m10 * g1z + m20 * g2z, m01 * g0z + m11 * g1z + m21 * g2z, m02 * g0z + m12 * g1z + m22 * g2z
        along_x, along_y, along_z = u0 * u0x + u1 * u1x + u2 * u2x, u0 * u0y + u1 * u1y + u2 * u2y, u0 * u0z + u1 * u1z + u2 * u2z
        xx = alpha * (u0x * u0x + u1x * u1x + u2x * u2x) + beta * along_x * along_x
        xy = alpha * (u0x * u0y + u1x * u1y + u2x * u2y) + beta * along_x * along_y
        xz = alpha * (u0x * u0z + u1x * u1z + u2x * u2z) + beta * along_x * along_z
        yy = alpha * (u0y * u0y + u1y * u1y + u2y * u2y) + beta * along_y * along_y
        yz = alpha * (u0y * u0z + u1y * u1z + u2y * u2z) + beta * along_y * along_z
        zz = alpha * (u0z * u0z + u1z * u1z + u2z * u2z) + beta * along_z * along_z
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
        r0 += xx * column * column
        r1 += xy * column * column
        r2 += xz * column * column
        r3 += yy * column * column
        r4 += yz * column * column
        r5 += zz * column * column
    return (s0, s1, s2, s3, s4, s5), (t0, t1, t2, t3, t4, t5), (r0, r1, r2, r3, r4, r5)
