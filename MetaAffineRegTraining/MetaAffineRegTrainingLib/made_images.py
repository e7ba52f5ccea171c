"""Images made by code: random shapes with random intensities, so that a network does not learn one organ by heart.

After the idea of Hoffmann et al., SynthMorph (IEEE TMI 2022): regions are where one of several smooth random fields is
the largest, each with an intensity of its own, inside an object with a smooth random outline.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_BATCH = 64  # images made at a time
_LONG = 0.25  # for each axis of an object, the probability that it is so long along it that the field of view cuts it


def joined_by_made_images(sources: Tensor, count: int, seed: int) -> Tensor:
    """Sources ``(N, 1, *S)`` and ``count`` made images of their size and device after them."""
    return torch.cat((sources, made_images(count, sources.ndim - 2, sources.shape[-1], seed, device=sources.device)))


def made_images(count: int, dimension: int, size: int, seed: int, *, device: torch.device | str = "cpu") -> Tensor:
    """``count`` images ``(count, 1, *S)`` of ``size`` samples an axis, zero beyond the object and intensities of spread one."""
    generator = torch.Generator().manual_seed(seed)
    if count == 0:
        return torch.empty(0, 1, *(size,) * dimension, device=device)
    made = [_batch(min(_BATCH, count - first), dimension, size, generator) for first in range(0, count, _BATCH)]
    return torch.cat(made).to(device)


def _batch(count: int, dimension: int, size: int, generator: torch.Generator) -> Tensor:
    shape = (size,) * dimension
    images = torch.empty(count, 1, *shape)
    for row in range(count):
        regions = int(torch.randint(3, 9, (1,), generator=generator))
        coarse = int(torch.randint(3, 9, (1,), generator=generator))
        fields = _smooth_noise(regions, coarse, shape, generator)
        intensities = torch.rand(regions, generator=generator)
        texture = 0.3 * torch.rand(1, generator=generator) * _smooth_noise(1, 2 * coarse, shape, generator)[0]
        images[row, 0] = (_of_largest(fields, intensities) + texture) * _object(shape, generator)
    images = _blurred(images)
    spread = images.abs().flatten(1).quantile(0.995, 1).clamp_min(1e-3)
    return images / spread.view(-1, *(1,) * (dimension + 1))


def _of_largest(fields: Tensor, intensities: Tensor) -> Tensor:
    """The intensity that belongs to the largest of fields ``(N, *S)`` at each place; ``argmax`` takes ten times as long."""
    largest, shown = fields[0], intensities[0].expand(fields.shape[1:])
    for field, intensity in zip(fields[1:], intensities[1:], strict=True):
        shown = torch.where(field > largest, intensity, shown)
        largest = torch.maximum(field, largest)
    return shown


def _object(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """One inside a randomly deformed ellipsoid somewhere near the middle, zero outside; often the field of view cuts it."""
    d = len(shape)
    axes = [(2 * torch.arange(n) + 1) / n - 1 for n in shape]
    z = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    turn = torch.linalg.qr(torch.randn(d, d, generator=generator))[0]
    centre = 0.2 * (2 * torch.rand(d, generator=generator) - 1)
    radii = 0.4 + 0.5 * torch.rand(d, generator=generator)
    radii[torch.rand(d, generator=generator) < _LONG] *= 4
    distance = ((z - centre) @ turn / radii).norm(dim=-1)
    outline = 0.35 * torch.rand(1, generator=generator) * _smooth_noise(1, 4, shape, generator)[0]
    return (distance + outline < 1).float()


def _smooth_noise(count: int, coarse: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Noise on a grid of ``coarse`` samples an axis, interpolated, ``(count, *shape)``."""
    noise = torch.randn(1, count, *(coarse,) * len(shape), generator=generator)
    mode = "bicubic" if len(shape) == 2 else "trilinear"
    return F.interpolate(noise, shape, mode=mode, align_corners=True)[0]


def _blurred(images: Tensor) -> Tensor:
    average = F.avg_pool2d if images.ndim == 4 else F.avg_pool3d
    return average(images, 3, 1, 1, count_include_pad=False)
