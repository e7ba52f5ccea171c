"""Where robust is not sure of its result it searches again, and tries more: most pairs are easy, and the few others get the time."""

from dataclasses import fields

import torch
from torch import Tensor

from .confidence import probability_of_success, status_of
from .freedom import FreedomName
from .grids import PairGrids
from .initializer import Initializer
from .outcome import Evidence, Outcome
from .robust import Plan, Report, robust

# By dimension; in space a second search would take a minute.
THOROUGH = {2: Plan(rotations=64, each=3, starts=60, unlearned_starts=60, basins=(10, 4), margins=(0.2, 0.2, 0.08))}
_SHARE = 0.7  # of the progress, for the first search
_AS_GOOD = 1e-4  # criterion: a second search that comes as near as this found the same or better


def robust_with_second_search(
    grids: PairGrids,
    levels: tuple[int, ...],
    start: Tensor,
    network: Initializer | None,
    freedom_name: FreedomName,
    rotation_range: float,
    report: Report,
) -> Outcome:
    """``robust``, and for the pairs whose status is not ok once more by the thorough plan; the better result of each stays."""
    common = (network, freedom_name, rotation_range)
    first = robust(grids, levels, start, *common, lambda stage, share: report(stage, _SHARE * share))
    assert first.evidence is not None
    plan = THOROUGH.get(grids.dimension)
    unsure = [row for row in range(len(start)) if status_of(probability_of_success(first.evidence, row)) != "ok"]
    if plan is None or not unsure:
        return first
    rows = torch.tensor(unsure, device=start.device)

    def report_second(stage: str, share: float) -> None:
        report(stage and f"second search: {stage}", _SHARE + (1 - _SHARE) * share)

    second = robust(grids.select(rows), levels, start[rows], *common, report_second, plan)
    better = second.after <= first.after[rows] + _AS_GOOD
    assert second.evidence is not None
    evidence = Evidence(**_replaced(first.evidence, second.evidence, rows[better], better))
    spent = first.evaluations.index_add(0, rows, second.evaluations)
    changed = _replaced(first, second, rows[better], better, ("x", "before", "after"))
    return Outcome(**changed, evaluations=spent, evidence=evidence)


def _replaced(
    first: Outcome | Evidence, second: Outcome | Evidence, rows: Tensor, chosen: Tensor, names: tuple[str, ...] | None = None
) -> dict[str, Tensor]:
    """The tensors of the first, with those of the second's ``chosen`` rows at ``rows``."""
    wanted = names or tuple(field.name for field in fields(first))
    return {name: getattr(first, name).index_copy(0, rows, getattr(second, name)[chosen]) for name in wanted}
