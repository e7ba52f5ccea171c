"""elastix (package itk-elastix): stages from one start, the centres of gravity, or from the best of many rotations about them.

elastix has no search over rotations: where the settings ask for one, this is the loop that its users write around it.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

import itk
import numpy as np
from rotations import rotations


def register(fixed: Path, moving: Path, settings: dict[str, Any]) -> np.ndarray:
    """4 x 4, fixed point -> moving point, LPS mm.

    Each of ``settings["stages"]`` is what a stage adds to ``settings["parameters"]``, elastix's own parameter map, and to the default
    map of elastix that its key ``default`` names, if any; it starts from the end of the one before it.  ``settings["search"]``, where
    given, has starts (rotations), shrink (the images are so many times coarser) and the parameters of a run from each start: the
    stages set out from the run with the best metric.  Raises RuntimeError where elastix gives up.
    """
    images = [itk.imread(str(path), itk.F) for path in (fixed, moving)]
    start = _searched(images, settings["search"]) if "search" in settings else None
    matrix, _ = _run(images, [{**settings.get("parameters", {}), **stage} for stage in settings["stages"]], start)
    return matrix


def _searched(images: list[Any], search: dict[str, Any]) -> np.ndarray:
    """The end of the best run from rotations about the centres of gravity, (4, 4)."""
    coarse = [_shrunk(image, search["shrink"]) for image in images]
    d = coarse[0].GetImageDimension()
    middle, other = (_centre_of_gravity(image) for image in coarse)
    ends = []
    for rotation in rotations(search["starts"], d):
        start = np.eye(4)
        start[:d, :d], start[:d, 3] = rotation, other - rotation @ middle
        try:
            ends.append(_run(coarse, [search["parameters"]], start))
        except RuntimeError:  # the images no longer overlap
            continue
    if not ends:
        raise RuntimeError("no start came to an end")
    return min(ends, key=lambda end: end[1])[0]


def _run(images: list[Any], stages: list[dict[str, Any]], start: np.ndarray | None) -> tuple[np.ndarray, float]:
    """The map of ``start`` and all stages, (4, 4), and the metric at its end; without a start the centres of gravity come first."""
    parameters = itk.ParameterObject.New()
    for number, stage in enumerate(stages):
        texts = {"AutomaticTransformInitialization": number == 0 and start is None, "WriteResultImage": False, **stage}
        own = {name: _texts(value) for name, value in texts.items() if name != "default"}
        parameters.AddParameterMap({**_default(parameters, stage), **own})
    method = itk.ElastixRegistrationMethod.New(*images)
    method.SetParameterObject(parameters)
    method.SetLogToConsole(False)
    method.SetLogToFile(True)
    method.SetNumberOfThreads(itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads())
    if start is not None:
        method.SetExternalInitialTransform(_transform(start, images[0].GetImageDimension()))
    with tempfile.TemporaryDirectory() as folder:
        method.SetOutputDirectory(folder)
        method.UpdateLargestPossibleRegion()
        metrics = re.findall(r"Final metric value\s*=\s*(\S+)", (Path(folder) / "elastix.log").read_text())
    found = method.GetTransformParameterObject()
    matrix = np.eye(4) if start is None else start
    for number in range(found.GetNumberOfParameterMaps() - len(stages), found.GetNumberOfParameterMaps()):
        matrix = _matrix(found.GetParameterMap(number)) @ matrix
    return matrix, float(metrics[-1])


def _default(parameters: Any, stage: dict[str, Any]) -> dict[str, list[str]]:
    """The default map that a stage names, if any."""
    if "default" not in stage:
        return {}
    return {name: list(values) for name, values in parameters.GetDefaultParameterMap(stage["default"]).items()}


def _transform(matrix: np.ndarray, d: int) -> Any:
    transform = itk.AffineTransform[itk.D, d].New()
    transform.SetMatrix(itk.matrix_from_array(np.ascontiguousarray(matrix[:d, :d])))
    transform.SetTranslation(matrix[:d, 3].tolist())
    return transform


def _shrunk(image: Any, factor: int) -> Any:
    """Smoothed to the coarser voxel and sampled so."""
    sigma = [factor * step / 2 for step in image.GetSpacing()]
    smooth = itk.smoothing_recursive_gaussian_image_filter(image, sigma_array=sigma)
    return itk.shrink_image_filter(smooth, shrink_factors=[factor] * image.GetImageDimension())


def _centre_of_gravity(image: Any) -> np.ndarray:
    """Of the brightness, mm, (d,)."""
    weights = itk.array_view_from_image(image)
    axes = range(weights.ndim)
    index = [weights.sum(tuple(other for other in axes if other != axis)) @ np.arange(weights.shape[axis]) for axis in reversed(axes)]
    steps = np.asarray(index) / weights.sum() * np.asarray(image.GetSpacing())
    return np.asarray(image.GetOrigin()) + itk.array_from_matrix(image.GetDirection()) @ steps


def _matrix(found: Any) -> np.ndarray:
    """A stage's own map, a rigid or an affine one, as a matrix."""
    centre = np.array([float(value) for value in found["CenterOfRotationPoint"]])
    values = np.array([float(value) for value in found["TransformParameters"]])
    d = len(centre)
    matrix = np.eye(4)
    if found["Transform"][0] == "EulerTransform":
        matrix[:d, :d] = _euler(values[:-d])
    else:
        matrix[:d, :d] = values[: d * d].reshape(d, d)
    matrix[:d, 3] = values[-d:] + centre - matrix[:d, :d] @ centre
    return matrix


def _euler(angles: np.ndarray) -> np.ndarray:
    """The rotation of ITK's Euler transforms, radians: of the plane, or about z, x, y with y first."""
    if len(angles) == 1:
        return _turn(angles[0], 0, 1, 2)
    x, y, z = angles
    return _turn(z, 0, 1, 3) @ _turn(x, 1, 2, 3) @ _turn(y, 2, 0, 3)


def _turn(angle: float, one: int, other: int, d: int) -> np.ndarray:
    """By an angle from one axis to the other."""
    matrix = np.eye(d)
    matrix[[one, other], [one, other]] = np.cos(angle)
    matrix[one, other], matrix[other, one] = -np.sin(angle), np.sin(angle)
    return matrix


def _texts(value: Any) -> list[str]:
    """A value as elastix writes it."""
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
