"""Pairs as pictures: fixed, moving, and the moving image under a map, side by side; a file that Qt reads and no library is needed for."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.sampling import mapped_grid, sample

from .pairs import Pairs

_GAP = 2


def mosaic(pairs: Pairs, found: Tensor | None = None, rows: int = 3) -> NDArray[np.uint8]:
    """Gray values (height, width): a row a pair, fixed and moving, and with ``found``
    ``(B, d, d + 1)`` the moving image laid on the fixed one.  Of volumes the middle slice.
    """
    size = pairs.grids.finest
    fixed, moving = (side[size][:rows, :1] for side in (pairs.grids.fixed, pairs.grids.moving))
    columns = [fixed, moving]
    if found is not None:
        columns.append(sample(moving, mapped_grid(found[:rows], moving.shape[2:], moving.dtype)))
    flat = [images if images.ndim == 4 else images[:, :, size // 2] for images in columns]
    tiles = torch.nn.functional.pad(torch.stack(flat, 1)[:, :, 0].abs(), (0, _GAP, 0, _GAP))
    whole = tiles.permute(0, 2, 1, 3).reshape(tiles.shape[0] * tiles.shape[2], -1)
    return (255 * whole.clamp(0, 1)).round().to("cpu", torch.uint8).numpy()


def write_picture(path: Path, gray: NDArray[np.uint8]) -> None:
    """Portable gray map (PGM)."""
    with written_together(path) as (part,):
        part.write_bytes(f"P5 {gray.shape[1]} {gray.shape[0]} 255\n".encode() + gray.tobytes())
