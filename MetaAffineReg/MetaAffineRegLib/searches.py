"""Where robust is not sure of its result it searches again, and otherwise: most pairs are easy, and the few others get the time.

By itself (``auto``) it compares intensities first, which is fast and exact, and where this leaves doubt, edges, which neither
another contrast nor a cropped image disturbs, of slices by a lighter search.  Where the images differ in brightness, it compares edges
first, of slices faint ones too, first in a quick search, and where these have most likely failed, strong ones alone: intensities would
draw such a pair aside, and be sure of it, unless they are corrected, which they are where edges have led.  Each search takes along what
those before it have found, so that edges judge between two things that were found.  A result that has most likely failed even then is
searched for thoroughly.  The more probable result stays, never one by intensities as they are where the images differ in brightness.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from . import affine
from .brightness import DIFFERENT, brightness_distance
from .candidates import SAME_BASIN, Candidates
from .confidence import AMBIGUOUS, probability_of_success
from .freedom import FreedomName
from .grids import PairGrids
from .initializer import Initializer
from .outcome import Outcome
from .plans import PLANS, QUICK, SECOND, THOROUGH, Look, Plan
from .robust import robust
from .stages import Report

DataTermChoice = Literal["auto", "intensities", "edges", "correlation", "local-correlation", "mutual-information"]
DATA_TERM_CHOICES: tuple[DataTermChoice, ...] = get_args(DataTermChoice)
_SURE = 0.98  # probability from which a result is not looked at again
_SURE_BY_EDGES = 0.9  # the same where intensities are not expected to do better
_SHARE, _SHARE_OF_QUICK = 0.7, 0.3  # of what is left of the progress, for each search


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
    end, outcome = 0.0, Outcome.of_nothing(start)
    latest, disputed = start, torch.zeros(len(start), dtype=torch.bool)  # what the last search found, and whether it is another thing
    for search in _searches(data_term, grids, levels):
        assert outcome.evidence is not None
        probability = probability_of_success(outcome.evidence)
        rows = torch.nonzero((probability < search.enough) & search.suited & (disputed | ~search.settles))[:, 0]
        if not len(rows):
            continue
        begin, end = end, end + (_SHARE_OF_QUICK if search.plan.else_nothing else _SHARE) * (1 - end)

        def told(stage: str, share: float, name: str = search.name, first: float = begin, last: float = end) -> None:
            report(stage and f"{name}{stage}", first + (last - first) * share)

        part = grids if len(rows) == len(grids) else grids.select(rows)
        known = _known(outcome, latest, rows)
        again = robust(part, levels, start[rows], network, freedom_name, rotation_range, told, search.plan, known)
        spent = outcome.evaluations.index_add(0, rows.to(start.device), again.evaluations)
        if search.plan.else_nothing:
            settled = torch.nonzero(again.settled)[:, 0]
            rows, again = rows[settled.cpu()], again.select(settled)
        assert again.evidence is not None
        better = torch.nonzero(probability_of_success(again.evidence) >= probability[rows])[:, 0]
        latest = latest.index_copy(0, rows.to(start.device), again.x)
        disputed[rows] = (affine.distance(again.x, outcome.x[rows]) > SAME_BASIN).cpu()
        better = better[:0] if search.proposes else better.to(start.device)
        outcome = replace(outcome.with_rows(rows.to(start.device)[better], again.select(better)), evaluations=spent)
    return outcome


def _known(outcome: Outcome, latest: Tensor, rows: Tensor) -> Candidates | None:
    """What was found for the pairs ``rows`` of a batch, the best and the latest where that is another, as candidates of a batch of these;
    None where that is nothing."""
    best, latest, value = outcome.x[rows], latest[rows], outcome.after[rows]
    there = torch.isfinite(value)
    another = there & (best != latest).flatten(1).any(1)
    found = torch.cat((torch.nonzero(there)[:, 0], torch.nonzero(another)[:, 0]))
    return Candidates(torch.cat((best[there], latest[another])), found, value[found]) if len(found) else None


@dataclass(frozen=True)
class _Search:
    """One of several in turn, of pairs that have less than the probability that is ``enough``.

    suited: which of the batch it is for, ``(B,)``; proposes: what it finds is taken along by the next, but no result; settles: only where
    the two searches before it found two things.
    """

    name: str
    plan: Plan
    enough: float
    suited: Tensor
    proposes: bool = False
    settles: bool = False


def _searches(data_term: DataTermChoice, grids: PairGrids, levels: tuple[int, ...]) -> list[_Search]:
    d, look = grids.dimension, "edges" if data_term == "auto" else data_term
    if look != "edges":
        everyone = torch.ones(len(grids), dtype=torch.bool)
        again = [_Search("thorough search: ", THOROUGH[look, d], _SURE, everyone)] if (look, d) in THOROUGH else []
        return [_Search("", PLANS[look, d], _SURE, everyone), *again]
    different = (brightness_distance(grids.fixed[levels[1]], grids.moving[levels[1]]) >= DIFFERENT).cpu()
    faint: Look = "faint-edges" if ("faint-edges", d) in PLANS else "edges"
    quick = [_Search("quick search: ", QUICK, _SURE, different)] if d == 2 else []
    if data_term == "edges":
        searches = [_Search("", PLANS["edges", d], _SURE, ~different), *quick, _Search("", PLANS[faint, d], _SURE, different)]
    else:
        searches = [
            _Search("", PLANS["intensities", d], _SURE, ~different),
            *quick,
            _Search("", PLANS[faint, d], _SURE, different),
            _Search("second search: ", SECOND[d], _SURE, ~different),
            *([_Search("second search: ", PLANS["edges", d], AMBIGUOUS, different)] if faint != "edges" else []),
            _Search("second search: ", PLANS["intensities", d], _SURE_BY_EDGES, different, proposes=True),
            _Search("third search: ", PLANS[faint, d], _SURE_BY_EDGES, different, settles=True),
        ]
    last: tuple[tuple[Look, Tensor], ...] = (("edges", ~different), (faint, different))
    return searches + [_Search("thorough search: ", THOROUGH[look, d], AMBIGUOUS, suited) for look, suited in last if (look, d) in THOROUGH]
