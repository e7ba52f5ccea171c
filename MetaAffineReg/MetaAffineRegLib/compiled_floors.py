"""``floor_and_price`` of the data terms for the compiled kernels on the CPU, compiled by numba: row by row, so that nothing of the size of
an image is made."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .compiling import lean
from .data_terms import EMPTY, DataTerm
from .kernel_terms import kernel_term
from .kernels import floor_of_row
from .threads import share_out


def floor_and_price(fixed: npt.NDArray[np.float32], rows_of_plane: int, data_term: DataTerm, every: int = 1) -> tuple[Tensor, Tensor]:
    """Those of fixed channels by rows, ``(B, C, rows, columns)``, of which one in ``every`` counts (see ``fused_images.rows_of``), both
    ``(B,)`` in float64; where an image shows nothing, both are zero."""
    planes, term = fixed.shape[2] // rows_of_plane, kernel_term(data_term)
    found = np.zeros((len(fixed), planes, 2))
    share_out(lambda first, last: add_planes(term, fixed, every, first, last, found), len(fixed) * planes, samples=fixed.size // every)
    floor, missing = torch.from_numpy(found.sum(1)).unbind(1)
    return floor, missing / floor.clamp_min(EMPTY)


@lean
def add_planes(term, rows, every, first, last, found):
    """Add what the rows ``(B, C, R, columns)`` of the planes first .. last - 1, one image's after the other's, give to found
    ``(B, planes, 2)``, see ``floor_of_row``."""
    planes = found.shape[1]
    rows_of_plane = rows.shape[2] // planes
    for item in range(first, last):
        k, plane = item // planes, item % planes
        for row in range(rows_of_plane):
            if (row + every // 2 * plane) % every == 0:
                floor, missing = floor_of_row(term, rows[k, :, plane * rows_of_plane + row])
                found[k, plane, 0] += floor
                found[k, plane, 1] += missing
