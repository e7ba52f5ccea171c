"""greedy (package picsl_greedy): random search over starts, a rigid run from the best of them, then an affine one."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import picsl_greedy
import SimpleITK as sitk


def register(fixed: Path, moving: Path, settings: dict[str, Any]) -> np.ndarray:
    """4 x 4, fixed point -> moving point, LPS mm; ``settings["stages"]`` are greedy's own options, stage by stage.

    Each stage starts from the end of the one before it; {threads} in them is the number that ITK is told to use.
    Raises RuntimeError where greedy gives up.
    """
    images = {"fixed": sitk.ReadImage(str(fixed), sitk.sitkFloat32), "moving": sitk.ReadImage(str(moving), sitk.sitkFloat32)}
    d = images["fixed"].GetDimension()
    tool = {2: picsl_greedy.Greedy2D, 3: picsl_greedy.Greedy3D}[d]()
    threads = os.environ.get("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")
    for number, options in enumerate(settings["stages"]):
        start = f"-ia stage{number - 1}" if number else ""
        given = images if number == 0 else {}
        tool.execute(
            f"-V 0 -d {d} -i fixed moving {options.format(threads=threads)} {start} -o stage{number}", **given, **{f"stage{number}": None}
        )
    found = np.asarray(tool[f"stage{len(settings['stages']) - 1}"], float)
    flip = np.diag([-1.0, -1.0, *[1.0] * (d - 1)])  # greedy works in RAS
    found = flip @ found @ flip
    matrix = np.eye(4)
    matrix[:d, :d], matrix[:d, 3] = found[:d, :d], found[:d, d]
    return matrix
