"""What keeps two images of one object from being alike: noise, another contrast, uneven brightness, a field of view cut short."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws

NOISE_GRID = 128  # samples an axis to which the noise's standard deviation refers
_BIAS_GRID = 3  # samples an axis of the field, interpolated


@dataclass(frozen=True)
class Disturbances:
    """How far the images of a pair are disturbed.

    noise: standard deviation of Gaussian noise on the fixed image, at 128 samples an axis; noise_on_moving: share of the
    pairs whose moving image has it too; crop: share of the pairs of which a slab of 10 to 35 % is cut off the moving image;
    contrast: the intensities of the moving image are raised to a power between exp(-contrast) and exp(contrast); bias: standard
    deviation of the logarithm of a smooth field that multiplies the moving image.
    """

    noise: float = 0.05
    noise_on_moving: float = 0.0
    crop: float = 0.0
    contrast: float = 0.0
    bias: float = 0.0

    def applied(self, fixed: Tensor, moving: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Fixed and moving images ``(count, 1, *S)``, disturbed."""
        rows = (-1, *(1,) * (moving.ndim - 1))
        if self.contrast:
            power = torch.exp(self.contrast * (2 * draws.uniform("contrast") - 1)).to(moving.dtype)
            moving = moving.sign() * moving.abs().pow(power.view(rows))
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


def _field(spread: float, like: Tensor, draws: Draws) -> Tensor:
    """Smooth positive fields ``(count, 1, *S)`` around one."""
    d = like.ndim - 2
    coarse = draws.normal("bias", 1, *(_BIAS_GRID,) * d, dtype=like.dtype)
    fine = F.interpolate(coarse, like.shape[2:], mode="bilinear" if d == 2 else "trilinear", align_corners=True)
    return torch.exp(spread * fine.clamp(-math.e, math.e))
