"""What keeps two images of one object from being alike: noise, another contrast, uneven brightness, a field of view cut short."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws

NOISE_GRID = 128  # samples an axis to which the noise's standard deviation refers
_BIAS_GRID = 3  # samples an axis of the field, interpolated
_PIECES = 4  # of a curve
_BACKGROUND = 0.02  # intensities up to it are background


@dataclass(frozen=True)
class Disturbances:
    """How far the images of a pair are disturbed.

    noise: standard deviation of Gaussian noise on the fixed image, at 128 samples an axis; noise_on_moving: share of the
    pairs whose moving image has it too; crop: share of the pairs of which a slab of 10 to 35 % is cut off the moving image;
    contrast: the intensities of the moving image are raised to a power between exp(-contrast) and exp(contrast); curve: share of the
    pairs whose moving intensities go through a random monotone curve, a rising or a falling one; bias: standard deviation of the
    logarithm of a smooth field that multiplies the moving image.
    """

    noise: float = 0.05
    noise_on_moving: float = 0.0
    crop: float = 0.0
    contrast: float = 0.0
    bias: float = 0.0
    curve: float = 0.0

    def applied(self, fixed: Tensor, moving: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Fixed and moving images ``(count, 1, *S)``, disturbed."""
        rows = (-1, *(1,) * (moving.ndim - 1))
        if self.contrast:
            power = torch.exp(self.contrast * (2 * draws.uniform("contrast") - 1)).to(moving.dtype)
            moving = moving.sign() * moving.abs().pow(power.view(rows))
        if self.curve:
            chosen = draws.uniform("another contrast") < self.curve
            moving = torch.where(chosen.view(rows), _through_a_curve(moving, draws), moving)
        if self.bias:
            moving = moving * _field(self.bias, moving, draws)
        if self.crop:
            moving = self._cropped(moving, draws)
        if self.noise:
            sigma = self.noise * (fixed.shape[-1] / NOISE_GRID) ** ((fixed.ndim - 2) / 2)
            fixed = fixed + sigma * draws.normal("noise", *fixed.shape[1:], dtype=fixed.dtype)
            if self.noise_on_moving:
                chosen = (draws.uniform("noisy") < self.noise_on_moving).view(rows)
                moving = moving + sigma * draws.normal("noise on moving", *moving.shape[1:], dtype=moving.dtype) * chosen
        return fixed, moving

    def _cropped(self, moving: Tensor, draws: Draws) -> Tensor:
        """A slab at one end of one axis set to zero, in the share of the images that is cropped."""
        d, device = moving.ndim - 2, moving.device
        drawn = draws.uniform("crop", 4).unbind(1)
        cut = torch.where(drawn[0] < self.crop, 0.10 + 0.25 * drawn[1], 0.0)
        axis, end = (drawn[2] * d).long(), drawn[3] < 0.5
        for k in range(d):
            n = moving.shape[k + 2]
            place = (torch.arange(n, device=device) + 0.5) / n
            gone = torch.where(end[:, None], place > 1 - cut[:, None], place < cut[:, None]) & (axis == k)[:, None]
            moving = moving.masked_fill(gone.view(len(moving), 1, *(n if i == k else 1 for i in range(d))), 0.0)
        return moving


def _through_a_curve(images: Tensor, draws: Draws) -> Tensor:
    """Images ``(count, 1, *S)`` of a spread of one with other intensities, piecewise linear in the old ones; the background stays."""
    steps = -draws.uniform("curve", _PIECES).clamp_min(1e-12).log()  # their shares are those of a Dirichlet distribution
    levels = F.pad(steps.cumsum(1) / steps.sum(1, keepdim=True), (1, 0))
    ends = draws.uniform("ends of the curve", 2)
    levels = 0.05 + 0.25 * ends[:, :1] + (0.4 + 0.3 * ends[:, 1:]) * levels
    levels = torch.where(draws.uniform("falling", 1) < 0.5, levels.flip(1), levels).to(images.dtype)
    place = images.flatten(1).clamp(0, 1) * _PIECES
    piece = place.long().clamp(max=_PIECES - 1)
    low, high = levels.gather(1, piece), levels.gather(1, piece + 1)
    changed = (low + (place - piece) * (high - low)).view_as(images)
    return torch.where(images > _BACKGROUND, changed, 0.0)


def _field(spread: float, like: Tensor, draws: Draws) -> Tensor:
    """Smooth positive fields ``(count, 1, *S)`` around one."""
    d = like.ndim - 2
    coarse = draws.normal("bias", 1, *(_BIAS_GRID,) * d, dtype=like.dtype)
    fine = F.interpolate(coarse, like.shape[2:], mode="bilinear" if d == 2 else "trilinear", align_corners=True)
    return torch.exp(spread * fine.clamp(-math.e, math.e))
