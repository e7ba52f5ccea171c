"""``benchmark contrasts``: three dimensions and other contrasts, by the default method."""

import argparse

import judgement
import numpy as np
from measuring import Outcome, Run, add_data_arguments, check_data_arguments, header, machine, measure, number, row, share
from scoring import calibration_error, errors, read_pairs, read_table

TASKS = ("mri-contrast", "v-affine", "v-180", "v-crop", "v-contrast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark contrasts``."""
    add_data_arguments(parser)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), metavar="TASK", help=f"folders of --data (default: {' '.join(TASKS)})")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; raises InputError, before anything is computed, where a task has no table of pairs."""
    check_data_arguments(arguments)
    for task in arguments.tasks:
        read_table(arguments.data / task)
    outcomes, starts = {}, {}
    for task in arguments.tasks:
        pairs = read_pairs(arguments.data / task, arguments.first)
        starts[task] = errors(pairs, [pair.start for pair in pairs])
        outcomes[task] = measure(pairs, Run("robust"), arguments.device, task)
    bins = judgement.stated(list(outcomes.values()))
    return [
        f"{machine(arguments.device)}.",
        "",
        *header("task", "pairs", "below 1 sample (95 % interval)", "below 3", "median", "largest", "mean mse4", "by edges", "ms a pair"),
        *(_row(task, outcome) for task, outcome in outcomes.items()),
        "",
        *judgement.flags(outcomes, starts),
        "",
        f"Calibration error of the probability over all: {calibration_error(bins):.3f}.",
    ]


def _row(task: str, outcome: Outcome) -> str:
    found = outcome.errors
    count = len(found.rms_px)
    edges = sum(result.confidence is not None and result.confidence.compared == "edges" for result in outcome.results)
    return row(
        task,
        count,
        share(int(found.right.sum()), count),
        f"{100 * float((found.rms_px < 3).mean()):.1f} %",
        *(number(float(value)) for value in (np.median(found.rms_px), found.rms_px.max(), found.mse4.mean())),
        f"{100 * edges / count:.0f} %",
        f"{outcome.milliseconds:.0f}",
    )
