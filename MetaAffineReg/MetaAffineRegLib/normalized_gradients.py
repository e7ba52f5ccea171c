"""Normalised gradient fields: where two images have edges along the same lines, whatever their contrasts.

With the gradient g of an image and u = A' g, the gradient of the moved image, both become tensors T = n n', n being u / sqrt(|u|^2 +
eps^2): edges without strength and without sign (Haber and Modersitzki, MICCAI 2006, whose (n_f . n_m)^2 is the product T_f : T_m).  The
term is the share of both images' edges on their overlap that the map leaves unexplained,

    sum c |T_f - T_m|^2 / 2  over  sum c (|T_f|^2 + |T_m|^2) / 2,

c being the product of the coverages: a sum of squares with a floor, like the unexplained content of intensities.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .data_terms import CONTENT_FLOOR, DataTerm, total

LEAST_EDGES = 1e-12  # of |T_f| |T_m|; below it there are no two lines


class NormalizedGradients(DataTerm):
    """The term in channels: of the fixed image n, of the moving one g, and the coverage of either last."""

    def __init__(self, edge: float):
        self.edge = edge  # eps: change of the intensity from one sample to the next that counts half as an edge

    def fixed_channels(self, images: Tensor) -> Tensor:
        return self.normals(*gradients(images))

    def moving_channels(self, images: Tensor) -> Tensor:
        return torch.cat(gradients(images), 1)

    def normals(self, gradient: Tensor, coverage: Tensor) -> Tensor:
        """n of gradients ``(B, d, *S)``, and the coverage, ``(B, d + 1, *S)``."""
        return torch.cat((gradient * (gradient.square().sum(1, keepdim=True) + self.edge**2).rsqrt(), coverage), 1)

    def at(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d = matrix.shape[-1]
        matrix = matrix.to(warped)
        edges, covered = fixed[:, :-1], fixed[:, -1]
        gradient, coverage = warped[:, :d], warped[:, d]
        u = _turned(gradient, matrix)
        square = u.square().sum(1)
        inverse = 1 / (square + self.edge**2)
        share = square * inverse  # |T_m|
        common = covered * coverage
        along = (edges * u).sum(1)
        agreement = along.square() * inverse  # T_f : T_m
        content = 0.5 * (edges.square().sum(1).square() + share.square())
        value, by_cost, by_content = self.ratio(total(common * (content - agreement)), total(common * content), fixed)
        # by u: of |T_m|^2 / 2 and of T_f : T_m
        by_share = (share * inverse * (2 - 2 * share))[:, None] * u
        by_agreement = 2 * inverse[:, None] * (along[:, None] * edges - agreement[:, None] * u)
        weights = [number.to(warped).view(-1, *(1,) * d) for number in (by_cost, by_content)]
        both = weights[0] + weights[1]
        by_u = common[:, None] * (both[:, None] * by_share - weights[0][:, None] * by_agreement)
        by_coverage = covered * (both * content - weights[0] * agreement)
        by_matrix = _outer(gradient, by_u)
        return value, torch.cat((_turned(by_u, matrix.mT), by_coverage[:, None]), 1), by_matrix

    def tensors(self, gradient: Tensor, matrix: Tensor) -> Tensor:
        """The entries of T, ``(B, n, *S)``, of images whose gradients ``(B, d, *S)`` are seen under maps of the matrices ``(B, d, d)``."""
        u = _turned(gradient, matrix.to(gradient))
        return entries_of(u) / (u.square().sum(1, keepdim=True) + self.edge**2)

    def floor_and_price(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        floor = CONTENT_FLOOR * total(fixed[:, -1] * fixed[:, :-1].square().sum(1).square())
        return floor, torch.ones_like(floor)

    def curvature_roots(self, fixed: Tensor, warped: Tensor, matrix: Tensor) -> Iterator[Tensor]:
        """One for each entry of T; what a change of A does to u beside moving the samples is left out.

        Samples count as far as both edges are along one line: the residuals of the others are large, and their part of the curvature,
        which Gauss and Newton leave out, takes back what they add, most of all where the lines are those of noise.
        """
        d = matrix.shape[-1]
        matrix = matrix.to(warped)
        u = _turned(warped[:, :d], matrix)
        square = u.square().sum(1)
        inverse = 1 / (square + self.edge**2)
        moved, share = entries_of(u) * inverse[:, None], square * inverse
        common = fixed[:, -1] * warped[:, d]
        content = 0.5 * (fixed[:, :-1].square().sum(1).square() + share.square())
        divisor = self.divisor(total(common * content), fixed)
        shared = shared_line((fixed[:, :-1] * u).sum(1).square() * inverse, fixed[:, :-1].square().sum(1) * share, d)
        weight = (common.clamp_min(0) * shared / divisor.to(warped).view(-1, *(1,) * d)).sqrt()
        for entry, (i, j) in enumerate(_entries(d)):
            by_u = -2 * moved[:, entry, None] * u
            by_u[:, i] += _factor(i, j) * u[:, j]
            by_u[:, j] += _factor(i, j) * u[:, i]
            root = weight[:, None] * inverse[:, None] * by_u
            yield torch.cat((_turned(root, matrix.mT), torch.zeros_like(warped[:, d:])), 1)


normalized_gradients = NormalizedGradients(0.015)
faint_gradients = NormalizedGradients(0.004)  # for fine grids, where more samples are averaged and contours alone would mislead


def shared_line(agreement: Tensor, product: Tensor, d: int) -> Tensor:
    """How far two edges are along one line, from T_f : T_m and |T_f| |T_m|: one where they are, zero as on average over all directions or
    less."""
    return ((d * agreement / product.clamp_min(LEAST_EDGES) - 1) / (d - 1)).clamp_min(0)


def gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of the slightly smoothed values, a sample being the unit, ``(B, d, *S)`` in the order x, y, z, and the coverage
    ``(B, 1, *S)`` of the samples that are covered all around; elsewhere both are zero."""
    values, coverage = images[:, :1], images[:, 1:]
    d = values.ndim - 2
    axes = range(d + 1, 1, -1)  # x is the last axis
    smooth, covered = values, coverage
    for axis in axes:
        earlier, later = _neighbours(smooth, axis)
        smooth = (earlier + smooth + later) / 3
        earlier, later = _neighbours(covered, axis)
        covered = torch.minimum(torch.minimum(earlier, covered), later)
    covered = (covered > 0.999).to(values)
    differences = []
    for axis in axes:
        earlier, later = _neighbours(smooth, axis)
        differences.append((later - earlier) / 2)
    return torch.cat(differences, 1).mul_(covered), covered


def _neighbours(images: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Of each sample those before and after it along an axis, at a border the sample itself."""
    n = images.shape[axis]
    return (
        torch.cat((images.narrow(axis, 0, 1), images.narrow(axis, 0, n - 1)), axis),
        torch.cat((images.narrow(axis, 1, n - 1), images.narrow(axis, n - 1, 1)), axis),
    )


def entries_of(vectors: Tensor) -> Tensor:
    """The entries of v v' of fields ``(B, d, *S)``, ``(B, n, *S)``, those beside the diagonal times the root of two."""
    return torch.stack([_factor(i, j) * vectors[:, i] * vectors[:, j] for i, j in _entries(vectors.shape[1])], 1)


def _entries(d: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(d) for j in range(i, d)]


def _factor(i: int, j: int) -> float:
    return 1.0 if i == j else math.sqrt(2)


def _turned(fields: Tensor, matrix: Tensor) -> Tensor:
    """matrix' v of the vectors v of fields ``(B, d, *S)``."""
    return (matrix.mT @ fields.flatten(2)).view_as(fields)


def _outer(fields: Tensor, others: Tensor) -> Tensor:
    """Sum of v w' over the samples, ``(B, d, d)`` in float64."""
    return (fields.flatten(2) @ others.flatten(2).mT).double()
