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
    found, term = np.zeros((len(fixed), 2)), kernel_term(data_term)
    share_out(lambda first, last: add_rows(term, fixed, rows_of_plane, every, first, last, found), len(fixed), samples=fixed.size // every)
    floor, missing = torch.from_numpy(found).unbind(1)
    return floor, missing / floor.clamp_min(EMPTY)


@lean
def add_rows(term, rows, rows_of_plane, every, first, last, found):
    """Add what the rows ``(B, C, R, columns)`` of the images first .. last - 1 give to found ``(B, 2)``, see ``floor_of_row``."""
    for k in range(first, last):
        for index in range(rows.shape[2]):
            plane, row = index // rows_of_plane, index % rows_of_plane
            if (row + every // 2 * plane) % every == 0:
                floor, missing = floor_of_row(term, rows[k, :, index])
                found[k, 0] += floor
                found[k, 1] += missing
