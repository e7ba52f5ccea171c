"""Compiles the kernels of the usual settings for the CPU, by registering small images that are made by code:
``python -m MetaAffineRegLib.compile_all``.

Whoever registers afterwards, in whatever process, reads them from the user's cache.
"""

import os

import numpy as np

from . import kernel_cache
from .geometry import ImageGeometry
from .image import Image
from .registration import METHODS, Settings, register

_SIZE = {2: 64, 3: 40}


def compile_all() -> None:
    """Register pairs that take every way: of one contrast, of another, and of two things, alone and in a batch; and from one start."""
    folder = kernel_cache.folder()
    pairs = {dimension: _pairs(dimension) for dimension in (3, 2)}
    for method in METHODS[:2]:
        for of_dimension in pairs.values():
            for pair in of_dimension:
                register([pair], Settings(method=method, device="cpu"))
    for of_dimension in pairs.values():
        register([*of_dimension[:2]] * 4, Settings(device="cpu"))
    if folder is not None:
        kernel_cache.note_complete(folder)


def _pairs(dimension: int) -> list[tuple[Image, Image]]:
    one, other = _made(dimension, 0), _made(dimension, 1)
    inverted = Image.checked(np.where(one.array > 0, 2.5 - one.array, 0), one.geometry)
    return [(one, moving) for moving in (one, inverted, other)]


def _made(dimension: int, seed: int) -> Image:
    """A dark background with a few blocks in it, one behind the other."""
    size, random = _SIZE[dimension], np.random.default_rng(seed)
    shape = (size if dimension == 3 else 1, size, size)
    array = np.zeros(shape)
    for value in (1.0, 1.5, 0.7, 2.0):
        first = random.integers(size // 8, size // 2, 3)
        last = first + random.integers(size // 8, size // 3, 3)
        box = tuple(slice(None) if count == 1 else slice(*ends) for count, *ends in zip(shape, first, last, strict=True))
        array[box] = value
    array += 0.02 * random.standard_normal(shape) * (array > 0)
    return Image.checked(array, ImageGeometry((size, size, shape[0]), np.eye(4)))


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(10)
    compile_all()
