"""Images whose brightness is known at every point of space, so that the true transform is known too."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image

Matrix = NDArray[np.float64]


def brightness(points: Matrix, seed: int = 0, dimension: int = 3) -> Matrix:
    """Brightness at LPS points ``(..., 3)``, mm: blobs of 3 to 12 mm within about 45 mm of the origin, no symmetry.

    With ``dimension`` 2 it is the same along z.
    """
    random = np.random.default_rng(seed)
    centers = random.uniform(-26, 26, (24, 3))[:, :dimension]
    widths, heights = random.uniform(3, 12, 24), random.uniform(20, 100, 24)
    flat = points.reshape(-1, 3)[:, :dimension]
    # |p - c|^2 of every point and blob in one product
    squares = (flat**2).sum(1)[:, None] - 2 * flat @ centers.T + (centers**2).sum(1)
    return (np.exp(squares / (-2 * widths**2)) @ heights).reshape(points.shape[:-1])


def lattice(
    size: Sequence[int], spacing: Sequence[float], axes: Matrix | None = None, center: Sequence[float] = (0, 0, 0)
) -> ImageGeometry:
    """``size`` samples along (i, j, k) around ``center``, mm; the columns of ``axes`` are the directions of i, j, k."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if axes is None else axes[:3, :3]) * np.asarray(spacing, dtype=float)
    matrix[:3, 3] = np.asarray(center) - matrix[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return ImageGeometry(tuple(size), matrix)


def points_of(geometry: ImageGeometry, step: int = 1) -> Matrix:
    """LPS points of every ``step``-th sample along each axis, ``(nk, nj, ni, 3)``."""
    k, j, i = np.meshgrid(*[np.arange(0, n, step) for n in geometry.size[::-1]], indexing="ij")
    return apply(geometry.index_to_lps, np.stack((i, j, k), -1).astype(float))


def made(geometry: ImageGeometry, truth: Matrix | None = None, seed: int = 0, name: str = "made", *, noise: float = 0.0) -> Image:
    """``brightness`` moved by ``truth`` (4 x 4): what it shows at p, this image shows at truth p.

    So the fixed point -> moving point map of ``made(a)`` and ``made(b, truth)`` is ``truth``.
    """
    points = points_of(geometry)
    if truth is not None:
        points = apply(np.linalg.inv(truth), points)
    array = brightness(points, seed, geometry.dimension)
    array += noise * np.random.default_rng(seed + 1).standard_normal(array.shape)
    return Image.checked(array, geometry, name)


def affine(
    degrees: float = 0.0, shift: Sequence[float] = (0, 0, 0), axis: Sequence[float] = (0, 0, 1), stretch: Matrix | None = None
) -> Matrix:
    """A rotation about an axis through the origin behind a linear map ``stretch`` (3 x 3), then a shift, 4 x 4."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew  # Rodrigues
    if stretch is not None:
        matrix[:3, :3] = matrix[:3, :3] @ stretch
    matrix[:3, 3] = shift
    return matrix


def apply(matrix: Matrix, points: Matrix) -> Matrix:
    """Points ``(..., 3)`` mapped by a 4 x 4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def distance(found: Matrix, truth: Matrix, geometry: ImageGeometry) -> float:
    """Root mean square over the samples of an image of how far two maps take them apart, mm."""
    points = points_of(geometry, step=4)
    return float(np.sqrt(((apply(found, points) - apply(truth, points)) ** 2).sum(-1).mean()))
