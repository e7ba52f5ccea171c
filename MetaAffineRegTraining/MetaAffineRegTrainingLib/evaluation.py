"""How well a network registers pairs with a known truth: by each of the methods that use it, and by those that do without."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from MetaAffineRegLib.affine import identity, mean_squared_distance
from MetaAffineRegLib.initializer import Initializer
from MetaAffineRegLib.registration import LEVELS
from MetaAffineRegLib.searches import robust_until_sure
from MetaAffineRegLib.single_start import single_start

from .pairs import PairMaker, Pairs

METHODS = ("plain", "learn", "comb", "robust")


@dataclass(frozen=True)
class Errors:
    """Of a method on some pairs: mse4, the paper's unit, and the root mean square in samples of the finest grid, ``(B,)`` on the CPU."""

    mse4: Tensor
    samples: Tensor

    @property
    def success(self) -> float:
        """Share of the pairs that end below one sample."""
        return float((self.samples < 1).double().mean())

    @property
    def figures(self) -> dict[str, float]:
        """As plain data."""
        return {"success": self.success, "mse4": float(self.mse4.median())}


@torch.no_grad()
def register_pairs(pairs: Pairs, network: Initializer | None, method: str) -> Tensor:
    """The maps ``(B, d, d + 1)`` that a method finds, from the identity; the pairs hold all grids of registration and of the network."""
    d = pairs.truth.shape[1]
    start = identity(len(pairs.truth), d, device=pairs.truth.device)
    if method == "robust":
        return robust_until_sure(pairs.grids, LEVELS[d], start, network, "affine", 180.0, _silent).x
    if method == "plain" or network is None:
        return single_start(pairs.grids, LEVELS[d], start, "plain", None, "affine", "overlap", _silent).x
    return single_start(pairs.grids, LEVELS[d], start, method, network, "affine", "overlap", _silent).x


def errors(pairs: Pairs, network: Initializer | None, methods: Sequence[str] = METHODS) -> dict[str, Errors]:
    """Of each method."""
    found = {}
    for method in methods:
        squares = mean_squared_distance(register_pairs(pairs, network, method), pairs.truth).cpu()
        finest = LEVELS[pairs.truth.shape[1]][-1]
        found[method] = Errors(4 * squares, squares.sqrt() * finest / 2)
    return found


def evaluation_levels(network: Initializer) -> tuple[int, ...]:
    """The grids that pairs need so that every method can register them."""
    return tuple(sorted({*LEVELS[network.config.dimension], *network.config.levels}))


def evaluation_pairs(maker: PairMaker, count: int, seed: int, part: str) -> Pairs:
    """Pairs that are apart from those of training and, by the name of the part, from one another."""
    return maker.make(count, seed, -1 - sum(part.encode()))


def _silent(_stage: str, _share: float) -> None:
    pass
