"""``benchmark range``: how far apart two images may be turned, for plain, comb and robust."""

import argparse
from itertools import pairwise

import numpy as np
import pictures
from measuring import Outcome, Run, add_data_arguments, check_data_arguments, header, machine, measure, row, share
from scoring import read_pairs

TASK = "mri-180"
RUNS = (Run("plain"), Run("comb", "mri"), Run("robust"))
EDGES = [float(edge) for edge in range(0, 181, 15)]  # degrees


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark range``."""
    add_data_arguments(parser)


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown from the pairs in ``--data``/mri-180; the plot goes to the folder Pictures beside ``arguments.results``.

    Raises InputError where the pairs are missing.
    """
    check_data_arguments(arguments)
    pairs = read_pairs(arguments.data / TASK, arguments.first)
    degrees = np.array([pair.rotation for pair in pairs])
    outcomes = [measure(pairs, one, arguments.device, TASK) for one in RUNS]
    counts: dict[str, list[tuple[int, int]]] = {
        one.method: by_rotation(degrees, outcome.errors.right) for one, outcome in zip(RUNS, outcomes, strict=True)
    }
    folder = arguments.results.parent / "Pictures"
    folder.mkdir(exist_ok=True)
    pictures.draw_range(folder / "range.png", EDGES, counts)
    return [
        f"{len(pairs)} pairs; {machine(arguments.device)}. Shares below 1 px with their 95 % intervals.",
        "",
        *header("rotation, degrees", "pairs", *map(_named, RUNS, outcomes)),
        *(
            row(f"{low:.0f} .. {high:.0f}", next(iter(counts.values()))[k][1], *(share(*bins[k]) for bins in counts.values()))
            for k, (low, high) in enumerate(pairwise(EDGES))
        ),
        row("all", len(pairs), *(share(int(outcome.errors.right.sum()), len(pairs)) for outcome in outcomes)),
        "",
        "![Share of results below 1 px against the rotation between the images](Pictures/range.png)",
    ]


def by_rotation(degrees: np.ndarray, right: np.ndarray) -> list[tuple[int, int]]:
    """(right, all) for each bin between ``EDGES``; degrees in [0, 180] and right are ``(N,)``."""
    index = np.minimum(np.digitize(degrees, EDGES) - 1, len(EDGES) - 2)
    return [(int(right[index == k].sum()), int((index == k).sum())) for k in range(len(EDGES) - 1)]


def _named(run: Run, outcome: Outcome) -> str:
    return f"{run.method} ({outcome.model})" if outcome.model else run.method
