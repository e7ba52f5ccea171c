"""``Objective`` by the compiled kernels: no intermediate image is written, and candidate maps share the images of their pair.

It needs numba, which torch does not; ``objective`` is the formula that it computes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from . import compiled_lbfgs, data_terms, kernel_edges, kernel_intensities, kernels
from .data_terms import DataTerm
from .freedom import Freedom, GroupFreedom
from .lbfgs import Minimum
from .normalized_gradients import NormalizedGradients
from .regularizer import Distortion

_AT_ONCE = 100_000  # samples; work below this takes less than a millisecond, not worth a thread
_CHUNKS = 4  # for each thread, so that none waits long for the slowest
_POLL = 0.02  # seconds between two looks at whether the work is to end


class FusedImages:
    """The channels that a data term looks at in a batch of images ``(B, C, *S)`` on one grid, as the kernels read them."""

    def __init__(self, fixed: Tensor, moving: Tensor):
        self.sizes = tuple(fixed.shape[2:])
        d = len(self.sizes)
        self.fixed_tensor = fixed
        self._floors: dict[DataTerm, tuple[Tensor, Tensor]] = {}
        self.fixed = fixed.reshape(*fixed.shape[:2], -1, self.sizes[-1]).contiguous().numpy()
        bordered = F.pad(moving, ((kernels.BORDER,) * (2 * d)) + (0, moving.shape[1] % 2)).movedim(1, -1).contiguous()
        self.words = bordered.flatten(1, -2).numpy().view(np.int64)

    def floor_and_price(self, data_term: DataTerm) -> tuple[Tensor, Tensor]:
        """Those of the data term, see ``data_terms``; kept, since they are asked for often."""
        if data_term not in self._floors:
            self._floors[data_term] = data_term.floor_and_price(self.fixed_tensor)
        return self._floors[data_term]

    @classmethod
    def of(cls, fixed: Tensor, moving: Tensor, data_term: DataTerm) -> "FusedImages":
        """Those of images ``(B, 2, *S)``, values and coverage, for a data term; all intensity terms look at both."""
        if isinstance(data_term, data_terms.IntensityTerm):
            return cls(fixed, moving)
        return cls(data_term.fixed_channels(fixed), data_term.moving_channels(moving))


class FusedObjective:
    """The criterion of candidates that belong to pairs of ``images``; the same numbers as those of ``Objective`` but for rounding."""

    def __init__(self, images: FusedImages, data_term: DataTerm, regularizer: Distortion | None = None, pair: Tensor | None = None):
        self._images, self._data_term, self._regularizer = images, data_term, regularizer
        batch, d = len(images.fixed), len(images.sizes)
        self._pair = torch.arange(batch) if pair is None else pair
        floor, price = images.floor_and_price(data_term)
        inverse = torch.eye(d, dtype=torch.float64).repeat(batch, 1, 1) if regularizer is None else regularizer.inverse
        weight = torch.zeros(batch, dtype=torch.float64) if regularizer is None else regularizer.weight
        by_pair = (_array(numbers) for numbers in (floor, price, inverse, weight))
        self._problems = (images.fixed, images.words, *by_pair)
        self._term = _KERNEL_TERMS[type(data_term)](data_term)

    @staticmethod
    def serves(data_term: DataTerm) -> bool:
        """Whether there are kernels for it."""
        return type(data_term) in _KERNEL_TERMS

    def __len__(self) -> int:
        return len(self._pair)

    def select(self, rows: Tensor) -> "FusedObjective":
        part: FusedObjective = object.__new__(FusedObjective)
        part.__dict__.update(self.__dict__)
        part._pair = self._pair[rows]
        return part

    def value(self, x: Tensor) -> Tensor:
        return self.value_and_gradient(x)[0]

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps, values, gradients = _array(x), np.empty(len(x)), np.empty((len(x), x[0].numel()))
        self._share_out(
            lambda first, last, _: compiled_lbfgs.evaluate_many(*self._problem(), maps, first, last, values, gradients), evaluations=1
        )
        return torch.from_numpy(values), torch.from_numpy(gradients).view_as(x)

    def value_gradient_curvature(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = x[0].numel()
        maps, values, gradients, matrices = _array(x), np.empty(len(x)), np.empty((len(x), n)), np.empty((len(x), n, n))
        self._share_out(
            lambda first, last, _: compiled_lbfgs.curve_many(*self._problem(), maps, first, last, values, gradients, matrices),
            evaluations=2,
        )
        return torch.from_numpy(values), torch.from_numpy(gradients).view_as(x), torch.from_numpy(matrices)

    def overlap(self, x: Tensor) -> Tensor:
        covered = FusedObjective(self._images, data_terms.overlap_mean_squares).select(self._pair)
        maps, contents = _array(x), np.empty(len(x))
        covered._share_out(lambda first, last, _: compiled_lbfgs.content_many(*covered._problem(), maps, first, last, contents), 1)
        floor, _ = self._images.floor_and_price(data_terms.overlap_mean_squares)
        return torch.from_numpy(contents) * data_terms.OVERLAP_FLOOR / floor[self._pair]

    def minimize(
        self, freedom: Freedom, *, iterations: int, unit: float, curved: bool, tolerance: float, check: Callable[[], None]
    ) -> Minimum:
        """``lbfgs.minimize`` from the origin of ``freedom``, each problem run to its end in one go."""
        p = freedom.origin.clone().contiguous()
        base = _array(freedom.base if isinstance(freedom, GroupFreedom) else p.new_zeros(len(p), 0, 0))
        parameters, values, evaluations = p.numpy(), np.empty(len(p)), np.empty(len(p), np.int64)
        kind = {"affine": compiled_lbfgs.AFFINE, "rigid": compiled_lbfgs.RIGID, "similarity": compiled_lbfgs.SIMILARITY}[freedom.name]
        how = (iterations, unit, curved, tolerance)
        self._share_out(
            lambda first, last, stop: compiled_lbfgs.minimize_many(
                kind, *self._problem(), base, parameters, first, last, *how, stop, values, evaluations
            ),
            iterations,
            check,
        )
        return Minimum(p, torch.from_numpy(values), torch.from_numpy(evaluations))

    def _problem(self) -> tuple[Any, ...]:
        """Data term, grid sizes, images and numbers by pair, and the pair of each candidate."""
        return self._term, self._images.sizes, self._problems, self._pair.numpy()

    def _share_out(
        self, kernel: Callable[[int, int, npt.NDArray[np.int8]], None], evaluations: int, check: Callable[[], None] = lambda: None
    ) -> None:
        """Call kernel(first, last, stop) over all problems, longer work in threads, while ``check`` is called and may raise."""
        count, stop = len(self), np.zeros(1, np.int8)
        if count * evaluations * self._images.fixed[0, 0].size < _AT_ONCE:
            check()
            kernel(0, count, stop)
            return
        threads = torch.get_num_threads()
        edges = np.linspace(0, count, min(count, threads * _CHUNKS) + 1).astype(int).tolist()
        running = {_pool(threads).submit(kernel, first, last, stop) for first, last in pairwise(edges)}
        everything = set(running)
        try:
            while running:
                check()
                running = wait(running, _POLL).not_done
        finally:
            stop[0] = 1 if running else 0
            wait(everything)
        for future in everything:
            future.result()


_KERNEL_TERMS: dict[type, Callable[[Any], Any]] = {
    data_terms.MeanSquares: lambda term: kernel_intensities.MeanSquares(),
    data_terms.OverlapMeanSquares: lambda term: kernel_intensities.OverlapMeanSquares(),
    data_terms.UnexplainedContent: lambda term: kernel_intensities.UnexplainedContent(False, np.float32(term.scale**-2)),
    data_terms.UnexplainedSide: lambda term: (
        kernel_intensities.UnexplainedOfMoving if term.moving else kernel_intensities.UnexplainedOfFixed
    )(False, np.float32(term.scale**-2)),
    NormalizedGradients: lambda term: kernel_edges.NormalizedGradients(False, np.float32(term.edge**2)),
}


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "criterion")


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    return np.ascontiguousarray(tensor.detach().numpy())
