"""The method of this extension with its default settings, all pairs in one call; as many files are read at once as there are threads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegLib.registration import Settings, register
from MetaAffineRegLib.threads import allowed


def register_batch(files: Sequence[tuple[Path, Path]], settings: dict[str, Any]) -> list[np.ndarray]:
    """4 x 4 for each (fixed, moving), fixed point -> moving point, LPS mm; see ``metaaffinereg.register``."""
    with ThreadPoolExecutor(allowed()) as readers:
        images = [file.image for file in readers.map(read_image, (path for pair in files for path in pair))]
    pairs = list(zip(images[::2], images[1::2], strict=True))
    return [result.fixed_to_moving_lps for result in register(pairs, Settings(device="cpu", **settings))]
