"""Sizes of images that the speed is measured for, and pairs of such images, made by code."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scoring import KnownPair
from torch import Tensor

from MetaAffineRegLib import affine
from MetaAffineRegLib.geometry import ImageGeometry, pair_frame
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.sampling import mapped_grid, sample
from MetaAffineRegTrainingLib.made_images import made_images

_NOISE = 0.05  # of the spread of the intensities, in the fixed image
_TURN = 1.0  # radians, at most
_SHIFT, _STRETCH = 0.1, 0.04  # of half a side, and of the length: standard deviations


@dataclass(frozen=True)
class Size:
    """A square or cube of ``side`` samples along each of ``dimension`` axes."""

    side: int
    dimension: int

    @classmethod
    def named(cls, name: str) -> "Size":
        """That of a name as 128^2."""
        side, dimension = map(int, name.split("^"))
        return cls(side, dimension)

    def __str__(self) -> str:
        return f"{self.side}^{self.dimension}"

    @property
    def samples(self) -> int:
        return int(self.side**self.dimension)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.side,) * self.dimension


SIZES = ("128^2", "256^2", "96^3", "128^3")


def random_maps(count: int, dimension: int, seed: int) -> Tensor:
    """Affine maps ``(count, d, d + 1)`` in float64: turns up to a radian about any axis, small shifts and stretches."""
    generator = torch.Generator().manual_seed(seed)
    skew = torch.randn(count, dimension, dimension, generator=generator, dtype=torch.float64)
    skew = skew - skew.mT
    turn = _TURN * torch.rand(count, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.matrix_exp(skew * (turn / (skew.flatten(1).norm(dim=1) / 2**0.5))[:, None, None])
    stretch = torch.eye(dimension, dtype=torch.float64) + _STRETCH * torch.randn(rotation.shape, generator=generator, dtype=torch.float64)
    shift = _SHIFT * torch.randn(count, dimension, 1, generator=generator, dtype=torch.float64)
    return torch.cat((rotation @ stretch, shift), -1)


def made_pairs(size: Size, count: int, seed: int = 1) -> Iterator[KnownPair]:
    """Pairs of a made image, with noise, and of the same image moved by a map that is known; one at a time."""
    d = size.dimension
    matrix = np.eye(4)
    geometry = ImageGeometry((size.side, size.side, size.side if d == 3 else 1), matrix)
    frame = pair_frame(geometry, geometry)
    for number, truth in enumerate(random_maps(count, d, seed)):
        still = made_images(1, d, size.side, seed * 10_007 + number)
        moved = sample(still, mapped_grid(affine.inverse(truth[None]), size.shape, torch.float32))
        noise = _NOISE * torch.randn(still.shape, generator=torch.Generator().manual_seed(number))
        fixed, moving = (Image.checked(one[0, 0].reshape(geometry.size[::-1]).numpy(), geometry) for one in (still + noise, moved))
        yield KnownPair(f"{number:04d}", fixed, moving, frame.to_lps(truth.numpy()))
