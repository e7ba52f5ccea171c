"""``benchmark terms``: every data term on the same pairs, beside what robust picks by itself; and what the learned steps add to each."""

import argparse
import dataclasses
import sys
from typing import get_args

from measuring import Outcome, Run, add_data_arguments, check_data_arguments, header, machine, measure, row, share
from planned import run_plan
from scoring import KnownPair, read_pairs, read_table

from MetaAffineRegLib.plans import PLANS, Look
from MetaAffineRegLib.searches import DATA_TERM_CHOICES

TASKS = ("mri", "mri-crop", "mri-contrast", "v-contrast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark terms``."""
    add_data_arguments(parser)
    parser.add_argument(
        "--learned-first", type=int, default=30, metavar="N", help="pairs a task on which learned steps are tried (default: 30; 0: none)"
    )
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), metavar="TASK", help=f"folders of --data (default: {' '.join(TASKS)})")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; raises InputError, before anything is computed, where a task has no table of pairs."""
    check_data_arguments(arguments)
    for task in arguments.tasks:
        read_table(arguments.data / task)
    pairs = {task: read_pairs(arguments.data / task, arguments.first) for task in arguments.tasks}
    outcomes = {
        term: {task: measure(pairs[task], Run("robust", data_term=term), arguments.device, task) for task in arguments.tasks}
        for term in DATA_TERM_CHOICES
    }
    count = ", ".join(f"{task} {len(found)}" for task, found in pairs.items())
    lines = [
        f"Share below 1 sample (95 % interval); pairs: {count}; {machine(arguments.device)}.",
        "",
        *header("data term", *arguments.tasks, "wrong ones flagged", "right ones flagged", "ms a pair, by task"),
        *(_row(term, list(found.values())) for term, found in outcomes.items()),
        "",
        _verdict(outcomes),
    ]
    flat = {task: found[: arguments.learned_first] for task, found in pairs.items() if found[0].fixed.geometry.dimension == 2}
    return lines + (_learned(flat, arguments.device) if flat and arguments.learned_first > 0 else [])


def _row(term: str, found: list[Outcome]) -> str:
    right = [bool(one) for outcome in found for one in outcome.errors.right]
    flagged = [result.status != "ok" for outcome in found for result in outcome.results]
    told = {whose: [f for f, r in zip(flagged, right, strict=True) if r == whose] for whose in (False, True)}
    return row(
        term,
        *(share(int(outcome.errors.right.sum()), len(outcome.results)) for outcome in found),
        *(f"{sum(told[whose])} of {len(told[whose])}" for whose in (False, True)),
        ", ".join(f"{outcome.milliseconds:.0f}" for outcome in found),
    )


def _verdict(outcomes: dict[str, dict[str, Outcome]]) -> str:
    """Where a single term is ahead of ``auto``, and by how many pairs."""
    ahead = []
    for task, own in outcomes["auto"].items():
        for term, found in outcomes.items():
            more = int(found[task].errors.right.sum()) - int(own.errors.right.sum())
            if more > 0:
                ahead.append(f"{term} on {task} by {more}")
    return f"Ahead of auto: {', '.join(ahead)}." if ahead else "No single term is ahead of auto on any task."


def _learned(pairs: dict[str, list[KnownPair]], device: str) -> list[str]:
    """The same plans, one search each, without learned steps and with those of the default model, which see the gradient of the term."""
    lines = []
    for look in get_args(Look):
        plan = dataclasses.replace(PLANS[look, 2], corrects=False)
        cells = []
        for learned in (False, True):
            change = dataclasses.replace(plan, learned=learned, sees=None if look == "intensities" else plan.fine)
            done = [run_plan(found, change, device) for found in pairs.values()]
            cells.append([f"{int(one.errors.right.sum())} of {len(one.errors.right)}" for one in done])
            print(f"{look}: learned steps {learned}: {', '.join(cells[-1])}", file=sys.stderr, flush=True)
        lines.append(row(look, *(f"{without}; {with_them}" for without, with_them in zip(*cells, strict=True))))
    title = (
        f"In the plane, one search each, the first {max(map(len, pairs.values()))} pairs a task: right results without learned steps; "
        "with those of the default model, which see the gradient of the term."
    )
    return ["", title, "", *header("data term", *pairs), *lines]
