"""Method robust: many starts, few basins, one judge.

1. Starts: rotations over the range, each with the translations that an exhaustive search finds; L-BFGS over the rigid maps on the
   coarsest grid, and the best of them go on.
2. From each, in one batch on the coarse grids, the learned steps; and from the few best, unlearned, L-BFGS over the rigid maps.  In
   space the learned steps set out from all starts, those of step 1 and others on the centres, and the best go on from level to level.
3. The judge is equation (1) with the share of content left unexplained as D, and the distortion as S.  The best distinct basins, the
   given start among those judged, are refined with the freedom asked for: a few iterations on the third grid tell which go on, and on
   each finer grid fewer of them stay.
4. The best at the finest grid is the result: never worse than the start by the criterion.  Where another contrast is expected, the
   basins are first refined there by intensities, once these are corrected; what they explain but for noise is settled by that.  Of the
   rest edges have the word; where corrected intensities leave little but noise and lead to nearly the same, the mean of both, whose errors
   are not the same.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from . import affine
from .candidates import Candidates
from .data_terms import unexplained_detail
from .freedom import FreedomName, freedom
from .grids import PairGrids
from .initializer import Initializer
from .intensity_correction import structure_left
from .normalized_gradients import NormalizedGradients
from .outcome import Evidence, Outcome
from .plans import Plan
from .stages import FINE, REFINE, Report, Stages

_BACK = 10  # iterations of the way back
_LOOK = 8  # iterations of another look at the result
_NOISY = 1 / 3  # left unexplained by corrected intensities, above which edges, of smoothed images, are more exact
# Of corrected intensities that settle nothing, where the mean of their map and that of edges is the result:
_HAZY = 0.2  # they leave more than that unexplained,
_ALIKE = 0.35  # less than that of the structure,
_AGREED = 1.0  # and lead to less than so many samples from where edges do


def robust(
    grids: PairGrids,
    levels: tuple[int, ...],
    start: Tensor,
    network: Initializer | None,
    freedom_name: FreedomName,
    rotation_range: float,
    report: Report,
    plan: Plan,
    known: Candidates | None = None,
) -> Outcome:
    """Register a batch from around start ``(B, d, d + 1)``, ``levels`` being four grid sizes, coarse to fine.

    ``rotation_range`` in degrees, up to 180; ``report`` is called with a stage, figures so far in brackets, and the share that is
    done, and often with an empty stage; it may raise to end the work; ``known``: maps that are tried besides.
    """
    stages = Stages(grids, levels, start, freedom_name, rotation_range, plan, report)
    judged = stages.judged(stages.own if known is None else stages.own.joined(known), levels[1])
    report("search of starts", 0.05)
    searched = stages.searched(stages.own.x)
    if network is not None and plan.led and stages.reads(network):
        report("learned steps", 0.2)
        judged = judged.joined(stages.led(searched, network))
    else:
        found = stages.polished(searched)
        if network is not None and plan.learned:
            report("learned steps", 0.3)
            judged = judged.joined(stages.learned(found, network))
        if plan.unlearned:
            report("unlearned steps", 0.4)
            judged = judged.joined(stages.unlearned(found))
    found = stages.sieved(judged).best(plan.basins[0], plan.margins[1])
    report(f"refinement on a grid of {levels[2]}{_so_far(found, stages)}", 0.5)
    found = stages.refined(found, levels[2], REFINE).best(2)
    if not plan.corrects:
        return _on_the_finest(stages, found)
    report(f"correction of intensities{_so_far(found, stages)}", 0.6)
    outcome, structure = _by_corrected(stages, found)
    rows = torch.nonzero(~outcome.settled)[:, 0]
    if not len(rows) or plan.else_nothing:
        return outcome
    others = stages.part(rows)
    rest = _on_the_finest(others, found.of_pairs(rows))
    rest = _agreed(others, rest, outcome.select(rows), structure[rows])
    spent = outcome.evaluations.index_add(0, rows, rest.evaluations)
    return replace(outcome.with_rows(rows, rest), evaluations=spent)


def _on_the_finest(stages: Stages, found: Candidates) -> Outcome:
    """The best of the basins of the third level on the finest, or the start where that is better."""
    plan, levels, report = stages.plan, stages.levels, stages.report
    coarser = found
    stages.ease_regularizer(found.ranked(0)[1])
    found = found.best(plan.basins[1], plan.margins[2])
    report(f"refinement on a grid of {levels[3]}{_so_far(found, stages)}", 0.7)
    found = stages.finished(found).best(2)
    before = stages.judged(stages.own, levels[3], plan.every)
    x, after = before.joined(found).best(1).ranked(0)
    margin, runner_up = _runner_up(found, coarser)
    report(f"registration the other way round{_so_far(found, stages)}", 0.9)
    evidence = _evidence(stages, x, after, margin, runner_up)
    return Outcome(x, before.value, after, stages.evaluations, evidence)


def _agreed(stages: Stages, outcome: Outcome, by_intensities: Outcome, structure: Tensor) -> Outcome:
    """The outcome by edges; where that by corrected intensities lies near and leaves noise, but little structure ``(B,)``, the mean of
    both, if that is no worse than the start."""
    distance = affine.distance(by_intensities.x, outcome.x) * stages.levels[-1] / 2
    rows = torch.nonzero((by_intensities.after > _HAZY) & (structure < _ALIKE) & (distance < _AGREED))[:, 0]
    if not len(rows):
        return outcome
    parameters = freedom(stages.freedom_name, (by_intensities.x[rows] + outcome.x[rows]) / 2)
    found = Candidates(parameters.maps(parameters.origin), rows, outcome.after[rows])
    found = stages.judged(found, stages.levels[-1], stages.plan.every)
    better = found.select(torch.nonzero(found.value <= outcome.before[rows])[:, 0])
    x, after = outcome.x.index_copy(0, better.pair, better.x), outcome.after.index_copy(0, better.pair, better.value)
    return replace(outcome, x=x, after=after, evaluations=stages.evaluations)


def _by_corrected(stages: Stages, found: Candidates) -> tuple[Outcome, Tensor]:
    """The best of the basins of the third level on the finest by corrected intensities, and the structure that these leave, ``(B,)``;
    whether that settles it, the evidence says."""
    finest, every = stages.levels[-1], stages.plan.every
    coarser, found = found, found.best(stages.plan.basins[1], stages.plan.margins[2])
    images, found = stages.corrected(found)
    best = found.best_rows(1)
    x, after = found.x[best], found.value[best]
    before = images.objective(finest, best, every).value(stages.own.x)
    grids = images.grids if len(best) == len(images.grids) else images.grids.select(best)
    structure = structure_left(grids.fixed[finest], grids.moving[finest], x, grids.backend).masked_fill(~(after <= before), torch.inf)
    telling = structure.masked_fill(after > _NOISY, torch.inf)
    stages.count(stages.own.pair, 1.0)
    outcome = Outcome(x, before, after, stages.evaluations, replace(Evidence.of_nothing(x), structure=telling))
    rows = torch.nonzero(outcome.settled)[:, 0]
    if not len(rows):
        return outcome, structure
    margin, runner_up = _runner_up(found.best(2), coarser)
    shares = images.grids.objective(finest, unexplained_detail, every=every).select(best[rows]).shares(x[rows])
    part = stages.part(rows)
    settled = Evidence(
        unexplained=after[rows],
        sides=shares[:, :2],
        overlap=shares[:, 2],
        margin=margin[rows],
        consistency=_way_back(part, x[rows], after[rows]),
        looks=x.new_full((len(rows), 3), torch.nan),
        structure=telling[rows],
        runner_up=runner_up[rows],
        edges=torch.zeros(len(rows), dtype=torch.bool, device=x.device),
    )
    stages.count(rows, part.evaluations)
    assert outcome.evidence is not None
    return replace(outcome, evaluations=stages.evaluations, evidence=outcome.evidence.with_rows(rows, settled)), structure


def _so_far(found: Candidates, stages: Stages) -> str:
    """Figures of the best candidate, which stands first, in brackets, for the eyes of who waits for one pair; nothing for more pairs."""
    if len(stages.grids) > 1:
        return ""
    degrees = math.degrees(float(affine.angle(affine.nearest_rotation(found.x[0, :, :-1] @ stages.inverse[0]))))
    return f" ({100 * float(found.value[0]):.1f} % unexplained, turned by {degrees:.0f} degrees, candidates: {len(found.x)})"


def _runner_up(finest: Candidates, coarser: Candidates) -> tuple[Tensor, Tensor]:
    """Margin ``(B,)`` and map of the second basin, on the finest grid or, where it did not get there, on the one before."""
    margin, x = torch.full_like(finest.ranked(0)[1], torch.inf), finest.ranked(0)[0]
    for found in (coarser, finest):
        (_, value), (second, second_value) = found.ranked(0), found.ranked(1)
        there = torch.isfinite(second_value)
        margin, x = torch.where(there, second_value - value, margin), torch.where(there[:, None, None], second, x)
    return margin, x


def _evidence(stages: Stages, x: Tensor, after: Tensor, margin: Tensor, runner_up: Tensor) -> Evidence:
    """Overlap, how well each image is explained, and the distances to what the way back finds from the inverse map, and other looks."""
    grids, finest = stages.grids, stages.levels[-1]
    told_by = stages.plan.witness or stages.plan.fine
    if stages.plan.witness:
        witness = grids.objective(finest, told_by, stages.regularizers[finest])
        after = witness.value(x)
        margin = torch.where(torch.isfinite(margin), witness.value(runner_up) - after, torch.inf)
    shares = grids.objective(finest, unexplained_detail, every=stages.plan.every).shares(x)
    edges = torch.full((len(x),), isinstance(told_by, NormalizedGradients), device=x.device)
    consistency = _way_back(stages, x, after)
    looks = _looks(stages, Candidates(x, stages.own.pair, after)) if stages.plan.looks_again else x.new_full((len(x), 3), torch.nan)
    structure = torch.full_like(after, torch.inf)
    return Evidence(after, shares[:, :2], shares[:, 2], margin, consistency, looks, structure, runner_up, edges)


def _way_back(stages: Stages, x: Tensor, value: Tensor) -> Tensor:
    """How far, in samples, the way back leads from where it should end, ``(B,)``: refined on the third level from the inverse map."""
    start = affine.inverse(stages.own.x)
    back = Stages(stages.grids.swapped(), stages.levels, start, stages.freedom_name, stages.rotation_range, stages.plan, stages.report)
    returned = back.refined(Candidates(affine.inverse(x), back.own.pair, value), stages.levels[2], _BACK, tolerance=FINE).x
    stages.evaluations += back.evaluations
    there = affine.identity(len(x), x.shape[1], dtype=x.dtype, device=x.device)
    return affine.distance(affine.compose(returned, x), there) * stages.levels[-1] / 2


def _looks(stages: Stages, result: Candidates) -> Tensor:
    """How far away, in samples, the coarse term and a quarter of the rows would have the result, and what the former says there."""
    finest, coarse = stages.levels[-1], stages.plan.coarse
    there = (stages.refined(result, finest, _LOOK, tolerance=FINE, every=every, term=term).x for term, every in ((coarse, 2), (None, 4)))
    stages.count(result.pair, 1.0)
    share = stages.grids.objective(finest, coarse).value(result.x)
    return torch.stack((*(affine.distance(x, result.x) * finest / 2 for x in there), share), 1)
