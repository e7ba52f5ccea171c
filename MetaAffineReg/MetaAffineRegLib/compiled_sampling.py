"""``sampling.sample_mapped``, compiled for the CPU by numba: what lies outside the images is not even looked at."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .backends import BORDER
from .compiling import compiled
from .kernels import bilinear, place_row
from .threads import share_out


def sample_mapped(images: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Values of images ``(B, C, *S)`` under maps x ``(B, M, d, d + 1)`` on a grid of ``shape``, ``(B, M, C, *shape)``; in float32."""
    sizes, (batch, channels) = tuple(images.shape[2:]), images.shape[:2]
    bordered = F.pad(images, ((BORDER,) * (2 * len(sizes)))).flatten(2).contiguous().numpy()
    maps = np.ascontiguousarray(x.double().numpy())
    rows = int(np.prod(shape[:-1]))
    found = torch.zeros(batch, maps.shape[1], channels, *shape)
    samples = found.view(batch, maps.shape[1], channels, rows, shape[-1]).numpy()
    share_out(
        lambda first, last: sample_rows(bordered, sizes, shape, maps, first, last, samples),
        batch * maps.shape[1] * rows,
    )
    return found


@compiled
def sample_rows(images, sizes, grid, x, first, last, samples):
    """The rows first .. last - 1 of all maps' samples ``(B, M, C, rows, columns)``, one after the other; bordered images
    ``(B, C, padded samples)``."""
    d = len(sizes)
    _, maps, channels, rows, _ = samples.shape
    place, step = np.empty(3), np.empty(3)
    across = np.int32(sizes[d - 1] + 2 * BORDER)
    area = np.int32(across * (sizes[d - 2] + 2 * BORDER))
    for item in range(first, last):
        row, n = item % rows, item // rows
        b, m = n // maps, n % maps
        start, end = place_row(grid, sizes, x[b, m], row, place, step)
        if end <= start:
            continue
        for channel in range(channels):
            out = samples[b, m, channel, row, start:end]
            if d == 2:
                _sample_row(images[b, channel], across, place, step, out)
            else:
                _sample_deep_row(images[b, channel], across, area, place, step, out)


@compiled
def _sample_row(image, across, place, step, out):
    right, down = np.uint64(1), np.uint64(across)
    x, y, dx, dy = np.float32(place[0]), np.float32(place[1]), np.float32(step[0]), np.float32(step[1])
    for i in range(len(out)):
        px, py = x + np.float32(i) * dx, y + np.float32(i) * dy
        ix, iy = np.int32(px), np.int32(py)
        at = np.uint64(iy * across + ix)
        wx, wy = px - np.float32(ix), py - np.float32(iy)
        out[i] = bilinear(image[at], image[at + right], image[at + down], image[at + down + right], wx, wy)[0]


@compiled
def _sample_deep_row(image, across, area, place, step, out):
    right, down, deep = np.uint64(1), np.uint64(across), np.uint64(area)
    x, y, z = np.float32(place[0]), np.float32(place[1]), np.float32(place[2])
    dx, dy, dz = np.float32(step[0]), np.float32(step[1]), np.float32(step[2])
    for i in range(len(out)):
        px, py, pz = x + np.float32(i) * dx, y + np.float32(i) * dy, z + np.float32(i) * dz
        ix, iy, iz = np.int32(px), np.int32(py), np.int32(pz)
        at = np.uint64(iz * area + iy * across + ix)
        wx, wy, wz = px - np.float32(ix), py - np.float32(iy), pz - np.float32(iz)
        near = bilinear(image[at], image[at + right], image[at + down], image[at + down + right], wx, wy)[0]
        at += deep
        far = bilinear(image[at], image[at + right], image[at + down], image[at + down + right], wx, wy)[0]
        out[i] = near + wz * (far - near)
