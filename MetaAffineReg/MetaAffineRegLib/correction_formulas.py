"""The formulas of ``intensity_correction``: its equations, how an image is corrected, and what is summed for the structure that is left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from . import affine
from .data_terms import total
from .sampling import axis_coordinates, grid_derivative, mapped_grid, sample

NODES = 8  # of the splines
COVERED = 0.999
TOLERATED = 6.0  # mean residuals from which samples count for less (Geman and McClure), ..
LEAST_TOLERATED = 0.03  # .. but not below this, in units of an image's spread
OBJECT = 0.1  # intensities nearer to the background show nothing
NOTHING = 1e-9


@dataclass(frozen=True)
class Correction:
    """The fit of one pair: coefficients c ``(NODES, monomials)``, and the intensities of the first and of the last node."""

    coefficients: Tensor
    lowest: float
    highest: float

    def places(self, intensities: Tensor) -> Tensor:
        """Where intensities lie between the nodes, from 0 to NODES - 1."""
        return ((intensities - self.lowest) * ((NODES - 1) / (self.highest - self.lowest))).clamp(0, NODES - 1)


def equations(fixed: Tensor, smooth: Tensor, moving: Tensor, back: Tensor, fits: list[Correction], step: int) -> tuple[Tensor, Tensor]:
    """Normal equations ``(B, K, K)`` and ``(B, K)``, of the change of the maps back ``(B, d, d + 1)``, from moving to fixed points, and of
    the coefficients that then explain the fixed images best; from every ``step``-th sample along each axis, of which those that the fits so
    far leave unexplained by far count for little.  Pair by pair, so that memory does not depend on the batch."""
    rows = zip(fixed.split(1), smooth.split(1), moving, back.split(1), fits, strict=True)
    normal, right = zip(*[_equations_of_pair(*row, step) for row in rows], strict=True)
    return torch.stack(normal).to(back), torch.stack(right).to(back)


def _equations_of_pair(fixed: Tensor, smooth: Tensor, moving: Tensor, back: Tensor, fit: Correction, step: int) -> tuple[Tensor, Tensor]:
    d, size = moving.ndim - 1, moving.shape[-1]
    steps, shape = (step,) * d, (size // step,) * d
    values, coverage = every(moving, step)
    monomials = monomials_on(size, steps, values.dtype, values.device)
    nodes = torch.arange(NODES, device=values.device)[:, None]
    splines = (1 - (fit.places(values) - nodes).abs()).clamp_min(0)
    features = (splines[:, None] * monomials).flatten(0, 1)
    grid = mapped_grid(on_part(back, size, steps).to(values.device), shape, values.dtype)
    met = sample(fixed, grid)[0].flatten(1)
    first = values.new_zeros(1, 2, *shape)
    first[:, 0] = 1
    slopes = grid_derivative(smooth, grid, first)[0].flatten(0, -2).T
    weight = ((coverage > COVERED) & (met[1] > COVERED)).to(met)
    if bool(fit.coefficients.any()):
        residual = met[0] - fit.coefficients.flatten() @ features
        mean = (residual.abs() * weight).sum() / weight.sum().clamp_min(1)
        weight = weight / (1 + (residual / (TOLERATED * mean).clamp_min(LEAST_TOLERATED)).square()).square()
    points = torch.cat((monomials[1 : d + 1], monomials[:1]))
    columns = torch.cat(((slopes[:, None] * points).flatten(0, 1), -features))
    weighted = columns * weight
    return weighted @ columns.T, -(weighted @ met[0])


def apply(fits: list[Correction], moving: Tensor, out: Tensor) -> None:
    """Correct images ``(B, 2, *S)``, values and coverage, to out."""
    for fit, image, found in zip(fits, moving, out, strict=True):
        _apply_to_one(fit, image, found)


def _apply_to_one(fit: Correction, moving: Tensor, out: Tensor) -> None:
    d, coverage = moving.ndim - 1, moving[1]
    place = fit.places(moving[0])
    node = place.floor().clamp_max(NODES - 2).long()
    share = place - node
    found = torch.zeros_like(place)
    for monomial, column in zip(powers(d), fit.coefficients.T, strict=True):
        values = torch.lerp(column[node], column[node + 1], share)
        for coordinate, power in enumerate(monomial):
            if power:
                line = axis_coordinates(moving.shape[d - coordinate], dtype=values.dtype, device=values.device)
                values = values * line.view(-1, *(1,) * coordinate) ** power
        found += values
    torch.mul(found, coverage, out=out[0])
    out[1] = coverage


def neighbour_products(fixed: Tensor, warped: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """The sums over neighbours along columns and rows that ``structure_left`` compares, ``(B,)`` each; images ``(B, 2, *S)``, of volumes
    every ``step``-th plane."""
    there = (fixed[:, 1] > COVERED) & (warped[:, 1] > COVERED) & (torch.maximum(fixed[:, 0].abs(), warped[:, 0].abs()) > OBJECT)
    steps = (step,) * (fixed.ndim - 4) + (1, 1)
    monomials = monomials_on(fixed.shape[-1], steps, fixed.dtype, fixed.device)
    values = torch.stack([_without_place(*image, monomials) for image in zip(fixed[:, 0], there, strict=True)])
    return _along_neighbours((warped[:, 0] - fixed[:, 0]) * there), _along_neighbours(values)


def _without_place(values: Tensor, there: Tensor, monomials: Tensor) -> Tensor:
    """Intensities of an image, zero but where it is ``there``, less the polynomial of place that fits them best."""
    weighted = monomials * there.flatten()
    normal, right = (weighted @ monomials.T).cpu().double(), (weighted @ values.flatten()).cpu().double()
    normal.diagonal().add_(NOTHING)
    fitted = torch.linalg.solve(normal, right).to(values) @ monomials
    return (values - fitted.view_as(values)) * there


def _along_neighbours(images: Tensor) -> Tensor:
    """Sum of the products of neighbours along columns and rows, ``(B,)``."""
    across, down = images[..., 1:] * images[..., :-1], images[..., 1:, :] * images[..., :-1, :]
    return total(across) + total(down)


def on_part(x: Tensor, size: int, steps: tuple[int, ...]) -> Tensor:
    """Maps that take the grid of every so manieth sample, by array axis, as grids of fewer samples lie, to where x takes those samples."""
    part = affine.identity(1, x.shape[1], dtype=x.dtype, device=x.device)
    for column, step in enumerate(reversed(steps)):
        part[0, column, -1] = (2 * (step // 2) + 1 - step) / size
    return affine.compose(x, part.expand_as(x))


def every(image: Tensor, step: int) -> Tensor:
    """Every ``step``-th sample along each axis of an image ``(C, *S)``, ``(C, samples)``."""
    part: tuple[slice, ...] = (slice(None), *[slice(step // 2, None, step)] * (image.ndim - 1))
    return image[part].flatten(1)


def powers(d: int) -> list[tuple[int, ...]]:
    """Of x, y (and z) in each monomial: one, the coordinates, and their products of two."""
    unit = [tuple(int(k == j) for k in range(d)) for j in range(d)]
    products = [tuple(a + b for a, b in zip(unit[i], unit[j], strict=True)) for i in range(d) for j in range(i, d)]
    return [(0,) * d, *unit, *products]


@lru_cache(maxsize=8)
def monomials_on(size: int, steps: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Their values at every so manieth sample of a grid, by array axis, ``(monomials, samples)``; kept, so not to be written to."""
    line = axis_coordinates(size, dtype=dtype, device=device)
    coordinates = torch.meshgrid(*[line[step // 2 :: step] for step in steps], indexing="ij")[::-1]
    return torch.stack(
        [torch.stack([c**n for c, n in zip(coordinates, power, strict=True)]).prod(0).flatten() for power in powers(len(steps))]
    )
