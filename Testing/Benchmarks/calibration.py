"""``benchmark calibrate``: fit the probability of success to validation pairs, and write it to the resources.

Right results teach little, and the method makes few wrong ones: so the pairs are also registered by plans that try too little, and
images are registered to images of another pair, which have no right result at all.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator

import numpy as np
import torch
from measuring import add_data_arguments, check_data_arguments, header, machine, row, share
from planned import run_plan
from scoring import read_pairs

from MetaAffineRegLib.confidence import CALIBRATION, OK, features, not_the_runner_up, rows_by_kind
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.outcome import Evidence
from MetaAffineRegLib.plans import CALIBRATED, PLANS, Plan

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
_CORRECTED = "corrected"  # intensities, which few wrong results are settled by


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark calibrate``."""
    add_data_arguments(parser)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), help=f"folders of --data (default: {' '.join(TASKS)})")


@dataclasses.dataclass
class Lessons:
    """What a kind of result is fitted to, one entry each: what the logistic function sees, what the margin says, whether it is right, and
    what it counts."""

    seen: list[list[float]] = dataclasses.field(default_factory=list)
    lead: list[float] = dataclasses.field(default_factory=list)
    right: list[bool] = dataclasses.field(default_factory=list)
    worth: list[float] = dataclasses.field(default_factory=list)


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; the weights are written to ``confidence.json``, where those of the dimension that no task has stay."""
    check_data_arguments(arguments)
    lessons: dict[str, Lessons] = {}
    for task in arguments.tasks:
        pairs = read_pairs(arguments.data / task, arguments.first)
        dimension = pairs[0].fixed.geometry.dimension
        others = []
        if dimension == 2 and task != "hands":  # heads of two people can be registered, and hands have two images only
            strangers = zip(pairs[:-1:STRANGERS], pairs[1::STRANGERS], strict=False)
            others = [dataclasses.replace(pair, moving=other.moving) for pair, other in strangers]
        for kind, plan in _plans(dimension):
            taught = lessons.setdefault(kind, Lessons())
            for change in _changes(dimension):
                done = run_plan(pairs, dataclasses.replace(plan, **change), arguments.device)  # type: ignore[arg-type]
                _learn(taught, kind, done.evidence, done.errors.right.tolist(), bool(change))
                found = share(int(done.errors.right.sum()), len(pairs))
                print(f"{task}, {kind}, {'weakened' if change else 'the plan'}: {found}", file=sys.stderr, flush=True)
            if others:
                _learn(taught, kind, run_plan(others, plan, arguments.device).evidence, [False] * len(others), True)
    document, lines = json.loads(CALIBRATION.read_text()), []
    for kind, taught in lessons.items():
        x, lead, y = np.array(taught.seen), np.array(taught.lead), np.array(taught.right)
        if not y.any() or (y.all() and not kind.startswith(_CORRECTED)):
            raise InputError(f"These pairs were all registered rightly, or all wrongly, by {kind}, which teaches nothing; give more pairs.")
        weights = fit(x, y, np.array(taught.worth))
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


def _plans(dimension: int) -> Iterator[tuple[str, Plan]]:
    """By what they compare: without correction of intensities, and with it, of edges that another contrast calls for."""
    for look in CALIBRATED:
        if (look, dimension) in PLANS:
            yield f"{look}-{dimension}d", dataclasses.replace(PLANS[look, dimension], corrects=False)
    yield f"{_CORRECTED}-{dimension}d", PLANS["faint-edges" if dimension == 2 else "edges", dimension]


def _changes(dimension: int) -> list[dict[str, object]]:
    """None, and those of weakened plans."""
    return [{}, *(change if dimension == 2 else change | WEAKENED_IN_SPACE for change in WEAKENED)]


def _learn(taught: Lessons, kind: str, evidences: list[Evidence], right: list[bool], on_purpose: bool) -> None:
    """Add results, of corrected intensities those alone that these settle."""
    first = 0
    for evidence in (one.on_cpu() for one in evidences):
        rows = torch.arange(len(evidence.margin))
        if kind.startswith(_CORRECTED):
            rows = rows_by_kind(evidence).get(kind, rows[:0])
        known = evidence.select(rows)
        taught.seen += features(known, kind).tolist()
        taught.lead += not_the_runner_up(known.margin).tolist()
        taught.right += [right[first + row] for row in rows.tolist()]
        taught.worth += [_ON_PURPOSE.get(kind, 1.0) if on_purpose else 1.0] * len(rows)
        first += len(evidence.margin)
    assert first == len(right)


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
