"""``lbfgs`` of the criterion of image pairs, one problem after the other, compiled for the CPU by numba.

A problem runs to its end while its images lie in the processor's cache, without a step back into Python.  The
algorithm, its constants and its parameters (``freedom``) are those of the torch code, which the tests compare it with.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .compiled_freedom import map_and_jacobian
from .compiled_objective import criterion, gauss_newton, problem_of, sum_slabs
from .compiling import compiled, lean
from .kernels import slab_count
from .lanes import work_space
from .lbfgs import ARMIJO, CURVATURE, DAMPING, LONGEST_STEP, MAX_HALVINGS

_TINY = 2.2250738585072014e-308
_MEMORY = 5  # pairs of steps and changes that are known at most


@lean
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


@lean
def _dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@lean
def _copy(numbers, out):
    for i in range(len(out)):
        out[i] = numbers[i]


@lean
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


@lean
def _direction(inverse_hessian, unit, gradient, steps, changes, inverses, known, q, weights, out):
    """The two-loop recursion over the ``known`` newest pairs, which stand last; capped to the longest step; q and weights: scratch."""
    n, memory = len(gradient), len(steps)
    _copy(gradient, q)
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


@lean
def _remember(step, change, steps, changes, inverses, known):
    """How many pairs are known after this one, which is left out where it tells of no positive curvature."""
    memory = len(steps)
    product = _dot(step, change)
    if not product > CURVATURE * math.sqrt(_dot(step, step)) * math.sqrt(_dot(change, change)):
        return known
    for k in range(memory - 1):
        _copy(steps[k + 1], steps[k])
        _copy(changes[k + 1], changes[k])
        inverses[k] = inverses[k + 1]
    _copy(step, steps[memory - 1])
    _copy(change, changes[memory - 1])
    inverses[memory - 1] = 1 / product
    return min(known + 1, memory)


class Descent(NamedTuple):
    """Where the minimization of one problem stands; see ``lbfgs`` for what the arrays are.

    there: where the criterion is to be evaluated, new_gradient: its gradient there; p and gradient: those of the last accepted step;
    x, jacobian: the map at ``there`` and its derivative by the parameters; numbers: value at p, length of the step; counts: evaluations,
    known pairs, accepted steps, halvings; by_entry, q, weights, small: scratch.
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
    by_entry: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    small: npt.NDArray[np.float64]


@compiled
def descent(d, n, curved):
    """Room for one over n parameters; curved: whether there is an initial Hessian."""
    return Descent(
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty((_MEMORY, n)),
        np.empty((_MEMORY, n)),
        np.empty(_MEMORY),
        np.empty((n, n) if curved else (0, 0)),
        np.empty((d, d + 1)),
        np.empty((d * (d + 1), n)),
        np.empty(2),
        np.empty(4, np.int64),
        np.empty(d * (d + 1)),
        np.empty(n),
        np.empty(_MEMORY),
        np.empty((5, 3, 3)),
    )


@lean
def set_out(freedom, d, base, p, state):
    """Begin at p ``(n,)``."""
    _copy(p, state.p)
    _copy(p, state.there)
    state.step[:], state.counts[:] = 0, 0
    state.numbers[0], state.numbers[1] = math.nan, 1.0
    map_and_jacobian(freedom, d, base, p, state.x, state.jacobian, state.small)


@lean
def arrive(state, problem, sums, iterations, tolerance):
    """Accept or shorten the step by the sums at its end, the start being accepted; whether there is to be another, and the divisor."""
    new, divisor = criterion(sums, problem, state.x, state.by_entry, state.small)
    for i in range(len(state.p)):
        state.new_gradient[i] = _dot(state.jacobian[:, i], state.by_entry)
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
    _copy(state.there, state.p)
    _copy(new_gradient, gradient)
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


@lean
def depart(freedom, d, base, state, unit):
    """Take the next step, in a new direction where the last one was accepted."""
    if state.counts[3] == 0:
        memory = state.steps, state.changes, state.inverses
        _direction(state.inverse_hessian, unit, state.gradient, *memory, state.counts[1], state.q, state.weights, state.direction)
    for i in range(len(state.p)):
        state.step[i] = state.numbers[1] * state.direction[i]
        state.there[i] = state.p[i] + state.step[i]
    map_and_jacobian(freedom, d, base, state.there, state.x, state.jacobian, state.small)


@lean
def _visit(term, sizes, problem, iterations, tolerance, work, state, sums, matrices):
    """Evaluate where the state points to, and ``arrive``; sums and matrices, which may be None: room for those of the slabs."""
    sum_slabs(term, sizes, problem, state.x, 0, len(sums), work, sums, matrices)
    return arrive(state, problem, sums, iterations, tolerance)


@lean
def _go_on(freedom, term, sizes, problem, base, iterations, unit, tolerance, stop, work, state, sums):
    """Take steps until there is to be none, or stop ``(1,)`` becomes nonzero."""
    going = True
    while going and not stop[0]:
        depart(freedom, len(sizes), base, state, unit)
        going, _ = _visit(term, sizes, problem, iterations, tolerance, work, state, sums, None)


@compiled
def minimize_many(
    freedom, term, sizes, problems, pair, base, p, first, last, iterations, unit, curved, tolerance, stop, values, evaluations
):
    """``lbfgs.minimize`` of the candidates first .. last - 1, of the pairs ``pair`` ``(N,)``, from p ``(N, n)``, which become their ends.

    curved: whether the Gauss-Newton matrix is the initial Hessian; stop ``(1,)``: ends the work early where it becomes nonzero.
    """
    d, slabs = len(sizes), slab_count(sizes)
    entries = d * (d + 1)
    work, state, sums = work_space(), descent(d, p.shape[1], curved), np.empty((slabs, 2, 1 + entries))
    matrices = np.empty((slabs if curved else 0, entries, entries))
    for n in range(first, last):
        if stop[0]:
            break
        problem = problem_of(problems, pair[n])
        set_out(freedom, d, base[n], p[n], state)
        if curved:
            going, divisor = _visit(term, sizes, problem, iterations, tolerance, work, state, sums, matrices)
            if going:
                precondition(state, problem, matrices, divisor)
        else:
            going, _ = _visit(term, sizes, problem, iterations, tolerance, work, state, sums, None)
        if going:
            _go_on(freedom, term, sizes, problem, base[n], iterations, unit, tolerance, stop, work, state, sums)
        p[n] = state.p
        values[n], evaluations[n] = state.numbers[0], state.counts[0]
