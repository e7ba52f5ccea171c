"""Mutual information: how much the intensities of one image tell about those of the other, whatever takes the ones to the others.

The joint histogram of the overlap is a Parzen estimate: each sample, weighted by the product of both coverages, counts in one bin of the
fixed intensities and, by a cubic B-spline, in four of the moving ones (Mattes et al., IEEE TMI 2003).  With the entropies H,
the term is one minus 2 (H_f + H_m - H_fm) / (H_f + H_m), the symmetric share of the information (Maes et al., IEEE TMI 1997, the entropy
correlation) that the map leaves unexplained.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from .data_terms import CONTENT_FLOOR, DataTerm, spread_over

_LARGEST = 1.25  # values beyond it, in units of an image's spread, count alike
_FLAT = 1e-6  # an image whose values differ by less shows nothing
_PRIOR = 0.1  # share of samples
_NEVER = 1e-30  # counts below it have the logarithm of this
_NOTHING = 1e-6  # coverage below it has no value


class MutualInformation(DataTerm):
    """The term in channels: of the fixed image the number of the bin, of the moving one the place between bins, and coverages last."""

    def __init__(self, bins: int):
        self.bins = bins  # of either image, over the range of its values

    def fixed_channels(self, images: Tensor) -> Tensor:
        place, coverage = self._places(images)
        return torch.cat((place.round(), coverage), 1)

    def moving_channels(self, images: Tensor) -> Tensor:
        place, coverage = self._places(images)
        return torch.cat((place * coverage, coverage), 1)

    def at(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor, None]:
        weight = fixed[:, 1:] * warped[:, 1:]
        place = self._place_of(warped)
        index, splines, slopes = self._supports(fixed, place)
        joint = self._histogram(index, splines, weight)
        of_fixed, of_moving, all_of_it = joint.sum(2, keepdim=True), joint.sum(1, keepdim=True), joint.sum((1, 2))
        entropies = [_n_log_n(counts).sum((1, 2)) for counts in (of_fixed, of_moving, joint)]
        half = 0.5 * (entropies[0] + entropies[1])
        cost, content = half - entropies[2], _n_log_n(all_of_it) - half
        value, by_cost, by_content = (number.view(-1, 1, 1) for number in self.ratio(cost, content, fixed))
        logarithms = 0.5 * (_log(of_fixed) + _log(of_moving))
        by_joint = by_cost * (logarithms - _log(joint)) + by_content * (_log(all_of_it).view(-1, 1, 1) - logarithms)
        by_joint = by_joint.flatten().to(warped)
        looked_up = [by_joint[index + j] for j in range(4)]
        by_weight = sum(spline * number for spline, number in zip(splines, looked_up, strict=True))
        by_place = sum(slope * number for slope, number in zip(slopes, looked_up, strict=True))
        covered = fixed[:, 1:]
        return value.flatten(), torch.cat((covered * by_place, covered * (by_weight - by_place * place)), 1), None

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        index = self._rows(fixed) * self.bins + fixed[:, :1].long()
        counts = _counted(index, fixed[:, 1:], len(fixed) * self.bins).view(len(fixed), self.bins)
        floor = CONTENT_FLOOR * (_n_log_n(counts.sum(1)) - _n_log_n(counts).sum(1))
        return floor, torch.ones_like(floor)

    def curvature_roots(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> Iterator[Tensor]:
        """The Fisher information of the moving intensities, if the fixed ones scattered normally about their mean given the moving one.

        That of the histogram itself would be many times too large: a bin that holds few samples changes with each of them.
        """
        weight = fixed[:, 1:] * warped[:, 1:]
        index, splines, _ = self._supports(fixed, self._place_of(warped))
        joint = self._histogram(index, splines, weight)
        of_fixed, of_moving, all_of_it = joint.sum(2, keepdim=True), joint.sum(1, keepdim=True), joint.sum((1, 2))
        content = _n_log_n(all_of_it) - 0.5 * (_n_log_n(of_fixed).sum((1, 2)) + _n_log_n(of_moving).sum((1, 2)))
        bins = torch.arange(self.bins, dtype=joint.dtype, device=joint.device)[:, None]
        prior = of_fixed * (_PRIOR / self.bins)  # as if each moving bin also held some samples like all others
        counts = (joint + prior).sum(1).clamp_min(_NEVER)
        mean = (bins * (joint + prior)).sum(1) / counts
        variance = (bins.square() * (joint + prior)).sum(1) / counts - mean.square() + 1 / 12  # of the width of a bin
        information = (torch.gradient(mean, dim=1)[0].square() / variance).flatten().to(warped)
        first = index % self.bins + self._rows(fixed) * self.bins
        told = sum(spline * information[first + j] for j, spline in enumerate(splines))
        root = (weight.clamp_min(0) * told).sqrt() * spread_over(self.divisor(content, fixed).rsqrt(), fixed)
        yield torch.cat((root, torch.zeros_like(root)), 1)

    def _places(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Intensities as places between the bins, 1 to ``bins`` - 2 over an image's range, ``(B, 1, *S)``, and the coverage."""
        coverage = images[:, 1:]
        there = coverage > 0.5
        values = (images[:, :1] / coverage.clamp_min(_NOTHING)).clamp(-_LARGEST, _LARGEST)
        axes = tuple(range(1, images.ndim))
        lowest = torch.where(there, values, torch.inf).amin(axes, keepdim=True)
        highest = torch.where(there, values, -torch.inf).amax(axes, keepdim=True)
        share = (values - lowest) / (highest - lowest).clamp_min(_FLAT)
        return 1 + (self.bins - 3) * share.nan_to_num(0).clamp(0, 1), coverage

    def _place_of(self, warped: Tensor) -> Tensor:
        """Places of interpolated intensities; the lowest where there is none."""
        coverage = warped[:, 1:]
        return torch.where(coverage > _NOTHING, warped[:, :1] / coverage.clamp_min(_NOTHING), 1.0).clamp(1, self.bins - 2)

    def _supports(self, fixed: Tensor, place: Tensor) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Of each sample the first of the four cells of all histograms in which it counts, by how much, and the derivatives of that."""
        first = place.floor().clamp(1, self.bins - 3)
        x = place - first
        index = (self._rows(fixed) * self.bins + fixed[:, :1].long()) * self.bins + first.long() - 1
        y = 1 - x
        splines = (y**3 / 6, (3 * x**3 - 6 * x**2 + 4) / 6, (3 * y**3 - 6 * y**2 + 4) / 6, x**3 / 6)
        slopes = (-(y**2) / 2, (3 * x**2 - 4 * x) / 2, (4 * y - 3 * y**2) / 2, x**2 / 2)
        return index, splines, slopes

    def _histogram(self, index: Tensor, splines: tuple[Tensor, ...], weight: Tensor) -> Tensor:
        """Joint histograms ``(B, bins, bins)`` in float64, fixed by moving."""
        cells = len(index) * self.bins**2
        counts = [_counted(index + j, weight * spline, cells) for j, spline in enumerate(splines)]
        return torch.stack(counts).sum(0).view(-1, self.bins, self.bins)

    def _rows(self, images: Tensor) -> Tensor:
        """The number of each pair, to broadcast over its samples."""
        return torch.arange(len(images), device=images.device).view(-1, *(1,) * (images.ndim - 1))


def _counted(index: Tensor, weight: Tensor, cells: int) -> Tensor:
    """Sums of weights by cell, sample after sample in float64, ``(cells,)``."""
    return torch.bincount(index.flatten(), weight.flatten().double(), minlength=cells)


def _log(counts: Tensor) -> Tensor:
    return counts.clamp_min(_NEVER).log()


def _n_log_n(counts: Tensor) -> Tensor:
    return counts * _log(counts)


mutual_information = MutualInformation(32)
