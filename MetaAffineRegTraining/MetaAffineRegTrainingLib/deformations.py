"""The distribution from which true deformations are drawn."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws


@dataclass(frozen=True)
class DeformationDistribution:
    """Rotations and translations, uniform, as in the paper.

    rotation: largest angle in degrees (2D: U[-r, r]; 3D: any axis, angle U[0, r]); translation: largest shift of
    each coordinate, normalised (0.5 is a quarter of the image); stretch: noise on the entries of A, standard
    deviation as a share of the angle in radians (2D, the paper's Table 5 with 0.15) or as it is (3D); distortion: noise on
    the entries of A whatever the angle, in half of the maps, its standard deviation drawn for each from U[0, distortion];
    scale: each axis is stretched by a factor of 1 / (1 + scale) to 1 + scale, its logarithm uniform; shear: largest shear.
    """

    rotation: float = 60.0
    translation: float = 0.5
    stretch: float = 0.0
    distortion: float = 0.0
    scale: float = 0.0
    shear: float = 0.0

    def sample(self, draws: Draws, dimension: int) -> Tensor:
        """True maps phi, fixed to moving, ``(count, d, d + 1)`` in float64 on the device of the draws."""
        matrix, angle = self._turns(draws, dimension)
        eye = torch.eye(dimension, dtype=torch.float64, device=matrix.device)
        if self.scale or self.shear:
            factors = torch.exp(math.log1p(self.scale) * (2 * draws.uniform("scale", dimension) - 1))
            shears = self.shear * (2 * draws.uniform("shear", dimension, dimension) - 1)
            matrix = matrix @ (eye + shears.triu(1)) @ torch.diag_embed(factors)
        noise = draws.normal("stretch", dimension, dimension)
        plane = dimension == 2
        matrix = matrix + self.stretch * angle.abs()[:, None, None] * noise if plane else matrix @ (eye + self.stretch * noise)
        if self.distortion:
            spread = self.distortion * (2 * draws.uniform("distorted", 1, 1) - 1).clamp_min(0)
            matrix = matrix + spread * draws.normal("distortion", dimension, dimension)
        offset = self.translation * (2 * draws.uniform("translation", dimension, 1) - 1)
        return torch.cat((matrix, offset), -1)

    def _turns(self, draws: Draws, dimension: int) -> tuple[Tensor, Tensor]:
        """Rotations ``(count, d, d)`` and their angles in radians."""
        uniform = draws.uniform("angle")
        count, device = len(draws), uniform.device
        if dimension == 2:
            angle = math.radians(self.rotation) * (2 * uniform - 1)
            generators = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64, device=device).expand(count, 2, 2)
        else:
            angle = math.radians(self.rotation) * uniform
            axis = torch.nn.functional.normalize(draws.normal("axis", 3), dim=1)
            eye = torch.eye(3, dtype=torch.float64, device=device).expand(count, 3, 3)
            generators = torch.linalg.cross(eye, axis[:, None, :].expand(count, 3, 3))
        return torch.linalg.matrix_exp(angle[:, None, None] * generators), angle
