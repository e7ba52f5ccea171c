"""``benchmark networks``: what the learned steps of several networks are worth, by what is compared.

Each registers the same pairs in one search, by edges where the contrasts differ and by intensities elsewhere, without correcting these,
and sees the gradients of that, whatever it has learned from.
"""

import argparse
import dataclasses
import sys

from measuring import add_data_arguments, check_data_arguments, header, machine, row, share
from planned import dimension_of, plan_of, run_plan
from scoring import read_pairs

from MetaAffineRegLib.checkpoint import load
from MetaAffineRegLib.registration import DEFAULT_MODEL, Settings, check_pair

TASKS = ("mri", "mri-crop", "mri-contrast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark networks``."""
    add_data_arguments(parser)
    parser.add_argument(
        "--tasks", nargs="+", default=list(TASKS), metavar="TASK", help=f"folders of --data, of one dimension (default: {' '.join(TASKS)})"
    )
    parser.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="names or files, beside the default model")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown, one or two rows for each network; raises InputError, before anything is computed, where one does not fit."""
    check_data_arguments(arguments)
    pairs = {task: read_pairs(arguments.data / task, arguments.first) for task in arguments.tasks}
    d = dimension_of(pairs)
    models = list(dict.fromkeys((DEFAULT_MODEL["robust", d], *arguments.models)))
    one = next(iter(pairs.values()))[0]
    for model in models:
        check_pair(one.fixed, one.moving, Settings(model=model, device=arguments.device))
    beside = {task: dataclasses.replace(plan_of(task, d), learned=True, reads_all=True, corrects=False) for task in pairs}
    alone = {task: dataclasses.replace(plan, unlearned=None) for task, plan in beside.items()}
    runs = [("none", "-", None, beside)]
    for model in models:
        name, term = f"`{load(model).name}`", load(model).network.config.data_term.replace("_", " ")
        runs += [(f"{name}, alone", term, model, alone), *([(f"{name}, beside", term, model, beside)] if d == 2 else [])]
    lines = []
    for name, term, which, plans in runs:
        done = [run_plan(found, plans[task], arguments.device, which) for task, found in pairs.items()]
        lines.append(row(name, term, *(share(int(one.errors.right.sum()), len(one.errors.right)) for one in done)))
        print(lines[-1], file=sys.stderr, flush=True)
    count = ", ".join(f"{task} {len(found)}" for task, found in pairs.items())
    steps = (
        "Learned steps stand alone or beside L-BFGS over rigid maps" if d == 2 else "Learned steps take the place of L-BFGS over rigid maps"
    )
    return [
        f"Share below 1 sample (95 % interval) in one search; pairs: {count}; {machine(arguments.device)}. {steps}, which is by itself in "
        "the first row.",
        "",
        *header("network", "learned from", *pairs),
        *lines,
    ]
