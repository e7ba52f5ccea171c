"""Equation (1) of pairs from what the kernels sum, compiled for the CPU by numba; ``objective`` has the formulas."""

import math

import numpy as np

from .compiled_regularizer import add_distortion, add_stretch
from .compiling import compiled, lean
from .data_terms import EMPTY
from .kernels import evaluate, fill_lower, rows_of_slab, slab_count
from .lanes import work_space


@compiled
def problem_of(problems, k):
    """Of all pairs' images, their bounds (``coverage_bounds``), floors, prices (``data_terms``), inverse references and weights
    (``regularizer``) those of pair k."""
    fixed, words, spans, boxes, floor, price, inverse, weight = problems
    return fixed[k], words[k], spans[k], boxes[k], floor[k], price[k], inverse[k], weight[k]


@lean
def sum_slabs(term, sizes, problem, x, first, last, work, sums, matrices):
    """``evaluate`` of the slabs first .. last - 1 of one pair, each to its own sums ``(slabs, K)`` or ``(slabs, 2, 1 + n)`` and matrices
    ``(slabs, n, n)``, which may be None."""
    for slab in range(first, last):
        sums[slab] = 0
        start, end = rows_of_slab(sizes, problem[0].shape[1], slab)
        if matrices is None:
            evaluate(term, sizes, *problem[:4], x, start, end, work, sums[slab], None)
        else:
            matrices[slab] = 0
            evaluate(term, sizes, *problem[:4], x, start, end, work, sums[slab], matrices[slab])


@lean
def criterion(sums, problem, x, gradient, small):
    """Equation (1) for one pair from the sums of its slabs, and what the cost was divided by; its derivative goes to gradient
    ``(d (d + 1),)``; small ``(5, 3, 3)``: scratch."""
    _, _, _, _, floor, price, inverse, weight = problem
    n, cost, content = len(gradient), 0.0, 0.0
    gradient[:] = math.nan
    for i in range(n):
        if not math.isfinite(x[i // x.shape[1], i % x.shape[1]]):
            return math.nan, math.nan
    for slab in range(len(sums)):
        cost, content = cost + sums[slab, 0, 0], content + sums[slab, 1, 0]
    missing = max(floor - content, 0.0)
    divisor = max(content, floor, EMPTY)
    value = (cost + price * missing) / divisor
    slope = (-price if missing > 0 else -value) / divisor
    for i in range(n):
        by_cost, by_content = 0.0, 0.0
        for slab in range(len(sums)):
            by_cost, by_content = by_cost + sums[slab, 0, 1 + i], by_content + sums[slab, 1, 1 + i]
        gradient[i] = by_cost / divisor + slope * by_content
    if weight > 0:
        value += add_distortion(x, inverse, weight, gradient, small)
    return value, divisor


@compiled
def gauss_newton(matrices, problem, x, divisor, matrix):
    """The Gauss-Newton matrix of equation (1) for one pair from those of its slabs, to ``(n, n)``."""
    _, _, _, _, _, _, inverse, weight = problem
    matrix[:] = 0
    for slab in range(len(matrices)):
        matrix += matrices[slab]
    fill_lower(matrix, len(x))
    matrix /= divisor
    if weight > 0:
        add_stretch(x, inverse, weight, matrix)


@compiled
def sum_many(term, sizes, problems, pair, x, first, last, sums, matrices):
    """``sum_slabs`` at the maps x ``(N, d, d + 1)``, of the slabs first .. last - 1 of all maps' one after the other, to
    sums ``(N, slabs, K)`` or ``(N, slabs, 2, 1 + n)`` and to matrices ``(N, slabs, n, n)``, which may be None."""
    work, slabs = work_space(), slab_count(sizes)
    for n in range(first // slabs, (last - 1) // slabs + 1):
        begin, end = max(first - n * slabs, 0), min(last - n * slabs, slabs)
        if matrices is None:
            sum_slabs(term, sizes, problem_of(problems, pair[n]), x[n], begin, end, work, sums[n], None)
        else:
            sum_slabs(term, sizes, problem_of(problems, pair[n]), x[n], begin, end, work, sums[n], matrices[n])


@compiled
def values_and_derivatives(term, sizes, problems, pair, x, first, last, values, gradients, matrices):
    """Equation (1) at the maps first .. last - 1 of x ``(N, d, d + 1)`` to values ``(N,)``, its derivatives to gradients ``(N, n)`` and its
    Gauss-Newton matrices to ``(N, n, n)``, which may be None."""
    work, slabs, n, small = work_space(), slab_count(sizes), gradients.shape[1], np.empty((5, 3, 3))
    sums, of_slabs = np.empty((slabs, 2, 1 + n)), np.empty((slabs, n, n))
    for k in range(first, last):
        problem = problem_of(problems, pair[k])
        if matrices is None:
            sum_slabs(term, sizes, problem, x[k], 0, slabs, work, sums, None)
            values[k], _ = criterion(sums, problem, x[k], gradients[k], small)
        else:
            sum_slabs(term, sizes, problem, x[k], 0, slabs, work, sums, of_slabs)
            values[k], divisor = criterion(sums, problem, x[k], gradients[k], small)
            gauss_newton(of_slabs, problem, x[k], divisor, matrices[k])


@compiled
def criteria(problems, pair, x, sums, values, gradients, divisors):
    """``criterion`` of all maps."""
    small = np.empty((5, 3, 3))
    for n in range(len(x)):
        values[n], divisors[n] = criterion(sums[n], problem_of(problems, pair[n]), x[n], gradients[n], small)


@compiled
def gauss_newtons(problems, pair, x, sums, divisors, matrices):
    """``gauss_newton`` of all maps, from matrices of slabs ``(N, slabs, n, n)``."""
    for n in range(len(x)):
        gauss_newton(sums[n], problem_of(problems, pair[n]), x[n], divisors[n], matrices[n])
