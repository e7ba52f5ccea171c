"""What is worth knowing of a pair before it is registered, though nothing stands against it."""

import numpy as np
import slicer

from MetaAffineRegLib.geometry import ImageGeometry

from .transform_nodes import is_earlier_result
from .volume_nodes import volume_geometry

_TURNED = 20.0  # degrees between the axes of two lattices
_SIZES = 3.0  # times as long


def pair_warnings(
    fixed: slicer.vtkMRMLScalarVolumeNode, moving: slicer.vtkMRMLScalarVolumeNode, output: slicer.vtkMRMLTransformNode | None = None
) -> list[str]:
    """Sentences for a pair that ``check_nodes`` accepts; reads headers only."""
    images = volume_geometry(fixed), volume_geometry(moving, output if is_earlier_result(output, moving) else None)
    return [sentence for sentence in (_apart(*images), _turned(*images), _sizes(*images)) if sentence]


def _apart(fixed: ImageGeometry, moving: ImageGeometry) -> str:
    """Where the boxes of the two images have nothing in common."""
    millimetres = float(np.linalg.norm(fixed.center_lps - moving.center_lps))
    if millimetres <= (fixed.extent + moving.extent) / 2:
        return ""
    return f"The headers put the images {millimetres:.0f} mm apart; the search begins with their centers on each other."


def _turned(fixed: ImageGeometry, moving: ImageGeometry) -> str:
    """Slices by their planes; volumes by their axes, whichever of them is called i, j or k."""
    cosines = np.abs(fixed.directions.T @ moving.directions)
    if fixed.dimension == 2:
        degrees = float(np.degrees(np.arccos(min(1.0, cosines[2, 2]))))
        if degrees > _TURNED:
            return f"The slices lie in planes {degrees:.0f} degrees apart; the search begins with one turned into the plane of the other."
        return ""
    degrees = float(np.degrees(np.arccos(np.clip(cosines.max(axis=0).min(), 0, 1))))
    return f"By their headers the images are turned by {degrees:.0f} degrees against each other." if degrees > _TURNED else ""


def _sizes(fixed: ImageGeometry, moving: ImageGeometry) -> str:
    """A wrong spacing shows as an image that is far too large or small."""
    ratio = moving.extent / fixed.extent
    if 1 / _SIZES < ratio < _SIZES:
        return ""
    return f"The images are {fixed.extent:.0f} and {moving.extent:.0f} mm long: is the spacing of both right?"
