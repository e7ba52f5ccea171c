"""Limited-memory BFGS for many small independent problems at once (Nocedal & Wright, Numerical Optimization, 2006, 7.2).

Every problem of the batch has its own iteration count, step length and memory.  In each round every
problem that still runs is evaluated once: where the Armijo condition holds its iterate moves on, elsewhere the
step is halved.  Problems that are done leave the batch and cost nothing more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

ARMIJO = 1e-4  # sufficient decrease, Nocedal & Wright 3.1
LONGEST_STEP = 2.0  # units; what a step beyond it would promise, the quadratic model can't know
MAX_HALVINGS = 20  # a line search that fails so often ends its problem
DAMPING = 0.02  # share of the diagonal added to a curvature
CURVATURE = 1e-10  # pairs (s, y) with s'y below this share of |s||y| are not remembered


class Function(Protocol):
    """A batch of functions of p ``(B, n)``."""

    def value_and_gradient(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """f ``(B,)`` and its gradient ``(B, n)``."""

    def select(self, rows: Tensor) -> "Function":
        """The functions ``rows`` (indices) only."""


@dataclass(frozen=True)
class Minimum:
    """Where a batch of minimisations ended: p ``(B, n)``, f ``(B,)``, evaluations of each problem ``(B,)``."""

    p: Tensor
    value: Tensor
    evaluations: Tensor


class _Run:
    """The state of the problems that still run; every tensor has one row a problem."""

    def __init__(self, p: Tensor, value: Tensor, gradient: Tensor, inverse_hessian: Tensor | None, memory: int, unit: float):
        batch, n = p.shape
        self.inverse_hessian = inverse_hessian
        self.unit = p.new_full((batch,), unit)
        self.rows = torch.arange(batch, device=p.device)
        self.p, self.value, self.gradient = p, value, gradient
        self.steps = p.new_zeros(batch, memory, n)  # s_k, newest last
        self.changes = p.new_zeros(batch, memory, n)  # y_k
        self.inverse = p.new_zeros(batch, memory)  # 1 / s'y, zero where nothing is remembered
        self.direction = self.capped(self.steepest_descent())
        self.length = p.new_ones(batch)
        self.iterations = torch.zeros(batch, dtype=torch.long, device=p.device)
        self.halvings = torch.zeros_like(self.iterations)
        self.evaluations = torch.ones_like(self.iterations)

    def keep(self, rows: Tensor) -> None:
        for name, tensor in vars(self).items():
            if tensor is not None:
                setattr(self, name, tensor[rows])

    def remember(self, accepted: Tensor, step: Tensor, change: Tensor) -> None:
        product = (step * change).sum(1)
        good = accepted & (product > CURVATURE * step.norm(dim=1) * change.norm(dim=1))
        for stack, new in ((self.steps, step), (self.changes, change), (self.inverse, 1 / torch.where(good, product, 1.0))):
            stack[good] = torch.cat((stack[good, 1:], new[good, None]), 1)

    def steepest_descent(self) -> Tensor:
        """The step of the initial Hessian alone: the curvature's, or the paper's identity scaled to a step of length ``unit``."""
        if self.inverse_hessian is not None:
            return -(self.inverse_hessian @ self.gradient[..., None])[..., 0]
        scale = self.unit / self.gradient.norm(dim=1).clamp_min(torch.finfo(self.p.dtype).tiny)
        return -self.gradient * scale[:, None]

    def capped(self, direction: Tensor) -> Tensor:
        """No longer than the longest step."""
        return direction * (LONGEST_STEP * self.unit / direction.norm(dim=1)).clamp_max(1.0)[:, None]

    def quasi_newton_direction(self) -> Tensor:
        """The two-loop recursion, Nocedal & Wright algorithm 7.4; empty places of the memory drop out by their zeros."""
        memory = self.steps.shape[1]
        q = self.gradient
        weights = []
        for k in reversed(range(memory)):
            weight = self.inverse[:, k] * (self.steps[:, k] * q).sum(1)
            q = q - weight[:, None] * self.changes[:, k]
            weights.append(weight)
        if self.inverse_hessian is not None:
            known = torch.ones_like(self.length, dtype=torch.bool)
            r = (self.inverse_hessian @ q[..., None])[..., 0]
        else:  # equation (7.20) once a pair is known
            yy = self.changes[:, -1].square().sum(1)
            known = yy > 0
            r = q / (self.inverse[:, -1] * yy).clamp_min(torch.finfo(q.dtype).tiny)[:, None]
        for k in range(memory):
            weight = weights[memory - 1 - k] - self.inverse[:, k] * (self.changes[:, k] * r).sum(1)
            r = r + weight[:, None] * self.steps[:, k]
        return torch.where(known[:, None], -r, self.steepest_descent())


def minimize(
    function: Function,
    p: Tensor,
    *,
    iterations: int,
    unit: float,
    curvature: Tensor | None = None,
    memory: int = 5,
    tolerance: float = 1e-5,
    check: Callable[[], None] = lambda: None,
) -> Minimum:
    """Minimise a batch of functions from p ``(B, n)`` by at most ``iterations`` quasi-Newton steps each.

    ``unit`` is the scale on which the functions change: no step is longer than two of it.  ``curvature`` ``(B, n, n)``, positive
    semidefinite, is the initial Hessian where it is given; else the first step is one unit along the gradient.  A problem is
    done when an accepted step moves no parameter by ``tolerance``, when its gradient vanishes or when its line search fails.
    ``check`` is called before each round and may raise to end the work.
    """
    value, gradient = function.value_and_gradient(p)
    run = _Run(p, value, gradient, None if curvature is None else damped_inverse(curvature), memory, unit)
    end_p, end_value = p.clone(), value.clone()
    evaluations = torch.ones(len(p), dtype=torch.long, device=p.device)
    done = (gradient.abs().amax(1) == 0) | ~torch.isfinite(value) | (iterations == 0)
    while True:
        if bool(done.any()):
            end_p[run.rows], end_value[run.rows], evaluations[run.rows] = run.p, run.value, run.evaluations
            left = torch.nonzero(~done)[:, 0]
            if not len(left):
                return Minimum(end_p, end_value, evaluations)
            run.keep(left)
            function = function.select(left)
        check()
        done = _round(function, run, iterations, tolerance)


def damped_inverse(curvature: Tensor) -> Tensor:
    """(N + share of its diagonal)^-1 of ``(B, n, n)``, finite also where N is singular (Levenberg 1944, Marquardt 1963)."""
    diagonal = torch.diagonal(curvature, dim1=1, dim2=2)
    diagonal = torch.maximum(diagonal, 1e-3 * diagonal.amax(1, keepdim=True)).clamp_min(1e-12)
    return torch.linalg.inv(curvature + torch.diag_embed(DAMPING * diagonal))


def _round(function: Function, run: _Run, iterations: int, tolerance: float) -> Tensor:
    """Evaluate every running problem once and move on those that may; which of them are done."""
    step = run.length[:, None] * run.direction
    value, gradient = function.value_and_gradient(run.p + step)
    run.evaluations += 1
    slope = (run.gradient * run.direction).sum(1)
    accepted = torch.isfinite(value) & torch.isfinite(gradient).all(1) & (value <= run.value + ARMIJO * run.length * slope)
    run.remember(accepted, step, gradient - run.gradient)
    moved = accepted[:, None]
    run.p = torch.where(moved, run.p + step, run.p)
    run.value = torch.where(accepted, value, run.value)
    run.gradient = torch.where(moved, gradient, run.gradient)
    direction = run.quasi_newton_direction()
    uphill = (direction * run.gradient).sum(1) >= 0
    direction = torch.where(uphill[:, None], run.steepest_descent(), direction)
    run.direction = torch.where(moved, run.capped(direction), run.direction)
    run.length = torch.where(accepted, 1.0, run.length / 2)
    run.iterations += accepted
    run.halvings = torch.where(accepted, 0, run.halvings + 1)
    converged = accepted & ((step.abs().amax(1) < tolerance) | (run.gradient.abs().amax(1) == 0))
    return converged | (run.iterations >= iterations) | (run.halvings > MAX_HALVINGS)
