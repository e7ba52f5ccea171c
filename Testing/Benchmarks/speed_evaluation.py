"""How long the criterion takes, with gradient and normal matrix, and how far that is from the limit of the machine."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from measuring import number
from speed_ceilings import MEAN_SQUARES, Ceilings, seconds_of
from speed_sizes import Size, made_pairs, random_maps
from torch import Tensor

from MetaAffineRegLib.backends import Backend
from MetaAffineRegLib.data_terms import DataTerm, mean_squares, unexplained_detail
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.normalized_gradients import normalized_gradients
from MetaAffineRegLib.objective import Criterion

OVER = ("times its limit", "times that of mean squares")
COLUMNS = ("images", "backend", "criterion", "what", "one map, ms", *OVER, "maps at once", "each, ms", *OVER)
TERMS: dict[str, DataTerm] = {
    MEAN_SQUARES: mean_squares,
    "content left unexplained": unexplained_detail,
    "edges": normalized_gradients,
}
_AT_ONCE = {2: 64, 3: 4}  # maps, as a registration has them on its finest grid
GROWTH_SIDES = {2: (32, 64, 128, 256, 512), 3: (16, 32, 64, 96, 128)}


@dataclass(frozen=True)
class Measured:
    """Seconds of an evaluation of one map and, in a call for ``at_once`` maps, of each."""

    one: float
    each: float
    at_once: int


def rows(sizes: list[Size], backends: list[Backend], device: torch.device, ceilings: Ceilings) -> Iterator[tuple[object, ...]]:
    """Cells of the table, a row for each size, backend, criterion and kind of evaluation."""
    for size in sizes:
        grids = images_on_a_grid(size, device)
        for backend in backends:
            for name, term in TERMS.items():
                for curved in (False, True):
                    found = measure(criterion(grids, backend, term), size.dimension, curved, device)
                    what = "value, gradient, matrix" if curved else "value, gradient"
                    one, each = (
                        _times(
                            seconds, [ceilings.evaluation(size.samples, size.dimension, curved, of, count) for of in (name, MEAN_SQUARES)]
                        )
                        for seconds, count in ((found.one, 1), (found.each, found.at_once))
                    )
                    yield (size, backend, name, what, *one, found.at_once, *each)


def _times(seconds: float, limits: list[float]) -> tuple[str, ...]:
    """Milliseconds, and how many times each limit."""
    return f"{1000 * seconds:.3g}", *(number(seconds / limit) for limit in limits)


def images_on_a_grid(size: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """One made pair, values and coverage ``(1, 2, *S)``, fixed and moving."""
    (pair,) = made_pairs(size, 1)
    sides = (torch.from_numpy(image.array.reshape(size.shape)) for image in (pair.fixed, pair.moving))
    fixed, moving = (torch.stack((side, torch.ones_like(side)))[None].to(device) for side in sides)
    return fixed, moving


def criterion(images: tuple[Tensor, Tensor], backend: Backend, term: DataTerm) -> Criterion:
    """That of as many maps of one pair as are evaluated at once."""
    fixed, moving = images
    side = fixed.shape[-1]
    pairs = torch.zeros(_AT_ONCE[fixed.ndim - 2], dtype=torch.int64, device=fixed.device)
    return PairGrids({side: fixed}, {side: moving}, backend).objective(side, term).select(pairs)


@torch.no_grad()
def measure(every: Criterion, dimension: int, curved: bool, device: torch.device) -> Measured:
    """Evaluate around the middle of the images."""
    x = random_maps(len(every), dimension, 2).to(device)
    one = every.select(torch.zeros(1, dtype=torch.int64, device=device))

    def seconds(of: Criterion, maps: Tensor) -> float:
        return seconds_of(lambda: of.value_gradient_curvature(maps) if curved else of.value_and_gradient(maps), device)

    return Measured(seconds(one, x[:1]), seconds(every, x) / len(every), len(every))


def growth(dimension: int, backend: Backend, device: torch.device) -> tuple[list[int], list[float]]:
    """Sides of images, and the seconds of an evaluation of one map in a call for several on each."""
    sides = list(GROWTH_SIDES[dimension])
    found = []
    for side in sides:
        images = images_on_a_grid(Size(side, dimension), device)
        found.append(measure(criterion(images, backend, mean_squares), dimension, False, device).each)
    return sides, found


def exponent(quantities: list[int], seconds: list[float]) -> float:
    """p of the law seconds = c quantity^p that fits best in logarithms."""
    return float(np.polyfit(np.log(quantities), np.log(seconds), 1)[0])
