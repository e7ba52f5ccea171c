"""The kernels of normalised gradient fields; the formulas are those of ``normalized_gradients``.

Channels of the fixed image: n along x, y (and z) and the coverage; of the moving one: its gradient and the coverage.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from .compiling import FAST, fast
from .kernels import (
    CONTENT_SLOPES,
    COST_SLOPES,
    FIXED,
    MOVING,
    PRODUCTS,
    compare_samples,
    curve_samples,
)


class NormalizedGradients(NamedTuple):
    """The data term of that name; a type, for which the kernels are compiled apart."""

    outside: bool  # never: samples that the moving image does not meet cost nothing
    square: np.float32  # of the edge


@fast
def _cotangents(u, n, along, half_fixed, q, inverse, cover, coverage):
    """Of one sample with shares |T_m| = q and |T_f|^2 / 2 = half_fixed, along being u . n: cost, content, and half their derivatives by u
    and by the coverage of the moving image."""
    half = np.float32(0.5)
    common, agreement = cover * coverage, along * along * inverse
    content = half_fixed + half * q * q
    by_agreement = common * inverse
    by_share = by_agreement * q * (np.float32(1) - q)
    b = (by_share * u[0], by_share * u[1], by_share * u[2])
    a = (
        b[0] - by_agreement * (along * n[0] - agreement * u[0]),
        b[1] - by_agreement * (along * n[1] - agreement * u[1]),
        b[2] - by_agreement * (along * n[2] - agreement * u[2]),
    )
    return common * (content - agreement), common * content, a, b, half * cover * (content - agreement), half * cover * content


@fast
def _metric(u, square, inverse, weight):
    """Half the Gauss-Newton curvature of a sample's cost by u is alpha |du|^2 + beta (u . du)^2: alpha and beta."""
    squared = inverse * inverse
    share = square * inverse
    return weight * square * squared, weight * squared * (np.float32(1) - share * (np.float32(4) - np.float32(2) * share))


@overload(compare_samples, jit_options=FAST)
def _compare_samples(term, sizes, lanes, count, matrix, direct):
    if term.instance_class is not NormalizedGradients:
        return None
    return _compare_in_plane if len(sizes) == 2 else _compare_in_space


@overload(curve_samples, jit_options=FAST)
def _curve_samples(term, sizes, lanes, count, matrix):
    if term.instance_class is not NormalizedGradients:
        return None
    return _curve_in_plane if len(sizes) == 2 else _curve_in_space


def _compare_in_plane(term, sizes, lanes, count, matrix, direct):
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    cost, content = zero, zero
    a00, a01, a10, a11, b00, b01, b10, b11 = zero, zero, zero, zero, zero, zero, zero, zero
    m00, m01, m10, m11 = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    for k in range(count):
        i = np.uint64(k)
        g0, g0x, g0y = lanes[i + MOVING[0][0]], lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]]
        g1, g1x, g1y = lanes[i + MOVING[1][0]], lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]]
        m, mx, my = lanes[i + MOVING[2][0]], lanes[i + MOVING[2][1]], lanes[i + MOVING[2][2]]
        n0, n1 = lanes[i + FIXED[0]], lanes[i + FIXED[1]]
        u0, u1 = m00 * g0 + m10 * g1, m01 * g0 + m11 * g1
        square = u0 * u0 + u1 * u1
        inverse = one / (square + term.square)
        along, strength = u0 * n0 + u1 * n1, n0 * n0 + n1 * n1
        s, t, p, q, pm, qm = _cotangents(
            (u0, u1, zero), (n0, n1, zero), along, half * strength * strength, square * inverse, inverse, lanes[i + FIXED[2]], m
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
        lanes[i + COST_SLOPES[0]] = p0 * g0x + p1 * g1x + pm * mx
        lanes[i + COST_SLOPES[1]] = p0 * g0y + p1 * g1y + pm * my
        lanes[i + CONTENT_SLOPES[0]] = q0 * g0x + q1 * g1x + qm * mx
        lanes[i + CONTENT_SLOPES[1]] = q0 * g0y + q1 * g1y + qm * my
    _add(direct[0], ((a00, a01, zero), (a10, a11, zero), (zero, zero, zero)))
    _add(direct[1], ((b00, b01, zero), (b10, b11, zero), (zero, zero, zero)))
    return cost, content


def _compare_in_space(term, sizes, lanes, count, matrix, direct):
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    cost, content = zero, zero
    a00, a01, a02, a10, a11, a12, a20, a21, a22 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    b00, b01, b02, b10, b11, b12, b20, b21, b22 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for k in range(count):
        i = np.uint64(k)
        g0, g0x, g0y, g0z = lanes[i + MOVING[0][0]], lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]], lanes[i + MOVING[0][3]]
        g1, g1x, g1y, g1z = lanes[i + MOVING[1][0]], lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]], lanes[i + MOVING[1][3]]
        g2, g2x, g2y, g2z = lanes[i + MOVING[2][0]], lanes[i + MOVING[2][1]], lanes[i + MOVING[2][2]], lanes[i + MOVING[2][3]]
        m, mx, my, mz = lanes[i + MOVING[3][0]], lanes[i + MOVING[3][1]], lanes[i + MOVING[3][2]], lanes[i + MOVING[3][3]]
        n0, n1, n2 = lanes[i + FIXED[0]], lanes[i + FIXED[1]], lanes[i + FIXED[2]]
        u0, u1, u2 = m00 * g0 + m10 * g1 + m20 * g2, m01 * g0 + m11 * g1 + m21 * g2, m02 * g0 + m12 * g1 + m22 * g2
        square = u0 * u0 + u1 * u1 + u2 * u2
        inverse = one / (square + term.square)
        along, strength = u0 * n0 + u1 * n1 + u2 * n2, n0 * n0 + n1 * n1 + n2 * n2
        s, t, p, q, pm, qm = _cotangents(
            (u0, u1, u2), (n0, n1, n2), along, half * strength * strength, square * inverse, inverse, lanes[i + FIXED[3]], m
        )
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
        lanes[i + COST_SLOPES[0]] = p0 * g0x + p1 * g1x + p2 * g2x + pm * mx
        lanes[i + COST_SLOPES[1]] = p0 * g0y + p1 * g1y + p2 * g2y + pm * my
        lanes[i + COST_SLOPES[2]] = p0 * g0z + p1 * g1z + p2 * g2z + pm * mz
        lanes[i + CONTENT_SLOPES[0]] = q0 * g0x + q1 * g1x + q2 * g2x + qm * mx
        lanes[i + CONTENT_SLOPES[1]] = q0 * g0y + q1 * g1y + q2 * g2y + qm * my
        lanes[i + CONTENT_SLOPES[2]] = q0 * g0z + q1 * g1z + q2 * g2z + qm * mz
    _add(direct[0], ((a00, a01, a02), (a10, a11, a12), (a20, a21, a22)))
    _add(direct[1], ((b00, b01, b02), (b10, b11, b12), (b20, b21, b22)))
    return cost, content


@fast
def _add(direct, halved):
    """Add twice the numbers to ``(3, 3)``."""
    for i in range(3):
        for j in range(3):
            direct[i, j] += 2 * halved[i][j]


def _curve_in_plane(term, sizes, lanes, count, matrix):
    one = np.float32(1)
    m00, m01, m10, m11 = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    for k in range(count):
        i = np.uint64(k)
        g0, g0x, g0y = lanes[i + MOVING[0][0]], lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]]
        g1, g1x, g1y = lanes[i + MOVING[1][0]], lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]]
        m = lanes[i + MOVING[2][0]]
        u0, u1 = m00 * g0 + m10 * g1, m01 * g0 + m11 * g1
        square = u0 * u0 + u1 * u1
        alpha, beta = _metric((u0, u1), square, one / (square + term.square), lanes[i + FIXED[2]] * m)
        u0x, u1x, u0y, u1y = m00 * g0x + m10 * g1x, m01 * g0x + m11 * g1x, m00 * g0y + m10 * g1y, m01 * g0y + m11 * g1y
        along_x, along_y = u0 * u0x + u1 * u1x, u0 * u0y + u1 * u1y
        lanes[i + PRODUCTS[0]] = alpha * (u0x * u0x + u1x * u1x) + beta * along_x * along_x
        lanes[i + PRODUCTS[1]] = alpha * (u0x * u0y + u1x * u1y) + beta * along_x * along_y
        lanes[i + PRODUCTS[2]] = alpha * (u0y * u0y + u1y * u1y) + beta * along_y * along_y


def _curve_in_space(term, sizes, lanes, count, matrix):
    one = np.float32(1)
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for k in range(count):
        i = np.uint64(k)
        g0, g0x, g0y, g0z = lanes[i + MOVING[0][0]], lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]], lanes[i + MOVING[0][3]]
        g1, g1x, g1y, g1z = lanes[i + MOVING[1][0]], lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]], lanes[i + MOVING[1][3]]
        g2, g2x, g2y, g2z = lanes[i + MOVING[2][0]], lanes[i + MOVING[2][1]], lanes[i + MOVING[2][2]], lanes[i + MOVING[2][3]]
        m = lanes[i + MOVING[3][0]]
        u0, u1, u2 = m00 * g0 + m10 * g1 + m20 * g2, m01 * g0 + m11 * g1 + m21 * g2, m02 * g0 + m12 * g1 + m22 * g2
        square = u0 * u0 + u1 * u1 + u2 * u2
        alpha, beta = _metric((u0, u1, u2), square, one / (square + term.square), lanes[i + FIXED[3]] * m)
        u0x, u1x, u2x = m00 * g0x + m10 * g1x + m20 * g2x, m01 * g0x + m11 * g1x + m21 * g2x, m02 * g0x + m12 * g1x + m22 * g2x
        u0y, u1y, u2y = m00 * g0y + m10 * g1y + m20 * g2y, m01 * g0y + m11 * g1y + m21 * g2y, m02 * g0y + m12 * g1y + m22 * g2y
        u0z, u1z, u2z = m00 * g0z + m10 * g1z + m20 * g2z, m01 * g0z + m11 * g1z + m21 * g2z, m02 * g0z + m12 * g1z + m22 * g2z
        along_x, along_y, along_z = u0 * u0x + u1 * u1x + u2 * u2x, u0 * u0y + u1 * u1y + u2 * u2y, u0 * u0z + u1 * u1z + u2 * u2z
        lanes[i + PRODUCTS[0]] = alpha * (u0x * u0x + u1x * u1x + u2x * u2x) + beta * along_x * along_x
        lanes[i + PRODUCTS[1]] = alpha * (u0x * u0y + u1x * u1y + u2x * u2y) + beta * along_x * along_y
        lanes[i + PRODUCTS[2]] = alpha * (u0x * u0z + u1x * u1z + u2x * u2z) + beta * along_x * along_z
        lanes[i + PRODUCTS[3]] = alpha * (u0y * u0y + u1y * u1y + u2y * u2y) + beta * along_y * along_y
        lanes[i + PRODUCTS[4]] = alpha * (u0y * u0z + u1y * u1z + u2y * u2z) + beta * along_y * along_z
        lanes[i + PRODUCTS[5]] = alpha * (u0z * u0z + u1z * u1z + u2z * u2z) + beta * along_z * along_z
