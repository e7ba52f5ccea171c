"""The regularizer S of equation (1): how much an affine map distorts.

S(x) is the mean over the axes of log^2 of the singular values of A A_0^-1, A_0 being the matrix from which registration sets
out.  It is zero for a turned and shifted A_0 and alike for a size and its inverse.  Of two maps that explain the images about equally
well, the one that distorts less is more likely the true one.  It pulls towards
undistorted maps; a caller weighs it by how little the images say.
"""

import torch
from torch import Tensor

SMALLEST = 1e-6  # singular value; below it a map is as distorted as there


class Distortion:
    """weight times S, and its derivatives; reference: matrices A_0 ``(B, d, d)``, weight: one for all or ``(B,)``."""

    def __init__(self, reference: Tensor, weight: float | Tensor):
        self.inverse = torch.linalg.inv(reference)
        self.weight = torch.as_tensor(weight, dtype=reference.dtype, device=reference.device).expand(len(reference))

    def weighted(self, weight: Tensor) -> "Distortion":
        """With another weight, ``(B,)``."""
        other = object.__new__(Distortion)
        other.inverse, other.weight = self.inverse, weight
        return other

    def value(self, x: Tensor) -> Tensor:
        """At x ``(B, d, d + 1)``, ``(B,)``."""
        singular = torch.linalg.svdvals(x[..., :-1] @ self.inverse).clamp_min(SMALLEST)
        return self.weight * singular.log().square().mean(1)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The value ``(B,)`` and its derivative ``(B, d, d + 1)``: of a function of the singular values it is U f'(s) V'."""
        u, singular, vh = torch.linalg.svd(x[..., :-1] @ self.inverse)
        logarithms = singular.clamp_min(SMALLEST).log()
        slope = 2 / x.shape[1] * self.weight[:, None] * logarithms / singular.clamp_min(SMALLEST)
        by_matrix = (u * slope[:, None]) @ vh @ self.inverse.mT
        return self.weight * logarithms.square().mean(1), torch.cat((by_matrix, torch.zeros_like(x[..., -1:])), -1)

    def curvature(self, x: Tensor) -> Tensor:
        """Its Gauss-Newton matrix as if the map were undistorted, ``(B, n, n)``: there log of the stretch is the symmetric part of R'dA."""
        d = x.shape[1]
        u, _, vh = torch.linalg.svd(x[..., :-1] @ self.inverse)
        changes = torch.eye(d * (d + 1), dtype=x.dtype, device=x.device).view(-1, d, d + 1)[..., :-1]
        turned = (u @ vh).mT[:, None] @ (changes @ self.inverse[:, None])
        stretch = ((turned + turned.mT) / 2).flatten(2)
        return 2 / d * self.weight[:, None, None] * (stretch @ stretch.mT)

    def select(self, rows: Tensor) -> "Distortion":
        part = object.__new__(Distortion)
        part.inverse, part.weight = self.inverse[rows], self.weight[rows]
        return part
