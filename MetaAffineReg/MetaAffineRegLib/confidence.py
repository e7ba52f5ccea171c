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
import math
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

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


def probability_of_success(evidence: Evidence, row: int) -> float:
    """The probability that result ``row`` is less than one sample of the finest grid away from the truth."""
    if not float(evidence.unexplained[row]) < _NOTHING:
        return 0.0
    weights = _calibration()[kind_of(evidence, row)]
    score = sum(weight * term for weight, term in zip(weights, features(evidence, row), strict=True))
    return _logistic(score) * not_the_runner_up(float(evidence.margin[row]))


def kind_of(evidence: Evidence, row: int) -> str:
    """Which weights count: they differ with what was compared, and in how many dimensions."""
    if bool(evidence.settled[row]):
        return f"corrected-{evidence.runner_up.shape[1]}d"
    looked_again = "" if torch.isnan(evidence.looks[row]).any() else "faint-"
    return f"{looked_again}{'edges' if evidence.edges[row] else 'intensities'}-{evidence.runner_up.shape[1]}d"


def features(evidence: Evidence, row: int) -> tuple[float, ...]:
    """What the logistic function sees: one, and the logarithms of the share, of the margin, of the distance in samples, and of the lesser
    and the larger share of one image; of other looks, where there are any, those of the distances and of the share.  Where corrected
    intensities settle it, one and the logarithm of the share of the structure that they leave."""
    if bool(evidence.settled[row]):
        return 1.0, math.log(max(float(evidence.structure[row]), 0.0) + 0.01)
    lead = min(max(float(evidence.margin[row]), 0.0), _CLEAR_LEAD)
    distance = min(float(evidence.consistency[row]), 1e6)
    sides = sorted(evidence.sides[row].tolist())
    looks = [number for number in evidence.looks[row].tolist() if not math.isnan(number)]
    positive = (float(evidence.unexplained[row]) + 0.01, lead + 0.01, distance + 0.02, *(number + 0.01 for number in sides))
    return 1.0, *map(math.log, (*positive, *(number + 0.02 for number in looks)))


def not_the_runner_up(margin: float) -> float:
    """The probability that of two basins the one with the lower criterion is right."""
    return _logistic(max(margin, 0.0) / MARGIN_NOISE)


def _logistic(score: float) -> float:
    return 1 / (1 + math.exp(-min(max(score, -50.0), 50.0)))


@lru_cache(maxsize=1)
def _calibration() -> dict[str, list[float]]:
    content: dict[str, list[float]] = json.loads(CALIBRATION.read_text())
    return content
