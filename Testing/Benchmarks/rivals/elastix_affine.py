"""elastix (package itk-elastix): stages from one start, the centres of gravity.  elastix has no search over rotations."""

from pathlib import Path
from typing import Any

import itk
import numpy as np


def register(fixed: Path, moving: Path, settings: dict[str, Any]) -> np.ndarray:
    """4 x 4, fixed point -> moving point, LPS mm.

    Each of ``settings["stages"]`` is what a stage adds to ``settings["parameters"]``, elastix's own parameter map, and starts from the
    end of the one before it.  Raises RuntimeError where elastix gives up.
    """
    images = [itk.imread(str(path), itk.F) for path in (fixed, moving)]
    parameters = itk.ParameterObject.New()
    for number, stage in enumerate(settings["stages"]):
        start = {"AutomaticTransformInitialization": number == 0}
        parameters.AddParameterMap({name: _texts(value) for name, value in {**settings["parameters"], **start, **stage}.items()})
    method = itk.ElastixRegistrationMethod.New(*images)
    method.SetParameterObject(parameters)
    method.SetLogToConsole(False)
    method.SetNumberOfThreads(itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads())
    method.UpdateLargestPossibleRegion()
    found = method.GetTransformParameterObject()
    matrix = np.eye(4)
    for number in range(found.GetNumberOfParameterMaps()):
        matrix = _matrix(found.GetParameterMap(number)) @ matrix
    return matrix


def _matrix(found: Any) -> np.ndarray:
    """A stage's own map, a plane's rigid or anybody's affine one, as a matrix."""
    centre = np.array([float(value) for value in found["CenterOfRotationPoint"]])
    values = np.array([float(value) for value in found["TransformParameters"]])
    d = len(centre)
    matrix = np.eye(4)
    if len(values) == 3:
        cosine, sine = np.cos(values[0]), np.sin(values[0])
        matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    else:
        matrix[:d, :d] = values[: d * d].reshape(d, d)
    matrix[:d, 3] = values[-d:] + centre - matrix[:d, :d] @ centre
    return matrix


def _texts(value: Any) -> list[str]:
    """A value as elastix writes it."""
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
