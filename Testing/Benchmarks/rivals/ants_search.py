"""ANTs (package antspyx): ``affine_initializer`` over all rotations, then ``registration`` from its end."""

import tempfile
from pathlib import Path
from typing import Any

import ants
import numpy as np


def register(fixed: Path, moving: Path, settings: dict[str, Any]) -> np.ndarray:
    """4 x 4, fixed point -> moving point, LPS mm.

    ``settings["initializer"]`` and ``settings["registration"]`` are the arguments of the two functions; the first sees images of
    ``settings["initializer_spacing"]``, mm, where that is given, as in ANTs' own scripts.  Raises RuntimeError where ANTs gives up.
    """
    images = [ants.image_read(str(path), pixeltype="float") for path in (fixed, moving)]
    d = images[0].dimension
    coarse = images
    if "initializer_spacing" in settings:
        spacing = (settings["initializer_spacing"],) * d
        coarse = [ants.resample_image(ants.smooth_image(image, spacing[0] / 2), spacing) for image in images]
    stages = {name: tuple(value) if isinstance(value, list) else value for name, value in settings["registration"].items()}
    with tempfile.TemporaryDirectory() as folder:
        start = ants.affine_initializer(*coarse, txfn=f"{folder}/start.mat", **settings["initializer"])
        found = ants.registration(*images, initial_transform=start, outprefix=f"{folder}/end", **stages)
        return _matrix([ants.read_transform(name) for name in found["fwdtransforms"]], d)


def _matrix(transforms: list[Any], d: int) -> np.ndarray:
    """Transforms, the last of which is applied to a point first, as one matrix."""
    matrix = np.eye(4)
    for transform in transforms:
        values, centre = np.asarray(transform.parameters, float), np.asarray(transform.fixed_parameters, float)
        one = np.eye(4)
        one[:d, :d] = values[: d * d].reshape(d, d)
        one[:d, 3] = values[d * d :] + centre - one[:d, :d] @ centre
        matrix = matrix @ one
    return matrix
