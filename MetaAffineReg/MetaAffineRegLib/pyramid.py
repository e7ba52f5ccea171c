"""From images of any lattice to square or cubic grids in normalised coordinates, fine to coarse."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .backends import Backend
from .geometry import Matrix
from .image import Image
from .sampling import sample_mapped

_SAME = 1e-7  # normalised: far below what float32 tells apart


def resample(
    image: Image,
    frame: Matrix,
    size: int,
    window: tuple[float, float],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    backend: Backend = "torch",
) -> Tensor:
    """The image on a grid of ``size`` samples an axis over [-1, 1]^d of ``frame`` (4 x 4, normalised -> LPS mm), ``(2, *S)``.

    Channel 0 holds values, channel 1 the coverage, one inside the image and zero outside.  Values are
    (v - background) / spread of ``window``, zero beyond the image.  Where the grid is coarser than the image, a Gaussian
    keeps what the grid can't hold from folding back.
    """
    axes = image.geometry.axes
    d = len(axes)
    background, spread = window
    shape = [image.geometry.size[axis] for axis in reversed(axes)]
    values = torch.tensor(image.array.reshape(shape)).to(device=device, dtype=dtype).sub(background).div(spread)[None, None]
    step = 2 * float(np.linalg.norm(frame[:3, 0])) / size
    for position, axis in enumerate(axes):
        values = _smooth(values, values.ndim - 1 - position, step / float(image.geometry.spacing[axis]))
    # normalised z -> index -> coordinates of grid_sample over the image's own lattice
    to_index = np.linalg.inv(image.geometry.index_to_lps) @ frame
    scale = 2 / np.array([image.geometry.size[axis] for axis in axes])
    matrix = to_index[np.ix_(axes, range(d))] * scale[:, None]
    offset = (to_index[list(axes), 3] + 0.5) * scale - 1
    to_lattice = torch.from_numpy(np.concatenate((matrix, offset[:, None]), 1)).to(device)[None]
    both = torch.cat((values, torch.ones_like(values)), 1)
    if set(shape) == {size} and np.allclose(matrix, np.eye(d), atol=_SAME) and np.allclose(offset, 0, atol=_SAME):
        return both[0]  # the grid's samples are the image's
    return sample_mapped(both, to_lattice[None], (size,) * d, backend)[0, 0]


def pyramid(finest: Tensor, sizes: tuple[int, ...]) -> dict[int, Tensor]:
    """``(B, C, *S)`` averaged down to each of ``sizes``, which divide the finest; samples keep their place in [-1, 1]^d."""
    average = F.avg_pool2d if finest.ndim == 4 else F.avg_pool3d
    levels = {finest.shape[-1]: finest}
    for size in sorted(set(sizes) - set(levels), reverse=True):
        finer = min(larger for larger in levels if larger % size == 0)  # the mean of means of as many is the mean
        levels[size] = average(levels[finer], finer // size)
    return {size: levels[size] for size in sizes}


def _smooth(values: Tensor, axis: int, ratio: float) -> Tensor:
    """Gaussian along an axis for a grid ``ratio`` times as coarse as the image."""
    if ratio <= 1.2:
        return values
    sigma = 0.45 * math.sqrt(ratio**2 - 1)
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    moved = values.movedim(axis, -1)
    rows = F.pad(moved.reshape(-1, 1, moved.shape[-1]), (radius, radius), mode="replicate")
    return F.conv1d(rows, (kernel / kernel.sum())[None, None]).reshape(moved.shape).movedim(-1, axis)
