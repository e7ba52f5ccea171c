"""``benchmark calibrate``: fit the probability of success to validation pairs, and write it to the resources.

Right results teach little, and the method makes few wrong ones: so the pairs are also registered by plans that try too little, and
images are registered to images of another pair, which have no right result at all.
"""

import argparse
import dataclasses
import json
import sys

import numpy as np
from measuring import add_data_arguments, check_data_arguments, header, machine, row, share
from planned import run_plan
from scoring import read_pairs

from MetaAffineRegLib.confidence import CALIBRATION, features, not_the_runner_up
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.outcome import Evidence
from MetaAffineRegLib.robust import PLANS

TASKS = ("hands", "brain", "mri", "mri-affine", "mri-180", "mri-crop")
WEAKENED: tuple[dict[str, object], ...] = (
    {"rotations": 4, "each": 1, "starts": 2, "learned": False},
    {"rotations": 8, "each": 1, "starts": 3, "unlearned": None, "basins": (2, 2)},
)
STRANGERS = 4  # every so manieth image is also registered to that of the next pair
_RIDGE = 0.01
_FLAGGED_SUCCESSES = 0.01  # share of the right results of the full method that may be flagged: sets the threshold of "ok"
_LEAST_OK = 0.7  # below which nothing is called ok


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark calibrate``."""
    add_data_arguments(parser)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; the weights are written to ``confidence.json``."""
    check_data_arguments(arguments)
    terms, right, full, lead = [], [], [], []

    def learn(evidences: list[Evidence], truth: list[bool], by_the_method: bool) -> None:
        for evidence in evidences:
            found = zip(evidence.unexplained, evidence.margin, evidence.consistency, strict=True)
            terms.extend(features(*map(float, numbers)) for numbers in found)
            lead.extend(not_the_runner_up(float(margin)) for margin in evidence.margin)
        right.extend(truth)
        full.extend([by_the_method] * len(truth))

    for task in arguments.tasks:
        pairs = read_pairs(arguments.data / task, arguments.first)
        for change in ({}, *WEAKENED):
            plan = dataclasses.replace(PLANS[2], **change) if change else None
            done = run_plan(pairs, plan, arguments.device)
            learn(done.evidence, list(done.errors.right), not change)
            found = share(int(done.errors.right.sum()), len(pairs))
            print(f"{task}, {'the method' if not change else 'weakened'}: {found}", file=sys.stderr, flush=True)
        if task != "hands":  # which has two images only
            others = [
                dataclasses.replace(pair, moving=other.moving)
                for pair, other in zip(pairs[:-1:STRANGERS], pairs[1::STRANGERS], strict=False)
            ]
            learn(run_plan(others, None, arguments.device).evidence, [False] * len(others), False)
    x, y, whole = np.array(terms), np.array(right), np.array(full)
    if y.all() or not y.any():
        raise InputError("These pairs were all registered rightly, or all wrongly, which teaches nothing; give more pairs.")
    weights = fit(x, y)
    probability = np.array(lead) / (1 + np.exp(-x @ weights))
    ok = float(np.clip(np.quantile(probability[whole & y], _FLAGGED_SUCCESSES), _LEAST_OK, 0.95))
    document = {"weights": [round(float(w), 6) for w in weights], "thresholds": {"ok": round(ok, 3), "ambiguous": round(ok / 4, 3)}}
    with written_together(CALIBRATION) as (part,):
        part.write_text(json.dumps(document, indent=2) + "\n")
    return [
        f"Fitted to {len(y)} registrations of validation pairs, {int((~y).sum())} of them wrong ({int((~y & whole).sum())} by the full "
        f"method); {machine(arguments.device)}.",
        "",
        *header("", "right results flagged", "wrong results flagged"),
        row("the method", share(int((probability[whole & y] < ok).sum()), int((whole & y).sum())), _flagged(probability, whole & ~y, ok)),
        row("all", share(int((probability[y] < ok).sum()), int(y.sum())), _flagged(probability, ~y, ok)),
    ]


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression of y ``(n,)`` on x ``(n, k)``, slightly ridged, by Newton's method."""
    weights = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (y - p) - _RIDGE * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _flagged(probability: np.ndarray, rows: np.ndarray, ok: float) -> str:
    return share(int((probability[rows] < ok).sum()), int(rows.sum()))
