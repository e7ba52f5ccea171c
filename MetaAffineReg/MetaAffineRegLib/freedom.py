"""Degrees of freedom: vectors p in ``(B, n)`` that parametrize affine maps x in ``(B, d, d + 1)``.

``AffineFreedom`` uses the entries of A and b, as the paper does.  ``GroupFreedom`` uses
A = exp(sum_i p_i G_i) A_start with the generators G_i of the rotations (rigid), and of the uniform
scaling as well (similarity), so that every iterate stays in the group.
"""

import math
from functools import lru_cache
from typing import Literal, Protocol

import torch
from torch import Tensor

from .affine import nearest_rotation

FreedomName = Literal["affine", "similarity", "rigid"]
FREEDOMS: tuple[FreedomName, ...] = ("affine", "similarity", "rigid")


class Freedom(Protocol):
    """A parametrization around a start; ``origin`` is the p of that start."""

    name: FreedomName
    origin: Tensor

    def maps(self, p: Tensor) -> Tensor:
        """p ``(B, n)`` -> x ``(B, d, d + 1)``."""

    def jacobian(self, p: Tensor) -> Tensor:
        """dx/dp at maps(p), ``(B, d (d + 1), n)``, the entries of x in the order of ``flatten``."""

    def select(self, rows: Tensor) -> "Freedom":
        """The freedom of the pairs ``rows`` (indices) only."""


class AffineFreedom:
    """All d (d + 1) entries of [A | b]."""

    name: FreedomName = "affine"

    def __init__(self, start: Tensor):
        self._shape = start.shape[-2:]
        self.origin = start.flatten(1)

    def maps(self, p: Tensor) -> Tensor:
        return p.unflatten(1, self._shape)

    def jacobian(self, p: Tensor) -> Tensor:
        n = self.origin.shape[1]
        return torch.eye(n, dtype=p.dtype, device=p.device).expand(len(p), n, n)

    def select(self, rows: Tensor) -> "AffineFreedom":
        return AffineFreedom(self.origin[rows].unflatten(1, self._shape))


class GroupFreedom:
    """Rotations, with or without a uniform scale, and a translation; ``base`` ``(B, d, d)`` is the matrix at the origin."""

    def __init__(self, start: Tensor, scaling: bool):
        d = start.shape[-2]
        matrix = start[..., :-1]
        self.base = nearest_rotation(matrix)
        if scaling:
            # The scale that keeps the volume of the start.
            self.base = self.base * torch.linalg.det(matrix).abs().pow(1 / d)[:, None, None]
        self.name: FreedomName = "similarity" if scaling else "rigid"
        self._generators = _generators(d, scaling).to(start)
        count = len(self._generators)
        self.origin = torch.cat((start.new_zeros(len(start), count), start[..., -1]), 1)

    def maps(self, p: Tensor) -> Tensor:
        return torch.cat((self._exponential(p) @ self.base, self._offset(p)), -1)

    def jacobian(self, p: Tensor) -> Tensor:
        d, count = self.base.shape[-1], len(self._generators)
        columns = p.new_zeros(len(p), count + d, d, d + 1)
        columns[:, :count, :, :d] = self._tangents(p) @ self.base[:, None]
        columns[:, torch.arange(count, count + d), torch.arange(d), d] = 1
        return columns.flatten(2).mT

    def _tangents(self, p: Tensor) -> Tensor:
        """The derivatives of exp(sum_i p_i G_i), ``(B, n, d, d)``: the left Jacobian of the rotations (Sola, arXiv 1812.01537, 145) by
        commutators, which are zero in the plane and with the scaling."""
        cross, angle = self._turn(p)
        near = angle < 1e-2  # there to the order of the angle to the fourth
        third = torch.where(near, 1 / 6 - angle**2 / 120, (angle - angle.sin()) / torch.where(near, 1.0, angle) ** 3)
        once = _commutator(cross[:, None], self._generators)
        twice = _commutator(cross[:, None], once)
        return (self._generators + (_half(angle)[:, None] * once + third[:, None] * twice)) @ self._exponential(p)[:, None]

    def select(self, rows: Tensor) -> "GroupFreedom":
        part = object.__new__(GroupFreedom)
        part.name, part._generators = self.name, self._generators
        part.base, part.origin = self.base[rows], self.origin[rows]
        return part

    def _exponential(self, p: Tensor) -> Tensor:
        """exp(sum_i p_i G_i) by the formula of Rodrigues, which holds in the plane too, ``(B, d, d)``."""
        d = self.base.shape[-1]
        count = d * (d - 1) // 2
        cross, angle = self._turn(p)
        turn = torch.eye(d, dtype=p.dtype, device=p.device) + torch.sinc(angle / math.pi) * cross + _half(angle) * (cross @ cross)
        return turn * p[:, count, None, None].exp() if len(self._generators) > count else turn

    def _turn(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """Generator ``(B, d, d)`` and angle ``(B, 1, 1)`` of the rotation."""
        d = self.base.shape[-1]
        count = d * (d - 1) // 2
        cross = torch.einsum("bn,nij->bij", p[:, :count], self._generators[:count])
        return cross, p[:, :count].square().sum(1).sqrt()[:, None, None]

    def _offset(self, p: Tensor) -> Tensor:
        return p[:, len(self._generators) :, None]


def _half(angle: Tensor) -> Tensor:
    """(1 - cos a) / a^2."""
    return torch.sinc(angle / (2 * math.pi)).square() / 2


def _commutator(one: Tensor, other: Tensor) -> Tensor:
    return one @ other - other @ one


@lru_cache
def _generators(dimension: int, scaling: bool) -> Tensor:
    """Generators of the rotations (and the scaling) of R^d, ``(n, d, d)``; kept, so not to be written to."""
    matrices = []
    for i in range(dimension):
        for j in range(i + 1, dimension):
            generator = torch.zeros(dimension, dimension, dtype=torch.float64)
            generator[j, i], generator[i, j] = 1.0, -1.0
            matrices.append(generator)
    if scaling:
        matrices.append(torch.eye(dimension, dtype=torch.float64))
    return torch.stack(matrices)


def freedom(name: FreedomName, start: Tensor) -> Freedom:
    """The parametrization ``name`` around start ``(B, d, d + 1)``; what the start has beyond it is projected away."""
    if name == "affine":
        return AffineFreedom(start)
    return GroupFreedom(start, scaling=name == "similarity")
