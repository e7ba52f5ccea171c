"""The method of this extension with its default settings, all pairs in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegLib.registration import Settings, register


def register_batch(files: Sequence[tuple[Path, Path]], settings: dict[str, Any]) -> list[np.ndarray]:
    """4 x 4 for each (fixed, moving), fixed point -> moving point, LPS mm; see ``metaaffinereg.register``."""
    pairs = [(read_image(fixed).image, read_image(moving).image) for fixed, moving in files]
    return [result.fixed_to_moving_lps for result in register(pairs, Settings(device="cpu", **settings))]
