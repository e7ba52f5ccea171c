"""Training pairs with a known truth, made from source images in one go on the training device."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from MetaAffineRegLib.affine import inverse
from MetaAffineRegLib.backends import choose_backend
from MetaAffineRegLib.data_terms import DataTerm, mean_squares
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.objective import Criterion
from MetaAffineRegLib.pyramid import pyramid
from MetaAffineRegLib.sampling import mapped_grid, sample

from .deformations import DeformationDistribution

NOISE_GRID = 128  # samples an axis to which the noise's standard deviation refers


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs: the images by grid size, the criteria on them and the true maps ``(B, d, d + 1)``."""

    grids: PairGrids
    objectives: dict[int, Criterion]
    truth: Tensor


@dataclass(frozen=True)
class Disturbances:
    """What keeps two images of one object from being alike.

    noise: standard deviation of Gaussian noise on the fixed image, at 128 samples an axis; noise_on_moving: share of the
    pairs whose moving image has it too; crop: share of the pairs of which a slab of 10 to 35 % is cut off the moving image.
    """

    noise: float = 0.05
    noise_on_moving: float = 0.0
    crop: float = 0.0


class PairMaker:
    """Draws pairs from sources ``(N, 1, *S)``, images in [-1, 1]^d with intensities of spread one.

    moving(y) = source(phi^-1(y)), zero outside; then both are disturbed.  The criteria are those of ``data_term``.  The
    pairs of a step are a function of the seed and the step.
    """

    def __init__(
        self,
        sources: Tensor,
        levels: tuple[int, ...],
        deformations: DeformationDistribution,
        disturbances: Disturbances = Disturbances(),
        data_term: DataTerm = mean_squares,
    ):
        self._sources, self._levels, self._deformations = sources, levels, deformations
        self._disturbances, self._data_term = disturbances, data_term
        self._noise = disturbances.noise * (sources.shape[-1] / NOISE_GRID) ** ((sources.ndim - 2) / 2)

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
        moving = self._cropped(moving, generator)
        fixed = fixed + self._noise * torch.randn(fixed.shape, generator=generator, device=device, dtype=fixed.dtype)
        if self._disturbances.noise_on_moving:
            chosen = torch.rand(count, generator=generator, device=device) < self._disturbances.noise_on_moving
            noise = self._noise * torch.randn(moving.shape, generator=generator, device=device, dtype=moving.dtype)
            moving = moving + noise * chosen.view(-1, *(1,) * (d + 1))
        grids = self._grids(fixed, moving)
        return Pairs(grids, {size: grids.objective(size, self._data_term) for size in self._levels}, truth)

    def _cropped(self, moving: Tensor, generator: torch.Generator) -> Tensor:
        """A slab at one end of one axis set to zero, in the share of the images that is cropped."""
        if not self._disturbances.crop:
            return moving
        count, d, device = len(moving), moving.ndim - 2, moving.device
        drawn = torch.rand(4, count, generator=generator, device=device)
        cut = torch.where(drawn[0] < self._disturbances.crop, 0.10 + 0.25 * drawn[1], 0.0)
        axis, end = (drawn[2] * d).long(), drawn[3] < 0.5
        for k in range(d):
            n = moving.shape[k + 2]
            place = (torch.arange(n, device=device) + 0.5) / n
            gone = torch.where(end[:, None], place > 1 - cut[:, None], place < cut[:, None]) & (axis == k)[:, None]
            moving = moving.masked_fill(gone.view(count, 1, *(n if i == k else 1 for i in range(d))), 0.0)
        return moving

    def _grids(self, fixed: Tensor, moving: Tensor) -> PairGrids:
        """On all levels; the images fill their grids."""
        fixed, moving = (torch.cat((image, torch.ones_like(image)), 1) for image in (fixed, moving))
        backend = choose_backend("auto", fixed.device, "float32")
        return PairGrids(pyramid(fixed, self._levels), pyramid(moving, self._levels), backend)
