"""Is the new model better than the shipped one?  Told by held-out volumes, which are like a next volume of the kind; not by pairs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .evaluation import Errors

# Two-sided 95 % quantiles of Student's t by degrees of freedom; beyond the last the last is used, which is on the careful side.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093)
_FLOOR = 1e-9  # of mse4: below it both are exact


@dataclass(frozen=True)
class Verdict:
    """better: whether the new model is; text: a sentence for the user; volumes: how many were held out; ratio: new over shipped error of
    the learned steps alone, geometric mean over the volumes; low, high: its 95 % interval, NaN where there is none."""

    better: bool
    text: str
    volumes: int
    ratio: float
    low: float
    high: float


def verdict(new: dict[str, Errors], shipped: dict[str, Errors], volume: Tensor, shipped_name: str) -> Verdict:
    """Both models on the same pairs; ``volume`` ``(B,)`` says which held-out volume a pair is of.

    Better is: the interval of the ratio of mse4 of ``learn`` lies below one, and ``robust`` does not succeed less often.
    """
    logs = [errors["learn"].mse4.clamp_min(_FLOOR).log() for errors in (new, shipped)]
    difference = torch.stack([(logs[0] - logs[1])[volume == one].mean() for one in volume.unique()]).double()
    n = len(difference)
    mean = float(difference.mean())
    half = _T[min(n - 1, len(_T)) - 1] * float(difference.std()) / math.sqrt(n) if n > 1 else math.nan
    ratio, low, high = math.exp(mean), math.exp(mean - half), math.exp(mean + half)
    robust_new, robust_shipped = new["robust"].success, shipped["robust"].success
    better = high < 1 and robust_new >= robust_shipped
    figures = (
        f"error of the learned steps alone {_times(ratio)} that of {shipped_name}"
        + (f" (95 % interval {low:.2g} to {high:.2g})" if n > 1 else "")
        + f", on {n} held-out volume{'s' if n > 1 else ''}; "
        + f"robust succeeds on {robust_new:.0%} of the pairs, with {shipped_name} on {robust_shipped:.0%}"
    )
    return Verdict(better, f"{_word(better, n, high, low)}: {figures}.", n, ratio, low, high)


def _word(better: bool, n: int, high: float, low: float) -> str:
    if better:
        return "Better than the shipped model for such images"
    if n == 1:
        return "Not shown to be better, one held-out volume can't tell; keep the default"
    if low < 1 <= high:
        return "Not better for sure, the held-out volumes disagree or are too few: keep the default"
    return "Not better: keep the default"


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times"
