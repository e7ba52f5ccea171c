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

from MetaAffineRegLib.confidence import CALIBRATION, OK, features, not_the_runner_up
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.outcome import Evidence
from MetaAffineRegLib.robust import CALIBRATED, PLANS

TASKS = (
    "hands",
    "brain",
    "mri",
    "mri-affine",
    "mri-180",
    "mri-crop",
    "mri-contrast",
    "v-affine",
    "v-180",
    "v-crop",
    "v-contrast",
    "o-180",
    "o-crop",
    "o-contrast",
)
WEAKENED: tuple[dict[str, object], ...] = (
    {"rotations": 4, "each": 1, "starts": 2, "learned": False},
    {"rotations": 8, "each": 1, "starts": 3, "unlearned": None, "basins": (2, 2)},
)
WEAKENED_IN_SPACE = {"rotations": 3, "centred": 2, "sieved": None}  # besides
STRANGERS = 4  # every so manieth image is also registered to that of the next pair
# What a result counts that fails on purpose, by another plan or for want of a right one: by faint edges, where it is near misses that
# matter, which such results would outweigh; elsewhere as much as any.
_ON_PURPOSE = {"faint-edges-2d": 0.3}
_RIDGE = 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark calibrate``."""
    add_data_arguments(parser)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), help=f"folders of --data (default: {' '.join(TASKS)})")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; the weights are written to ``confidence.json``, where those of the dimension that no task has stay."""
    check_data_arguments(arguments)
    evidence: dict[str, list[Evidence]] = {}
    truth: dict[str, list[bool]] = {}
    worth: dict[str, list[float]] = {}
    for task in arguments.tasks:
        pairs = read_pairs(arguments.data / task, arguments.first)
        dimension = pairs[0].fixed.geometry.dimension
        for look in (look for look in CALIBRATED if (look, dimension) in PLANS):
            kind = f"{look}-{dimension}d"
            on_purpose = _ON_PURPOSE.get(kind, 1.0)
            for change in ({}, *WEAKENED):
                if change and dimension == 3:
                    change = change | WEAKENED_IN_SPACE
                done = run_plan(pairs, dataclasses.replace(PLANS[look, dimension], **change), arguments.device)
                evidence.setdefault(kind, []).extend(done.evidence)
                truth.setdefault(kind, []).extend(done.errors.right)
                worth.setdefault(kind, []).extend([on_purpose if change else 1.0] * len(pairs))
                found = share(int(done.errors.right.sum()), len(pairs))
                print(f"{task}, {look}, {'weakened' if change else 'the plan'}: {found}", file=sys.stderr, flush=True)
            if dimension == 2 and task != "hands":  # heads of two people can be registered, and hands have two images only
                others = [
                    dataclasses.replace(pair, moving=other.moving)
                    for pair, other in zip(pairs[:-1:STRANGERS], pairs[1::STRANGERS], strict=False)
                ]
                evidence[kind] += run_plan(others, PLANS[look, dimension], arguments.device).evidence
                truth[kind] += [False] * len(others)
                worth[kind] += [on_purpose] * len(others)
    document, lines = json.loads(CALIBRATION.read_text()), []
    for kind, right in truth.items():
        x, lead, y = _numbers(evidence[kind]), _leads(evidence[kind]), np.array(right)
        if y.all() or not y.any():
            raise InputError(f"These pairs were all registered rightly, or all wrongly, by {kind}, which teaches nothing; give more pairs.")
        weights = fit(x, y, np.array(worth[kind]))
        document[kind] = [round(float(w), 6) for w in weights]
        ok = lead / (1 + np.exp(-x @ weights)) >= OK
        flagged = [share(int((whose & ~ok).sum()), int(whose.sum())) for whose in (y, ~y)]
        lines.append(row(kind, len(y), int((~y).sum()), *flagged))
    with written_together(CALIBRATION) as (part,):
        part.write_text(json.dumps(document, indent=2) + "\n")
    return [
        f"Fitted on {machine(arguments.device)}.",
        "",
        *header("what was compared", "registrations", "wrong ones", "right results flagged", "wrong results flagged"),
        *lines,
    ]


def _numbers(evidences: list[Evidence]) -> np.ndarray:
    """What the logistic function sees of all results, ``(n, k)``."""
    return np.array([features(e, row) for e in evidences for row in range(len(e.margin))])


def _leads(evidences: list[Evidence]) -> np.ndarray:
    return np.array([not_the_runner_up(float(margin)) for e in evidences for margin in e.margin])


def fit(x: np.ndarray, y: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression of y ``(n,)`` on x ``(n, k)``, each counting what it is worth ``(n,)``, slightly ridged, by Newton's
    method."""
    weights = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (worth * (y - p)) - _RIDGE * weights
        hessian = (x * (worth * p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return weights
