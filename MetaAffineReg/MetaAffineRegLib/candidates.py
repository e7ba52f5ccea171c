"""Candidate maps of a batch of pairs, any number for each, and the choice of the best distinct ones."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import affine

SAME_BASIN = 0.04  # root mean square distance of two maps, normalised


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
        order = self._ranking()
        pair = self.pair.numpy(force=True)[order]
        rank = np.arange(len(pair)) - np.searchsorted(pair, pair)
        return self.select(torch.from_numpy(np.sort(order[rank < count])).to(self.pair.device))

    def select(self, rows: Tensor) -> "Candidates":
        """The candidates ``rows`` (indices) only."""
        return Candidates(self.x[rows], self.pair[rows], self.value[rows])

    def of_pairs(self, pairs: Tensor) -> "Candidates":
        """Those that belong to ``pairs`` (in rising order), which are numbered anew."""
        there = torch.isin(self.pair, pairs)
        return Candidates(self.x[there], torch.searchsorted(pairs, self.pair[there]), self.value[there])

    def best(self, count: int, margin: float = torch.inf) -> "Candidates":
        """Those of ``best_rows``."""
        return self.select(self.best_rows(count, margin))

    def best_rows(self, count: int, margin: float = torch.inf) -> Tensor:
        """Of each pair the best ``count`` of different basins whose value is within ``margin`` of its best; pair by pair, best first.

        Every pair 0 .. B - 1 needs a candidate.
        """
        order = self._ranking()
        x, pair, value = (numbers.numpy(force=True)[order] for numbers in (self.x, self.pair, self.value))
        x = affine.as_vectors(x)
        first = np.searchsorted(pair, np.arange(pair[-1] + 1))
        left = np.flatnonzero(value <= value[first[pair]] + margin)
        kept, reference = [], np.empty((pair[-1] + 1, x.shape[1]))
        for _ in range(count):
            if not len(left):
                break
            pairs = pair[left]
            first = left[np.concatenate(([True], pairs[1:] != pairs[:-1]))]
            kept.append(first)
            reference[pair[first]] = x[first]
            way = x[left] - reference[pairs]
            left = left[np.einsum("ij,ij->i", way, way) > SAME_BASIN**2]
        return torch.from_numpy(order[np.sort(np.concatenate(kept))]).to(self.pair.device)

    def ranked(self, rank: int) -> tuple[Tensor, Tensor]:
        """Of each pair the map and value at ``rank``, after ``best``; its first map and infinity where it has fewer."""
        pair = self.pair.numpy(force=True)
        first = np.flatnonzero(pair[1:] != pair[:-1]) + 1
        first, after = np.concatenate(([0], first)), np.concatenate((first, [len(pair)]))
        there = first + rank < after
        rows = torch.from_numpy(np.where(there, first + rank, first)).to(self.pair.device)
        value = self.value[rows]
        return self.x[rows], value if there.all() else value.masked_fill(torch.from_numpy(~there).to(value.device), torch.inf)

    def _ranking(self) -> NDArray[np.intp]:
        """Pair by pair, best first; of equals the first."""
        return np.lexsort((self.value.numpy(force=True), self.pair.numpy(force=True)))
