"""From images of any lattice to square or cubic grids in normalised coordinates, fine to coarse."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .backends import Backend
from .geometry import Matrix
from .image import Image
from .large_tensors import room_for
from .sampling import sample_mapped

_SAME = 1e-7  # normalised: far below what float32 tells apart
_IDENTITY = {d: np.eye(d, d + 1) for d in (2, 3)}
_AS_FINE = 1.2  # times the image's spacing: a grid that coarse still holds what the image does


def resample(
    image: Image,
    frame: Matrix,
    size: int,
    window: tuple[float, float],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    backend: Backend = "torch",
    out: Tensor | None = None,
    to_lattice: Matrix | None = None,
) -> Tensor:
    """The image on a grid of ``size`` samples an axis over [-1, 1]^d of ``frame`` (4 x 4, normalised -> LPS mm), ``(2, *S)``; in ``out``
    where that is given; to_lattice: see ``to_lattices``, where it is known.

    Channel 0 holds values, channel 1 the coverage, one inside the image and zero outside.  Values are
    (v - background) / spread of ``window``, zero beyond the image.  Where the grid is coarser than the image, a Gaussian
    keeps what the grid can't hold from folding back.
    """
    axes = image.geometry.axes
    d = len(axes)
    shape = [image.geometry.size[axis] for axis in reversed(axes)]
    to_lattice = to_lattices([image], frame[None])[0] if to_lattice is None else to_lattice
    same = set(shape) == {size} and bool((np.abs(to_lattice - _IDENTITY[d]) < _SAME).all())  # the grid's samples are the image's
    if same and out is not None and out.device.type == "cpu":
        return _laid(image, window, out)
    both = _laid(image, window, room_for(2, *shape, dtype=dtype)).to(device)
    if same:
        found = both
    else:
        step = 2 * float(np.linalg.norm(frame[:3, 0])) / size
        for position, axis in enumerate(axes):
            ratio = step / float(image.geometry.spacing[axis])
            if ratio > _AS_FINE:
                both[0] = _smooth(both[0], d - 1 - position, ratio)
        x = torch.from_numpy(to_lattice).to(device)[None, None]
        found = sample_mapped(both[None], x, (size,) * d, backend, None if out is None else out[None, None])[0, 0]
    return found if out is None or found.data_ptr() == out.data_ptr() else out.copy_(found)


def to_lattices(images: Sequence[Image], frames: Matrix) -> Matrix:
    """The maps from the normalised coordinates of frames ``(B, 4, 4)`` to those of grid_sample over the images' own lattices,
    ``(B, d, d + 1)``; the images have one dimension."""
    geometries = [image.geometry for image in images]
    axes = np.array([geometry.axes for geometry in geometries])
    d, rows = axes.shape[1], np.arange(len(axes))[:, None]
    to_index = (np.linalg.inv(np.stack([geometry.index_to_lps for geometry in geometries])) @ frames)[rows, axes]
    scale = 2 / np.array([geometry.size for geometry in geometries])[rows, axes]
    found: Matrix = np.concatenate((to_index[..., :d] * scale[..., None], ((to_index[..., 3] + 0.5) * scale - 1)[..., None]), -1)
    return found


def _laid(image: Image, window: tuple[float, float], out: Tensor) -> Tensor:
    """The samples of the image and their coverage in ``out`` ``(2, *S)`` on the CPU."""
    (background, spread), values = window, out[0].numpy()
    np.subtract(image.array.reshape(values.shape), background, out=values)
    values /= spread
    out[1] = 1
    return out


def pyramid(finest: Tensor, sizes: tuple[int, ...]) -> dict[int, Tensor]:
    """``(B, C, *S)`` averaged down to each of ``sizes``, which divide the finest; samples keep their place in [-1, 1]^d."""
    levels = {finest.shape[-1]: finest}
    for size in sorted(set(sizes) - set(levels), reverse=True):
        finer = min(larger for larger in levels if larger % size == 0)  # the mean of means of as many is the mean
        levels[size] = _averaged(levels[finer], finer // size)
    return {size: levels[size] for size in sizes}


def _averaged(images: Tensor, factor: int) -> Tensor:
    """Means of ``factor`` samples along each axis of ``(B, C, *S)``; torch's own pooling takes five times as long on a processor."""
    d = images.ndim - 2
    for axis in range(2, 2 + d):
        first, *others = images.unflatten(axis, (-1, factor)).unbind(axis + 1)
        images = sum(others, first)
    return images / factor**d


def _smooth(values: Tensor, axis: int, ratio: float) -> Tensor:
    """Gaussian along an axis for a grid ``ratio`` times as coarse as the image; of what lies outside, the border is taken.

    Samples that are an offset away are added one offset after the other: torch's convolution takes twenty times as long on a processor.
    """
    sigma = 0.45 * math.sqrt(ratio**2 - 1)
    radius, n = math.ceil(3 * sigma), values.shape[axis]
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    shape = [size + 2 * radius * (position == axis) for position, size in enumerate(values.shape)]
    ends = ([values.narrow(axis, place, 1)] * radius for place in (0, n - 1))
    padded = torch.cat((*next(ends), values, *next(ends)), axis, out=room_for(*shape, dtype=values.dtype, device=values.device))
    found = room_for(*values.shape, dtype=values.dtype, device=values.device).zero_()
    for offset, weight in enumerate((weights / weights.sum()).tolist()):
        found.add_(padded.narrow(axis, offset, n), alpha=weight)
    return found
