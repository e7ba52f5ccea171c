"""Data terms D(fixed, warped): how unlike two images on one grid are, and the derivative with respect to the warped one.

Channel 0 of a batch ``(B, C, *S)`` is the image, zero outside; a data term that knows where images end takes the
coverage, one inside and zero outside, as channel 1.
"""

from typing import Protocol

import torch
from torch import Tensor

OVERLAP_FLOOR = 0.25  # share of the fixed image below which the missing part counts as unlike


class DataTerm(Protocol):
    """A measure of dissimilarity of batches of images."""

    def __call__(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        """D ``(B,)`` in float64 and dD/dwarped ``(B, C, *S)``, both images ``(B, C, *S)``."""


def mean_squares(fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
    """The paper's sum of squared differences, divided by the number of samples so that levels compare; zero outside."""
    residual = warped - fixed
    samples = residual[0].numel()
    return _sum(residual.square()) / samples, residual * (2 / samples)


def overlap_mean_squares(fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squares where both images are: what one of them does not show speaks neither for nor against a map.

    Values and coverage are interpolated alike, so the residual m_fixed moving - m_moving fixed is smooth at the border.
    Below ``OVERLAP_FLOOR`` of the fixed image every missing sample costs the fixed image's mean square, as if it met
    nothing: leaving the image is never rewarded.
    """
    values, coverage = fixed[:, :1], fixed[:, 1:]
    residual = coverage * warped[:, :1] - warped[:, 1:] * values
    weight = coverage * warped[:, 1:]
    shape = (-1, *(1,) * (fixed.ndim - 1))
    area = _sum(coverage.square())
    overlap = _sum(weight.square())
    floor = OVERLAP_FLOOR * area
    price = _sum(values.square()) / area
    missing = (floor - overlap).clamp_min(0)
    divisor = torch.maximum(overlap, floor)
    value = (_sum(residual.square()) + price * missing) / divisor
    # d value / d overlap: through the divisor above the floor, through the price below
    slope = torch.where(missing > 0, -price, -value) / divisor
    by_residual = residual * (2 / divisor).to(residual).view(shape)
    by_weight = weight * (2 * slope).to(weight).view(shape)
    return value, torch.cat((by_residual * coverage, by_weight * coverage - by_residual * values), 1)


def _sum(tensor: Tensor) -> Tensor:
    """Sum over all but the batch, ``(B,)``: rows first, then float64, the same for a pair in any batch."""
    return tensor.sum(-1).double().flatten(1).sum(1)
