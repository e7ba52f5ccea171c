"""The steps of ``initializer``, one start after the other through those of a level, compiled for the CPU by numba."""

import math
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from .compiled_lbfgs import damped_inverse
from .compiled_objective import criterion, gauss_newton, problem_of, sum_slabs
from .compiling import compiled, fast
from .fused_objective import FusedObjective
from .initializer import LONGEST_STEP, RAW_SCALE, Initializer, Trajectory
from .kernels import slab_count
from .lanes import work_space
from .objective import Criterion
from .threads import share_out

RAW, DIRECTION, NEWTON = range(3)
_KINDS = {"raw": RAW, "direction": DIRECTION, "newton": NEWTON}
_TINY = 1e-12

Array = npt.NDArray[np.float64]


class Layers(NamedTuple):
    """The weights of a level, as torch has them: L_in, the gates of its cells ``(K, 4 width, 2 width)``, what is seen before what is
    remembered, and L_out; each with its biases."""

    into: Array
    into_bias: Array
    gates: Array
    gates_bias: Array
    out: Array
    out_bias: Array


class Walk(NamedTuple):
    """Where the starts have got: u ``(N, d, d + 1)``, and the two states of the cells ``(N, width)``."""

    u: Array
    hidden: Array
    memory: Array


def follow_level(network: Initializer, trajectory: Trajectory, objective: Criterion, number: int) -> Trajectory:
    """``network.level`` but for rounding; no gradient of the weights can be had of it."""
    assert isinstance(objective, FusedObjective)
    kind, layers = _KINDS[network.config.gradient_input], _layers(network)[number]
    start = np.ascontiguousarray(trajectory.start.numpy())
    u, hidden, memory = (tensor.clone() for tensor in (trajectory.u, *trajectory.state))
    walk = Walk(u.numpy(), hidden.numpy(), memory.numpy())
    samples = len(start) * network.config.steps * network.config.levels[number] ** network.config.dimension
    share_out(lambda first, last: follow(kind, layers, *objective.problem, start, first, last, walk), len(start), samples=samples)
    return Trajectory(trajectory.start, u, (hidden, memory))


class _Known(NamedTuple):
    """Layers of a network by level, and the state of the weights that they were made of."""

    weights: list[nn.Parameter]
    state: list[tuple[int, int]]
    layers: list[Layers]


_known: WeakKeyDictionary[Initializer, _Known] = WeakKeyDictionary()


def _layers(network: Initializer) -> list[Layers]:
    """Those of each level, put together again only where a weight has been written to since."""
    known = _known.get(network)
    if known is None or known.state != _state(known.weights):
        weights = list(network.parameters())
        known = _Known(weights, _state(weights), [_layers_of(network, level) for level in range(len(network.config.levels))])
        _known[network] = known
    return known.layers


def _state(weights: list[nn.Parameter]) -> list[tuple[int, int]]:
    return [(weight._version, weight.data_ptr()) for weight in weights]


def _layers_of(network: Initializer, level: int) -> Layers:
    steps = network.config.steps
    cells = [cell for cell in network.cells[level * steps : (level + 1) * steps] if isinstance(cell, nn.LSTMCell)]
    gates = np.stack([np.concatenate((_numbers(cell.weight_ih), _numbers(cell.weight_hh)), 1) for cell in cells])
    biases = np.stack([_numbers(cell.bias_ih) + _numbers(cell.bias_hh) for cell in cells])
    into, out = network.L_in, network.L_out
    return Layers(_numbers(into.weight), _numbers(into.bias), gates, biases, _numbers(out.weight), _numbers(out.bias))


def _numbers(tensor: Tensor) -> Array:
    found: Array = np.ascontiguousarray(tensor.numpy(force=True))
    return found


@compiled
def follow(kind, layers, term, sizes, problems, pair, start, first, last, walk):
    """Take the starts first .. last - 1 ``(N, d, d + 1)``, which belong to ``pair``, through the steps of a level."""
    work = work_space()
    for n in range(first, last):
        problem = problem_of(problems, pair[n])
        _follow_one(kind, layers, term, sizes, problem, start[n], walk.u[n], walk.hidden[n], walk.memory[n], work)


@compiled
def _follow_one(kind, layers, term, sizes, problem, start, u, hidden, memory, work):
    d, width, slabs = len(sizes), len(hidden), slab_count(sizes)
    n = d * (d + 1)
    x, by_entry, gradient, step = np.empty((d, d + 1)), np.empty(n), np.empty(n), np.zeros(n)
    sums, matrices, small = np.empty((slabs, 2, 1 + n)), np.empty((slabs, n, n)), np.empty((5, 3, 3))
    features, seen, gates, change = np.empty(layers.into.shape[1]), np.empty(2 * width), np.empty(4 * width), np.empty(len(layers.out))
    for k in range(len(layers.gates)):
        _compose(start, u, x)
        if kind == NEWTON:
            sum_slabs(term, sizes, problem, x, 0, slabs, work, sums, matrices)
        else:
            sum_slabs(term, sizes, problem, x, 0, slabs, work, sums, None)
        _, divisor = criterion(sums, problem, x, by_entry, small)
        for i in range(d):
            for j in range(d + 1):
                gradient[i * (d + 1) + j] = 0
                for m in range(d):
                    gradient[i * (d + 1) + j] += start[m, i] * by_entry[m * (d + 1) + j]
        if kind == NEWTON:
            _newton_step(matrices, problem, x, divisor, start, gradient, step)
        if kind == RAW:
            features[:] = RAW_SCALE * gradient
        else:
            _direction_and_norm(gradient, features[: n + 1])
        if kind == NEWTON:
            _direction_and_norm(step, features[n + 1 :])
        _linear(layers.into, layers.into_bias, features, seen[:width])
        seen[width:] = hidden
        _linear(layers.gates[k], layers.gates_bias[k], seen, gates)
        for i in range(width):
            kept, taken, told = _logistic(gates[width + i]), _logistic(gates[i]), _logistic(gates[3 * width + i])
            memory[i] = kept * memory[i] + taken * math.tanh(gates[2 * width + i])
            hidden[i] = told * math.tanh(memory[i])
        _linear(layers.out, layers.out_bias, hidden, change)
        for i in range(n):
            if kind == NEWTON:
                change[i] += (1 + change[n + i]) * step[i]
            u[i // (d + 1), i % (d + 1)] += change[i]


@compiled
def _compose(outer, inner, x):
    d = len(x)
    for i in range(d):
        for j in range(d + 1):
            x[i, j] = outer[i, d] if j == d else 0.0
            for k in range(d):
                x[i, j] += outer[i, k] * inner[k, j]


@compiled
def _newton_step(matrices, problem, x, divisor, start, gradient, step):
    """The damped Gauss-Newton step by u, held to the longest."""
    d = len(x)
    n = d * (d + 1)
    by_x, by_u = np.empty((n, n)), np.zeros((n, n))
    gauss_newton(matrices, problem, x, divisor, by_x)
    for a in range(n):
        for b in range(n):
            for i in range(d):
                for j in range(d):
                    entry = by_x[i * (d + 1) + a % (d + 1), j * (d + 1) + b % (d + 1)]
                    by_u[a, b] += start[i, a // (d + 1)] * entry * start[j, b // (d + 1)]
    damped_inverse(by_u)
    squared = 0.0
    for a in range(n):
        step[a] = 0
        for b in range(n):
            step[a] -= by_u[a, b] * gradient[b]
        squared += step[a] * step[a]
    share = min(LONGEST_STEP / max(math.sqrt(squared), _TINY), 1.0)
    for a in range(n):
        step[a] *= share


@compiled
def _direction_and_norm(vector, out):
    """Unit vector and the logarithm of the norm, ``(n,)`` -> ``(n + 1,)``."""
    n, squared = len(vector), 0.0
    for i in range(n):
        squared += vector[i] * vector[i]
    norm = max(math.sqrt(squared), _TINY)
    for i in range(n):
        out[i] = vector[i] / norm
    out[n] = math.log10(norm) + 2


@fast
def _linear(weight, bias, vector, out):
    for i in range(len(out)):
        total = bias[i]
        for j in range(len(vector)):
            total += weight[i, j] * vector[j]
        out[i] = total


@compiled
def _logistic(value):
    return 1 / (1 + math.exp(-value))
