"""``benchmark tables``: all methods on all tasks, what ``robust`` says of its results, and the paper's Tables 1 to 6 beside ours."""

import argparse
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

import judgement
import numpy as np
import paper
import pictures
from measuring import Outcome, Run, add_data_arguments, check_data_arguments, header, machine, measure, number, row, share
from numpy.typing import NDArray
from scoring import Errors, KnownPair, errors, read_pairs, read_table

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.model_card import available_models

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("hands", "brain", "mri", "mri-affine", "mri-180", "mri-crop")
WIDE = "mri-180"
ROBUST = Run("robust")
WORST = 4  # pairs a task that are shown

Measured = dict[tuple[str, Run], Outcome]
Values = Callable[[Errors], NDArray[np.float64]]
_STATISTICS: tuple[Callable[[NDArray[np.float64]], np.float64], ...] = (np.mean, np.median, np.max)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark tables``."""
    add_data_arguments(parser)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), metavar="TASK", help=f"folders of --data (default: {' '.join(TASKS)})")
    parser.add_argument(
        "--others-first", type=int, metavar="N", help="only the first N pairs for all but the default method (default: as for it)"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        default=ROOT / "out" / "benchmark",
        metavar="DIR",
        help="folder for the pictures of the worst pairs, made where it is missing (default: out/benchmark)",
    )


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; the plots go to the folder Pictures beside ``arguments.results``, pictures of worst pairs to ``--pictures``.

    Raises InputError, before anything is computed, where a task has no table of pairs or no model.
    """
    check_data_arguments(arguments)
    if arguments.others_first is not None and arguments.others_first < 1:
        raise InputError(f"--others-first {arguments.others_first} is not a number of pairs; give 1 or more.")
    counts = {task: len(read_table(arguments.data / task)[: arguments.first]) for task in arguments.tasks}
    runs = {task: runs_of(task) for task in arguments.tasks}
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    measured: Measured = {}
    starts = {}
    for task in arguments.tasks:
        pairs = read_pairs(arguments.data / task, arguments.first)
        starts[task] = errors(pairs, [pair.start for pair in pairs])
        for position, one in enumerate(runs[task], 1):
            part = pairs if one == ROBUST else pairs[: arguments.others_first]
            measured[task, one] = measure(part, one, arguments.device, f"{task}, {position} of {len(runs[task])}")
        _draw_worst(arguments.pictures / f"worst-{task}.png", pairs, measured[task, ROBUST])
    folder = arguments.results.parent / "Pictures"
    folder.mkdir(exist_ok=True)
    robust = {task: measured[task, ROBUST] for task in arguments.tasks}
    groups = {"all tasks": list(robust.values())} | ({WIDE: [robust[WIDE]]} if WIDE in robust else {})
    return [
        f"{_counted(counts)}{_fewer(arguments.others_first)}; {machine(arguments.device)}.",
        *("", "### All tasks", "", *_summary(measured, arguments.tasks)),
        *("", *_boxes_of_tasks(folder, measured, arguments.tasks)),
        *("", "### What `robust` says of its results", "", "Right is a result below 1 px; flagged is one whose status is not ok.", ""),
        *judgement.flags(robust, starts),
        *("", "### Probability against success", "", *judgement.probabilities(folder, groups)),
        *("", "### The paper's tables", "", *_paper_tables(measured)),
        *_boxes_of_paper(folder, measured),
    ]


def domain(task: str) -> str:
    """The task's images, which name its models: mri of mri-180."""
    return task.split("-")[0]


def runs_of(task: str) -> list[Run]:
    """What is run on the pairs of a task; raises InputError where its models are missing."""
    own = domain(task)
    one_level = f"{own}-onelevel"
    missing = {own, one_level} - set(available_models())
    if missing:
        raise InputError(f"There is no model {' or '.join(sorted(missing))} for the task {task}; give tasks of hands, brain or mri.")
    runs = _shown(task)
    if task in paper.TASKS or task == f"{own}-affine":
        runs += [Run("plain", None, "zero"), Run("learn", one_level)]
        runs += [Run("comb", one_level, "zero"), Run("comb", one_level), Run("comb", own, "zero")]
    if task in paper.TASKS:
        runs += [run for other in paper.TASKS if other != own for run in _transferred(other).values()]
    return runs


def _shown(task: str) -> list[Run]:
    """What stands for a task in the summary and the box plots."""
    return [Run("plain"), Run("learn", domain(task)), Run("comb", domain(task)), ROBUST]


def _transferred(trained: str) -> dict[str, Run]:
    """What is run with the networks of another task, by the names in the box plots."""
    one_level = f"{trained}-onelevel"
    return {
        "comb,\n1 level,\nzero": Run("comb", one_level, "zero"),
        "comb,\n1 level": Run("comb", one_level),
        "comb": Run("comb", trained),
        "robust": Run("robust", trained),
    }


def _summary(measured: Measured, tasks: list[str]) -> Iterator[str]:
    yield from header(
        *("task", "method", "model", "mean mse4", "median mse4", "max mse4", "median px", "eps_A", "eps_b"),
        *("below 1 px (95 % interval)", "below 3 px", "ms a pair"),
    )
    for task in tasks:
        for run in _shown(task):
            outcome = measured[task, run]
            found = outcome.errors
            figures = (found.mse4.mean(), np.median(found.mse4), found.mse4.max(), np.median(found.rms_px))
            yield row(
                *(task, run.method, outcome.model or "-", *map(number, figures), number(found.eps_a.mean()), number(found.eps_b.mean())),
                *(_right(found), f"{100 * float((found.rms_px < 3).mean()):.1f} %", f"{outcome.milliseconds:.0f}"),
            )
        for name in ("FAIR", "elastix"):
            if (task, name) in paper.MEASURED_BEFORE:
                yield row(task, f"{name} \\*", *["-"] * 7, f"{paper.MEASURED_BEFORE[task, name]:.0f} %", "-", "-")
    yield from ("", "\\* other pairs of the same data, from the notes that come with the data collection; no other figures are known.")


def _paper_tables(measured: Measured) -> Iterator[str]:
    yield "Each figure of the paper stands left of ours; `mri` stands for its fastMRI; FAIR and elastix are quoted, for \\* see above."
    mse4, eps_a, eps_b = attrgetter("mse4"), attrgetter("eps_a"), attrgetter("eps_b")
    yield from _beside(measured, "Table 1: mse4, one-level network", paper.TABLE_1, _one_level, mse4)
    yield from _transfer_table(measured)
    yield from _beside(measured, "Table 3: eps_A, as Table 1", paper.TABLE_3, _one_level, eps_a)
    yield from _beside(measured, "Table 4: eps_b, as Table 1", paper.TABLE_4, _one_level, eps_b)
    yield from _beside(measured, "Table 5: mse4, full affine deformations", paper.TABLE_5, _both, mse4, "-affine")
    yield from _beside(measured, "Table 6: mse4, multi-level network", paper.TABLE_6, _multi_level, mse4)


def _one_level(own: str) -> list[Run]:
    model = f"{own}-onelevel"
    return [Run("plain", None, "zero"), Run("plain"), Run("comb", model, "zero"), Run("comb", model), ROBUST]


def _multi_level(own: str) -> list[Run]:
    return [Run("plain", None, "zero"), Run("plain"), Run("learn", own), Run("comb", own, "zero"), Run("comb", own), ROBUST]


def _both(own: str) -> list[Run]:
    model = f"{own}-onelevel"
    *others, robust = _multi_level(own)
    return [*others, Run("learn", model), Run("comb", model, "zero"), Run("comb", model), robust]


def _beside(
    measured: Measured,
    title: str,
    printed: dict[tuple[str, str], paper.Triple],
    runs: Callable[[str], list[Run]],
    values: Values,
    suffix: str = "",
) -> Iterator[str]:
    """One table: our runs with the paper's figures of their method, then what the paper has besides."""
    yield from ("", f"#### {title}", "")
    yield from header("task", "method", "model", "outside", *_pairs_of_columns(), "below 1 px")
    for own in paper.TASKS:
        task = own + suffix
        shown = {run: measured[task, run] for run in runs(own) if (task, run) in measured}
        for run, outcome in shown.items():
            yield row(task, run.method, *_compared(printed.get((own, run.method)), run, outcome, values))
        for (of, method), figures in printed.items():
            if of == own and method not in {run.method for run in shown}:
                before = paper.MEASURED_BEFORE.get((task, method))
                yield row(task, method, "-", "-", *_alone(figures), "-" if before is None else f"{before:.0f} % \\*")


def _transfer_table(measured: Measured) -> Iterator[str]:
    yield from ("", "#### Table 2: mse4, networks on the tasks of the others", "")
    yield from header("trained on", "task", "method", "model", "outside", *_pairs_of_columns(), "below 1 px")
    for (trained, task), figures in paper.TABLE_2.items():
        shown = {run: measured[task, run] for run in _transferred(trained).values() if (task, run) in measured}
        for run, outcome in shown.items():
            known = figures if run.method == "comb" else None
            yield row(trained, task, run.method, *_compared(known, run, outcome, attrgetter("mse4")))
        if not shown:
            yield row(trained, task, "comb", "-", "-", *_alone(figures), "-")


def _pairs_of_columns() -> list[str]:
    return [f"{name}, {whose}" for name in ("mean", "median", "max") for whose in ("paper", "here")]


def _compared(printed: paper.Triple | None, run: Run, outcome: Outcome, values: Values) -> Iterator[str]:
    """Cells: model, outside, mean, median and max of the paper and here in turn, the share below 1 px."""
    yield outcome.model or "-"
    yield "-" if run.method == "learn" else run.outside
    ours = values(outcome.errors)
    for position, statistic in enumerate(_STATISTICS):
        yield _printed(printed[position] if printed else None)
        yield number(float(statistic(ours)))
    yield f"{100 * float(outcome.errors.right.mean()):.1f} %"


def _alone(printed: paper.Triple) -> Iterator[str]:
    """Cells of the paper's figures without ours."""
    for figure in printed:
        yield from (_printed(figure), "-")


def _printed(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f}"


def _boxes_of_tasks(folder: Path, measured: Measured, tasks: list[str]) -> Iterator[str]:
    panels: pictures.Panels = {task: {run.method: measured[task, run].errors.mse4 for run in _shown(task)} for task in tasks}
    pictures.draw_boxes(folder / "mse4.png", {"mse4": panels}, one_pixel=True)
    yield from ("![Box plots of mse4 by task and method](Pictures/mse4.png)", "")
    yield "As the paper's Figure 3: medians, quartiles, whiskers of 1.5 quartile distances, outliers; the dotted line is one pixel."


def _boxes_of_paper(folder: Path, measured: Measured) -> Iterator[str]:
    tasks = [task for task in paper.TASKS if (task, ROBUST) in measured]
    if not tasks:
        return
    kinds: dict[str, Values] = {"eps_A": attrgetter("eps_a"), "eps_b": attrgetter("eps_b")}
    distances: dict[str, pictures.Panels] = {
        kind: {task: {run.method: values(measured[task, run].errors) for run in _shown(task)} for task in tasks}
        for kind, values in kinds.items()
    }
    pictures.draw_boxes(folder / "eps.png", distances)
    yield from ("", "![Box plots of eps_A and eps_b by task and method](Pictures/eps.png)", "", "As the paper's Figures 4 and 5.")
    panels = {
        f"{trained} on {task}": {name: measured[task, run].errors.mse4 for name, run in _transferred(trained).items()}
        for trained, task in paper.TABLE_2
        if task in tasks
    }
    pictures.draw_boxes(folder / "transfer.png", {"mse4": panels}, one_pixel=True)
    yield from ("", "![Box plots of mse4 of networks on the tasks of the others](Pictures/transfer.png)", "")
    yield "As the paper's Figure 6: what a network was trained on, and the task."


def _draw_worst(path: Path, pairs: list[KnownPair], outcome: Outcome) -> None:
    cases = []
    for k in np.argsort(-outcome.errors.rms_px, kind="stable")[:WORST]:
        result = outcome.results[k]
        probability = "" if result.probability is None else f", probability {result.probability:.2f}"
        caption = f"{pairs[k].id}: {outcome.errors.rms_px[k]:.3g} px, {result.status}{probability}"
        cases.append(pictures.Case(pairs[k], result.fixed_to_moving_lps, caption))
    pictures.draw_worst(path, cases)


def _right(found: Errors) -> str:
    return share(int(found.right.sum()), len(found.right))


def _fewer(others_first: int | None) -> str:
    if others_first is None:
        return ""
    return f" for robust with its default model, the first {others_first} of them for all other rows"


def _counted(counts: dict[str, int]) -> str:
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} pairs a task"
    return ", ".join(f"{count} pairs of {task}" for task, count in counts.items())
