"""The distribution from which true deformations are drawn."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DeformationDistribution:
    """Rotations and translations, uniform, as in the paper.

    rotation: largest angle in degrees (2D: U[-r, r]; 3D: any axis, angle U[0, r]); translation: largest shift of
    each coordinate, normalised (0.5 is a quarter of the image); stretch: noise on the entries of A, standard
    deviation as a share of the angle in radians (2D, the paper's Table 5 with 0.15) or as it is (3D); distortion: noise on
    the entries of A whatever the angle, in half of the maps, its standard deviation drawn for each from U[0, distortion].
    """

    rotation: float = 60.0
    translation: float = 0.5
    stretch: float = 0.0
    distortion: float = 0.0

    def sample(self, count: int, dimension: int, generator: torch.Generator) -> Tensor:
        """True maps phi, fixed to moving, ``(count, d, d + 1)`` in float64 on the generator's device."""
        options = {"generator": generator, "dtype": torch.float64, "device": generator.device}
        uniform = torch.rand(count, **options)  # type: ignore[call-overload]
        if dimension == 2:
            angle = math.radians(self.rotation) * (2 * uniform - 1)
            axis_generators = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64, device=generator.device).expand(count, 2, 2)
        else:
            angle = math.radians(self.rotation) * uniform
            axis = torch.nn.functional.normalize(torch.randn(count, 3, **options), dim=1)  # type: ignore[call-overload]
            axis_generators = torch.linalg.cross(
                torch.eye(3, dtype=torch.float64, device=generator.device).expand(count, 3, 3), axis[:, None, :].expand(count, 3, 3)
            )
        matrix = torch.linalg.matrix_exp(angle[:, None, None] * axis_generators)
        noise = torch.randn(count, dimension, dimension, **options)  # type: ignore[call-overload]
        if dimension == 2:
            matrix = matrix + self.stretch * angle.abs()[:, None, None] * noise
        else:
            matrix = matrix @ (torch.eye(3, dtype=torch.float64, device=generator.device) + self.stretch * noise)
        if self.distortion:
            spread = self.distortion * (2 * torch.rand(count, 1, 1, **options) - 1).clamp_min(0)  # type: ignore[call-overload]
            matrix = matrix + spread * torch.randn(count, dimension, dimension, **options)  # type: ignore[call-overload]
        offset = self.translation * (2 * torch.rand(count, dimension, 1, **options) - 1)  # type: ignore[call-overload]
        return torch.cat((matrix, offset), -1)
