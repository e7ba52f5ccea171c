"""SimpleITK: rotations spread over all there are about the centres of gravity, the best few refined from coarse to fine.

SimpleITK has no search of its own: this is the loop that its users write around ``ImageRegistrationMethod``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from rotations import rotations

_RIGID = {2: sitk.Euler2DTransform, 3: sitk.Euler3DTransform}


def register(fixed: Path, moving: Path, settings: dict[str, Any]) -> np.ndarray:
    """4 x 4, fixed point -> moving point, LPS mm.

    ``settings``: metric (as in the name of the method that sets it), starts (rotations), keep (of them), and the tables rigid and affine
    with shrink and sigma_mm, level by level, step and tolerance, mm, iterations of each level, and sampling, the share of the samples
    that is looked at (all without it).  Raises RuntimeError where SimpleITK gives up on every start.
    """
    images = [sitk.ReadImage(str(path), sitk.sitkFloat32) for path in (fixed, moving)]
    rigid = [_refined(images, start, settings, "rigid") for start in _starts(images, settings["starts"])]
    kept = sorted((one for one in rigid if one is not None), key=lambda one: one[0])[: settings["keep"]]
    affine = [_refined(images, _as_affine(transform), settings, "affine") for _, transform in kept]
    ends = [one for one in affine if one is not None]
    if not ends:
        raise RuntimeError("no start came to an end")
    return _matrix(min(ends, key=lambda one: one[0])[1])


def _starts(images: list[sitk.Image], count: int) -> list[sitk.Transform]:
    d = images[0].GetDimension()
    first = sitk.CenteredTransformInitializer(*images, _RIGID[d](), sitk.CenteredTransformInitializerFilter.MOMENTS)
    starts = []
    for rotation in rotations(count, d):
        start = _RIGID[d](_RIGID[d](first))
        start.SetMatrix(rotation.ravel().tolist())
        starts.append(start)
    return starts


def _refined(images: list[sitk.Image], start: sitk.Transform, settings: dict[str, Any], stage: str) -> tuple[float, sitk.Transform] | None:
    """(criterion, transform) of one stage from a start; None where the images no longer overlap."""
    levels = settings[stage]
    method = sitk.ImageRegistrationMethod()
    getattr(method, f"SetMetricAs{settings['metric']}")()
    if "sampling" in levels:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(levels["sampling"], seed=1)
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


def _as_affine(transform: sitk.Transform) -> sitk.AffineTransform:
    affine = sitk.AffineTransform(transform.GetDimension())
    affine.SetCenter(transform.GetCenter())
    affine.SetMatrix(transform.GetMatrix())
    affine.SetTranslation(transform.GetTranslation())
    return affine


def _matrix(affine: sitk.AffineTransform) -> np.ndarray:
    d = affine.GetDimension()
    matrix = np.eye(4)
    matrix[:d, :d] = np.reshape(affine.GetMatrix(), (d, d))
    centre = np.array(affine.GetCenter())
    matrix[:d, 3] = np.array(affine.GetTranslation()) + centre - matrix[:d, :d] @ centre
    return matrix
