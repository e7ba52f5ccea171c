"""``Objective`` by the compiled kernels: no intermediate image is written, and candidate maps share the images of their pair.

It needs numba, which torch does not; ``objective`` is the formula that it computes.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import compiled_freedom, compiled_lbfgs, compiled_objective, data_terms, kernels, threads
from .coverage_bounds import everywhere
from .data_terms import DataTerm
from .freedom import Freedom, GroupFreedom
from .fused_images import FusedImages
from .kernel_terms import has_kernels, kernel_term
from .lbfgs import Minimum
from .regularizer import Distortion

_FEW = 4  # problems a thread, among which the slowest would be waited for
Array = npt.NDArray[Any]
How = tuple[int, float, bool, float]  # of ``minimize``: iterations, unit, curved, tolerance


class FusedObjective:
    """The criterion of candidates that belong to pairs of ``images``; the same numbers as those of ``Objective`` but for rounding.

    problem: data term, grid sizes, images and numbers by pair, and the pair of each candidate, as the kernels take them.
    """

    def __init__(self, images: FusedImages, data_term: DataTerm, regularizer: Distortion | None = None, pair: Tensor | None = None):
        self._images, self._data_term, self._regularizer = images, data_term, regularizer
        batch, d = len(images.fixed), len(images.sizes)
        self._pair = torch.arange(batch) if pair is None else pair
        floor_and_price = (_array(numbers) for numbers in images.floor_and_price(data_term))
        if regularizer is None:
            distortion = np.tile(np.eye(d), (batch, 1, 1)), np.zeros(batch)
        else:
            distortion = _array(regularizer.inverse), _array(regularizer.weight)
        bounds = everywhere(batch, images.sizes) if isinstance(data_term, data_terms.MeanSquares) else images.bounds
        self._problems = (*images.arrays, *bounds, *floor_and_price, *distortion)
        self.problem = kernel_term(data_term), images.sizes, self._problems, self._pair.numpy()
        self._slabs, self._samples = kernels.slab_count(images.sizes), math.prod(images.sizes)

    @staticmethod
    def serves(data_term: DataTerm) -> bool:
        """Whether there are kernels for it."""
        return has_kernels(data_term)

    def __len__(self) -> int:
        return len(self._pair)

    def select(self, rows: Tensor) -> "FusedObjective":
        part: FusedObjective = object.__new__(FusedObjective)
        part.__dict__.update(self.__dict__)
        part._pair = self._pair[rows]
        part.problem = (*self.problem[:-1], part._pair.numpy())
        return part

    def value(self, x: Tensor) -> Tensor:
        maps = _array(x)
        sums = np.zeros((len(maps), self._slabs, 2, 1 + maps[0].size))
        sums[..., 0] = self._costs(maps)
        return torch.from_numpy(self._criteria(maps, sums)[0])

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = _array(x)
        values, gradients = self._values_and_gradients(maps, None)
        return torch.from_numpy(values), torch.from_numpy(gradients.reshape(maps.shape))

    def value_gradient_curvature(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = _array(x)
        n = maps[0].size
        matrices = np.empty((len(maps), n, n))
        values, gradients = self._values_and_gradients(maps, matrices)
        return torch.from_numpy(values), torch.from_numpy(gradients.reshape(maps.shape)), torch.from_numpy(matrices)

    def _values_and_gradients(self, maps: Array, matrices: Array | None) -> tuple[Array, Array]:
        """Values ``(N,)`` and gradients ``(N, n)``; Gauss-Newton matrices go to ``matrices``."""
        if self._few_and_large(len(maps)):
            of_slabs = None if matrices is None else self._room_for_matrices(maps)
            values, gradients, divisors = self._criteria(maps, self._sums(maps, of_slabs))
            if matrices is not None:
                compiled_objective.gauss_newtons(self._problems, self.problem[-1], maps, of_slabs, divisors, matrices)
            return values, gradients
        values, gradients = np.empty(len(maps)), np.empty((len(maps), maps[0].size))
        threads.share_out(
            lambda first, last: compiled_objective.values_and_derivatives(*self.problem, maps, first, last, values, gradients, matrices),
            len(maps),
            samples=len(maps) * self._samples,
        )
        return values, gradients

    def shares(self, x: Tensor) -> Tensor:
        side, maps = data_terms.unexplained_sides[0], _array(x)
        sums = torch.from_numpy(self._added(maps, np.empty((len(maps), self._slabs, 5)), None, kernel_term(side)).sum(1))
        floor, price = (numbers[self._pair] for numbers in self._images.floor_and_price(side))
        sides = [data_terms.floored_ratio(sums[:, 2 * k], sums[:, 2 * k + 1], floor, price)[0] for k in range(2)]
        least, _ = self._images.floor_and_price(data_terms.overlap_mean_squares)
        return torch.stack([*sides, sums[:, 4] * data_terms.OVERLAP_FLOOR / least[self._pair]], 1)

    def minimize(
        self, freedom: Freedom, *, iterations: int, unit: float, curved: bool, tolerance: float, check: Callable[[], None]
    ) -> Minimum:
        """``lbfgs.minimize`` from the origin of ``freedom``: many problems each run to their ends in one go, of few large ones each
        evaluation is shared out."""
        p = freedom.origin.clone().contiguous()
        base = _array(freedom.base if isinstance(freedom, GroupFreedom) else p.new_zeros(len(p), 0, 0))
        kind = {"affine": compiled_freedom.AFFINE, "rigid": compiled_freedom.RIGID, "similarity": compiled_freedom.SIMILARITY}[freedom.name]
        minimize = self._minimize_by_slabs if self._few_and_large(len(p)) else self._minimize_by_problems
        found = minimize(kind, base, p.numpy(), (iterations, unit, curved, tolerance), check)
        return Minimum(p, *map(torch.from_numpy, found))

    def _minimize_by_problems(self, kind: int, base: Array, p: Array, how: How, check: Callable[[], None]) -> tuple[Array, Array]:
        """Values and evaluations ``(N,)``; p becomes the ends."""
        values, evaluations, stop = np.empty(len(p)), np.empty(len(p), np.int64), np.zeros(1, np.int8)
        threads.share_out(
            lambda first, last: compiled_lbfgs.minimize_many(kind, *self.problem, base, p, first, last, *how, stop, values, evaluations),
            len(p),
            check=check,
            end=lambda: stop.fill(1),
            samples=len(p) * how[0] * self._samples,
        )
        return values, evaluations

    def _minimize_by_slabs(self, kind: int, base: Array, p: Array, how: How, check: Callable[[], None]) -> tuple[Array, Array]:
        """The same numbers, all problems taking each step together."""
        d, (iterations, unit, curved, tolerance) = len(self._images.sizes), how
        states = [compiled_lbfgs.descent(d, p.shape[1], curved) for _ in p]
        for state, *origin in zip(states, base, p, strict=True):
            compiled_lbfgs.set_out(kind, d, *origin, state)
        problems = [compiled_objective.problem_of(self._problems, pair) for pair in self._pair.tolist()]
        going = list(range(len(states)))
        while going:
            check()
            here, x = self.select(torch.tensor(going)), np.stack([states[k].x for k in going])
            of_slabs = self._room_for_matrices(x) if curved and states[going[0]].counts[0] == 0 else None
            arrived = [
                compiled_lbfgs.arrive(states[k], problems[k], sums, iterations, tolerance)
                for k, sums in zip(going, here._sums(x, of_slabs), strict=True)
            ]
            if of_slabs is not None:
                for k, (_, divisor), matrices in zip(going, arrived, of_slabs, strict=True):
                    compiled_lbfgs.precondition(states[k], problems[k], matrices, divisor)
            going = [k for k, (further, _) in zip(going, arrived, strict=True) if further]
            for k in going:
                compiled_lbfgs.depart(kind, d, base[k], states[k], unit)
        for end, state in zip(p, states, strict=True):
            end[:] = state.p
        return np.array([state.numbers[0] for state in states]), np.array([state.counts[0] for state in states])

    def _few_and_large(self, problems: int) -> bool:
        """Whether threads share the slabs of so many problems' grids rather than the problems."""
        return self._slabs > 1 and threads.allowed() > 1 and problems < threads.allowed() * _FEW

    def _sums(self, maps: Array, matrices: Array | None = None) -> Array:
        """Of the slabs of each map, ``(N, slabs, 2, 1 + n)``, see ``kernels.evaluate``; their Gauss-Newton matrices go to ``matrices``."""
        return self._added(maps, np.empty((len(maps), self._slabs, 2, 1 + maps[0].size)), matrices)

    def _costs(self, maps: Array) -> Array:
        """Their costs and contents alone, ``(N, slabs, 2)``."""
        return self._added(maps, np.empty((len(maps), self._slabs, 2)), None)

    def _added(self, maps: Array, sums: Array, matrices: Array | None, term: Any = None) -> Array:
        threads.share_out(
            lambda first, last: compiled_objective.sum_many(term or self.problem[0], *self.problem[1:], maps, first, last, sums, matrices),
            len(maps) * self._slabs,
            samples=len(maps) * self._samples,
        )
        return sums

    def _room_for_matrices(self, maps: Array) -> Array:
        """Where those of the slabs of each map find room, ``(N, slabs, n, n)``."""
        return np.empty((len(maps), self._slabs, maps[0].size, maps[0].size))

    def _criteria(self, maps: Array, sums: Array) -> tuple[Array, Array, Array]:
        """Values ``(N,)``, gradients ``(N, n)`` and divisors ``(N,)``."""
        values, gradients, divisors = np.empty(len(maps)), np.empty((len(maps), maps[0].size)), np.empty(len(maps))
        compiled_objective.criteria(self._problems, self.problem[-1], maps, sums, values, gradients, divisors)
        return values, gradients, divisors


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    return np.ascontiguousarray((tensor.detach() if tensor.requires_grad else tensor).numpy())
