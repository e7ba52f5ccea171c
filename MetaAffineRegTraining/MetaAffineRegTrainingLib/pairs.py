"""Training pairs with a known truth, made from source images in one go on the training device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from MetaAffineRegLib.affine import compose, identity, inverse
from MetaAffineRegLib.backends import choose_backend
from MetaAffineRegLib.data_terms import DataTerm, mean_squares
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.objective import Criterion
from MetaAffineRegLib.pyramid import pyramid
from MetaAffineRegLib.sampling import mapped_grid, sample

from .appearance import Disturbances
from .deformations import DeformationDistribution
from .draws import Draws


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs: the images by grid size, each one's source ``(B,)``, and for each start its criteria by grid size, itself and
    the true map, ``(B starts, d, d + 1)``, those of a pair one after the other."""

    grids: PairGrids
    chosen: Tensor
    objectives: dict[int, Criterion]
    start: Tensor
    truth: Tensor


@dataclass(frozen=True)
class Starts:
    """Where steps set out: ``each`` times for a pair, from maps x such that truth = x o u with u of ``around``; None: the identity."""

    around: DeformationDistribution | None = None
    each: int = 1


_USUAL = Disturbances()
_FROM_IDENTITY = Starts()


class PairMaker:
    """Draws pairs from sources ``(N, 1, *S)``, images in [-1, 1]^d with intensities of spread one.

    moving(y) = source(phi^-1(y)), zero outside; then both are disturbed.  The criteria are those of ``data_term``.  Pair i of a
    step, with its starts, is a function of the seed, the step and i.
    """

    def __init__(
        self,
        sources: Tensor,
        levels: tuple[int, ...],
        deformations: DeformationDistribution,
        disturbances: Disturbances = _USUAL,
        data_term: DataTerm = mean_squares,
        starts: Starts = _FROM_IDENTITY,
    ):
        self._sources, self._levels, self._deformations = sources, levels, deformations
        self._disturbances, self._data_term, self._starts = disturbances, data_term, starts

    def make(self, count: int, seed: int, step: int, first: int = 0) -> Pairs:
        """The pairs ``first .. first + count`` of training step ``step``."""
        draws = Draws(seed, step, first, count, self._sources.device)
        truth = self._deformations.sample(draws, self._sources.ndim - 2)
        chosen = draws.below("source", len(self._sources))
        fixed = self._sources[chosen]
        moving = sample(fixed, mapped_grid(inverse(truth), fixed.shape[2:], fixed.dtype))
        grids = self._grids(*self._disturbances.applied(fixed, moving, draws))
        pair = torch.arange(count, device=truth.device).repeat_interleave(self._starts.each)
        objectives = {size: grids.objective(size, self._data_term).select(pair) for size in self._levels}
        return Pairs(grids, chosen, objectives, self._start(truth[pair], seed, step, first), truth[pair])

    def _start(self, truth: Tensor, seed: int, step: int, first: int) -> Tensor:
        around, dimension = self._starts.around, truth.shape[1]
        if around is None:
            return identity(len(truth), dimension, device=truth.device)
        draws = Draws(seed, step, first * self._starts.each, len(truth), truth.device, of=" starts")
        return compose(truth, inverse(around.sample(draws, dimension)))

    def _grids(self, fixed: Tensor, moving: Tensor) -> PairGrids:
        """On all levels; the images fill their grids."""
        fixed, moving = (torch.cat((image, torch.ones_like(image)), 1) for image in (fixed, moving))
        backend = choose_backend("auto", fixed.device, "float32")
        return PairGrids(pyramid(fixed, self._levels), pyramid(moving, self._levels), backend)
