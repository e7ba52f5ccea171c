"""Where images lie: voxel index <-> normalised coordinates <-> LPS / RAS millimetres.

Normalised coordinates span [-1, 1]^d over a square or cube that holds the whole image, one length
for all axes and for both images of a pair, so that a rotation in millimetres is a rotation in
normalised coordinates however many pixels the images have and of whatever shape.  Points in
space are always three-dimensional: a 2D image lies in a plane, and maps of the plane leave the
direction across it alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Matrix = NDArray[np.float64]


def flip_ras_lps(matrix: Matrix) -> Matrix:
    """A 4 x 4 map of RAS points as a map of LPS points, or back."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    return flip @ matrix @ flip


@dataclass(frozen=True)
class ImageGeometry:
    """The lattice of an image: ``size`` samples along (i, j, k) and ``index_to_lps`` (4 x 4, mm).

    A 2D image has exactly one axis of size 1.  The matrix may hold shear, as a parent transform can.
    Raises InputError for a lattice that is flat in more than one direction or whose matrix is singular.
    """

    size: tuple[int, int, int]
    index_to_lps: Matrix

    def __post_init__(self) -> None:
        matrix = np.asarray(self.index_to_lps, dtype=np.float64)
        object.__setattr__(self, "index_to_lps", matrix)
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
            raise InputError("The image has no usable geometry: its spacing or direction is zero, infinite or flat; set a valid spacing.")
        if sum(n > 1 for n in self.size) < 2:
            raise InputError(f"The image has {' x '.join(map(str, self.size))} samples; registration needs at least two along two axes.")

    @classmethod
    def from_lattice(
        cls, size: tuple[int, ...], spacing: tuple[float, ...], origin: tuple[float, ...], direction: Matrix
    ) -> "ImageGeometry":
        """From ITK's description of an image, of two or three dimensions, LPS mm; a 2D image lies in z = 0."""
        d = len(size)
        matrix = np.eye(4)
        matrix[:d, :d] = np.asarray(direction, dtype=np.float64).reshape(d, d) * np.asarray(spacing, dtype=np.float64)
        matrix[:d, 3] = origin
        return cls((*size, *(1,) * (3 - d)), matrix)  # type: ignore[arg-type]

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """The index axes that have more than one sample: two of them for a slice, else all three."""
        return tuple(axis for axis in range(3) if self.size[axis] > 1)

    @cached_property
    def dimension(self) -> int:
        """2 for a single slice, 3 for a volume."""
        return len(self.axes)

    @cached_property
    def spacing(self) -> Matrix:
        """Millimetres between samples along (i, j, k)."""
        return np.linalg.norm(self.index_to_lps[:3, :3], axis=0)

    @cached_property
    def center_lps(self) -> Matrix:
        """The middle of the image, LPS mm, ``(3,)``."""
        return self.index_to_lps[:3, :3] @ ((np.asarray(self.size) - 1) / 2) + self.index_to_lps[:3, 3]

    @cached_property
    def extent(self) -> float:
        """Length of the longest side, in mm."""
        return max(self.size[axis] * float(self.spacing[axis]) for axis in self.axes)

    @cached_property
    def directions(self) -> Matrix:
        """Orthonormal columns nearest to the directions of the axes, the flat axis (if any) last, ``(3, 3)``."""
        flat = [axis for axis in range(3) if axis not in self.axes]
        columns = self.index_to_lps[:3, :3][:, [*self.axes, *flat]] / self.spacing[[*self.axes, *flat]]
        u, _, vh = np.linalg.svd(columns)
        return u @ vh


@dataclass(frozen=True)
class PairFrame:
    """The normalised coordinates of a pair: maps from normalised to LPS mm, 4 x 4, for each of the two images.

    ``start`` is the map ``(d, d + 1)`` in normalised coordinates from which registration sets out.
    """

    fixed_to_lps: Matrix
    moving_to_lps: Matrix
    start: Matrix

    @property
    def dimension(self) -> int:
        return self.start.shape[0]

    def to_lps(self, x: Matrix) -> Matrix:
        """A map x ``(d, d + 1)``, fixed to moving in normalised coordinates, as 4 x 4 in LPS mm."""
        d = self.dimension
        matrix = np.eye(4)
        matrix[:d, :d], matrix[:d, 3] = x[:, :d], x[:, d]
        return self.moving_to_lps @ matrix @ np.linalg.inv(self.fixed_to_lps)


def pair_frame(fixed: ImageGeometry, moving: ImageGeometry, initial: Matrix | None = None) -> PairFrame:
    """Normalised coordinates for a pair.

    ``initial`` (4 x 4, fixed point -> moving point, LPS mm) is where registration sets out; without it the
    centres of the two images are laid on each other, axes as the headers say, and slices of different planes
    are turned into one plane by the smallest rotation.  Raises InputError where the dimensions differ.
    """
    if fixed.dimension != moving.dimension:
        raise InputError(
            f"The fixed image has {fixed.dimension} dimensions and the moving image {moving.dimension}; "
            "give two slices or two volumes (a slice can be cut out of the volume first)."
        )
    d = fixed.dimension
    turn = np.eye(3)
    if d == 2:
        turn = _smallest_rotation(fixed.directions[:, 2], moving.directions[:, 2])
    if initial is not None:
        turn = _plane_part(initial, turn, fixed) if d == 2 else _rotation_part(initial[:3, :3])
    # One length for both images: a scale of one in normalised coordinates is a scale of one in mm.
    half = max(fixed.extent, moving.extent) / 2
    fixed_to_lps = _frame(fixed.directions, fixed.center_lps, half)
    moving_to_lps = _frame(turn @ fixed.directions, moving.center_lps, half)
    start = np.eye(d, d + 1)
    if initial is not None:
        relative = np.linalg.inv(moving_to_lps) @ initial @ fixed_to_lps
        start = np.hstack((relative[:d, :d], relative[:d, 3:]))
    return PairFrame(fixed_to_lps, moving_to_lps, start)


def _frame(directions: Matrix, center: Matrix, half: float) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = directions * half, center
    return matrix


def _rotation_part(matrix: Matrix) -> Matrix:
    u, _, vh = np.linalg.svd(matrix)
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vh))]) @ vh


def _plane_part(initial: Matrix, turn: Matrix, fixed: ImageGeometry) -> Matrix:
    """Of an initial transform of slices, the rotation that keeps the fixed plane on the moving plane."""
    axes = turn @ fixed.directions
    in_plane = axes[:, :2].T @ initial[:3, :3] @ fixed.directions[:, :2]
    u, _, vh = np.linalg.svd(in_plane)
    rotation = u @ np.diag([1.0, np.sign(np.linalg.det(u @ vh))]) @ vh
    block = np.eye(3)
    block[:2, :2] = rotation
    return axes @ block @ fixed.directions.T


def _smallest_rotation(source: Matrix, target: Matrix) -> Matrix:
    """The rotation by the smallest angle that lays the line of one unit vector on the line of another (Rodrigues)."""
    cosine = float(source @ target)
    if cosine < 0:  # a plane has no front: the normal may point either way
        target, cosine = -target, -cosine
    skew = np.outer(target, source) - np.outer(source, target)  # of their cross product
    return np.eye(3) + skew + skew @ skew / (1 + cosine)
