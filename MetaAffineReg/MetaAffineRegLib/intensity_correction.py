"""Another contrast as a function of intensity and place: the moving image is given the intensities of the fixed one, as far as such a
function can (adaptive intensity correction; Guimond, Roche, Ayache and Meunier, IEEE TMI 2001).

Under a map x that is nearly right, the fixed image's intensity is fitted, by least squares over a part of the samples, as

    sum over k and l of c_kl B_k(v) q_l(y),

v being the moving intensity at y, B_k the linear splines of eight nodes over its range and q_l the monomials of degree two at most, so
that each brightness may become any other and the change may drift over the image, as under an uneven field.  The corrected images can
then be compared by intensities, whose least is sharper than that of edges.  Where the function does not explain the contrast, as
between T1 and T2, structure is left, which ``structure_left`` tells.
"""

from dataclasses import replace
from types import ModuleType

import torch
from torch import Tensor

from . import affine, correction_formulas
from .backends import Backend
from .correction_formulas import COVERED, NODES, NOTHING, Correction, every, on_part, powers
from .freedom import Freedom, FreedomName, freedom
from .large_tensors import room_for
from .sampling import sample_mapped

SETTLED = 0.15  # structure left, below which the correction explains the contrast, and only noise is left
# By dimension: every so manieth sample along each axis, and how many steps by these.
_STEPS = {2: ((4, 3), (2, 2)), 3: ((6, 4), (4, 1))}
_PLANES = 4  # every so manieth of a volume is looked at for structure
_TAILS = 0.001  # share of the intensities at either end that lie beyond the nodes
_NARROWEST = 1e-5  # range of the nodes
_RIDGE = 1e-4  # of the mean of the normal matrix's diagonal
_DAMPING = 0.02  # share of the diagonal, of what belongs to the map
_LONGEST = 3.0  # samples: no step is longer


def corrected(
    fixed: Tensor, smooth: Tensor, moving: Tensor, x: Tensor, freedom_name: FreedomName, backend: Backend
) -> tuple[Tensor, Tensor]:
    """The moving images ``(B, 2, *S)``, values and coverage, with the intensities of the fixed ones, and the maps under which they have
    them, near x ``(B, d, d + 1)`` and of the freedom that is asked for.

    smooth: the fixed images on a coarser grid, whose slopes the noise does not drown.  Maps and coefficients are found together, by Gauss
    and Newton: one after the other they would hold each other back.  The samples are those of the moving image's grid, where the splines
    are the same under all maps.
    """
    formulas, back = _formulas(backend), freedom(freedom_name, affine.inverse(x))
    found = room_for(*moving.shape, dtype=moving.dtype, device=moving.device)
    p, fits = back.origin, [_unfitted(image) for image in moving]
    for step, count in _STEPS[moving.ndim - 2]:
        for _ in range(count):
            normal, right = formulas.equations(fixed, smooth, moving, back.maps(p), fits, step)
            p, fits = _stepped(back, p, fits, normal, right, _LONGEST * 2 / moving.shape[-1])
    formulas.apply(fits, moving, found)
    return found, affine.inverse(back.maps(p))


def structure_left(fixed: Tensor, moving: Tensor, x: Tensor, backend: Backend) -> Tensor:
    """Share of the fixed images' structure that moving ones under maps x leave unexplained, ``(B,)``.

    The products of neighbouring residuals, over those of neighbouring intensities less what place alone explains of them, on the overlap,
    where there is an object.  Noise has no part in it, as it does not go on from one sample to the next.
    """
    d, size = x.shape[1], fixed.shape[-1]
    steps = (_PLANES if d == 3 else 1, *(1,) * (d - 1))
    fixed = fixed[:, :, steps[0] // 2 :: steps[0]]
    warped = sample_mapped(moving, on_part(x, size, steps).to(fixed.device)[:, None], tuple(fixed.shape[2:]), backend)[:, 0]
    left, shown = _formulas(backend).neighbour_products(fixed, warped, _PLANES)
    return torch.where(shown > NOTHING, left / shown.clamp_min(NOTHING), torch.inf).to(x)


def _formulas(backend: Backend) -> ModuleType:
    """``correction_formulas``, or what computes the same; imported here, as it needs a package that may not be there."""
    if backend == "numba":
        from . import compiled_correction

        return compiled_correction
    return correction_formulas


def _unfitted(moving: Tensor) -> Correction:
    """The range of the nodes alone, for an image ``(2, *S)``."""
    d = moving.ndim - 1
    values, coverage = every(moving, _STEPS[d][-1][0])
    values = values[coverage > COVERED]
    low, high = torch.quantile(values, values.new_tensor([_TAILS, 1 - _TAILS])).tolist() if len(values) else (0.0, 0.0)
    least = _NARROWEST * max(1.0, abs(low))  # in single precision too the nodes are apart
    return Correction(values.new_zeros(NODES, len(powers(d))), low, max(high, low + least))


def _stepped(
    back: Freedom, p: Tensor, fits: list[Correction], normal: Tensor, right: Tensor, longest: float
) -> tuple[Tensor, list[Correction]]:
    """Parameters ``(B, n)`` and fits that solve the damped normal equations; no map is moved by more than ``longest``, normalised."""
    jacobian, n, entries = back.jacobian(p), p.shape[1], back.maps(p)[0].numel()
    by_p = torch.cat((jacobian.mT @ normal[:, :entries], normal[:, entries:]), 1)
    by_p = torch.cat((by_p[..., :entries] @ jacobian, by_p[..., entries:]), 2)
    diagonal = by_p.diagonal(dim1=1, dim2=2)
    diagonal[:, :n] += _DAMPING * diagonal[:, :n] + NOTHING
    diagonal[:, n:] += _RIDGE * diagonal[:, n:].mean(1, keepdim=True) + NOTHING
    right = torch.cat(((jacobian.mT @ right[:, :entries, None])[..., 0], right[:, entries:]), 1)
    solved = torch.stack([torch.linalg.solve(*system) for system in zip(by_p, right, strict=True)])  # the numbers of each pair alone
    way, coefficients = solved[:, :n], solved[:, n:].unflatten(1, (NODES, -1)).to(fits[0].coefficients)
    length = affine.distance(back.maps(p + way), back.maps(p))
    p = p + way * (longest / length.clamp_min(NOTHING)).clamp(max=1)[:, None]
    return p, [replace(fit, coefficients=found) for fit, found in zip(fits, coefficients, strict=True)]
