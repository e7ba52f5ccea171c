"""How much of what two images show is how bright: no map of the space changes that while both show the whole object, and a cut of it
little, so that it tells another contrast beforehand."""

import torch
from torch import Tensor

DIFFERENT = 0.05  # from there on: on validation pairs of one contrast it is nearly always below, of nine in ten of another above
_BACKGROUND = 0.15  # values that differ from that of the background by less do not count
_LARGEST = 1.5  # beyond it values count as it
_BINS = 96


def brightness_distance(fixed: Tensor, moving: Tensor) -> Tensor:
    """Wasserstein distance between the distributions of the values of images ``(B, 2, *S)``, values and coverage, in their unit;
    ``(B,)``, zero where there are no values."""
    here, there = _distribution(fixed), _distribution(moving)
    empty = (here[:, -1] == 0) | (there[:, -1] == 0)
    return ((here - there).abs().sum(1) * (2 * _LARGEST / _BINS)).masked_fill(empty, 0)


def _distribution(images: Tensor) -> Tensor:
    """Share of the values up to the end of each bin, ``(B, bins)``; zeros where there are none."""
    values, coverage = images.flatten(2).unbind(1)
    places = ((values + _LARGEST) * (_BINS / (2 * _LARGEST))).long().clamp(0, _BINS - 1)
    counted = (coverage > 0.5) & (values.abs() > _BACKGROUND)
    counts = torch.zeros(len(images), _BINS, device=images.device).scatter_add_(1, places, counted.float())  # whole numbers: exact
    return counts.cumsum(1) / counts.sum(1, keepdim=True).clamp(min=1)
