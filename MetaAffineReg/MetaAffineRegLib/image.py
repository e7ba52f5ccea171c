"""An image in space: an array with its geometry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .geometry import ImageGeometry


@dataclass(frozen=True)
class Image:
    """Scalar samples ``array`` (nk, nj, ni), float32, and where they lie."""

    array: NDArray[np.float32]
    geometry: ImageGeometry
    name: str = "image"

    @classmethod
    def checked(cls, array: NDArray[np.generic], geometry: ImageGeometry, name: str = "image") -> "Image":
        """An image that can be registered.

        Raises InputError for samples that are NaN or infinite, a constant image and an array whose shape
        is not that of the geometry.
        """
        if array.shape != geometry.size[::-1]:
            raise InputError(f"{name}: the array of shape {array.shape} does not fit a lattice of {geometry.size} samples (i, j, k).")
        values = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{name} holds samples that are not a number or infinite; replace them (for example by 0) first.")
        if float(values.min()) == float(values.max()):
            raise InputError(
                f"{name} is constant (every sample is {float(values.flat[0]):g}); there is nothing to register, choose another image."
            )
        return cls(values, geometry, name)
