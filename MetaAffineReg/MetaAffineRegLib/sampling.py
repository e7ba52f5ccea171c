"""Linear interpolation of images under affine maps, and the exact derivative of the interpolant.

Images are tensors ``(B, C, *S)`` with the axes of S in array order (last axis first coordinate), zero
outside.  A sample i of n lies at z = (2 i + 1) / n - 1.  Sums over samples are made pair by pair in
a fixed order, so that a pair's numbers do not depend on which pairs share its batch.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .backends import Backend


def axis_coordinates(size: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
    """Normalised coordinates of the samples along one axis, ``(size,)``; kept, so not to be written to."""
    return _axis_coordinates(size, dtype, torch.device(device))


@lru_cache(maxsize=64)
def _axis_coordinates(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return (2 * torch.arange(size, dtype=torch.float64, device="cpu") + 1).div(size).sub(1).to(device=device, dtype=dtype)


def mapped_grid(x: Tensor, shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """phi(z) at every sample of a grid of ``shape``, ``(B, *shape, d)``; x is ``(B, d, d + 1)``."""
    d = x.shape[1]
    x = x.to(dtype)
    grid = torch.empty(len(x), *shape, d, dtype=dtype, device=x.device)
    for row in range(d):
        total = x[:, row, d].view(-1, *(1,) * d)
        for column in range(d):
            total = total + x[:, row, column].view(-1, *(1,) * d) * _along(column, shape, x)
        grid[..., row] = total
    return grid


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Values of images ``(B, C, *S)`` at grid ``(B, *T, d)``, ``(B, C, *T)``."""
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def sample_mapped(images: Tensor, x: Tensor, shape: tuple[int, ...], backend: Backend = "torch", out: Tensor | None = None) -> Tensor:
    """Values of images ``(B, C, *S)`` under maps x ``(B, M, d, d + 1)`` on a grid of ``shape``, ``(B, M, C, *shape)``; in ``out``, in one
    piece, where that is given and the backend writes there."""
    if backend == "numba":
        from .compiled_sampling import sample_mapped as compiled_sample_mapped

        return compiled_sample_mapped(images, x, shape, out)
    batch, count, d = x.shape[:3]
    grid = mapped_grid(x.flatten(0, 1), shape, images.dtype).view(batch, count * shape[0], *shape[1:], d)
    return sample(images, grid).view(batch, -1, count, *shape).transpose(1, 2)


def grid_derivative(images: Tensor, grid: Tensor, cotangent: Tensor) -> Tensor:
    """cotangent ``(B, C, *T)`` times the derivative of ``sample`` with respect to the grid, ``(B, *T, d)``.

    This differentiates the interpolant itself: central differences of the image would not be the gradient of the
    criterion that is minimised, and line searches would stall.
    """
    backward = torch.ops.aten.grid_sampler_2d_backward if grid.shape[-1] == 2 else torch.ops.aten.grid_sampler_3d_backward
    bilinear, zeros = 0, 0
    _, derivative = backward(cotangent, images, grid, bilinear, zeros, False, [False, True])
    return derivative


def pull_back(derivative: Tensor) -> Tensor:
    """Chain rule to the map: sum over z of derivative(z) (z, 1)^T, ``(B, *T, d)`` -> ``(B, d, d + 1)`` in float64."""
    d = derivative.shape[-1]
    shape = derivative.shape[1:-1]
    columns = []
    for column in range(d):
        axis = d - column  # array axis of coordinate `column`, behind the batch axis
        others = [k for k in range(1, d + 1) if k != axis]
        profile = derivative.sum(others).double()  # (B, n, d)
        z = axis_coordinates(shape[axis - 1], dtype=torch.float64, device=derivative.device)
        columns.append((profile * z[:, None]).sum(1))
        if column == d - 1:
            columns.append(profile.sum(1))
    return torch.stack(columns, -1)


def normal_matrix(derivative: Tensor) -> Tensor:
    """Gauss-Newton: sum over z of J'J with J = derivative(z) (z, 1)^T, ``(B, *T, d)`` -> ``(B, n, n)`` in float64.

    Its rows and columns are the n = d (d + 1) entries of [A | b] in the order of ``flatten``.
    """
    d = derivative.shape[-1]
    upper = torch.triu_indices(d, d)
    moments = torch.stack([derivative[..., i] * derivative[..., j] for i, j in upper.T.tolist()], 1)
    for size in reversed(derivative.shape[1:-1]):  # sums over one axis after the other, times 1, z and z squared
        z = axis_coordinates(size, dtype=moments.dtype, device=moments.device)
        moments = (moments @ torch.stack((torch.ones_like(z), z, z.square()), 1)).movedim(-1, 2)
    # now (B, pairs of directions, power of z_d, .., power of z_1)
    powers = torch.zeros(d + 1, d, dtype=torch.long)
    powers[:d] = torch.eye(d, dtype=torch.long).flip(1)
    both = powers[:, None] + powers[None]  # of the product of two entries of (z, 1)
    entries: tuple[slice | Tensor, ...] = (slice(None), slice(None), *both.unbind(-1))
    products = moments[entries].double()  # (B, pairs, d + 1, d + 1)
    place = torch.zeros(d, d, dtype=torch.long)
    place[upper[0], upper[1]] = place[upper[1], upper[0]] = torch.arange(upper.shape[1])
    n = d * (d + 1)
    return products[:, place].permute(0, 1, 3, 2, 4).reshape(-1, n, n)


def _along(coordinate: int, shape: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
    """The coordinate's values, shaped to broadcast over ``(B, *shape)``."""
    d = len(shape)
    axis = d - 1 - coordinate
    view = [1] * (d + 1)
    view[axis + 1] = shape[axis]
    return axis_coordinates(shape[axis], dtype=like.dtype, device=like.device).view(view)
