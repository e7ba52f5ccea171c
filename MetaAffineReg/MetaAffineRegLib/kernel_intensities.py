"""The kernels of the data terms that compare intensities where both images are covered; the formulas are those of ``data_terms``.

Channel 0 of both images holds the values, channel 1 the coverage.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from .compiling import FAST, INLINED
from .data_terms import CONTENT_FLOOR, OVERLAP_FLOOR
from .kernel_comparison import add_compared, add_samples, compare_samples, curve_samples
from .kernels import add_block, compares_coverage, floor_of_row
from .lanes import CONTENT_SLOPES, COST_SLOPES, FIXED, MOVING, PRODUCTS


class OverlapMeanSquares(NamedTuple):
    """The data term of that name; each is a type, for which the kernels are compiled apart."""

    outside: bool = False


class UnexplainedContent(NamedTuple):
    outside: bool
    inverse_square: np.float32  # of the scale


class Shares(NamedTuple):
    """What ``data_terms.shares`` needs, values alone: cost and content of the fixed side, those of the moving one, and the overlap."""

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

    return {
        OverlapMeanSquares: overlap_mean_squares,
        UnexplainedContent: unexplained_content,
    }[term.instance_class]


@overload(curve, jit_options=FAST)
def _curve(term, f, c, v, m):
    one = np.float32(1)

    def overlap_mean_squares(term, f, c, v, m):
        return one, c, -f

    def unexplained_content(term, f, c, v, m):
        residual = c * v - m * f
        share = one / (one + residual * residual * term.inverse_square)
        return share * share, c, -f

    return {
        OverlapMeanSquares: overlap_mean_squares,
        UnexplainedContent: unexplained_content,
    }[term.instance_class]


_TERMS = (OverlapMeanSquares, UnexplainedContent)


@overload(add_samples, jit_options=FAST)
def _add_samples(term, sizes, lanes, count, matrix):
    if term.instance_class is Shares:
        return _add_shares
    if term.instance_class not in _TERMS:
        return None

    def samples(term, sizes, lanes, count, matrix):
        cost, content = np.float32(0), np.float32(0)
        for k in range(count):
            i = np.uint64(k)
            found = compare(term, lanes[i + FIXED[0]], lanes[i + FIXED[1]], lanes[i + MOVING[0][0]], lanes[i + MOVING[1][0]])
            cost += found[0]
            content += found[1]
        return cost, content

    return samples


def _add_shares(term, sizes, lanes, count, matrix):
    one, zero = np.float32(1), np.float32(0)
    cost_fixed, content_fixed, cost_moving, content_moving, overlap = zero, zero, zero, zero, zero
    for k in range(count):
        i = np.uint64(k)
        c, m = lanes[i + FIXED[1]], lanes[i + MOVING[1][0]]
        shown_fixed, shown_moving = m * lanes[i + FIXED[0]], c * lanes[i + MOVING[0][0]]
        residual = shown_moving - shown_fixed
        square, square_fixed, square_moving = residual * residual, shown_fixed * shown_fixed, shown_moving * shown_moving
        cost = square / (one + square * term.inverse_square) * term.inverse_square
        side_fixed = square_fixed / (one + square_fixed * term.inverse_square)
        side_moving = square_moving / (one + square_moving * term.inverse_square)
        cost_fixed += cost * side_fixed
        content_fixed += side_fixed
        cost_moving += cost * side_moving
        content_moving += side_moving
        overlap += c * m * c * m
    return cost_fixed, content_fixed, cost_moving, content_moving, overlap


@overload(compare_samples, jit_options=FAST)
def _compare_samples(term, sizes, lanes, count, matrix, direct):
    if term.instance_class not in _TERMS:
        return None
    deep = len(sizes) == 3

    def samples(term, sizes, lanes, count, matrix, direct):
        cost, content = np.float32(0), np.float32(0)
        for k in range(count):
            i = np.uint64(k)
            v, vx, vy = lanes[i + MOVING[0][0]], lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]]
            m, mx, my = lanes[i + MOVING[1][0]], lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]]
            a, b, av, am, bv, bm = compare(term, lanes[i + FIXED[0]], lanes[i + FIXED[1]], v, m)
            cost += a
            content += b
            lanes[i + COST_SLOPES[0]] = av * vx + am * mx
            lanes[i + COST_SLOPES[1]] = av * vy + am * my
            lanes[i + CONTENT_SLOPES[0]] = bv * vx + bm * mx
            lanes[i + CONTENT_SLOPES[1]] = bv * vy + bm * my
            if deep:
                vz, mz = lanes[i + MOVING[0][3]], lanes[i + MOVING[1][3]]
                lanes[i + COST_SLOPES[2]] = av * vz + am * mz
                lanes[i + CONTENT_SLOPES[2]] = bv * vz + bm * mz
        return cost, content

    return samples


@overload(curve_samples, jit_options=FAST)
def _curve_samples(term, sizes, lanes, count, matrix):
    if term.instance_class not in _TERMS:
        return None
    deep = len(sizes) == 3

    def samples(term, sizes, lanes, count, matrix):
        for k in range(count):
            i = np.uint64(k)
            v, vx, vy = lanes[i + MOVING[0][0]], lanes[i + MOVING[0][1]], lanes[i + MOVING[0][2]]
            m, mx, my = lanes[i + MOVING[1][0]], lanes[i + MOVING[1][1]], lanes[i + MOVING[1][2]]
            weight, cv, cm = curve(term, lanes[i + FIXED[0]], lanes[i + FIXED[1]], v, m)
            gx, gy = cv * vx + cm * mx, cv * vy + cm * my
            wx, wy = weight * gx, weight * gy
            lanes[i + PRODUCTS[0]], lanes[i + PRODUCTS[1]] = wx * gx, wx * gy
            if deep:
                gz = cv * lanes[i + MOVING[0][3]] + cm * lanes[i + MOVING[1][3]]
                lanes[i + PRODUCTS[2]], lanes[i + PRODUCTS[3]], lanes[i + PRODUCTS[4]] = wx * gz, wy * gy, wy * gz
                lanes[i + PRODUCTS[5]] = weight * gz * gz
            else:
                lanes[i + PRODUCTS[2]] = wy * gy

    return samples


@overload(add_block, jit_options=INLINED)
def _add_block(term, sizes, words, plane, count, work, sums, matrix):
    return add_compared if term.instance_class in (*_TERMS, Shares) else None


@overload(compares_coverage, jit_options=FAST)
def _compares_coverage(term):
    return (lambda term: True) if term.instance_class in (*_TERMS, Shares) else None


@overload(floor_of_row, jit_options=FAST)
def _floor_of_row(term, channels):
    if term.instance_class is OverlapMeanSquares:
        return _floor_of_overlap
    sides = {UnexplainedContent: 2, Shares: 1}.get(term.instance_class)
    if sides is None:
        return None
    least = np.float32(sides * CONTENT_FLOOR)

    def content(term, channels):
        total, one = np.float32(0), np.float32(1)
        for i in range(channels.shape[1]):
            shown = channels[0, np.uint64(i)] * channels[1, np.uint64(i)]
            square = shown * shown
            total += square / (one + square * term.inverse_square)
        return least * total, least * total

    return content


def _floor_of_overlap(term, channels):
    area, squares, least = np.float32(0), np.float32(0), np.float32(OVERLAP_FLOOR)
    for i in range(channels.shape[1]):
        value, covered = channels[0, np.uint64(i)], channels[1, np.uint64(i)]
        area += covered * covered
        squares += value * value
    return least * area, least * squares
