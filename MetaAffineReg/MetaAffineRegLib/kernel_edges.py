"""The kernels of normalised gradient fields; the formulas are those of ``normalized_gradients``.

Channels of the fixed image: n along x, y (and z) and the coverage; of the moving one: its gradient and the coverage.  A block is gone
through several times, by short loops: the processor then works on several samples at once, where a long one would wait for its division.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from .compiling import FAST, INLINED, fast
from .data_terms import CONTENT_FLOOR
from .kernel_comparison import add_compared, add_samples, compare_samples, curve_samples
from .kernels import add_block, compares_coverage, floor_of_row
from .lanes import CONTENT_SLOPES, COST_SLOPES, COTANGENTS, COVER_SLOPES, FIXED, INVERSE, MOVING, PRODUCTS, TURNED
from .normalized_gradients import LEAST_EDGES


class NormalizedGradients(NamedTuple):
    """The data term of that name; a type, for which the kernels are compiled apart."""

    outside: bool  # never: samples that the moving image does not meet cost nothing
    square: np.float32  # of the edge


@overload(add_samples, jit_options=FAST)
def _add_samples(term, sizes, lanes, count, matrix):
    if term.instance_class is not NormalizedGradients:
        return None

    def samples(term, sizes, lanes, count, matrix):
        _turn(term, sizes, lanes, count, matrix)
        return _add_turned(sizes, lanes, count)

    return samples


@overload(compare_samples, jit_options=FAST)
def _compare_samples(term, sizes, lanes, count, matrix, direct):
    if term.instance_class is not NormalizedGradients:
        return None

    def samples(term, sizes, lanes, count, matrix, direct):
        _turn(term, sizes, lanes, count, matrix)
        sums = _compare_turned(sizes, lanes, count)
        for kind in range(2):
            _add_outer_products(sizes, COTANGENTS[kind], lanes, count, direct[kind])
        _lay_slopes(sizes, COTANGENTS[0], COVER_SLOPES[0], COST_SLOPES, lanes, count, matrix)
        _lay_slopes(sizes, COTANGENTS[1], COVER_SLOPES[1], CONTENT_SLOPES, lanes, count, matrix)
        return sums

    return samples


@overload(curve_samples, jit_options=FAST)
def _curve_samples(term, sizes, lanes, count, matrix):
    if term.instance_class is not NormalizedGradients:
        return None
    return _curve_in_plane if len(sizes) == 2 else _curve_in_space


@overload(add_block, jit_options=INLINED)
def _add_block(term, sizes, words, plane, count, work, sums, matrix):
    return add_compared if term.instance_class is NormalizedGradients else None


@overload(compares_coverage, jit_options=FAST)
def _compares_coverage(term):
    return (lambda term: True) if term.instance_class is NormalizedGradients else None


@overload(floor_of_row, jit_options=FAST)
def _floor_of_row(term, channels):
    if term.instance_class is not NormalizedGradients:
        return None

    def content(term, channels):
        total, least, last = np.float32(0), np.float32(CONTENT_FLOOR), len(channels) - 1
        for i in range(channels.shape[1]):
            k = np.uint64(i)
            square = channels[0, k] * channels[0, k] + channels[1, k] * channels[1, k]
            if last == 3:
                square += channels[2, k] * channels[2, k]
            total += channels[last, k] * square * square
        return least * total, least * total

    return content


@fast
def _turn(term, sizes, lanes, count, matrix):
    """The moving gradient g in the directions of the fixed grid, u = M^T g, and 1 / (|u|^2 + edge^2) to their lanes."""
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for k in range(count):
        i = np.uint64(k)
        g0, g1 = lanes[i + MOVING[0][0]], lanes[i + MOVING[1][0]]
        u0, u1 = m00 * g0 + m10 * g1, m01 * g0 + m11 * g1
        if len(sizes) == 3:
            g2 = lanes[i + MOVING[2][0]]
            u0, u1, u2 = u0 + m20 * g2, u1 + m21 * g2, m02 * g0 + m12 * g1 + m22 * g2
            lanes[i + TURNED[2]] = u2
            square = u0 * u0 + u1 * u1 + u2 * u2
        else:
            square = u0 * u0 + u1 * u1
        lanes[i + TURNED[0]], lanes[i + TURNED[1]] = u0, u1
        lanes[i + INVERSE] = np.float32(1) / (square + term.square)


@fast
def _add_turned(sizes, lanes, count):
    """Cost and content."""
    half, cost, shown = np.float32(0.5), np.float32(0), np.float32(0)
    for k in range(count):
        i = np.uint64(k)
        u0, u1, n0, n1 = lanes[i + TURNED[0]], lanes[i + TURNED[1]], lanes[i + FIXED[0]], lanes[i + FIXED[1]]
        square, along, strength = u0 * u0 + u1 * u1, u0 * n0 + u1 * n1, n0 * n0 + n1 * n1
        if len(sizes) == 3:
            u2, n2 = lanes[i + TURNED[2]], lanes[i + FIXED[2]]
            square, along, strength = square + u2 * u2, along + u2 * n2, strength + n2 * n2
        inverse, common = lanes[i + INVERSE], lanes[i + FIXED[len(sizes)]] * lanes[i + MOVING[len(sizes)][0]]
        share = square * inverse
        content = half * (strength * strength + share * share)
        cost += common * (content - along * along * inverse)
        shown += common * content
    return cost, shown


@fast
def _compare_turned(sizes, lanes, count):
    """Cost and content; half their derivatives by u and by the coverage of the moving image to their lanes."""
    half, one = np.float32(0.5), np.float32(1)
    cost, shown = np.float32(0), np.float32(0)
    for k in range(count):
        i = np.uint64(k)
        u0, u1, n0, n1 = lanes[i + TURNED[0]], lanes[i + TURNED[1]], lanes[i + FIXED[0]], lanes[i + FIXED[1]]
        square, along, strength = u0 * u0 + u1 * u1, u0 * n0 + u1 * n1, n0 * n0 + n1 * n1
        cover, coverage = lanes[i + FIXED[len(sizes)]], lanes[i + MOVING[len(sizes)][0]]
        if len(sizes) == 3:
            u2, n2 = lanes[i + TURNED[2]], lanes[i + FIXED[2]]
            square, along, strength = square + u2 * u2, along + u2 * n2, strength + n2 * n2
        inverse = lanes[i + INVERSE]
        share, common, agreement = square * inverse, cover * coverage, along * along * inverse
        content = half * (strength * strength + share * share)
        by_agreement = common * inverse
        by_share = by_agreement * share * (one - share)
        along_n, along_u = by_agreement * along, by_share + by_agreement * agreement
        cost += common * (content - agreement)
        shown += common * content
        lanes[i + COTANGENTS[0][0]], lanes[i + COTANGENTS[1][0]] = along_u * u0 - along_n * n0, by_share * u0
        lanes[i + COTANGENTS[0][1]], lanes[i + COTANGENTS[1][1]] = along_u * u1 - along_n * n1, by_share * u1
        if len(sizes) == 3:
            lanes[i + COTANGENTS[0][2]], lanes[i + COTANGENTS[1][2]] = along_u * u2 - along_n * n2, by_share * u2
        lanes[i + COVER_SLOPES[0]], lanes[i + COVER_SLOPES[1]] = half * cover * (content - agreement), half * cover * content
    return cost, shown


@fast
def _add_outer_products(sizes, vectors, lanes, count, direct):
    """Add twice the outer products of the gradients and of vectors, whose numbers lie in lanes, to ``(3, 3)``."""
    zero = np.float32(0)
    a00, a01, a02, a10, a11, a12, a20, a21, a22 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for k in range(count):
        i = np.uint64(k)
        g0, g1, p0, p1 = lanes[i + MOVING[0][0]], lanes[i + MOVING[1][0]], lanes[i + vectors[0]], lanes[i + vectors[1]]
        a00 += g0 * p0
        a01 += g0 * p1
        a10 += g1 * p0
        a11 += g1 * p1
        if len(sizes) == 3:
            g2, p2 = lanes[i + MOVING[2][0]], lanes[i + vectors[2]]
            a02 += g0 * p2
            a12 += g1 * p2
            a20 += g2 * p0
            a21 += g2 * p1
            a22 += g2 * p2
    sums = ((a00, a01, a02), (a10, a11, a12), (a20, a21, a22))
    for row in range(3):
        for column in range(3):
            direct[row, column] += 2 * sums[row][column]


@fast
def _lay_slopes(sizes, vectors, cover, slopes, lanes, count, matrix):
    """Half the derivatives along x, y (and z) from those by u, vectors, and by the coverage."""
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for k in range(count):
        i = np.uint64(k)
        p0, p1, by_cover = lanes[i + vectors[0]], lanes[i + vectors[1]], lanes[i + cover]
        if len(sizes) == 3:
            p2 = lanes[i + vectors[2]]
            q0, q1, q2 = m00 * p0 + m01 * p1 + m02 * p2, m10 * p0 + m11 * p1 + m12 * p2, m20 * p0 + m21 * p1 + m22 * p2
            for axis in range(3):
                lanes[i + slopes[axis]] = (
                    q0 * lanes[i + MOVING[0][1 + axis]]
                    + q1 * lanes[i + MOVING[1][1 + axis]]
                    + q2 * lanes[i + MOVING[2][1 + axis]]
                    + by_cover * lanes[i + MOVING[3][1 + axis]]
                )
        else:
            q0, q1 = m00 * p0 + m01 * p1, m10 * p0 + m11 * p1
            for axis in range(2):
                lanes[i + slopes[axis]] = (
                    q0 * lanes[i + MOVING[0][1 + axis]] + q1 * lanes[i + MOVING[1][1 + axis]] + by_cover * lanes[i + MOVING[2][1 + axis]]
                )


@fast
def _shared(squares, along, inverse, d):
    """``normalized_gradients.shared_line`` of a sample; squares: |u|^2 |n|^2."""
    one = np.float32(1)
    cosine = along * along * inverse / max(squares * inverse, np.float32(LEAST_EDGES))
    return max((d * cosine - one) / (d - one), np.float32(0))


@fast
def _metric(square, inverse, weight):
    """Half the Gauss-Newton curvature of a sample's cost by u is alpha |du|^2 + beta (u . du)^2: alpha and beta."""
    squared = inverse * inverse
    share = square * inverse
    return weight * square * squared, weight * squared * (np.float32(1) - share * (np.float32(4) - np.float32(2) * share))


def _curve_in_plane(term, sizes, lanes, count, matrix):
    m00, m01, m10, m11 = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    for k in range(count):
        i = np.uint64(k)
        g0x, g0y, g1x, g1y = lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]], lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]]
        u0, u1, n0, n1 = lanes[i + TURNED[0]], lanes[i + TURNED[1]], lanes[i + FIXED[0]], lanes[i + FIXED[1]]
        square, inverse = u0 * u0 + u1 * u1, lanes[i + INVERSE]
        shared = _shared(square * (n0 * n0 + n1 * n1), u0 * n0 + u1 * n1, inverse, np.float32(2))
        alpha, beta = _metric(square, inverse, lanes[i + FIXED[2]] * lanes[i + MOVING[2][0]] * shared)
        u0x, u1x, u0y, u1y = m00 * g0x + m10 * g1x, m01 * g0x + m11 * g1x, m00 * g0y + m10 * g1y, m01 * g0y + m11 * g1y
        along_x, along_y = u0 * u0x + u1 * u1x, u0 * u0y + u1 * u1y
        lanes[i + PRODUCTS[0]] = alpha * (u0x * u0x + u1x * u1x) + beta * along_x * along_x
        lanes[i + PRODUCTS[1]] = alpha * (u0x * u0y + u1x * u1y) + beta * along_x * along_y
        lanes[i + PRODUCTS[2]] = alpha * (u0y * u0y + u1y * u1y) + beta * along_y * along_y


def _curve_in_space(term, sizes, lanes, count, matrix):
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21, m22 = matrix[2, 0], matrix[2, 1], matrix[2, 2]
    for k in range(count):
        i = np.uint64(k)
        g0x, g0y, g0z = lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]], lanes[i + MOVING[0][3]]
        g1x, g1y, g1z = lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]], lanes[i + MOVING[1][3]]
        g2x, g2y, g2z = lanes[i + MOVING[2][1]], lanes[i + MOVING[2][2]], lanes[i + MOVING[2][3]]
        u0, u1, u2 = lanes[i + TURNED[0]], lanes[i + TURNED[1]], lanes[i + TURNED[2]]
        n0, n1, n2 = lanes[i + FIXED[0]], lanes[i + FIXED[1]], lanes[i + FIXED[2]]
        square, inverse = u0 * u0 + u1 * u1 + u2 * u2, lanes[i + INVERSE]
        shared = _shared(square * (n0 * n0 + n1 * n1 + n2 * n2), u0 * n0 + u1 * n1 + u2 * n2, inverse, np.float32(3))
        alpha, beta = _metric(square, inverse, lanes[i + FIXED[3]] * lanes[i + MOVING[3][0]] * shared)
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
