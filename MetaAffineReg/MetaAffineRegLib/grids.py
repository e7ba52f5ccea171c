"""The images of a batch of pairs on grids, fine to coarse, and the criteria on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .backends import Backend
from .data_terms import DataTerm, IntensityTerm
from .fused_images import FusedImages, rows_of
from .geometry import PairFrame
from .image import Image
from .intensity import Window, common_windows, window
from .large_tensors import room_for
from .objective import AcrossDevices, BatchCriterion, Criterion, Objective
from .pyramid import pyramid, resample, to_lattices
from .regularizer import Distortion
from .threads import share_torch

if TYPE_CHECKING:
    from .fused_objective import FusedObjective
    from .triton_objective import TritonObjective


_IN_CACHE = 1 << 18  # samples whose means are taken while they lie in the processor's cache


class PairGrids:
    """Fixed and moving images, ``(B, 2, *S)`` with values and coverage, by grid size."""

    def __init__(self, fixed: dict[int, Tensor], moving: dict[int, Tensor], backend: Backend = "torch"):
        self.fixed, self.moving, self.backend = fixed, moving, backend
        self.finest = max(fixed)
        self._fused: dict[tuple[int, DataTerm | None], FusedImages] = {}
        self._criteria: dict[tuple[int, DataTerm], Criterion] = {}

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[Image, Image]],
        frames: Sequence[PairFrame],
        sizes: tuple[int, ...],
        *,
        dtype: torch.dtype,
        device: torch.device,
        backend: Backend = "torch",
    ) -> PairGrids:
        """Pairs of one dimension on grids of ``sizes``, which divide the largest; ``backend``: what computes criteria."""
        images = [pair[side] for side in range(2) for pair in pairs]
        to_lps = np.stack([frame.fixed_to_lps for frame in frames] + [frame.moving_to_lps for frame in frames])
        lattices = to_lattices(images, to_lps)
        d, count, largest = frames[0].dimension, len(images), max(sizes)
        levels = {size: room_for(count, 2, *(size,) * d, dtype=dtype, device=device) for size in sizes}
        own: list[Window] = [(0.0, 1.0)] * count
        together = max(1, _IN_CACHE // largest**d) if device.type == "cpu" else count

        def look(first: int, last: int) -> None:
            own[first:last] = [window(image.array) for image in images[first:last]]

        def lay(first: int, last: int) -> None:
            for begin in range(first, last, together):
                some = range(begin, min(begin + together, last))
                for k in some:
                    how = {"dtype": dtype, "device": device, "backend": backend, "out": levels[largest][k], "to_lattice": lattices[k]}
                    resample(images[k], to_lps[k], largest, windows[k], **how)
                finest = levels[largest][some.start : some.stop]
                for size, level in pyramid(finest, sizes).items():
                    if size != largest:
                        levels[size][some.start : some.stop] = level

        samples = sum(image.array.size for image in images)
        share_torch(look, count, samples)
        common = [common_windows(*both) for both in zip(own[: len(pairs)], own[len(pairs) :], strict=True)]
        windows = [both[side] for side in range(2) for both in common]
        share_torch(lay, count, samples)
        fixed, moving = ({size: level.unflatten(0, (2, -1))[side] for size, level in levels.items()} for side in range(2))
        return cls(fixed, moving, backend)

    def __len__(self) -> int:
        return len(self.fixed[self.finest])

    @property
    def dimension(self) -> int:
        return self.fixed[self.finest].ndim - 2

    def objective(self, size: int, data_term: DataTerm, regularizer: Distortion | None = None, every: int = 1) -> Criterion:
        """The criterion on the grid of ``size``, of which one row in ``every`` counts; kept where it has no regularizer."""
        if regularizer is not None or every > 1:
            return self._objective(size, data_term, regularizer, every)
        if (size, data_term) not in self._criteria:
            self._criteria[size, data_term] = self._objective(size, data_term, None, 1)
        return self._criteria[size, data_term]

    def _objective(self, size: int, data_term: DataTerm, regularizer: Distortion | None, every: int) -> Criterion:
        device = self.fixed[size].device
        if device.type != "cpu":
            criterion = self._of_images(size, data_term, None, every)
            assert isinstance(criterion, BatchCriterion)
            return AcrossDevices(criterion, device, regularizer)
        return self._of_images(size, data_term, regularizer, every)

    def _of_images(self, size: int, data_term: DataTerm, regularizer: Distortion | None, every: int) -> Criterion:
        compiled = compiled_criterion(self.backend)
        if compiled and compiled.serves(data_term):
            images = self._fused_images(size, data_term)
            return compiled(images if every == 1 else images.by_rows(every, copied=self.backend != "numba"), data_term, regularizer)
        fixed = data_term.fixed_channels(self.fixed[size])
        if every > 1:
            fixed = fixed * rows_of(fixed, every)
        return Objective(fixed, data_term.moving_channels(self.moving[size]), data_term, regularizer)

    def _fused_images(self, size: int, data_term: DataTerm) -> FusedImages:
        """Kept, since all criteria on a grid share them; those that read values and coverage do."""
        alike = isinstance(data_term, IntensityTerm) and not FusedImages.in_rows_of_two(data_term, self.fixed[size].device)
        key = size, None if alike else data_term
        if key not in self._fused:
            self._fused[key] = FusedImages.of(self.fixed[size], self.moving[size], data_term)
        return self._fused[key]

    def select(self, rows: Tensor | slice) -> PairGrids:
        """The pairs ``rows`` (indices or a slice) only."""
        fixed, moving = ({size: images[rows] for size, images in side.items()} for side in (self.fixed, self.moving))
        return PairGrids(fixed, moving, self.backend)

    def swapped(self) -> PairGrids:
        """The pairs with fixed and moving exchanged."""
        return PairGrids(self.moving, self.fixed, self.backend)

    def cost(self, size: int) -> float:
        """Cost of one evaluation on the grid of ``size``, in evaluations on the finest."""
        return float((size / self.finest) ** self.dimension)


def compiled_criterion(backend: Backend) -> type[FusedObjective] | type[TritonObjective] | None:
    """That of a backend, None for torch; imported here, as it needs a package that may not be there, and seconds."""
    if backend == "numba":
        from .fused_objective import FusedObjective

        return FusedObjective
    if backend == "triton":
        from .triton_objective import TritonObjective

        return TritonObjective
    return None
