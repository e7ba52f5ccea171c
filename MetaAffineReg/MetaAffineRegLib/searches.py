"""Where robust is not sure of its result it searches again, and otherwise: most pairs are easy, and the few others get the time.

By itself (``auto``) it compares intensities first, which is fast and exact, and where this leaves doubt, edges, which neither
another contrast nor a cropped image disturbs; where the images differ in brightness, edges at once: intensities would draw such a pair
aside, and be sure of it.  A result that has most likely failed even then is searched for thoroughly.  The more probable result stays.
"""

from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from .brightness import DIFFERENT, brightness_distance
from .confidence import AMBIGUOUS, probability_of_success
from .freedom import FreedomName
from .grids import PairGrids
from .initializer import Initializer
from .outcome import Evidence, Outcome
from .robust import PLANS, Plan, Report, robust

DataTermChoice = Literal["auto", "intensities", "edges", "correlation", "local-correlation", "mutual-information"]
DATA_TERM_CHOICES: tuple[DataTermChoice, ...] = get_args(DataTermChoice)
# More of everything; by intensities in space it would take a minute.
THOROUGH: dict[tuple[DataTermChoice, int], Plan] = {
    ("intensities", 2): Plan(
        rotations=64, each=3, polished=192, starts=60, unlearned_starts=60, sieved=24, basins=(10, 4), margins=(0.2, 0.2, 0.08)
    ),
    ("edges", 2): replace(
        PLANS["edges", 2],
        rotations=72,
        each=3,
        polished=400,
        starts=160,
        unlearned_starts=160,
        sieved=100,
        basins=(16, 6),
        margins=(1.0, 0.3, 0.15),
    ),
    ("edges", 3): replace(PLANS["edges", 3], rotations=12, centred=120, led=120, sieved=120, basins=(8, 4), margins=(0.5, 0.1, 0.06)),
}
_SURE = 0.98  # probability from which a result is not looked at again
_SHARE = 0.7  # of what is left of the progress, for each search
_NAMES = ("", "second search: ", "third search: ")


def robust_until_sure(
    grids: PairGrids,
    levels: tuple[int, ...],
    start: Tensor,
    network: Initializer | None,
    freedom_name: FreedomName,
    rotation_range: float,
    report: Report,
    data_term: DataTermChoice = "auto",
) -> Outcome:
    """``robust``, and for the pairs that are not surely right again by other plans; which result stays, the module says."""
    tried, end, outcome = 0, 0.0, Outcome.of_nothing(start)
    for enough, plan, suited in _searches(data_term, grids, levels):
        assert outcome.evidence is not None
        probability = _probabilities(outcome.evidence).to(start.device)
        rows = torch.nonzero((probability < enough) & suited.to(start.device))[:, 0]
        if not len(rows):
            continue
        begin, end = end, end + _SHARE * (1 - end)

        def told(stage: str, share: float, name: str = _NAMES[tried], first: float = begin, last: float = end) -> None:
            report(stage and f"{name}{stage}", first + (last - first) * share)

        part = grids if len(rows) == len(grids) else grids.select(rows)
        again = robust(part, levels, start[rows], network, freedom_name, rotation_range, told, plan)
        assert again.evidence is not None
        better = torch.nonzero(_probabilities(again.evidence).to(start.device) >= probability[rows])[:, 0]
        spent = outcome.evaluations.index_add(0, rows, again.evaluations)
        outcome, tried = replace(outcome.with_rows(rows[better], again.select(better)), evaluations=spent), tried + 1
    return outcome


def _searches(data_term: DataTermChoice, grids: PairGrids, levels: tuple[int, ...]) -> list[tuple[float, Plan, Tensor]]:
    """One after the other: the probability that is enough to do without it, its plan, and the pairs that it suits, ``(B,)``."""
    d, look = grids.dimension, "edges" if data_term == "auto" else data_term
    everyone = torch.ones(len(grids), dtype=torch.bool)
    searches = [(_SURE, PLANS[look, d], everyone)]
    if data_term == "auto":
        alike = brightness_distance(grids.fixed[levels[1]], grids.moving[levels[1]]) < DIFFERENT
        searches.insert(0, (_SURE, PLANS["intensities", d], alike))
    if (look, d) in THOROUGH:
        searches.append((_SURE if look == "intensities" else AMBIGUOUS, THOROUGH[look, d], everyone))
    return searches


def _probabilities(evidence: Evidence) -> Tensor:
    return torch.tensor([probability_of_success(evidence, row) for row in range(len(evidence.unexplained))], dtype=torch.float64)
