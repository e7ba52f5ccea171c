"""Where robust is not sure of its result it searches again, and otherwise: most pairs are easy, and the few others get the time.

By itself (``auto``) it compares intensities first, which is fast and exact, and where this leaves doubt, edges, which neither
another contrast nor a cropped image disturbs.  The more probable result stays.  In space it gives intensities up where they leave much
of both images unexplained: another contrast would draw them aside.
"""

from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from .confidence import probability_of_success
from .freedom import FreedomName
from .grids import PairGrids
from .initializer import Initializer
from .outcome import Evidence, Outcome
from .robust import PLANS, Plan, Report, robust

DataTermChoice = Literal["auto", "intensities", "edges", "correlation", "local-correlation", "mutual-information"]
DATA_TERM_CHOICES: tuple[DataTermChoice, ...] = get_args(DataTermChoice)
# A thorough search by intensities alone; in space it would take a minute.
THOROUGH = {2: Plan(rotations=64, each=3, polished=192, starts=60, unlearned_starts=60, basins=(10, 4), margins=(0.2, 0.2, 0.08))}
_SURE = 0.95  # probability from which a result by intensities is not looked at again
# Where both images are left unexplained by more than noise or a crop leave, their contrasts differ; in the plane this tells less.
_GIVING_UP = {3: replace(PLANS["intensities", 3], give_up=(0.55, 0.3))}
_SHARE = 0.7  # of the progress, for the first search


def robust_with_second_search(
    grids: PairGrids,
    levels: tuple[int, ...],
    start: Tensor,
    network: Initializer | None,
    freedom_name: FreedomName,
    rotation_range: float,
    report: Report,
    data_term: DataTermChoice = "auto",
) -> Outcome:
    """``robust``, and for the pairs that are not surely right once more by another plan; which result stays, the module says."""
    common = (network, freedom_name, rotation_range)
    first_plan = PLANS["intensities" if data_term == "auto" else data_term, grids.dimension]
    if data_term == "auto":
        first_plan = _GIVING_UP.get(grids.dimension, first_plan)
    second_plan = {"auto": PLANS["edges", grids.dimension], "intensities": THOROUGH.get(grids.dimension)}.get(data_term)
    first = robust(grids, levels, start, *common, lambda stage, share: report(stage, _SHARE * share), first_plan)
    assert first.evidence is not None
    probability = _probabilities(first.evidence)
    unsure = torch.nonzero(probability < _SURE)[:, 0].tolist()
    if second_plan is None or not unsure:
        return first
    rows = torch.tensor(unsure, device=start.device)

    def report_second(stage: str, share: float) -> None:
        report(stage and f"second search: {stage}", _SHARE + (1 - _SHARE) * share)

    second = robust(grids.select(rows), levels, start[rows], *common, report_second, second_plan)
    assert second.evidence is not None
    better = torch.nonzero(_probabilities(second.evidence) >= probability[unsure])[:, 0].to(start.device)
    spent = first.evaluations.index_add(0, rows, second.evaluations)
    return replace(first.with_rows(rows[better], second.select(better)), evaluations=spent)


def _probabilities(evidence: Evidence) -> Tensor:
    return torch.tensor([probability_of_success(evidence, row) for row in range(len(evidence.unexplained))], dtype=torch.float64)
