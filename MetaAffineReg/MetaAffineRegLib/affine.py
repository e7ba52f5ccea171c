"""Affine maps phi(z) = A z + b as tensors ``(B, d, d + 1)`` holding ``[A | b]``, in normalised coordinates."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def identity(batch: int, dimension: int, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Tensor:
    """The identity map, ``(B, d, d + 1)``."""
    return torch.eye(dimension, dimension + 1, dtype=dtype, device=device).repeat(batch, 1, 1)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """outer(inner(z)); both ``(B, d, d + 1)``."""
    matrix = outer[..., :-1] @ inner[..., :-1]
    offset = outer[..., :-1] @ inner[..., -1:] + outer[..., -1:]
    return torch.cat((matrix, offset), -1)


def inverse(x: Tensor) -> Tensor:
    """The inverse map, ``(B, d, d + 1)``; raises ``torch.linalg.LinAlgError`` where A is singular."""
    matrix = torch.linalg.inv(x[..., :-1])
    return torch.cat((matrix, -matrix @ x[..., -1:]), -1)


def apply(x: Tensor, points: Tensor) -> Tensor:
    """phi at points ``(B, N, d)``."""
    return points @ x[..., :-1].transpose(-1, -2) + x[..., -1].unsqueeze(-2)


def to_homogeneous(x: Tensor) -> Tensor:
    """``(B, d, d + 1)`` -> ``(B, d + 1, d + 1)``."""
    d = x.shape[-2]
    last = torch.zeros(*x.shape[:-2], 1, d + 1, dtype=x.dtype, device=x.device)
    last[..., -1] = 1
    return torch.cat((x, last), -2)


def from_homogeneous(matrix: Tensor) -> Tensor:
    """``(B, d + 1, d + 1)`` -> ``(B, d, d + 1)``."""
    return matrix[..., :-1, :]


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation nearest to ``(B, d, d)`` in the Frobenius norm, determinant +1 (Kabsch 1976); on the CPU, in whose time a GPU would not
    begin with matrices this small."""
    small = matrix.numpy(force=True)
    if small.shape[-1] == 2:
        angle = np.arctan2(small[..., 1, 0] - small[..., 0, 1], small[..., 0, 0] + small[..., 1, 1])
        rotation = np.empty_like(small)
        rotation[..., 0, 0] = rotation[..., 1, 1] = np.cos(angle)
        rotation[..., 1, 0] = np.sin(angle)
        rotation[..., 0, 1] = -rotation[..., 1, 0]
    else:
        u, _, vh = np.linalg.svd(small)
        u[..., -1] *= np.linalg.det(u @ vh)[..., None]
        rotation = u @ vh
    return torch.from_numpy(rotation).to(matrix.device)


def stretches_within(matrix: NDArray[np.float64], largest: float) -> NDArray[np.bool_]:
    """Which of ``(B, d, d)`` do not mirror and have all singular values between ``largest`` and its inverse, ``(B,)``."""
    if matrix.shape[-1] == 2:  # the halves of sum and difference of the singular values, the smaller of which has the determinant's sign
        (a, b), (c, e) = matrix.transpose(1, 2, 0)
        middle, spread = np.hypot(a + e, c - b) / 2, np.hypot(a - e, c + b) / 2
        greatest, least = middle + spread, middle - spread
    else:
        singular = np.linalg.svd(matrix, compute_uv=False)
        greatest, least = singular[:, 0], np.where(np.linalg.det(matrix) > 0, singular[:, -1], 0)
    return (greatest <= largest) & (least >= 1 / largest)


def as_vectors(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps ``(B, d, d + 1)`` as vectors ``(B, n)`` that lie as far from each other as ``distance`` says."""
    scale = np.append(np.full(x.shape[1], math.sqrt(1 / 3)), 1.0)
    return (x * scale).reshape(len(x), -1)


def mean_squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean over [-1, 1]^d of |x(z) - y(z)|^2, ``(B,)``; both maps ``(B, d, d + 1)``.

    In closed form: coordinates of a uniform grid have mean 0 and variance 1/3 (n to infinity).
    """
    difference = x - y
    return (difference[..., :-1] ** 2).sum((-1, -2)) / 3 + (difference[..., -1] ** 2).sum(-1)


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Its root."""
    return mean_squared_distance(x, y).sqrt()


def angle(rotation: Tensor) -> Tensor:
    """By how much rotations ``(B, d, d)`` turn, in radians, ``(B,)``."""
    d = rotation.shape[-1]
    return ((torch.diagonal(rotation, dim1=-2, dim2=-1).sum(-1) - (d - 2)) / 2).clamp(-1, 1).acos()
