"""Correlation: two images agree that are alike up to a gain, of either sign, and an offset, on the overlap or window by window.

With the coverages c, values that are zero outside, and w = c_fixed c_moving, the sums over the overlap are those of
a = c_moving fixed, b = c_fixed moving and w: weighted statistics without a division by a coverage that may vanish.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .data_terms import CONTENT_FLOOR, EMPTY, DataTerm, IntensityTerm, spread_over, total

_FAINT = 1e-3  # standard deviation of an image that shows nothing, in units of its spread
_LEFT = 0.05  # least share of a change that no gain and no offset can follow
_NO_WEIGHT = 1e-6  # a window with less of the overlap counts as empty


class Correlation(IntensityTerm):
    """Mean squares with the best gain and offset: the share of the fixed image's variance on the overlap that the moving one does not
    explain.

    min over g, o of sum (a - g b - o w)^2, over sum (a - mean w)^2: one minus the square of the normalised correlation.  A gain of its
    own keeps an image that shows nothing from explaining anything: to its variance that of a faint one is added.
    """

    def compare(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        residual, slope, centred, centred_slope = self._fit(fixed, warped)
        cost = total(residual * centred)  # sum of (a - mean w)^2, less what is explained
        by_cost = 2 * residual * slope
        by_content = torch.cat((torch.zeros_like(centred), 2 * centred * centred_slope), 1)
        return cost, total(centred.square()), by_cost, by_content

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        mean = total(values * coverage) / total(coverage.square()).clamp_min(EMPTY)
        floor = CONTENT_FLOOR * total((values - coverage * spread_over(mean, fixed)).square())
        return floor, torch.ones_like(floor)

    def curvature_root(self, fixed: Tensor, warped: Tensor) -> Tensor:
        """Gain and offset are taken for constant."""
        _, slope, centred, _ = self._fit(fixed, warped)
        return slope * spread_over((2 / self.divisor(total(centred.square()), fixed)).sqrt(), fixed)

    def _fit(self, fixed: Tensor, warped: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The residual a - g b - o w ``(B, 1, *S)`` of the best fit, its derivative by warped ``(B, 2, *S)`` with g and o held, a less its
        mean, and the derivative of that by the coverage."""
        values, coverage = fixed[:, :1], fixed[:, 1:]
        a, b, weight = warped[:, 1:] * values, coverage * warped[:, :1], coverage * warped[:, 1:]
        samples = total(weight.square()).clamp_min(EMPTY)
        mean_a, mean_b = (spread_over(total(weight * side) / samples, fixed) for side in (a, b))
        centred_a, centred_b = a - mean_a * weight, b - mean_b * weight
        variance = total(centred_b.square()) + _FAINT**2 * fixed[0, 0].numel()
        gain = spread_over(total(centred_a * centred_b) / variance, fixed)
        slope = torch.cat((-gain * coverage, values - (mean_a - gain * mean_b) * coverage), 1)
        return centred_a - gain * centred_b, slope, centred_a, values - mean_a * coverage


class LocalCorrelation(DataTerm):
    """Correlation in windows that overlap by half, each with a gain and an offset of its own, so that neither another contrast nor
    uneven brightness matters.

    With the variances V and the covariance C of a window, e the square of the standard deviation ``noise`` and q = V / (V + e), D is
    the sum of (q_f^2 + q_m^2) / 2 - C^2 / ((V_f + e) (V_m + e)) over that of (q_f^2 + q_m^2) / 2: a window counts where one of
    the images shows something in it.  A window is two blocks of ``block`` samples wide.
    """

    def __init__(self, block: int, noise: float):
        self.block, self.noise = block, noise

    def at(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor, None]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        a, b, weight = warped[:, 1:] * values, coverage * warped[:, :1], coverage * warped[:, 1:]
        means, (spread_f, spread_m, both), (share_f, share_m) = self._windows(a, b, weight)
        agreement = both.square() * share_f * share_m
        content = 0.5 * ((spread_f * share_f).square() + (spread_m * share_m).square())
        value, by_cost, by_content = self.ratio(total(content - agreement), total(content), fixed)
        by_cost, by_content = (spread_over(number, fixed) for number in (by_cost, by_content))
        # by the variances and the covariance of each window
        by_f, by_m = (
            (by_cost + by_content) * self.noise**2 * spread * share**3 + by_cost * agreement * share
            for spread, share in ((spread_f, share_f), (spread_m, share_m))
        )
        by_both = -2 * by_cost * both * share_f * share_m
        # by the sums of w^2, w a, w b, a^2, b^2 and a b
        mean_f, mean_m = means
        sums = (
            mean_f.square() * by_f + mean_m.square() * by_m + mean_f * mean_m * by_both,
            -2 * mean_f * by_f - mean_m * by_both,
            -2 * mean_m * by_m - mean_f * by_both,
            by_f,
            by_m,
            by_both,
        )
        ww, wa, wb, aa, bb, ab = self._spread_back(torch.cat(sums, 1), fixed).split(1, 1)
        by_a, by_b = 2 * a * aa + weight * wa + b * ab, 2 * b * bb + weight * wb + a * ab
        by_weight = 2 * weight * ww + a * wa + b * wb
        return value, torch.cat((coverage * by_b, values * by_a + coverage * by_weight), 1), None

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        values, coverage = fixed[:, :1], fixed[:, 1:]
        _, (spread, *_), (share, _) = self._windows(values, torch.zeros_like(values), coverage)
        floor = CONTENT_FLOOR * total((spread * share).square())
        return floor, torch.ones_like(floor)

    def curvature_roots(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> Iterator[Tensor]:
        """That of the residuals (f - mean) / V_f^(1/2) - rho (m - mean) / V_m^(1/2) of each window, with V and rho held.

        A window takes up the part of a change that its gain and its offset can follow; of the moving gradient what is left beside them
        tells how much that is.
        """
        values, coverage = fixed[:, :1], fixed[:, 1:]
        a, b, weight = warped[:, 1:] * values, coverage * warped[:, :1], coverage * warped[:, 1:]
        (_, mean), (spread_f, spread_m, both), (share_f, share_m) = self._windows(a, b, weight)
        content = total(0.5 * ((spread_f * share_f).square() + (spread_m * share_m).square()))
        slopes = torch.cat(torch.gradient(b, dim=tuple(range(2, b.ndim))), 1)
        energy, samples = self._averages(torch.cat((slopes.square().sum(1, keepdim=True), weight.square()), 1)).split(1, 1)
        sums, products = self._averages(torch.cat((weight * slopes, b * slopes), 1)).chunk(2, 1)
        followed = sums.square() / (samples + _NO_WEIGHT) + (products - mean * sums).square() * share_m
        left = (1 - followed.sum(1, keepdim=True) / energy.clamp_min(EMPTY)).clamp(_LEFT, 1)
        gain = self._spread_back(both.square() * share_f * share_m.square() * left, fixed)
        root = coverage * (2 * gain).sqrt() * spread_over(self.divisor(content, fixed).rsqrt(), fixed)
        yield torch.cat((root, torch.zeros_like(root)), 1)

    def _windows(self, a: Tensor, b: Tensor, weight: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, ...], tuple[Tensor, Tensor]]:
        """Of each window, ``(B, 1, *W)``: both means; V_f, V_m and C, weighted by the overlap; 1 / (V_f + e) and 1 / (V_m + e)."""
        products = torch.cat((weight * weight, weight * a, weight * b, a * a, b * b, a * b), 1)
        ww, wa, wb, aa, bb, ab = self._averages(products).split(1, 1)
        samples = ww + _NO_WEIGHT
        mean_f, mean_m = wa / samples, wb / samples
        spread_f, spread_m, both = aa - mean_f * wa, bb - mean_m * wb, ab - mean_f * wb
        share_f, share_m = (1 / (spread + self.noise**2) for spread in (spread_f, spread_m))
        return (mean_f, mean_m), (spread_f, spread_m, both), (share_f, share_m)

    def _averages(self, fields: Tensor) -> Tensor:
        """Averages over windows, ``(B, C, *S)`` -> ``(B, C, *W)``: over blocks, then over neighbouring blocks; zeros beyond the end."""
        average = F.avg_pool2d if fields.ndim == 4 else F.avg_pool3d
        lacking = [blocks * self.block - size for size, blocks in zip(fields.shape[2:], self._blocks(fields), strict=True)]
        padding = [number for lack in reversed(lacking) for number in (0, lack)]
        return average(average(F.pad(fields, padding) if any(lacking) else fields, self.block), 2, 1)

    def _spread_back(self, windows: Tensor, like: Tensor) -> Tensor:
        """The transpose of ``_averages``: ``(B, C, *W)`` -> ``(B, C, *S)`` of images ``like``."""
        d = like.ndim - 2
        average = F.avg_pool2d if d == 2 else F.avg_pool3d
        fields = average(F.pad(windows, (1,) * (2 * d)), 2, 1) / self.block**d
        fields = F.interpolate(fields, scale_factor=self.block, mode="nearest")
        return fields[(slice(None), slice(None), *(slice(size) for size in like.shape[2:]))]

    def _blocks(self, fields: Tensor) -> list[int]:
        """How many along each axis, at least the two of a window."""
        return [max(2, -(-size // self.block)) for size in fields.shape[2:]]


correlation = Correlation()
local_correlation = LocalCorrelation(2, 0.02)
