"""``benchmark terms``: every data term on the same pairs, beside what robust picks by itself."""

import argparse

from measuring import Outcome, Run, add_data_arguments, check_data_arguments, header, machine, measure, row, share
from scoring import read_pairs, read_table

from MetaAffineRegLib.searches import DATA_TERM_CHOICES

TASKS = ("mri", "mri-crop", "mri-contrast", "v-contrast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark terms``."""
    add_data_arguments(parser)
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
    return [
        f"Share below 1 sample (95 % interval); pairs: {count}; {machine(arguments.device)}.",
        "",
        *header("data term", *arguments.tasks, "wrong ones flagged", "right ones flagged", "ms a pair, by task"),
        *(_row(term, list(found.values())) for term, found in outcomes.items()),
        "",
        _verdict(outcomes),
    ]


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
