"""The images of a batch of pairs on grids, fine to coarse, and the criteria on them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .data_terms import DataTerm, mean_squares
from .geometry import PairFrame
from .image import Image
from .intensity import intensity_windows
from .objective import Objective
from .pyramid import pyramid, resample
from .regularizer import Distortion


class PairGrids:
    """Fixed and moving images, ``(B, 2, *S)`` with values and coverage, by grid size."""

    def __init__(self, fixed: dict[int, Tensor], moving: dict[int, Tensor]):
        self.fixed, self.moving = fixed, moving
        self.finest = max(fixed)

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[Image, Image]],
        frames: Sequence[PairFrame],
        sizes: tuple[int, ...],
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> "PairGrids":
        """Pairs of one dimension on grids of ``sizes``, which divide the largest."""
        fixed_stack, moving_stack = [], []
        for (fixed, moving), frame in zip(pairs, frames, strict=True):
            windows = intensity_windows(fixed.array, moving.array)
            fixed_stack.append(resample(fixed, frame.fixed_to_lps, max(sizes), windows[0], dtype=dtype, device=device))
            moving_stack.append(resample(moving, frame.moving_to_lps, max(sizes), windows[1], dtype=dtype, device=device))
        return cls(pyramid(torch.stack(fixed_stack), sizes), pyramid(torch.stack(moving_stack), sizes))

    def __len__(self) -> int:
        return len(self.fixed[self.finest])

    @property
    def dimension(self) -> int:
        return self.fixed[self.finest].ndim - 2

    def objective(self, size: int, data_term: DataTerm, regularizer: Distortion | None = None) -> Objective:
        """The criterion on the grid of ``size``; mean squares take zero where an image ends, the others see where that is."""
        channels = 1 if data_term is mean_squares else 2
        return Objective(self.fixed[size][:, :channels], self.moving[size][:, :channels], data_term, regularizer)

    def select(self, rows: Tensor) -> "PairGrids":
        """The pairs ``rows`` (indices) only."""
        return PairGrids(
            {size: images[rows] for size, images in self.fixed.items()}, {size: images[rows] for size, images in self.moving.items()}
        )

    def swapped(self) -> "PairGrids":
        """The pairs with fixed and moving exchanged."""
        return PairGrids(self.moving, self.fixed)

    def cost(self, size: int) -> float:
        """Cost of one evaluation on the grid of ``size``, in evaluations on the finest."""
        return float((size / self.finest) ** self.dimension)
