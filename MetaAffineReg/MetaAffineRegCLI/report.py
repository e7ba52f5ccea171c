"""Results as plain figures for people and programs."""

import math
from dataclasses import asdict
from typing import Any

from MetaAffineRegLib.geometry import ImageGeometry, Matrix
from MetaAffineRegLib.map_figures import MapFigures
from MetaAffineRegLib.registration import Result

_CONFIDENCE = ("status", "probability", "overlap", "margin", "consistency_mm")


def criterion_name(result: Result) -> str:
    """What the method of a result makes small."""
    return "share of the content left unexplained" if result.method == "robust" else "mean squares"


def runner_up(result: Result) -> Matrix | None:
    """The second best transform, where the best is not to be trusted alone."""
    if result.confidence is None or result.confidence.status == "ok":
        return None
    return result.confidence.runner_up_lps


def judgement(result: Result) -> str:
    """Status and probability in words; empty for a method that does not judge itself."""
    if result.confidence is None:
        return ""
    return f"{result.confidence.status}, {percent(result.confidence.probability)} % likely to be right"


def percent(probability: float) -> int:
    """A probability 0 .. 1 as people are told it: none as certain."""
    return round(100 * min(max(probability, 0.01), 0.99))


def caution(status: str | None, runner_up_file: str | None) -> str:
    """What a user must know of a result that is ambiguous or failed, as a sentence; empty for others."""
    if status == "ambiguous":
        what = f"compare it by eye with the next best, {runner_up_file}" if runner_up_file else "check it by eye"
        return f"another alignment may be the right one; {what}."
    if status == "failed":
        return f"do not trust this result, check it by eye{f'; the next best is {runner_up_file}' if runner_up_file else ''}."
    return ""


def summary(result: Result, fixed: ImageGeometry) -> str:
    """A result in one line."""
    values = figures(result, fixed)
    sure = judgement(result)
    return (
        f"{sure}{': ' if sure else ''}{values['criterion']} {result.criterion_before:.5f} -> {result.criterion_after:.5f}, "
        f"rotation {values['rotation_degrees']:.2f} degrees, "
        f"shift {values['shift_mm']:.2f} mm, scale {values['scale_min']:.3f} .. {values['scale_max']:.3f}; "
        f"{result.method}, {result.device}, {result.seconds:.2f} s"
    )


def figures(result: Result, fixed: ImageGeometry) -> dict[str, Any]:
    """What a result says, in degrees, mm and shares.

    rotation_degrees: angle of the rotation nearest to the matrix; scale_min and scale_max: smallest and largest stretch;
    shift_mm: how far the centre of the fixed image moves; status to consistency_mm: the result's confidence.  None stands
    for what is not known and for numbers without end, as the margin where there is no runner-up.
    """
    values = {
        **{name: getattr(result.confidence, name, None) for name in _CONFIDENCE},
        **asdict(MapFigures.of(result.fixed_to_moving_lps, fixed)),
        "criterion": criterion_name(result),
        "criterion_before": result.criterion_before,
        "criterion_after": result.criterion_after,
        "evaluations": result.evaluations,
        "seconds": result.seconds,
        "method": result.method,
        "model": result.model,
        "device": result.device,
        "notes": list(result.notes),
    }
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()}


def document(result: Result, fixed: ImageGeometry, remarks: tuple[str, ...], runner_up_file: str | None) -> dict[str, Any]:
    """A report to write as JSON: the figures, the 4 x 4 matrix, the name of the runner-up's file and remarks on the input."""
    return {
        "fixed_to_moving_lps": _rows(result.fixed_to_moving_lps),
        **figures(result, fixed),
        "runner_up": runner_up_file,
        "remarks": list(remarks),
    }


def _rows(matrix: Matrix) -> list[list[float]]:
    return [[float(value) for value in row] for row in matrix]
