"""SimpleITK: rotations over the full circle about the centres of gravity, the best few refined from coarse to fine.

SimpleITK has no search of its own: this is the loop that its users write around ``ImageRegistrationMethod``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk


def register(fixed: Path, moving: Path, settings: dict[str, Any]) -> np.ndarray:
    """4 x 4, fixed point -> moving point, LPS mm, for two dimensions.

    ``settings``: starts (rotations), keep (of them), and the tables rigid and affine with shrink and sigma_mm, level by level,
    and step and tolerance, mm, and iterations of each level.  Raises RuntimeError where SimpleITK gives up on every start.
    """
    images = [sitk.ReadImage(str(path), sitk.sitkFloat32) for path in (fixed, moving)]
    rigid = [_refined(images, start, settings, "rigid") for start in _starts(images, settings["starts"])]
    kept = sorted((one for one in rigid if one is not None), key=lambda one: one[0])[: settings["keep"]]
    affine = [_refined(images, _as_affine(transform), settings, "affine") for _, transform in kept]
    ends = [one for one in affine if one is not None]
    if not ends:
        raise RuntimeError("no start came to an end")
    return _matrix(min(ends, key=lambda one: one[0])[1])


def _starts(images: list[sitk.Image], count: int) -> list[sitk.Euler2DTransform]:
    first = sitk.CenteredTransformInitializer(*images, sitk.Euler2DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS)
    starts = []
    for number in range(count):
        start = sitk.Euler2DTransform(sitk.Euler2DTransform(first))
        start.SetAngle(2 * np.pi * number / count)
        starts.append(start)
    return starts


def _refined(images: list[sitk.Image], start: sitk.Transform, settings: dict[str, Any], stage: str) -> tuple[float, sitk.Transform] | None:
    """(criterion, transform) of one stage from a start; None where the images no longer overlap."""
    levels = settings[stage]
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(levels["shrink"])
    method.SetSmoothingSigmasPerLevel(levels["sigma_mm"])
    method.SetOptimizerAsRegularStepGradientDescent(
        levels["step"], levels["tolerance"], levels["iterations"], gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    transform = type(start)(start)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(*images)
    except RuntimeError:
        return None
    return method.GetMetricValue(), transform


def _as_affine(transform: sitk.Euler2DTransform) -> sitk.AffineTransform:
    affine = sitk.AffineTransform(2)
    affine.SetCenter(transform.GetCenter())
    affine.SetMatrix(transform.GetMatrix())
    affine.SetTranslation(transform.GetTranslation())
    return affine


def _matrix(affine: sitk.AffineTransform) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = np.reshape(affine.GetMatrix(), (2, 2))
    centre = np.array(affine.GetCenter())
    matrix[:2, 3] = np.array(affine.GetTranslation()) + centre - matrix[:2, :2] @ centre
    return matrix
