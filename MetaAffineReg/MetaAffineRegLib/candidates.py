"""Candidate maps of a batch of pairs, any number for each, and the choice of the best distinct ones."""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import affine

_SAME_BASIN = 0.04  # root mean square distance of two maps, normalised


@dataclass(frozen=True)
class Candidates:
    """Maps x ``(N, d, d + 1)`` with the pair that each belongs to and its value, the smaller the better, ``(N,)``."""

    x: Tensor
    pair: Tensor
    value: Tensor

    def joined(self, other: "Candidates") -> "Candidates":
        """These and those."""
        return Candidates(torch.cat((self.x, other.x)), torch.cat((self.pair, other.pair)), torch.cat((self.value, other.value)))

    def lowest(self, count: int) -> "Candidates":
        """Of each pair those ``count`` whose value is the lowest, of whatever basin, in the order in which they stand."""
        order = torch.argsort(self.value, stable=True)
        order = order[torch.argsort(self.pair[order], stable=True)]
        pair = self.pair[order]
        rank = torch.arange(len(pair), device=pair.device) - torch.searchsorted(pair, pair)
        return self.select(order[rank < count].sort().values)

    def select(self, rows: Tensor) -> "Candidates":
        """The candidates ``rows`` (indices) only."""
        return Candidates(self.x[rows], self.pair[rows], self.value[rows])

    def best(self, count: int, margin: float = torch.inf) -> "Candidates":
        """Those of ``best_rows``."""
        return self.select(self.best_rows(count, margin))

    def best_rows(self, count: int, margin: float = torch.inf) -> Tensor:
        """Of each pair the best ``count`` of different basins whose value is within ``margin`` of its best; pair by pair, best first.

        Every pair 0 .. B - 1 needs a candidate.
        """
        order = torch.argsort(self.value, stable=True)
        order = order[torch.argsort(self.pair[order], stable=True)]
        x, pair, value = self.x[order], self.pair[order], self.value[order]
        batch = int(pair[-1]) + 1
        places = torch.arange(len(pair), device=pair.device)
        left = torch.ones_like(pair, dtype=torch.bool)
        lowest = value[torch.searchsorted(pair, torch.arange(batch, device=pair.device))]
        kept: list[Tensor] = []
        for _ in range(count):
            first = places.new_full((batch,), len(pair)).scatter_reduce(0, pair[left], places[left], "amin")
            first = first[first < len(pair)]
            if kept:
                first = first[value[first] <= lowest[pair[first]] + margin]
            if not len(first):
                break
            kept.append(first)
            reference = x.new_full((batch, *x.shape[1:]), torch.nan)
            reference[pair[first]] = x[first]
            # a pair without a first has no more within the margin: its distance is no number, and it drops out
            left = left & (affine.distance(x, reference[pair]) > _SAME_BASIN)
        return order[torch.cat(kept).sort().values]

    def ranked(self, rank: int) -> tuple[Tensor, Tensor]:
        """Of each pair the map and value at ``rank``, after ``best``; its first map and infinity where it has fewer."""
        pairs = torch.arange(int(self.pair[-1]) + 1, device=self.pair.device)
        first = torch.searchsorted(self.pair, pairs)
        row = (first + rank).clamp_max(len(self.pair) - 1)
        there = (first + rank < len(self.pair)) & (self.pair[row] == pairs)
        row = torch.where(there, row, first)
        return self.x[row], torch.where(there, self.value[row], torch.inf)
