"""The method of this extension with its default settings, one pair at a time."""

from pathlib import Path
from typing import Any

import numpy as np

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegLib.registration import Settings
from MetaAffineRegLib.registration import register as register_images


def register(fixed: Path, moving: Path, settings: dict[str, Any]) -> np.ndarray:
    """4 x 4, fixed point -> moving point, LPS mm; ``settings`` are those of the library beyond the device, which is the CPU."""
    pair = read_image(fixed).image, read_image(moving).image
    (result,) = register_images([pair], Settings(device="cpu", **settings))
    return result.fixed_to_moving_lps
