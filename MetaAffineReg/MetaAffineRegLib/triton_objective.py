"""``Objective`` by the kernels of Triton, for the GPU: no intermediate image is written, and candidate maps share the images of their pair.

It needs triton, which a build of torch for CUDA brings along on Linux; ``objective`` is the formula that it computes.
"""

import math
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import Any, NamedTuple, Self

import torch
import triton
from torch import Tensor

from . import data_terms, triton_kernels, triton_terms
from .backends import BORDER
from .data_terms import DataTerm, floored, floored_ratio
from .fused_images import FusedImages
from .normalized_gradients import NormalizedGradients
from .objective import BatchCriterion
from .regularizer import Distortion

_WARPS = triton_kernels.TILE // 32
_AT_ONCE = 16  # pieces


class _KernelTerm(NamedTuple):
    """What ``triton_terms`` says of a data term: its two functions and its constant."""

    compare: Any
    curve: Any
    constant: float = 0.0


class TritonObjective(BatchCriterion):
    """The criterion of candidates that belong to pairs of ``images``; the same numbers as those of ``Objective`` but for rounding."""

    def __init__(self, images: FusedImages, data_term: DataTerm, regularizer: Distortion | None = None):
        self._images, self._regularizer = images, regularizer
        self._term = _KERNEL_TERMS[type(data_term)](data_term)
        self._pair = torch.arange(len(images.fixed), device=images.fixed.device)
        self._floor, self._price = images.floor_and_price(data_term)

    @staticmethod
    def serves(data_term: DataTerm) -> bool:
        """Whether there are kernels for it."""
        return type(data_term) in _KERNEL_TERMS

    def __len__(self) -> int:
        return len(self._pair)

    def select(self, rows: Tensor) -> Self:
        part = copy(self)
        part._pair, part._floor, part._price = self._pair[rows], self._floor[rows], self._price[rows]
        part._regularizer = None if self._regularizer is None else self._regularizer.select(rows)
        return part

    def _value(self, x: Tensor) -> Tensor:
        return self._value_and_gradient(x)[0]

    def _value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        (cost, content), (of_cost, of_content) = self._costs(x)
        value, by_cost, by_content = floored_ratio(cost, content, self._floor, self._price)
        return value, 2 * (by_cost[:, None] * of_cost + by_content[:, None] * of_content).view_as(x)

    def _curvature(self, x: Tensor) -> Tensor:
        d = x.shape[1]
        term = {"TERM": self._term.compare, "CURVE": self._term.curve}
        sums = self._summed(triton_kernels.sum_curvatures, x, 1 + len(_pairs(d)) * len(_pairs(d + 1)), term)
        return sums[:, 1 + _places_in_matrix(d, x.device)] * (2 / floored(sums[:, 0], self._floor))[:, None, None]

    def shares(self, x: Tensor) -> Tensor:
        sides = [TritonObjective(self._images, side).select(self._pair).value(x) for side in data_terms.unexplained_sides]
        covered = TritonObjective(self._images, data_terms.overlap_mean_squares).select(self._pair)
        (_, content), _ = covered._costs(x)
        return torch.stack([*sides, content * data_terms.OVERLAP_FLOOR / covered._floor], 1)

    def _costs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cost and content ``(2, B)``, and half their derivatives by the entries of x ``(2, B, n)``."""
        sums = self._summed(triton_kernels.sum_costs, x, 2 * (1 + x[0].numel()), {"TERM": self._term.compare})
        sums = sums.view(len(x), 2, -1).movedim(1, 0)
        return sums[..., 0], sums[..., 1:]

    def _summed(self, kernel: Any, x: Tensor, numbers: int, term: dict[str, Any]) -> Tensor:
        """What a kernel sums at maps x, ``(B, numbers)`` in float64."""
        images, d = self._images, x.shape[1]
        pieces = -(-math.prod(images.sizes) // (triton_kernels.TILE * triton_kernels.TILES))
        sums = torch.empty(len(x), pieces, numbers, device=x.device)
        totals = torch.empty(len(x), numbers, dtype=torch.float64, device=x.device)
        sizes = (*reversed(images.sizes), 1)[:3]
        with torch.cuda.device_of(x):
            kernel[len(x) * pieces,](
                *(images.fixed, images.words, x.detach().contiguous(), self._pair, sums, self._term.constant, *sizes, pieces),
                **term,
                FIXED=images.fixed.shape[1],
                WORDS=images.words.shape[2],
                BORDER=BORDER,
                D=d,
                TILE=triton_kernels.TILE,
                TILES=triton_kernels.TILES,
                num_warps=_WARPS,
            )
            width = triton.next_power_of_2(numbers)
            triton_kernels.add_pieces[len(x),](sums, totals, pieces, NUMBERS=numbers, WIDTH=width, AT_ONCE=_AT_ONCE)
        return totals


_KERNEL_TERMS: dict[type, Callable[[Any], _KernelTerm]] = {
    data_terms.MeanSquares: lambda term: _KernelTerm(triton_terms.mean_squares, triton_terms.curve_mean_squares),
    data_terms.OverlapMeanSquares: lambda term: _KernelTerm(triton_terms.overlap_mean_squares, triton_terms.curve_overlap_mean_squares),
    data_terms.UnexplainedContent: lambda term: _KernelTerm(
        triton_terms.unexplained_content, triton_terms.curve_unexplained_content, term.scale**-2
    ),
    data_terms.UnexplainedSide: lambda term: (
        _KernelTerm(triton_terms.unexplained_of_moving, triton_terms.curve_unexplained_of_moving, term.scale**-2)
        if term.moving
        else _KernelTerm(triton_terms.unexplained_of_fixed, triton_terms.curve_unexplained_of_fixed, term.scale**-2)
    ),
    NormalizedGradients: lambda term: _KernelTerm(triton_terms.normalized_gradients, triton_terms.curve_normalized_gradients, term.edge**2),
}


def _pairs(count: int) -> list[tuple[int, int]]:
    """Of numbers below ``count``, i <= j."""
    return [(i, j) for i in range(count) for j in range(i, count)]


@lru_cache
def _places_in_matrix(d: int, device: torch.device) -> Tensor:
    """Which of the sums of ``sum_curvatures`` is which entry of the Gauss-Newton matrix, ``(n, n)``; kept."""
    directions, moments = _pairs(d), _pairs(d + 1)
    entries = [(i, k) for i in range(d) for k in range(d + 1)]
    rows = [
        [directions.index((min(i, j), max(i, j))) * len(moments) + moments.index((min(k, m), max(k, m))) for j, m in entries]
        for i, k in entries
    ]
    return torch.tensor(rows, device=device)
