"""``lbfgs`` of the criterion of image pairs, one problem after the other, compiled for the CPU by numba.

A problem runs to its end while its images lie in the processor's cache, without a step back into Python.  The
algorithm, its constants and its parameters (``freedom``) are those of the torch code, which the tests compare it with.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .compiling import compiled, lean
from .data_terms import EMPTY
from .kernels import evaluate, fill_lower, rows_of_slab, slab_count
from .lanes import work_space
from .lbfgs import ARMIJO, CURVATURE, DAMPING, LONGEST_STEP, MAX_HALVINGS
from .regularizer import SMALLEST

AFFINE, RIGID, SIMILARITY = range(3)
_TINY = 2.2250738585072014e-308


@compiled
def _turn(w, rotation, left):
    """exp of the cross product with w (Rodrigues), and the left Jacobian of the group (Sola, arXiv 1812.01537, 145)."""
    angle = math.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    if angle < 1e-4:  # to the order of the angle to the fourth
        sine, cosine, rest = 1 - angle * angle / 6, 0.5 - angle * angle / 24, 1 / 6 - angle * angle / 120
    else:
        sine, cosine, rest = math.sin(angle) / angle, (1 - math.cos(angle)) / angle**2, (angle - math.sin(angle)) / angle**3
    cross = np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])
    for i in range(3):
        for j in range(3):
            one = 1.0 if i == j else 0.0
            square = w[i] * w[j] - one * angle * angle
            rotation[i, j] = one + sine * cross[i, j] + cosine * square
            left[i, j] = one + cosine * cross[i, j] + rest * square


@compiled
def map_and_jacobian(freedom, d, base, p, x, jacobian):
    """The map x ``(d, d + 1)`` of parameters p and dx/dp ``(d (d + 1), n)``; base ``(d, d)``: the matrix that a group starts from."""
    if freedom == AFFINE:
        jacobian[:] = 0
        for i in range(d * (d + 1)):
            x[i // (d + 1), i % (d + 1)] = p[i]
            jacobian[i, i] = 1
        return
    count = d * (d - 1) // 2
    generators = count + (freedom == SIMILARITY)
    scale = math.exp(p[count]) if freedom == SIMILARITY else 1.0
    w = np.zeros(3)
    rotation, left = np.empty((3, 3)), np.empty((3, 3))
    if d == 2:
        w[2] = p[0]
    else:
        w[0], w[1], w[2] = p[2], -p[1], p[0]
    _turn(w, rotation, left)
    jacobian[:] = 0
    for i in range(d):
        for j in range(d):
            total = 0.0
            for k in range(d):
                total += rotation[i, k] * base[k, j]
            x[i, j] = total * scale
        x[i, d] = p[generators + i]
        jacobian[i * (d + 1) + d, generators + i] = 1
    for g in range(count):
        # the axis about which the generator g turns in the end
        axis, sign = (2, 1.0) if d == 2 else ((2, 1.0), (1, -1.0), (0, 1.0))[g]
        u = sign * left[:, axis]
        for j in range(d):
            a, b, c = x[0, j], x[1, j], x[2, j] if d == 3 else 0.0
            jacobian[j, g] = u[1] * c - u[2] * b
            jacobian[d + 1 + j, g] = u[2] * a - u[0] * c
            if d == 3:
                jacobian[2 * (d + 1) + j, g] = u[0] * b - u[1] * a
    if freedom == SIMILARITY:
        for i in range(d):
            for j in range(d):
                jacobian[i * (d + 1) + j, count] = x[i, j]


@compiled
def _eigen(matrix, vectors):
    """Eigenvectors ``(d, d)`` in columns of a symmetric matrix, which becomes diagonal (cyclic Jacobi)."""
    d = len(matrix)
    for i in range(d):
        for j in range(d):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(12):
        for i in range(d):
            for j in range(i + 1, d):
                if abs(matrix[i, j]) <= 1e-300:
                    continue
                theta = (matrix[j, j] - matrix[i, i]) / (2 * matrix[i, j])
                tangent = (1.0 if theta >= 0 else -1.0) / (abs(theta) + math.sqrt(theta * theta + 1))
                cosine = 1 / math.sqrt(tangent * tangent + 1)
                sine = tangent * cosine
                for k in range(d):
                    a, b = matrix[k, i], matrix[k, j]
                    matrix[k, i], matrix[k, j] = cosine * a - sine * b, sine * a + cosine * b
                for k in range(d):
                    a, b = matrix[i, k], matrix[j, k]
                    matrix[i, k], matrix[j, k] = cosine * a - sine * b, sine * a + cosine * b
                for k in range(d):
                    a, b = vectors[k, i], vectors[k, j]
                    vectors[k, i], vectors[k, j] = cosine * a - sine * b, sine * a + cosine * b


@compiled
def _polar(x, inverse, stretched, scaled, rotation):
    """With M = A inverse, of singular vectors V and values s: M to ``stretched``, M V log(s) / s^2 V' to ``scaled``, the rotation
    of the polar decomposition to ``rotation``; the sum of log^2 s is returned."""
    d = len(inverse)
    squared, vectors = np.zeros((d, d)), np.empty((d, d))
    for i in range(d):
        for j in range(d):
            stretched[i, j] = 0
            for k in range(d):
                stretched[i, j] += x[i, k] * inverse[k, j]
    for i in range(d):
        for j in range(d):
            for k in range(d):
                squared[i, j] += stretched[k, i] * stretched[k, j]
    _eigen(squared, vectors)
    total = 0.0
    scaled[:], rotation[:] = 0, 0
    for e in range(d):
        singular = max(math.sqrt(max(squared[e, e], 0.0)), SMALLEST)
        logarithm = math.log(singular)
        total += logarithm * logarithm
        for i in range(d):
            along = 0.0
            for k in range(d):
                along += stretched[i, k] * vectors[k, e]
            for j in range(d):
                scaled[i, j] += along * vectors[j, e] * logarithm / (singular * singular)
                rotation[i, j] += along * vectors[j, e] / singular
    return total


@compiled
def _add_distortion(x, inverse, weight, gradient):
    """Value of the regularizer; its derivative is added to gradient ``(d (d + 1),)``."""
    d = len(inverse)
    stretched, scaled, rotation = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    total = _polar(x, inverse, stretched, scaled, rotation)
    for i in range(d):
        for j in range(d):
            slope = 0.0
            for k in range(d):
                slope += scaled[i, k] * inverse[j, k]
            gradient[i * (d + 1) + j] += 2 * weight / d * slope
    return weight * total / d


@compiled
def _add_stretch(x, inverse, weight, matrix):
    """The regularizer's Gauss-Newton matrix as in ``Distortion.curvature``, added to ``(n, n)``."""
    d = len(inverse)
    stretched, scaled, rotation = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    _polar(x, inverse, stretched, scaled, rotation)
    n = d * (d + 1)
    stretch = np.zeros((n, d, d))
    for row in range(d):
        for column in range(d):  # the change of the entry (row, column) of A: symmetric part of rotation' e inverse
            for i in range(d):
                for j in range(d):
                    half = rotation[row, i] * inverse[column, j] / 2
                    stretch[row * (d + 1) + column, i, j] += half
                    stretch[row * (d + 1) + column, j, i] += half
    for a in range(n):
        for b in range(n):
            total = 0.0
            for i in range(d):
                for j in range(d):
                    total += stretch[a, i, j] * stretch[b, i, j]
            matrix[a, b] += 2 * weight / d * total


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


@compiled
def criterion(sums, problem, x, gradient):
    """Equation (1) for one pair from the sums of its slabs, and what the cost was divided by; its derivative goes to gradient
    ``(d (d + 1),)``."""
    _, _, _, _, floor, price, inverse, weight = problem
    n = len(gradient)
    gradient[:] = math.nan
    for i in range(n):
        if not math.isfinite(x[i // x.shape[1], i % x.shape[1]]):
            return math.nan, math.nan
    total = np.zeros((2, 1 + n))
    for slab in range(len(sums)):
        total += sums[slab]
    missing = max(floor - total[1, 0], 0.0)
    divisor = max(total[1, 0], floor, EMPTY)
    value = (total[0, 0] + price * missing) / divisor
    slope = (-price if missing > 0 else -value) / divisor
    for i in range(n):
        gradient[i] = total[0, 1 + i] / divisor + slope * total[1, 1 + i]
    if weight > 0:
        value += _add_distortion(x, inverse, weight, gradient)
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
        _add_stretch(x, inverse, weight, matrix)


@compiled
def damped_inverse(matrix):
    """``lbfgs.damped_inverse`` of one matrix, in place (Gauss and Jordan; damped, it is positive definite)."""
    n = len(matrix)
    largest = 0.0
    for i in range(n):
        largest = max(largest, matrix[i, i])
    for i in range(n):
        matrix[i, i] += DAMPING * max(matrix[i, i], 1e-3 * largest, 1e-12)
    for k in range(n):
        pivot = 1 / matrix[k, k]
        matrix[k, k] = 1.0
        for j in range(n):
            matrix[k, j] *= pivot
        for i in range(n):
            if i != k:
                factor = matrix[i, k]
                matrix[i, k] = 0.0
                for j in range(n):
                    matrix[i, j] -= factor * matrix[k, j]


@compiled
def _dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@compiled
def _precondition(inverse_hessian, unit, gradient, out):
    """The step of the initial Hessian alone, or of length ``unit`` along the gradient where there is none."""
    n = len(gradient)
    if inverse_hessian.shape[0]:
        for i in range(n):
            out[i] = -_dot(inverse_hessian[i], gradient)
        return
    scale = unit / max(math.sqrt(_dot(gradient, gradient)), _TINY)
    for i in range(n):
        out[i] = -gradient[i] * scale


@compiled
def _direction(inverse_hessian, unit, gradient, steps, changes, inverses, known, out):
    """The two-loop recursion over the ``known`` newest pairs, which stand last; capped to the longest step."""
    n, memory = len(gradient), len(steps)
    q, weights = gradient.copy(), np.empty(memory)
    for k in range(memory - 1, memory - 1 - known, -1):
        weights[k] = inverses[k] * _dot(steps[k], q)
        for i in range(n):
            q[i] -= weights[k] * changes[k, i]
    if known == 0 or inverse_hessian.shape[0]:
        _precondition(inverse_hessian, unit, q, out)
    else:
        scale = 1 / max(inverses[memory - 1] * _dot(changes[memory - 1], changes[memory - 1]), _TINY)
        for i in range(n):
            out[i] = -q[i] * scale
    for k in range(memory - known, memory):
        weight = -weights[k] - inverses[k] * _dot(changes[k], out)
        for i in range(n):
            out[i] += weight * steps[k, i]
    if known and _dot(out, gradient) >= 0:
        _precondition(inverse_hessian, unit, gradient, out)
    length = math.sqrt(_dot(out, out))
    if length > LONGEST_STEP * unit:
        for i in range(n):
            out[i] *= LONGEST_STEP * unit / length


@compiled
def _remember(step, change, steps, changes, inverses, known):
    """How many pairs are known after this one, which is left out where it tells of no positive curvature."""
    memory = len(steps)
    product = _dot(step, change)
    if not product > CURVATURE * math.sqrt(_dot(step, step)) * math.sqrt(_dot(change, change)):
        return known
    for k in range(memory - 1):
        steps[k], changes[k], inverses[k] = steps[k + 1], changes[k + 1], inverses[k + 1]
    steps[memory - 1], changes[memory - 1], inverses[memory - 1] = step, change, 1 / product
    return min(known + 1, memory)


class Descent(NamedTuple):
    """Where the minimization of one problem stands; see ``lbfgs`` for what the arrays are.

    there: where the criterion is to be evaluated, new_gradient: its gradient there; p and gradient: those of the last accepted step;
    x, jacobian: the map at ``there`` and its derivative by the parameters; numbers: value at p, length of the step; counts: evaluations,
    known pairs, accepted steps, halvings.
    """

    p: npt.NDArray[np.float64]
    there: npt.NDArray[np.float64]
    gradient: npt.NDArray[np.float64]
    new_gradient: npt.NDArray[np.float64]
    direction: npt.NDArray[np.float64]
    step: npt.NDArray[np.float64]
    steps: npt.NDArray[np.float64]
    changes: npt.NDArray[np.float64]
    inverses: npt.NDArray[np.float64]
    inverse_hessian: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    jacobian: npt.NDArray[np.float64]
    numbers: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


@compiled
def descent(freedom, d, base, p, curved):
    """The one that sets out from p ``(n,)``, which will hold where it stands; curved: whether there is an initial Hessian."""
    n, memory = len(p), 5
    x, jacobian = np.empty((d, d + 1)), np.empty((d * (d + 1), n))
    map_and_jacobian(freedom, d, base, p, x, jacobian)
    return Descent(
        p,
        p.copy(),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.zeros(n),
        np.empty((memory, n)),
        np.empty((memory, n)),
        np.empty(memory),
        np.empty((n, n) if curved else (0, 0)),
        x,
        jacobian,
        np.array([math.nan, 1.0]),
        np.zeros(4, np.int64),
    )


@compiled
def arrive(state, problem, sums, iterations, tolerance):
    """Accept or shorten the step by the sums at its end, the start being accepted; whether there is to be another, and the divisor."""
    by_entry = np.empty(len(state.jacobian))
    new, divisor = criterion(sums, problem, state.x, by_entry)
    for i in range(len(state.p)):
        state.new_gradient[i] = _dot(state.jacobian[:, i], by_entry)
    value, length = state.numbers
    counts, step, gradient, new_gradient = state.counts, state.step, state.gradient, state.new_gradient
    first, sound, largest, longest = counts[0] == 0, math.isfinite(new), 0.0, 0.0
    counts[0] += 1
    for i in range(len(step)):
        sound = sound and math.isfinite(new_gradient[i])
        largest, longest = max(largest, abs(new_gradient[i])), max(longest, abs(step[i]))
    if not first and (not sound or new > value + ARMIJO * length * _dot(gradient, state.direction)):
        state.numbers[1], counts[3] = length / 2, counts[3] + 1
        return counts[3] <= MAX_HALVINGS, divisor
    if not first:
        for i in range(len(step)):
            gradient[i] = new_gradient[i] - gradient[i]
        counts[1], counts[2] = _remember(step, gradient, state.steps, state.changes, state.inverses, counts[1]), counts[2] + 1
    state.numbers[0], state.numbers[1], counts[3] = new, 1.0, 0
    state.p[:], gradient[:] = state.there, new_gradient
    return sound and largest > 0 and counts[2] < iterations and (first or longest >= tolerance), divisor


@compiled
def precondition(state, problem, matrices, divisor):
    """Make the damped inverse of the Gauss-Newton matrix at the start the initial Hessian."""
    n, entries = len(state.p), len(state.jacobian)
    matrix, inverse_hessian = np.empty((entries, entries)), state.inverse_hessian
    gauss_newton(matrices, problem, state.x, divisor, matrix)
    for i in range(n):
        for j in range(n):
            inverse_hessian[i, j] = 0
            for a in range(entries):
                inverse_hessian[i, j] += state.jacobian[a, i] * _dot(matrix[a], state.jacobian[:, j])
    damped_inverse(inverse_hessian)


@compiled
def depart(freedom, d, base, state, unit):
    """Take the next step, in a new direction where the last one was accepted."""
    if state.counts[3] == 0:
        memory = state.steps, state.changes, state.inverses
        _direction(state.inverse_hessian, unit, state.gradient, *memory, state.counts[1], state.direction)
    for i in range(len(state.p)):
        state.step[i] = state.numbers[1] * state.direction[i]
        state.there[i] = state.p[i] + state.step[i]
    map_and_jacobian(freedom, d, base, state.there, state.x, state.jacobian)


@compiled
def minimize_one(freedom, term, sizes, problem, base, p, iterations, unit, curved, tolerance, stop, work):
    """``lbfgs.minimize`` of one problem from p, which becomes its end; value and evaluations are returned.

    curved: whether the Gauss-Newton matrix is the initial Hessian; stop ``(1,)``: ends the work early where it becomes nonzero.
    """
    d, slabs = len(sizes), slab_count(sizes)
    entries = d * (d + 1)
    state, sums = descent(freedom, d, base, p, curved), np.empty((slabs, 2, 1 + entries))
    matrices = np.empty((slabs if curved else 0, entries, entries))
    while True:
        if curved and state.counts[0] == 0:
            sum_slabs(term, sizes, problem, state.x, 0, slabs, work, sums, matrices)
        else:
            sum_slabs(term, sizes, problem, state.x, 0, slabs, work, sums, None)
        going, divisor = arrive(state, problem, sums, iterations, tolerance)
        if not going or stop[0]:
            return state.numbers[0], state.counts[0]
        if curved and state.counts[0] == 1:
            precondition(state, problem, matrices, divisor)
        depart(freedom, d, base, state, unit)


@compiled
def minimize_many(
    freedom, term, sizes, problems, pair, base, p, first, last, iterations, unit, curved, tolerance, stop, values, evaluations
):
    """``minimize_one`` of the candidates first .. last - 1, which belong to ``pair`` ``(N,)``."""
    work = work_space()
    for n in range(first, last):
        values[n], evaluations[n] = minimize_one(
            freedom, term, sizes, problem_of(problems, pair[n]), base[n], p[n], iterations, unit, curved, tolerance, stop, work
        )


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
def criteria(problems, pair, x, sums, values, gradients, divisors):
    """``criterion`` of all maps."""
    for n in range(len(x)):
        values[n], divisors[n] = criterion(sums[n], problem_of(problems, pair[n]), x[n], gradients[n])


@compiled
def gauss_newtons(problems, pair, x, sums, divisors, matrices):
    """``gauss_newton`` of all maps, from matrices of slabs ``(N, slabs, n, n)``."""
    for n in range(len(x)):
        gauss_newton(sums[n], problem_of(problems, pair[n]), x[n], divisors[n], matrices[n])
