"""Where a search sets out: rotations spread over a range, each with a translation of its own.

For every rotation all translations of one grid are tried at once: the criterion's sums over the overlap are correlations of
``correlation_features``, and the fast Fourier transform gives these for all translations (after Padfield, Masked object
registration in the Fourier domain, IEEE TIP 2012).  On the smallest grids compiled code is faster that tries one after the other.
"""

import math
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .backends import Backend
from .correlation_features import INTENSITY_WAVES, Features, IntensityWaves
from .sampling import axis_coordinates, sample_mapped
from .threads import share_torch

Translations = Literal["search", "mass", "centre"]
_NUMBERS, _NUMBERS_ON_GPU = 1 << 19, 1 << 27  # of features at a time: what a processor's cache holds, and half a gigabyte
_SMALL = 1 << 11  # samples of a grid on which trying all translations one by one takes less than the transforms
_PSI = 1.533751168755204  # the real root of psi^4 = psi + 4


def rotations(dimension: int, count: int, largest: float = 180.0) -> Tensor:
    """About ``count`` rotations spread evenly over those by at most ``largest`` degrees, the identity first, ``(N, d, d)`` in float64.

    In space they are a super-Fibonacci spiral (Alexa, CVPR 2022), of which those within the range are taken.
    """
    if dimension == 2:
        if largest >= 180:
            angles = [2 * math.pi * k / count for k in range(count)]
        else:
            side = count // 2  # as many to each side of the identity
            angles = [math.radians(largest) * k / max(side, 1) for k in range(-side, side + 1)]
        angles = sorted(angles, key=lambda angle: abs(math.remainder(angle, 2 * math.pi)))
        return torch.tensor([[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in angles], dtype=torch.float64)
    angle = math.radians(min(largest, 180.0))
    share = (angle - math.sin(angle)) / math.pi  # of all rotations that turn by at most the angle
    spiral = _super_fibonacci(max(1, round(count / max(share, 1e-3))))
    turn = 2 * spiral[:, 3].abs().clamp(max=1).acos()
    order = turn.argsort(stable=True)
    inside = spiral[order][turn[order] <= angle][: count - 1]
    return torch.cat((torch.eye(3, dtype=torch.float64)[None], _matrices(inside)))


def starts(
    fixed: Tensor,
    moving: Tensor,
    base: Tensor,
    turns: Tensor,
    translations: Translations = "search",
    each: int = 1,
    features: Features = INTENSITY_WAVES,
    backend: Backend = "torch",
) -> tuple[Tensor, Tensor]:
    """Maps ``(B, S, d, d + 1)`` and the share of the content that they leave unexplained, ``(B, S)``, both float64.

    fixed, moving: ``(B, 2, *S)``, values and coverage on one coarse grid; base ``(B, d, d + 1)``: the map around which the
    rotations turns ``(N, d, d)`` are laid.  A search finds ``each`` translations for a rotation, S = N each, within half the
    grid; centres of mass and of the images give one, and no value (zeros).
    """
    batch, d = base.shape[:2]
    matrices = base[:, None, :, :d] @ turns.to(base)  # (B, S, d, d)
    if translations == "search":
        shifts, values = _search(fixed, moving, matrices, base[:, None, :, d:], features, each, backend)
        matrices = matrices.repeat_interleave(each, 1)
        offsets = matrices @ shifts[..., None] + base[:, None, :, d:]
        return torch.cat((matrices, offsets), -1), values
    middle = [centre_of_mass(image).to(base) if translations == "mass" else base.new_zeros(batch, d) for image in (fixed, moving)]
    offsets = middle[1][:, None, :, None] - matrices @ middle[0][:, None, :, None]
    return torch.cat((matrices, offsets), -1), base.new_zeros(matrices.shape[:2])


def centre_of_mass(images: Tensor) -> Tensor:
    """Of the distance to the background, ``(B, 2, *S)`` -> ``(B, d)`` in normalised coordinates; the middle of an empty image."""
    mass = images[:, 0].abs().double()
    d = mass.ndim - 1
    z = axis_coordinates(mass.shape[-1], dtype=mass.dtype, device=mass.device)
    profiles = [mass.sum([k for k in range(1, d + 1) if k != d - axis]) for axis in range(d)]
    return torch.stack([(profile * z).sum(1) / profile.sum(1).clamp_min(1e-12) for profile in profiles], 1)


def _search(
    fixed: Tensor, moving: Tensor, matrices: Tensor, offset: Tensor, features: Features, each: int, backend: Backend
) -> tuple[Tensor, Tensor]:
    """The best shifts t of fixed points, phi(z) = matrix (z + t) + offset, ``(B, S each, d)``, and their values ``(B, S each)``."""
    n, d = fixed.shape[-1], fixed.ndim - 2
    trial: _Trial
    if backend == "numba" and isinstance(features, IntensityWaves) and n**d <= _SMALL:
        trial = _OneByOne(fixed, moving, features)
    else:
        trial = _ByTransforms(fixed, moving, features, backend)
    batch, count = matrices.shape[:2]
    numbers = _NUMBERS if fixed.device.type == "cpu" else _NUMBERS_ON_GPU
    rotations_at_once = max(1, numbers // (trial.fields * (2 * n) ** d))
    pairs_at_once = max(1, rotations_at_once // count)
    parts = [(pairs, turns) for pairs in evenly(batch, pairs_at_once) for turns in evenly(count, rotations_at_once)]
    # The moving image, turned, on a grid twice as wide: then no shift within half the fixed image wraps around.
    wide = torch.cat((2 * matrices, offset.expand(-1, count, -1, -1)), -1)
    found = matrices.new_empty(batch, count, each, d + 1)
    wide = wide.to(fixed.device)

    def search(first: int, last: int) -> None:
        for pairs, turns in parts[first:last]:
            found[pairs, turns] = _lowest(trial.values(pairs, wide[pairs, turns]), each).to(found.device)

    share_torch(search, len(parts), batch * count * trial.fields * (2 * n) ** d)
    found = found.flatten(1, 2)
    return found[..., :d], found[..., d]


def evenly(count: int, most: int) -> list[slice]:
    """0 .. count - 1 in parts of ``most`` at most, as few and as even as can be, whatever the number of threads."""
    parts = -(-count // most)
    return [slice(count * k // parts, count * (k + 1) // parts) for k in range(parts)]


class _Trial(Protocol):
    """All translations tried; ``fields``: numbers that it holds for a sample of the wide grid."""

    fields: int

    def values(self, pairs: slice, wide: Tensor) -> Tensor:
        """What some pairs leave unexplained under maps wide ``(B, S, d, d + 1)`` of the wide grid and each shift from it,
        ``(B, S, *(n + 1,) * d)``."""


class _ByTransforms:
    def __init__(self, fixed: Tensor, moving: Tensor, features: Features, backend: Backend):
        self._n, self._d, self._features, self._backend = fixed.shape[-1], fixed.ndim - 2, features, backend
        fields, self._floor = features.partners(fixed)
        self._axes = tuple(range(-self._d, 0))
        self._partners = torch.fft.rfftn(fields, (2 * self._n,) * self._d, self._axes).conj().resolve_conj()
        self._channels, self.fields = features.channels(moving), fields.shape[2]

    def values(self, pairs: slice, wide: Tensor) -> Tensor:
        shape = (2 * self._n,) * self._d
        turned = sample_mapped(self._channels[pairs], wide, shape, self._backend)
        spectra = torch.fft.rfftn(self._features.turned(turned, wide[..., :-1] / 2), dim=self._axes)
        sums = [(spectra * partner[:, None]).sum(2) for partner in self._partners[pairs].unbind(1)]
        shifts = (..., *(slice(self._n + 1),) * self._d)
        unexplained, content = (torch.fft.irfftn(total, shape, self._axes)[shifts] for total in sums)
        floor = self._floor[pairs].view(-1, *(1,) * (self._d + 1))
        return (unexplained + (floor - content).clamp_min(0)) / torch.maximum(content, floor)


class _OneByOne:
    fields = 4

    def __init__(self, fixed: Tensor, moving: Tensor, features: IntensityWaves):
        self._features, self._moving, self._fixed = features, moving, features.phases(fixed, fixed.ndim - 2)
        self._floor = features.floor(self._fixed[:, -1])

    def values(self, pairs: slice, wide: Tensor) -> Tensor:
        from .compiled_search import values_of_shifts

        shape = [2 * n for n in self._moving.shape[2:]]
        turned = sample_mapped(self._moving[pairs], wide, tuple(shape), "numba")
        return values_of_shifts(self._fixed[pairs], self._features.phases(turned, len(shape)), self._floor[pairs])


def _lowest(value: Tensor, each: int) -> Tensor:
    """Shifts and values ``(B, S, each, d + 1)`` of the lowest of ``(B, S, *(n + 1,) * d)``."""
    d, n = value.ndim - 2, value.shape[-1] - 1
    best, index = value.flatten(2).min(-1, keepdim=True) if each == 1 else _lowest_minima(value, each)
    steps = torch.stack([index // (n + 1) ** axis % (n + 1) for axis in range(d)], -1)
    return torch.cat(((steps - n / 2).double() * (2 / n), best.double()[..., None]), -1)


def _lowest_minima(value: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The lowest local minima of images ``(B, S, *T)`` and their places in the flattened ones, ``(B, S, count)``; infinite where there
    are fewer."""
    pool = F.max_pool2d if value.ndim == 4 else F.max_pool3d
    lowest_around = -pool(-value.flatten(0, 1)[:, None], 3, 1, 1).view_as(value)
    minima = torch.where(value <= lowest_around, value, torch.inf).flatten(2)
    return minima.topk(count, -1, largest=False)


def _super_fibonacci(count: int) -> Tensor:
    """Unit quaternions (x, y, z, w) spread evenly, ``(count, 4)`` (Alexa, CVPR 2022, algorithm 1)."""
    s = torch.arange(count, dtype=torch.float64) + 0.5
    t = s / count
    alpha, beta = 2 * math.pi * s / math.sqrt(2), 2 * math.pi * s / _PSI
    return torch.stack((t.sqrt() * alpha.sin(), t.sqrt() * alpha.cos(), (1 - t).sqrt() * beta.sin(), (1 - t).sqrt() * beta.cos()), 1)


def _matrices(quaternions: Tensor) -> Tensor:
    """Rotation matrices of unit quaternions (x, y, z, w), ``(N, 3, 3)``."""
    x, y, z, w = quaternions.unbind(1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
