"""Linear transforms on disk: ITK affine, fixed point -> moving point, LPS mm, three-dimensional."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix


def write_transform(path: Path, fixed_to_moving_lps: Matrix) -> None:
    """Write a 4 x 4 map."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(fixed_to_moving_lps[:3, :3].ravel().tolist())
    transform.SetTranslation(fixed_to_moving_lps[:3, 3].tolist())
    sitk.WriteTransform(transform, str(path))


def read_transform(path: Path) -> Matrix:
    """A linear transform of two or three dimensions as 4 x 4; raises InputError where it is missing, unreadable or not linear."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a transform file (.tfm).")
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} can't be read as a transform; give an ITK transform file (.tfm).") from error
    if not transform.IsLinear():
        raise InputError(f"{path} is not a linear transform; an affine one is needed to start from.")
    d = transform.GetDimension()
    points = np.vstack((np.zeros(d), np.eye(d)))
    mapped = np.array([transform.TransformPoint(point.tolist()) for point in points])
    matrix = np.eye(4)
    matrix[:d, :d], matrix[:d, 3] = (mapped[1:] - mapped[0]).T, mapped[0]
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(f"{path} holds a transform that can't be inverted; give another start.")
    return matrix
