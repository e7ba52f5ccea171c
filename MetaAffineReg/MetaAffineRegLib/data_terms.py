"""Data terms D(fixed, warped): how unlike two images on one grid are, and the derivative with respect to the warped one.

Channel 0 of a batch ``(B, C, *S)`` is the image, zero outside; a data term that knows where images end takes the
coverage, one inside and zero outside, as channel 1.
"""

from typing import Protocol

import torch
from torch import Tensor

OVERLAP_FLOOR = 0.25  # share of the fixed image below which the missing part counts as unlike
CONTENT_FLOOR = 0.4  # share of the fixed image's content below which the missing part counts as unexplained
_EMPTY = 1e-12  # content of an image that shows nothing: there is nothing to explain then


class DataTerm(Protocol):
    """A measure of dissimilarity of batches of images."""

    def __call__(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        """D ``(B,)`` in float64 and dD/dwarped ``(B, C, *S)``, both images ``(B, C, *S)``."""

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        """r ``(B, C, *S)``: D is, to first order of its residuals, a sum of squares of r * warped (Gauss-Newton)."""


class MeanSquares:
    """The paper's sum of squared differences, divided by the number of samples so that levels compare; zero outside."""

    def __call__(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        residual = warped - fixed
        samples = residual[0].numel()
        return _sum(residual.square()) / samples, residual * (2 / samples)

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        return torch.full_like(fixed, (2 / fixed[0].numel()) ** 0.5)


class OverlapMeanSquares:
    """Mean squares where both images are: what one of them does not show speaks neither for nor against a map.

    Values and coverage are interpolated alike, so the residual m_fixed moving - m_moving fixed is smooth at the border.
    Below ``OVERLAP_FLOOR`` of the fixed image every missing sample costs the fixed image's mean square, as if it met
    nothing: leaving the image is never rewarded.
    """

    def __call__(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        residual = coverage * warped[:, :1] - warped[:, 1:] * values
        weight = coverage * warped[:, 1:]
        area = _sum(coverage.square())
        overlap = _sum(weight.square())
        floor = OVERLAP_FLOOR * area
        price = _sum(values.square()) / area
        missing = (floor - overlap).clamp_min(0)
        divisor = torch.maximum(overlap, floor)
        value = (_sum(residual.square()) + price * missing) / divisor
        # d value / d overlap: through the divisor above the floor, through the price below
        slope = torch.where(missing > 0, -price, -value) / divisor
        by_residual = residual * _spread(2 / divisor, residual)
        by_weight = weight * _spread(2 * slope, weight)
        return value, torch.cat((by_residual * coverage, by_weight * coverage - by_residual * values), 1)

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        divisor = torch.maximum(_sum((coverage * warped[:, 1:]).square()), OVERLAP_FLOOR * _sum(coverage.square()))
        return torch.cat((coverage, -values), 1) * _spread((2 / divisor).sqrt(), fixed)


class UnexplainedContent:
    """Which share of what the two images show on their overlap the map leaves unexplained: 0 for a match, 1 where nothing agrees.

    The sum of rho(fixed - moving) over that of rho(fixed) + rho(moving), with rho(r) = r^2 / (1 + r^2 / scale^2) (Geman and
    McClure 1985): differences far above ``scale``, as where a slab was cut away, count alike and pull little.  Relative to the
    content, an overlap of backgrounds gains nothing.  Where the overlap holds less than
    ``CONTENT_FLOOR`` of the fixed image's content, what is missing counts as unexplained.
    """

    def __init__(self, scale: float):
        self._scale = scale

    def __call__(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        shown_fixed, shown_moving = warped[:, 1:] * values, coverage * warped[:, :1]
        residual = shown_moving - shown_fixed
        cost, weight = self._rho(residual)
        cost_fixed, weight_fixed = self._rho(shown_fixed)
        cost_moving, weight_moving = self._rho(shown_moving)
        content = _sum(cost_fixed) + _sum(cost_moving)
        floor = self._floor(fixed)
        divisor = torch.maximum(content, floor).clamp_min(_EMPTY)
        missing = (floor - content).clamp_min(0)
        value = (_sum(cost) + missing) / divisor
        # d value / d content: through the divisor above the floor, through what is missing below
        slope = _spread(torch.where(missing > 0, -1.0, -value) * 2 / divisor, residual)
        by_residual = weight * residual * _spread(2 / divisor, residual)
        by_moving = by_residual + slope * weight_moving * shown_moving
        by_fixed = slope * weight_fixed * shown_fixed - by_residual
        return value, torch.cat((by_moving * coverage, by_fixed * values), 1)

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        shown_fixed, shown_moving = warped[:, 1:] * values, coverage * warped[:, :1]
        content = _sum(self._rho(shown_fixed)[0]) + _sum(self._rho(shown_moving)[0])
        weight = self._rho(shown_moving - shown_fixed)[1]
        root = (2 * weight).sqrt() * _spread(torch.maximum(content, self._floor(fixed)).clamp_min(_EMPTY).rsqrt(), fixed)
        return torch.cat((coverage * root, -values * root), 1)

    def _rho(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """rho and its derivative divided by 2 r."""
        square = residual.square()
        share = (square * self._scale**-2).add_(1).reciprocal_()
        return square.mul_(share), share.square_()

    def _floor(self, fixed: Tensor) -> Tensor:
        return 2 * CONTENT_FLOOR * _sum(self._rho(fixed[:, 1:] * fixed[:, :1])[0])


mean_squares = MeanSquares()
overlap_mean_squares = OverlapMeanSquares()
unexplained_content = UnexplainedContent(0.15)
unexplained_detail = UnexplainedContent(0.1)  # for fine grids, where little is averaged away

# What a network may have learned to read, by the name in its configuration.
DATA_TERMS: dict[str, DataTerm] = {"mean_squares": mean_squares, "unexplained_content": unexplained_content}


def overlap(fixed: Tensor, warped: Tensor) -> Tensor:
    """Share of the fixed image's coverage on which the warped image lies too, ``(B,)``; images as in the module's head."""
    return _sum((fixed[:, 1:] * warped[:, 1:]).square()) / _sum(fixed[:, 1:].square())


def _spread(numbers: Tensor, like: Tensor) -> Tensor:
    """``(B,)`` shaped to broadcast over a batch of images, in their dtype."""
    return numbers.to(like).view(-1, *(1,) * (like.ndim - 1))


def _sum(tensor: Tensor) -> Tensor:
    """Sum over all but the batch, ``(B,)``: rows first, then float64, the same for a pair in any batch."""
    return tensor.sum(-1).double().flatten(1).sum(1)
