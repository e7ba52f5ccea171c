"""Criteria as sums of products, so that their sums over an overlap are correlations.

The features of a moving image are correlated with partners of the fixed one, which gives two sums: the cost and the content of a data
term (see ``data_terms``).
"""

import math
from typing import Protocol

import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from .data_terms import CONTENT_FLOOR
from .normalized_gradients import NormalizedGradients, entries_of

_SCALE = 0.15  # of an image's spread: intensities that differ by far more count alike
_PERIOD = 3.0  # of the slowest cosine
_FREQUENCY = 2 * math.pi / _PERIOD
_LARGEST = 1.25  # values are held within it, so that no difference comes near the period
_TERMS = 7


class Features(Protocol):
    """How a criterion is written as a sum of products."""

    def channels(self, moving: Tensor) -> Tensor:
        """What is sampled of moving images ``(B, 2, *S)``, ``(B, C, *S)``."""

    def turned(self, channels: Tensor, matrices: Tensor) -> Tensor:
        """The features ``(B, S, K, *S)`` of channels ``(B, S, C, *S)`` sampled under maps of the matrices ``(B, S, d, d)``."""

    def partners(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """The partners of the cost and of the content, ``(B, 2, K, *S)``, and the floor of the content, ``(B,)``."""


class IntensityWaves:
    """The unexplained content with the function of Welsch: rho(f - m) = sum_k a_k (1 - cos(k w f) cos(k w m) - sin(k w f) sin(k w m)).

    Of one difference it is a polynomial in the cosine, see ``RHO``.
    """

    def channels(self, moving: Tensor) -> Tensor:
        return moving

    def turned(self, channels: Tensor, matrices: Tensor) -> Tensor:
        return _waves(channels[:, :, 0], channels[:, :, 1], matrices.shape[-1])

    def partners(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        d = fixed.ndim - 2
        waves = _waves(fixed[:, 0], fixed[:, 1], d)
        inside, cosines = waves[:, 0], waves[:, 1 : _TERMS + 1]
        weights = waves.new_tensor(_WEIGHTS).view(-1, *(1,) * d)
        rho = (weights * (inside[:, None] - cosines)).sum(1)
        signed = torch.cat((weights.sum(0, keepdim=True), -weights, -weights))
        content = torch.cat((rho[:, None] + signed[:1] * inside[:, None], signed[1 : _TERMS + 1] * inside[:, None]), 1)
        content = torch.cat((content, torch.zeros_like(cosines)), 1)
        return torch.stack((signed * waves, content), 1), self.floor(rho)

    def floor(self, rho: Tensor) -> Tensor:
        """That of the content, of rho ``(B, *S)`` of fixed images, ``(B,)``."""
        return 2 * CONTENT_FLOOR * rho.flatten(1).sum(1).clamp_min(1e-6)

    def phases(self, images: Tensor, d: int) -> Tensor:
        """cos(w v) and sin(w v) of images' values v, their coverage, and rho(v) where it is: ``(.., 2, *S)`` -> ``(.., 4, *S)``."""
        values, inside = images.unbind(-d - 1)
        angles = _FREQUENCY * values.clamp(-_LARGEST, _LARGEST)
        cosine = angles.cos()
        rho = torch.full_like(cosine, RHO[-1])
        for coefficient in RHO[-2::-1]:
            rho.mul_(cosine).add_(coefficient)
        return torch.stack((cosine, angles.sin(), inside, rho.mul_(inside)), -d - 1)


class EdgeTensors:
    """Normalised gradient fields, whose criterion is a sum of products as it stands."""

    def __init__(self, data_term: NormalizedGradients):
        self._data_term = data_term

    def channels(self, moving: Tensor) -> Tensor:
        return self._data_term.moving_channels(moving)

    def turned(self, channels: Tensor, matrices: Tensor) -> Tensor:
        d = matrices.shape[-1]
        edges = self._data_term.tensors(channels[:, :, :d].flatten(0, 1), matrices.flatten(0, 1)).unflatten(0, channels.shape[:2])
        covered = channels[:, :, d:]
        return torch.cat((covered, covered * edges.square().sum(2, keepdim=True), covered * edges), 2)

    def partners(self, fixed: Tensor) -> tuple[Tensor, Tensor]:
        channels = self._data_term.fixed_channels(fixed)
        edges, covered = entries_of(channels[:, :-1]), channels[:, -1:]
        half = 0.5 * covered
        content = torch.cat((half * edges.square().sum(1, keepdim=True), half, torch.zeros_like(edges)), 1)
        cost = torch.cat((content[:, :2], -covered * edges), 1)
        return torch.stack((cost, content), 1), self._data_term.floor_and_price(channels)[0].to(fixed).clamp_min(1e-6)


def _waves(values: Tensor, inside: Tensor, d: int) -> Tensor:
    """1, cos(k w v), sin(k w v), k = 1 .., of an image's values v, held within limits, where it is: ``(.., *S)`` -> ``(.., K, *S)``."""
    angles = _FREQUENCY * values.clamp(-_LARGEST, _LARGEST)
    cosine, sine = angles.cos(), angles.sin()
    cosines, sines = [inside, inside * cosine], [inside * sine]
    for k in range(1, _TERMS):  # the sum of two angles
        cosines.append(cosines[k] * cosine - sines[k - 1] * sine)
        sines.append(sines[k - 1] * cosine + cosines[k] * sine)
    return torch.stack((*cosines, *sines), -d - 1)


def _welsch_series() -> list[float]:
    """Weights a_1 .. of 1 - exp(-r^2 / (2 scale^2)) = sum_k a_k (1 - cos(k w r)), w being ``_FREQUENCY``."""
    r = (torch.arange(4000, dtype=torch.float64) / 4000 - 0.5) * _PERIOD
    kernel = torch.exp(-0.5 * (r / _SCALE).square())
    return [float((kernel * torch.cos(k * _FREQUENCY * r)).mean()) * 2 for k in range(1, _TERMS + 1)]


_WEIGHTS = _welsch_series()
# rho as a polynomial in the cosine of the difference's angle, cos(k a) being the Chebyshev polynomial T_k(cos a); from the constant on.
RHO: tuple[float, ...] = tuple(chebyshev.cheb2poly([sum(_WEIGHTS), *(-weight for weight in _WEIGHTS)]).tolist())

INTENSITY_WAVES = IntensityWaves()
