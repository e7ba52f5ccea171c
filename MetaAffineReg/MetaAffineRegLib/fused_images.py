"""The images of a batch as compiled kernels read them, on any device, and what they say beside: floors and prices."""

from functools import cached_property
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .backends import BORDER
from .data_terms import DataTerm, IntensityTerm, MeanSquares
from .normalized_gradients import NormalizedGradients

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class FusedImages:
    """The channels that a data term looks at in a batch of float32 images ``(B, C, *S)`` on one grid, the coverage last.

    fixed: as they are, in one piece; words ``(B, padded samples, W)``: the moving ones bordered, two channels of a sample in one int64 or,
    for mean squares on the CPU, which look at no coverage, the values of a sample and of the row below.
    """

    def __init__(self, fixed: Tensor, words: Tensor):
        self.sizes = tuple(fixed.shape[2:])
        self.fixed, self.words = fixed.contiguous(), words
        self._floors: dict[DataTerm, tuple[Tensor, Tensor]] = {}
        self._every = 1

    @staticmethod
    def in_rows_of_two(data_term: DataTerm, device: torch.device) -> bool:
        """Whether the words for a data term hold values of two rows rather than two channels."""
        return isinstance(data_term, MeanSquares) and device.type == "cpu"

    @classmethod
    def of(cls, fixed: Tensor, moving: Tensor, data_term: DataTerm) -> "FusedImages":
        """Those of images ``(B, 2, *S)``, values and coverage, for a data term; all intensity terms but mean squares look at both."""
        if isinstance(data_term, NormalizedGradients) and fixed.device.type == "cpu":
            from .compiled_edges import gradient_words, normals

            return cls(normals(fixed, data_term.edge), gradient_words(moving))
        if cls.in_rows_of_two(data_term, fixed.device):
            from .compiled_images import bordered_rows

            return cls(fixed, bordered_rows(moving[:, 0]))
        if not isinstance(data_term, IntensityTerm):
            fixed, moving = data_term.fixed_channels(fixed), data_term.moving_channels(moving)
        if fixed.device.type == "cpu":
            from .compiled_images import bordered_words

            return cls(fixed, bordered_words(moving))
        padding = (BORDER,) * (2 * (fixed.ndim - 2)) + (0, moving.shape[1] % 2)
        return cls(fixed, F.pad(moving, padding).movedim(1, -1).contiguous().flatten(1, -2).view(torch.int64))

    def by_rows(self, every: int, copied: bool) -> "FusedImages":
        """The same of which one row in ``every`` of the fixed images counts: by their spans or, ``copied``, in images without the others;
        for data terms that compare where there is coverage."""
        part = object.__new__(FusedImages)
        part.sizes, part.words, part._floors = self.sizes, self.words, {}
        part._every = 1 if copied else every
        part.fixed = self.fixed * rows_of(self.fixed, every) if copied else self.fixed
        return part

    @cached_property
    def arrays(self) -> "tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]":
        """fixed, by rows, ``(B, C, rows, columns)``, and words; on the CPU."""
        return self.fixed.flatten(2, -2).numpy(), self.words.numpy()

    @cached_property
    def bounds(self) -> "tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]":
        """Spans and boxes of what is covered, see ``coverage_bounds``, the spans of rows that do not count empty; on the CPU."""
        from .coverage_bounds import boxes_of, spans_of

        spans = spans_of(self.fixed[:, -1].numpy())
        if self._every > 1:
            spans *= rows_of(self.fixed, self._every).reshape(-1, 1).int().numpy()
        padded = self.words.view(torch.float32).view(len(self.words), *(size + 2 * BORDER for size in self.sizes), -1)
        covered = padded[..., self.fixed.shape[1] - 1].numpy()[:, *[slice(BORDER, -BORDER)] * len(self.sizes)]
        return spans, boxes_of(covered)

    def floor_and_price(self, data_term: DataTerm) -> tuple[Tensor, Tensor]:
        """Those of the data term, see ``data_terms``; kept, since they are asked for often."""
        if data_term not in self._floors:
            if self.fixed.device.type == "cpu":
                from .compiled_floors import floor_and_price

                self._floors[data_term] = floor_and_price(self.arrays[0], self.sizes[-2], data_term, self._every)
            else:
                assert self._every == 1  # rows that do not count are zero there, see ``by_rows``
                self._floors[data_term] = data_term.floor_and_price(self.fixed)
        return self._floors[data_term]


def rows_of(images: Tensor, every: int) -> Tensor:
    """One where one row in ``every`` of images ``(B, C, *S)`` lies, else zero, ``(*rows, 1)``: each plane has others than the next."""
    rows = torch.arange(images.shape[-2], device=images.device)
    if images.ndim == 5:
        rows = rows + every // 2 * torch.arange(images.shape[-3], device=images.device)[:, None]
    return (rows % every == 0).to(images)[..., None]
