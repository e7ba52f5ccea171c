"""Results as plain figures for people and programs."""

import math
from typing import Any

import numpy as np

from MetaAffineRegLib.geometry import ImageGeometry, Matrix
from MetaAffineRegLib.registration import Result


def figures(result: Result, fixed: ImageGeometry) -> dict[str, Any]:
    """What a result says, in degrees, mm and shares.

    rotation_degrees: angle of the rotation nearest to the matrix; scale_min and scale_max: smallest and largest stretch;
    shift_mm: how far the centre of the fixed image moves.
    """
    matrix, offset = result.fixed_to_moving_lps[:3, :3], result.fixed_to_moving_lps[:3, 3]
    u, stretches, vh = np.linalg.svd(matrix)
    cosine = (float(np.trace(u @ vh)) - 1) / 2
    center = fixed.center_lps
    return {
        "rotation_degrees": math.degrees(math.acos(min(1.0, max(-1.0, cosine)))),
        "scale_min": float(stretches[-1]),
        "scale_max": float(stretches[0]),
        "shift_mm": float(np.linalg.norm(matrix @ center + offset - center)),
        "criterion_before": result.criterion_before,
        "criterion_after": result.criterion_after,
        "evaluations": result.evaluations,
        "seconds": result.seconds,
        "method": result.method,
        "model": result.model,
        "device": result.device,
        "notes": list(result.notes),
    }


def document(result: Result, fixed: ImageGeometry, remarks: tuple[str, ...]) -> dict[str, Any]:
    """A report to write as JSON: the figures, the 4 x 4 matrix and remarks on the input."""
    return {
        "fixed_to_moving_lps": _rows(result.fixed_to_moving_lps),
        **figures(result, fixed),
        "remarks": list(remarks),
    }


def _rows(matrix: Matrix) -> list[list[float]]:
    return [[float(value) for value in row] for row in matrix]
