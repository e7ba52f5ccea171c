"""Training pairs with a known truth, made from source images in one go on the training device."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from MetaAffineRegLib.affine import inverse
from MetaAffineRegLib.objective import Objective
from MetaAffineRegLib.pyramid import pyramid
from MetaAffineRegLib.sampling import mapped_grid, sample

from .deformations import DeformationDistribution

NOISE_GRID = 128  # samples an axis to which the noise's standard deviation refers


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs: criteria by grid size and the true maps ``(B, d, d + 1)``."""

    objectives: dict[int, Objective]
    truth: Tensor


class PairMaker:
    """Draws pairs from sources ``(N, 1, *S)``, images in [-1, 1]^d with intensities of spread one.

    moving(y) = source(phi^-1(y)), zero outside; fixed is the source with Gaussian noise of standard deviation
    ``noise`` at 128 samples an axis.  The pairs of a step are a function of the seed and the step.
    """

    def __init__(self, sources: Tensor, levels: tuple[int, ...], deformations: DeformationDistribution, noise: float):
        self._sources, self._levels, self._deformations = sources, levels, deformations
        self._noise = noise * (sources.shape[-1] / NOISE_GRID) ** ((sources.ndim - 2) / 2)

    def make(self, count: int, seed: int, step: int) -> Pairs:
        """``count`` pairs of training step ``step``."""
        device = self._sources.device
        # A CPU's generator takes the low 32 bits of its seed only: both numbers have to reach them.
        generator = torch.Generator(device).manual_seed(random.Random(f"{seed} {step}").getrandbits(63))
        d = self._sources.ndim - 2
        truth = self._deformations.sample(count, d, generator)
        chosen = torch.randint(len(self._sources), (count,), generator=generator, device=device)
        fixed = self._sources[chosen]
        moving = sample(fixed, mapped_grid(inverse(truth), fixed.shape[2:], fixed.dtype))
        fixed = fixed + self._noise * torch.randn(fixed.shape, generator=generator, device=device, dtype=fixed.dtype)
        fixed_levels, moving_levels = pyramid(fixed, self._levels), pyramid(moving, self._levels)
        return Pairs({size: Objective(fixed_levels[size], moving_levels[size]) for size in self._levels}, truth)
