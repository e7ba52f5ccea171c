"""Where robust is not sure of its result it searches again, and otherwise: most pairs are easy, and the few others get the time.

By itself (``auto``) it compares intensities first, which is fast and exact, and where this leaves doubt, edges, which neither
another contrast nor a cropped image disturbs; a result that has most likely failed even then is searched for thoroughly.  The more
probable result stays.  In space it gives intensities up where they leave much of both images unexplained: another contrast would
draw them aside.
"""

from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

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
_SURE = 0.95  # probability from which a result by intensities is not looked at again
# Where both images are left unexplained by more than noise or a crop leave, their contrasts differ; in the plane this tells less.
_GIVING_UP = {3: replace(PLANS["intensities", 3], give_up=(0.55, 0.3))}
_SHARE = 0.7  # of what is left of the progress, for each search


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
    common = (network, freedom_name, rotation_range)
    plan = PLANS["intensities" if data_term == "auto" else data_term, grids.dimension]
    if data_term == "auto":
        plan = _GIVING_UP.get(grids.dimension, plan)
    begin, end = 0.0, _SHARE

    def told(name: str) -> Report:
        """Of a search that takes the progress from ``begin`` to ``end``."""
        first, last = begin, end
        return lambda stage, share: report(stage and f"{name}{stage}", first + (last - first) * share)

    outcome = robust(grids, levels, start, *common, told(""), plan)
    for name, enough, plan in _further(data_term, grids.dimension):
        assert outcome.evidence is not None
        probability = _probabilities(outcome.evidence).to(start.device)
        rows = torch.nonzero(probability < enough)[:, 0]
        if not len(rows):
            break
        begin, end = end, end + _SHARE * (1 - end)
        again = robust(grids.select(rows), levels, start[rows], *common, told(f"{name} search: "), plan)
        assert again.evidence is not None
        better = torch.nonzero(_probabilities(again.evidence).to(start.device) >= probability[rows])[:, 0]
        spent = outcome.evaluations.index_add(0, rows, again.evaluations)
        outcome = replace(outcome.with_rows(rows[better], again.select(better)), evaluations=spent)
    return outcome


def _further(data_term: DataTermChoice, dimension: int) -> list[tuple[str, float, Plan]]:
    """What follows the first search: its name, the probability that is enough to do without it, and its plan."""
    searches = [("second", _SURE, PLANS["edges", dimension])] if data_term == "auto" else []
    thorough = THOROUGH.get(("edges" if data_term == "auto" else data_term, dimension))
    if thorough is not None and data_term == "intensities":
        searches.append(("second", _SURE, thorough))
    elif thorough is not None:
        searches.append(("third" if searches else "second", AMBIGUOUS, thorough))
    return searches


def _probabilities(evidence: Evidence) -> Tensor:
    return torch.tensor([probability_of_success(evidence, row) for row in range(len(evidence.unexplained))], dtype=torch.float64)
