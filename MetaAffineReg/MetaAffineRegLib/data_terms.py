"""Data terms D(fixed, warped): how unlike two images on one grid are, and the derivative with respect to the warped one.

Channel 0 of a batch ``(B, C, *S)`` is the image, zero outside; a data term that knows where images end takes the
coverage, one inside and zero outside, as channel 1.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

OVERLAP_FLOOR = 0.25  # share of the fixed image below which the missing part counts as unlike
CONTENT_FLOOR = 0.4  # share of the fixed image's content below which the missing part counts as unexplained
EMPTY = 1e-12  # content of an image that shows nothing: there is nothing to explain then


class DataTerm(ABC):
    """A measure of dissimilarity of batches of images: the cost of their differences over the content in which these were found.

    D = (cost + price * missing) / max(content, floor), with missing = max(floor - content, 0): below the floor, which the fixed image
    sets, each missing part of the content has its price, so that leaving the image is never rewarded.
    """

    def fixed_channels(self, images: Tensor) -> Tensor:
        """What the term looks at in fixed images ``(B, 2, *S)``, values and coverage."""
        return images

    def moving_channels(self, images: Tensor) -> Tensor:
        """What it looks at in moving images."""
        return self.fixed_channels(images)

    @abstractmethod
    def at(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """D ``(B,)`` in float64, dD/dwarped ``(B, C, *S)`` and, where D depends on it besides, dD/dA ``(B, d, d)``.

        fixed, warped: channels of both images, the moving ones under maps of the matrices A ``(B, d, d)``.
        """

    @abstractmethod
    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """Both ``(B,)`` in float64."""

    @abstractmethod
    def curvature_roots(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> Iterator[Tensor]:
        """r_1 .. ``(B, C, *S)``: D is, to first order of its residuals, a sum of squares of the r_k * warped (Gauss-Newton)."""

    def ratio(self, cost: Tensor, content: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """D and its derivatives by cost and content, all ``(B,)``."""
        return floored_ratio(cost, content, *self.floor_and_price(fixed))

    def divisor(self, content: Tensor, fixed: Tensor) -> Tensor:
        """max(content, floor)."""
        return floored(content, self.floor_and_price(fixed)[0])


class IntensityTerm(DataTerm):
    """A data term that compares the images themselves."""

    def __call__(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        """D ``(B,)`` in float64 and dD/dwarped ``(B, C, *S)``, both images ``(B, C, *S)``."""
        cost, content, slope_of_cost, slope_of_content = self.compare(fixed, warped)
        value, by_cost, by_content = self.ratio(cost, content, fixed)
        return value, slope_of_cost * spread_over(by_cost, fixed) + slope_of_content * spread_over(by_content, fixed)

    def at(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor, None]:
        return *self(fixed, warped), None

    def curvature_roots(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> Iterator[Tensor]:
        yield self.curvature_root(fixed, warped)

    @abstractmethod
    def compare(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cost and content ``(B,)`` in float64, and their derivatives by warped ``(B, C, *S)``."""

    @abstractmethod
    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        """The one r ``(B, C, *S)`` of ``curvature_roots``."""


class MeanSquares(IntensityTerm):
    """The paper's sum of squared differences, divided by the number of samples so that levels compare; zero outside."""

    def fixed_channels(self, images: Tensor) -> Tensor:
        return images[:, :1]

    def compare(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        residual = warped - fixed
        cost = total(residual.square())
        return cost, torch.zeros_like(cost), 2 * residual, torch.zeros_like(residual)

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        samples = torch.full((len(fixed),), fixed[0, 0].numel(), dtype=torch.float64, device=fixed.device)
        return samples, torch.zeros_like(samples)

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        return torch.full_like(fixed, (2 / fixed[0, 0].numel()) ** 0.5)


class OverlapMeanSquares(IntensityTerm):
    """Mean squares where both images are: what one of them does not show speaks neither for nor against a map.

    Values and coverage are interpolated alike, so the residual m_fixed moving - m_moving fixed is smooth at the border.
    Below ``OVERLAP_FLOOR`` of the fixed image every missing sample costs the fixed image's mean square, as if it met
    nothing.
    """

    def compare(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        residual = coverage * warped[:, :1] - warped[:, 1:] * values
        weight = coverage * warped[:, 1:]
        by_cost = torch.cat((2 * residual * coverage, -2 * residual * values), 1)
        return total(residual.square()), total(weight.square()), by_cost, torch.cat((torch.zeros_like(values), 2 * weight * coverage), 1)

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        area = total(fixed[:, 1:].square())
        return OVERLAP_FLOOR * area, total(fixed[:, :1].square()) / area

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        divisor = self.divisor(total((coverage * warped[:, 1:]).square()), fixed)
        return torch.cat((coverage, -values), 1) * spread_over((2 / divisor).sqrt(), fixed)


class UnexplainedContent(IntensityTerm):
    """Which share of what the two images show on their overlap the map leaves unexplained: 0 for a match, 1 where nothing agrees.

    The sum of rho(fixed - moving) over that of rho(fixed) + rho(moving), with rho(r) = r^2 / (1 + r^2 / scale^2) (Geman and
    McClure 1985): differences far above ``scale``, as where a slab was cut away, count alike and pull little.  Relative to the
    content, an overlap of backgrounds gains nothing.  Where the overlap holds less than
    ``CONTENT_FLOOR`` of the fixed image's content, what is missing counts as unexplained.
    """

    def __init__(self, scale: float):
        self.scale = scale

    def compare(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        shown_fixed, shown_moving = warped[:, 1:] * values, coverage * warped[:, :1]
        residual = shown_moving - shown_fixed
        cost, weight = self._rho(residual)
        cost_fixed, weight_fixed = self._rho(shown_fixed)
        cost_moving, weight_moving = self._rho(shown_moving)
        slope = 2 * weight * residual
        by_content = torch.cat((2 * weight_moving * shown_moving * coverage, 2 * weight_fixed * shown_fixed * values), 1)
        return total(cost), total(cost_fixed) + total(cost_moving), torch.cat((slope * coverage, -slope * values), 1), by_content

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        floor = 2 * CONTENT_FLOOR * total(self._rho(fixed[:, 1:] * fixed[:, :1])[0])
        return floor, torch.ones_like(floor)

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        shown_fixed, shown_moving = warped[:, 1:] * values, coverage * warped[:, :1]
        content = total(self._rho(shown_fixed)[0]) + total(self._rho(shown_moving)[0])
        weight = self._rho(shown_moving - shown_fixed)[1]
        root = (2 * weight).sqrt() * spread_over(self.divisor(content, fixed).rsqrt(), fixed)
        return torch.cat((coverage * root, -values * root), 1)

    def _rho(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """rho and its derivative divided by 2 r."""
        square = residual.square()
        share = (square * self.scale**-2).add_(1).reciprocal_()
        return square.mul_(share), share.square_()


class UnexplainedSide(UnexplainedContent):
    """Which share of what one of the images shows on the overlap the other leaves unexplained.

    The sum of q rho(fixed - moving) over that of rho(side), with q = rho(side) / scale^2, at most one.  Where something is cut away from
    one image, that one is explained and the other is not; a wrong map explains neither.
    """

    def __init__(self, scale: float, moving: bool):
        super().__init__(scale)
        self.moving = moving  # which side

    def compare(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        shown_fixed, shown_moving = warped[:, 1:] * values, coverage * warped[:, :1]
        side = shown_moving if self.moving else shown_fixed
        residual = shown_moving - shown_fixed
        cost, weight = self._rho(residual)
        content, weight_side = self._rho(side)
        share = content * self.scale**-2
        slope = 2 * weight * residual * share
        by_side = 2 * weight_side * side
        zero = torch.zeros_like(side)
        by_content = torch.cat((by_side * coverage, zero) if self.moving else (zero, by_side * values), 1)
        by_cost = torch.cat((slope * coverage, -slope * values), 1) + cost * self.scale**-2 * by_content
        return total(cost * share), total(content), by_cost, by_content

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        floor, price = super().floor_and_price(fixed)
        return floor / 2, price

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        """How much the side shows is taken for constant."""
        values, coverage = fixed[:, :1], fixed[:, 1:]
        shown_fixed, shown_moving = warped[:, 1:] * values, coverage * warped[:, :1]
        content = self._rho(shown_moving if self.moving else shown_fixed)[0]
        weight = self._rho(shown_moving - shown_fixed)[1] * content * self.scale**-2
        root = (2 * weight).sqrt() * spread_over(self.divisor(total(content), fixed).rsqrt(), fixed)
        return torch.cat((coverage * root, -values * root), 1)


mean_squares = MeanSquares()
overlap_mean_squares = OverlapMeanSquares()
unexplained_content = UnexplainedContent(0.15)
unexplained_detail = UnexplainedContent(0.1)  # for fine grids, where little is averaged away
unexplained_sides = UnexplainedSide(0.1, moving=False), UnexplainedSide(0.1, moving=True)


def floored_ratio(cost: Tensor, content: Tensor, floor: Tensor, price: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """D and its derivatives by cost and content, all ``(B,)``, see ``DataTerm``."""
    divisor = floored(content, floor)
    missing = (floor - content).clamp_min(0)
    value = (cost + price * missing) / divisor
    # d value / d content: through the divisor above the floor, through the price below
    return value, 1 / divisor, torch.where(missing > 0, -price, -value) / divisor


def floored(content: Tensor, floor: Tensor) -> Tensor:
    """max(content, floor), and not zero where an image shows nothing."""
    return torch.maximum(content, floor).clamp_min(EMPTY)


def overlap(fixed: Tensor, warped: Tensor) -> Tensor:
    """Share of the fixed image's coverage on which the warped image lies too, ``(B,)``; images as in the module's head."""
    return total((fixed[:, 1:] * warped[:, 1:]).square()) / total(fixed[:, 1:].square())


def shares(fixed: Tensor, warped: Tensor) -> Tensor:
    """Of what the fixed and the warped image show on their overlap the shares left unexplained (``unexplained_sides``), and the overlap,
    ``(B, 3)``."""
    return torch.stack([*(side(fixed, warped)[0] for side in unexplained_sides), overlap(fixed, warped)], 1)


def spread_over(numbers: Tensor, like: Tensor) -> Tensor:
    """Numbers ``(B,)`` shaped to broadcast over a batch of images, in their dtype."""
    return numbers.to(like).view(-1, *(1,) * (like.ndim - 1))


def total(tensor: Tensor) -> Tensor:
    """Sum over all but the batch, ``(B,)``: rows first, then float64, the same for a pair in any batch."""
    return tensor.sum(-1).double().flatten(1).sum(1)
