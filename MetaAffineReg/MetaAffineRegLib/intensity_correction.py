"""Another contrast as a function of intensity and place: the moving image is given the intensities of the fixed one, as far as such a
function can (adaptive intensity correction; Guimond, Roche, Ayache and Meunier, IEEE TMI 2001).

Under a map x that is nearly right, the fixed image's intensity is fitted, by least squares over a part of the samples, as

    sum over k and l of c_kl B_k(v) q_l(y),

v being the moving intensity at y, B_k the linear splines of ``NODES`` nodes over its range and q_l the monomials of degree two at most, so
that each brightness may become any other and the change may drift over the image, as under an uneven field.  The corrected images can
then be compared by intensities, whose least is sharper than that of edges.  Where the function does not explain the contrast, as
between T1 and T2, structure is left, which ``structure_left`` tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from . import affine
from .backends import Backend
from .data_terms import total
from .freedom import Freedom, FreedomName, freedom
from .sampling import axis_coordinates, grid_derivative, mapped_grid, sample, sample_mapped
from .threads import share_torch

SETTLED = 0.15  # structure left, below which the correction explains the contrast, and only noise is left
NODES = 8  # of the splines
# By dimension: every so manieth sample along each axis, and how many steps by these.
_STEPS = {2: ((4, 3), (2, 2)), 3: ((6, 4), (4, 1))}
_PLANES = 4  # every so manieth of a volume is looked at for structure
_TAILS = 0.001  # share of the intensities at either end that lie beyond the nodes
_RIDGE = 1e-4  # of the mean of the normal matrix's diagonal
_COVERED = 0.999
_LONGEST = 3.0  # samples: no step is longer
_DAMPING = 0.02  # share of the diagonal, of what belongs to the map
_TOLERATED = 6.0  # mean residuals from which samples count for less (Geman and McClure), ..
_LEAST_TOLERATED = 0.03  # .. but not below this, in units of an image's spread
_OBJECT = 0.1  # intensities nearer to the background show nothing
_NOTHING = 1e-9


@dataclass(frozen=True)
class Correction:
    """The fit of one pair: coefficients c ``(NODES, monomials)``, and the intensities of the first and of the last node."""

    coefficients: Tensor
    lowest: float
    highest: float

    def places(self, intensities: Tensor) -> Tensor:
        """Where intensities lie between the nodes, from 0 to NODES - 1."""
        return ((intensities - self.lowest) * ((NODES - 1) / (self.highest - self.lowest))).clamp(0, NODES - 1)


def corrected(
    fixed: Tensor, smooth: Tensor, moving: Tensor, x: Tensor, freedom_name: FreedomName, backend: Backend
) -> tuple[Tensor, Tensor]:
    """The moving images ``(B, 2, *S)``, values and coverage, with the intensities of the fixed ones, and the maps under which they have
    them, near x ``(B, d, d + 1)`` and of the freedom that is asked for.

    smooth: the fixed images on a coarser grid, whose slopes the noise does not drown.  Maps and coefficients are found together, by Gauss
    and Newton: one after the other they would hold each other back.  Pair by pair, so that neither numbers nor memory depend on the
    batch.
    """
    found, maps = torch.empty_like(moving), x.clone()

    def work(first: int, last: int) -> None:
        for row in range(first, last):
            here = slice(row, row + 1)
            maps[here], fit = _fitted(fixed[here], smooth[here], moving[here], x[here], freedom_name)
            _apply(fit, moving[row], found[row], backend)

    share_torch(work, len(x), moving.numel())
    return found, maps


def structure_left(fixed: Tensor, moving: Tensor, x: Tensor, backend: Backend) -> Tensor:
    """Share of the fixed images' structure that moving ones under maps x leave unexplained, ``(B,)``.

    The products of neighbouring residuals, over those of neighbouring intensities less what place alone explains of them, on the overlap,
    where there is an object.  Noise has no part in it, as it does not go on from one sample to the next.
    """
    d, size = x.shape[1], fixed.shape[-1]
    steps = (_PLANES if d == 3 else 1, *(1,) * (d - 1))
    fixed = fixed[:, :, steps[0] // 2 :: steps[0]]
    warped = sample_mapped(moving, _on_part(x, size, steps).to(fixed.device)[:, None], tuple(fixed.shape[2:]), backend)[:, 0]
    there = (fixed[:, 1] > _COVERED) & (warped[:, 1] > _COVERED) & (torch.maximum(fixed[:, 0].abs(), warped[:, 0].abs()) > _OBJECT)
    monomials = _monomials(size, steps, fixed.dtype, fixed.device)
    values = torch.stack([_without_place(*image, monomials) for image in zip(fixed[:, 0], there, strict=True)])
    left, shown = (_along_neighbours(image) for image in ((warped[:, 0] - fixed[:, 0]) * there, values))
    return torch.where(shown > _NOTHING, left / shown.clamp_min(_NOTHING), torch.inf).to(x)


def _without_place(values: Tensor, there: Tensor, monomials: Tensor) -> Tensor:
    """Intensities of an image, zero but where it is ``there``, less the polynomial of place that fits them best."""
    weighted = monomials * there.flatten()
    normal, right = (weighted @ monomials.T).cpu().double(), (weighted @ values.flatten()).cpu().double()
    normal.diagonal().add_(_NOTHING)
    fitted = torch.linalg.solve(normal, right).to(values) @ monomials
    return (values - fitted.view_as(values)) * there


def _along_neighbours(images: Tensor) -> Tensor:
    """Sum of the products of neighbours along columns and rows, ``(B,)``."""
    across, down = images[..., 1:] * images[..., :-1], images[..., 1:, :] * images[..., :-1, :]
    return total(across) + total(down)


def _on_part(x: Tensor, size: int, steps: tuple[int, ...]) -> Tensor:
    """Maps that take the grid of every so manieth sample, by array axis, as grids of fewer samples lie, to where x takes those samples."""
    part = affine.identity(1, x.shape[1], dtype=x.dtype, device=x.device)
    for column, step in enumerate(reversed(steps)):
        part[0, column, -1] = (2 * (step // 2) + 1 - step) / size
    return affine.compose(x, part.expand_as(x))


def _fitted(fixed: Tensor, smooth: Tensor, moving: Tensor, x: Tensor, freedom_name: FreedomName) -> tuple[Tensor, Correction]:
    """Of one pair the map and the coefficients, by samples of the moving image's grid, where the splines are the same under all maps."""
    back = freedom(freedom_name, affine.inverse(x))
    p, fit = back.origin, _unfitted(moving)
    for step, count in _STEPS[moving.ndim - 2]:
        part = _Part(moving, fit, step)
        for _ in range(count):
            way, fit = part.step(fixed, smooth, back, p, fit)
            longest = affine.distance(back.maps(p + way), back.maps(p)) * moving.shape[-1] / 2
            p = p + way * (_LONGEST / longest.clamp_min(_NOTHING)).clamp(max=1)
    return affine.inverse(back.maps(p)), fit


def _unfitted(moving: Tensor) -> Correction:
    """The range of the nodes alone."""
    values, coverage = _every(moving[0], _STEPS[moving.ndim - 2][-1][0])
    values = values[coverage > _COVERED]
    low, high = torch.quantile(values, values.new_tensor([_TAILS, 1 - _TAILS])).tolist() if len(values) else (0.0, 0.0)
    return Correction(values.new_zeros(NODES, len(_powers(moving.ndim - 2))), low, max(high, low + _NOTHING))


def _every(image: Tensor, step: int) -> Tensor:
    """Every ``step``-th sample along each axis of an image ``(C, *S)``, ``(C, samples)``."""
    part: tuple[slice, ...] = (slice(None), *[slice(step // 2, None, step)] * (image.ndim - 1))
    return image[part].flatten(1)


class _Part:
    """Every ``step``-th sample along each axis of the moving image of a pair ``(1, 2, *S)``, and its splines times monomials there."""

    def __init__(self, moving: Tensor, fit: Correction, step: int):
        d, size = moving.ndim - 2, moving.shape[-1]
        self._size, self._steps, self._shape = size, (step,) * d, (size // step,) * d
        values, coverage = _every(moving[0], step)
        monomials = _monomials(size, self._steps, values.dtype, values.device)
        nodes = torch.arange(NODES, device=values.device)[:, None]
        splines = (1 - (fit.places(values) - nodes).abs()).clamp_min(0)
        self._features = (splines[:, None] * monomials).flatten(0, 1)
        self._points = torch.cat((monomials[1 : d + 1], monomials[:1]))
        self._within = coverage > _COVERED
        self._first = values.new_zeros(1, 2, *self._shape)
        self._first[:, 0] = 1

    def step(self, fixed: Tensor, smooth: Tensor, back: Freedom, p: Tensor, fit: Correction) -> tuple[Tensor, Correction]:
        """Of Gauss and Newton from the map back at p ``(1, n)``, which changes and coefficients then explain the fixed image best; what the
        ones so far leave unexplained by far counts for little."""
        grid = mapped_grid(_on_part(back.maps(p), self._size, self._steps).to(fixed.device), self._shape, fixed.dtype)
        met = sample(fixed, grid)[0].flatten(1)
        slopes = grid_derivative(smooth, grid, self._first)[0].flatten(0, -2).T
        weight = (self._within & (met[1] > _COVERED)).to(met)
        if bool(fit.coefficients.any()):
            residual = met[0] - fit.coefficients.flatten() @ self._features
            mean = (residual.abs() * weight).sum() / weight.sum().clamp_min(1)
            weight = weight / (1 + (residual / (_TOLERATED * mean).clamp_min(_LEAST_TOLERATED)).square()).square()
        by_map = (slopes[:, None] * self._points).flatten(0, 1)
        columns = torch.cat((back.jacobian(p)[0].T.to(by_map) @ by_map, -self._features))
        weighted = columns * weight
        normal, right, n = (weighted @ columns.T).to(p), -(weighted @ met[0]).to(p), p.shape[1]
        diagonal = normal.diagonal()
        diagonal[:n] += _DAMPING * diagonal[:n] + _NOTHING
        diagonal[n:] += _RIDGE * diagonal[n:].mean() + _NOTHING
        solved = torch.linalg.solve(normal, right)
        return solved[None, :n], replace(fit, coefficients=solved[n:].view(NODES, -1).to(met))


def _apply(fit: Correction, moving: Tensor, out: Tensor, backend: Backend) -> None:
    """Correct an image ``(2, *S)``, values and coverage, to out."""
    if backend == "numba":
        from .compiled_correction import apply

        apply(fit.coefficients, fit.lowest, fit.highest, moving, out)
        return
    d, coverage = moving.ndim - 1, moving[1]
    place = fit.places(moving[0])
    node = place.floor().clamp_max(NODES - 2).long()
    share = place - node
    found = torch.zeros_like(place)
    for monomial, column in zip(_powers(d), fit.coefficients.T, strict=True):
        values = torch.lerp(column[node], column[node + 1], share)
        for coordinate, power in enumerate(monomial):
            if power:
                line = axis_coordinates(moving.shape[d - coordinate], dtype=values.dtype, device=values.device)
                values = values * line.view(-1, *(1,) * coordinate) ** power
        found += values
    torch.mul(found, coverage, out=out[0])
    out[1] = coverage


def _powers(d: int) -> list[tuple[int, ...]]:
    """Of x, y (and z) in each monomial: one, the coordinates, and their products of two."""
    unit = [tuple(int(k == j) for k in range(d)) for j in range(d)]
    products = [tuple(a + b for a, b in zip(unit[i], unit[j], strict=True)) for i in range(d) for j in range(i, d)]
    return [(0,) * d, *unit, *products]


@lru_cache(maxsize=8)
def _monomials(size: int, steps: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Their values at every so manieth sample of a grid, by array axis, ``(monomials, samples)``; kept, so not to be written to."""
    line = axis_coordinates(size, dtype=dtype, device=device)
    coordinates = torch.meshgrid(*[line[step // 2 :: step] for step in steps], indexing="ij")[::-1]
    powers = _powers(len(steps))
    return torch.stack([torch.stack([c**n for c, n in zip(coordinates, power, strict=True)]).prod(0).flatten() for power in powers])
