"""``benchmark ablation``: what each part of the method robust is worth, on the same pairs with and without it."""

import argparse
import dataclasses
import sys

import torch
from measuring import add_data_arguments, check_data_arguments, header, machine, number, row, share
from planned import DEFAULT, dimension_of, plan_of, run_plan
from scoring import read_pairs

from MetaAffineRegLib.data_terms import UnexplainedContent, mean_squares, overlap_mean_squares, unexplained_content
from MetaAffineRegLib.errors import InputError

TASKS = ("hands", "brain", "mri", "mri-affine", "mri-180", "mri-crop")
_ALL = (torch.inf, torch.inf, torch.inf)
CHANGES: dict[str, dict[str, object] | None] = {
    "as it is": None,
    "no further search (nor in the rows below)": {},
    "learned steps alone, no unlearned branch": {"unlearned": None},
    "classical: no learned steps, L-BFGS over affine maps from every start": {
        "learned": False,
        "unlearned": "affine",
        "unlearned_starts": 20,
    },
    "no learned steps, L-BFGS over rigid maps from every start": {"learned": False, "unlearned_starts": 20},
    "32 rotations, two translations each": {"rotations": 32, "each": 2, "polished": 64},
    "starts on the centres of mass, not searched": {"translations": "mass", "each": 1, "rotations": 64, "polished": 64},
    "starts on the centres of the images, not searched": {"translations": "centre", "each": 1, "rotations": 64, "polished": 64},
    "all starts refined on the coarsest level, not the best 16": {"polished": 20},
    "12 rotations": {"rotations": 12},
    "all starts and basins to the end of their stage": {"margins": _ALL},
    "one basin after the second level": {"basins": (1, 1)},
    "basins by their values on the second level, not sieved": {"sieved": None, "basins": (4, 2)},
    "no regularizer": {"gamma": 0.0},
    "no robust function: content in squares": {"coarse": UnexplainedContent(10.0), "fine": UnexplainedContent(10.0)},
    "mean squares, zero outside, overlap on the finest two": {"coarse": mean_squares, "fine": overlap_mean_squares, "gamma": 0.0},
    "coarse scale on the fine levels too": {"fine": unexplained_content},
    "identity as initial Hessian": {"curvature": False},
}
_NO_NETWORK = "classical in all searches: L-BFGS over rigid maps in place of the learned steps"
CHANGES_IN_SPACE: dict[str, dict[str, object] | None] = {
    "as it is": None,
    _NO_NETWORK: None,
    "no further search (nor in the rows below)": {},
    "classical: no learned steps, L-BFGS over rigid maps from the same starts": {"led": None, "learned": False},
    "classical, over affine maps": {"led": None, "learned": False, "unlearned": "affine"},
    "a third of the starts": {"rotations": 4, "centred": 10},
    "classical, a third of the starts": {"rotations": 4, "centred": 10, "led": None, "learned": False},
    "120 searched starts, none on centres": {"rotations": 120, "centred": 0},
    "starts on centres alone": {"rotations": 0},
    "basins by their values on the second level, not sieved": {"sieved": None, "basins": (4, 2)},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark ablation``."""
    add_data_arguments(parser)
    parser.add_argument(
        "--tasks", nargs="+", default=list(TASKS), metavar="TASK", help=f"folders of --data, of one dimension (default: {' '.join(TASKS)})"
    )
    parser.add_argument("--changes", nargs="+", type=int, metavar="NUMBER", help="rows of the table, the first being 0 (default: all)")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown: a row for each change of the method."""
    check_data_arguments(arguments)
    pairs = {task: read_pairs(arguments.data / task, arguments.first) for task in arguments.tasks}
    count = {task: len(found) for task, found in pairs.items()}
    d = dimension_of(pairs)
    for task in arguments.tasks:
        run_plan(pairs[task][:8] if d == 2 else pairs[task][:1], plan_of(task, d), arguments.device)  # warm
    changes = list((CHANGES if d == 2 else CHANGES_IN_SPACE).items())
    wanted = range(len(changes)) if arguments.changes is None else arguments.changes
    if not all(0 <= number_of < len(changes) for number_of in wanted):
        raise InputError(f"--changes holds a number that no row has; give some of 0 to {len(changes) - 1}.")
    lines = []
    for name, change in (changes[number_of] for number_of in wanted):
        cells, evaluations, milliseconds = [], [], []
        for task in arguments.tasks:
            plan = None if change is None else dataclasses.replace(plan_of(task, d), **change)  # type: ignore[arg-type]
            done = run_plan(pairs[task], plan, arguments.device, None if name == _NO_NETWORK else DEFAULT)
            cells.append(f"{100 * float(done.errors.right.mean()):.1f} %")
            evaluations.append(done.evaluations)
            milliseconds.append(done.milliseconds)
            print(f"{name}: {task}: {share(int(done.errors.right.sum()), count[task])}", file=sys.stderr, flush=True)
        total = len(arguments.tasks)
        lines.append(row(name, *cells, number(sum(evaluations) / total), f"{sum(milliseconds) / total:.0f}"))
    return [
        f"Success below 1 sample; {', '.join(f'{task}: {number_of}' for task, number_of in count.items())} pairs; "
        f"{machine(arguments.device)}. "
        "Evaluations of the criterion and its gradient are counted in equivalents of one on the finest grid, a Gauss-Newton matrix as "
        "one evaluation; the search of translations by Fourier transforms is not among them and is in the time.",
        "",
        *header("change", *arguments.tasks, "evaluations", "ms a pair"),
        *lines,
    ]
