"""How likely a result is right, from the evidence that a registration leaves.

The probability that a result is good is a logistic function of the share of the content left unexplained, of the margin of the
runner-up, of the distance between the way there and the way back, of the shares of either image that are left unexplained: one of
them is small where something is missing from the other, and none where the result is wrong, and of the distances to where other looks
would have the result, if there are any; where corrected intensities settle it, of the structure that they leave alone.  That it is not
the runner-up that is right, one of the margin: one half where both fit alike, as on a symmetric object.  Their product is the
probability of success.  The weights, those of intensities, of edges, of faint edges and of corrected intensities, of planes and of
volumes apart, are fitted to pairs with a known truth, among them many that a weakened search gets wrong and, of planes, strangers that
have none; they lie in ``Resources/confidence.json``, which ``run.py benchmark calibrate`` writes.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .outcome import Evidence

Status = Literal["ok", "ambiguous", "failed"]
CALIBRATION = Path(__file__).resolve().parent.parent / "Resources" / "confidence.json"
OK, AMBIGUOUS = 0.7, 0.175  # least probabilities
_CLEAR_LEAD = 0.1  # margins beyond it say no more
_NOTHING = 0.99  # unexplained share from which a map explains nothing, as where one object is smaller than a sample of the other
MARGIN_NOISE = 0.004  # margins of two basins that are equally right scatter by about this


def status_of(probability: float) -> Status:
    """ "ok" where a result is likely right, "failed" where it is likely wrong, "ambiguous" between."""
    if probability >= OK:
        return "ok"
    return "ambiguous" if probability >= AMBIGUOUS else "failed"


def probability_of_success(evidence: Evidence) -> Tensor:
    """The probability that each result is less than one sample of the finest grid away from the truth, ``(B,)``, float64, on the CPU."""
    evidence = evidence.on_cpu()
    probability = not_the_runner_up(evidence.margin)
    for kind, rows in rows_by_kind(evidence).items():
        weights = torch.tensor(_calibration()[kind], dtype=torch.float64)
        probability[rows] *= _logistic((features(evidence.select(rows), kind) * weights).sum(1))
    return torch.where(evidence.unexplained < _NOTHING, probability, 0.0)


def rows_by_kind(evidence: Evidence) -> dict[str, Tensor]:
    """The rows (indices) of each kind of result: weights differ with what was compared, and with the dimension."""
    settled, edges, faint = evidence.settled, evidence.edges, ~evidence.looks.isnan().any(1)
    kinds = {
        "corrected": settled,
        "faint-edges": ~settled & faint,
        "edges": ~settled & ~faint & edges,
        "intensities": ~settled & ~faint & ~edges,
    }
    return {f"{kind}-{evidence.runner_up.shape[1]}d": torch.nonzero(rows)[:, 0] for kind, rows in kinds.items() if rows.any()}


def features(evidence: Evidence, kind: str) -> Tensor:
    """What the logistic function sees of results of one kind, on the CPU, ``(B, n)``.

    One, and the logarithms of the share, of the margin, of the distance in samples, and of the lesser and the larger share of one image; of
    other looks, where there are any, those of the distances and of the share.  Where corrected intensities settle it, one and the logarithm
    of the share of the structure that they leave.
    """
    if kind.startswith("corrected"):
        columns = [evidence.structure.clamp_min(0) + 0.01]
    else:
        columns = [
            evidence.unexplained + 0.01,
            evidence.margin.clamp(0, _CLEAR_LEAD) + 0.01,
            evidence.consistency.clamp_max(1e6) + 0.02,
            *(evidence.sides.sort(1).values + 0.01).unbind(1),
            *((evidence.looks + 0.02).unbind(1) if kind.startswith("faint") else ()),
        ]
    logarithms = torch.stack(columns, 1).log()
    return torch.cat((torch.ones_like(logarithms[:, :1]), logarithms), 1)


def not_the_runner_up(margin: Tensor) -> Tensor:
    """The probability that of two basins the one with the lower criterion is right, ``(B,)``."""
    return _logistic(margin.clamp_min(0) / MARGIN_NOISE)


def _logistic(score: Tensor) -> Tensor:
    return score.clamp(-50, 50).sigmoid()


@lru_cache(maxsize=1)
def _calibration() -> dict[str, list[float]]:
    content: dict[str, list[float]] = json.loads(CALIBRATION.read_text())
    return content
