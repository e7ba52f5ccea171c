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
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from . import affine
from .candidates import Candidates
from .correlation import correlation, local_correlation
from .correlation_features import INTENSITY_WAVES, EdgeTensors, Features
from .data_terms import DataTerm, unexplained_content, unexplained_detail
from .freedom import FreedomName, freedom
from .grids import PairGrids
from .initializer import Initializer, Trajectory
from .intensity_correction import corrected, structure_left
from .mutual_information import mutual_information
from .normalized_gradients import NormalizedGradients, faint_gradients, normalized_gradients
from .objective import BatchCriterion, Criterion
from .outcome import Evidence, Outcome
from .regularizer import Distortion
from .starts import Translations, rotations, starts

_LARGEST_SCALE = 2.0  # no singular value of A beyond it, nor below its inverse
_FULL_WEIGHT = 3.0  # a third unexplained, as after a crop, gives the regularizer its full weight on the finest grid
_RANGE_SLACK = 10.0  # degrees: starts at the end of the range may still be led on
_POLISH = 6  # iterations from each start on the coarsest grid
_SIFTING = 2  # iterations after which the best of many starts are chosen
_UNLEARNED = 8  # iterations of the unlearned branch
_REFINE = 40  # iterations on each of the two finest grids, which few need
_BACK = 10  # iterations of the way back
_LOOK = 8  # iterations of another look at the result
_NOISY = 1 / 3  # left unexplained by corrected intensities, above which edges, of smoothed images, are more exact
# Of corrected intensities that settle nothing, where the mean of their map and that of edges is the result:
_HAZY = 0.2  # they leave more than that unexplained,
_ALIKE = 0.35  # less than that of the structure,
_AGREED = 1.0  # and lead to less than so many samples from where edges do
_ROUGH, _FINE = 3e-2, 5e-3  # samples: steps below end a refinement, on the way and where its end counts

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Plan:
    """How much is tried.  The defaults were chosen on validation pairs; the ablation shows what each part is worth.

    rotations: over the full range; search: the level on which translations are searched; each, translations: how many and which for
    a rotation; centred: so many rotations besides, once with the centres of mass and once with those of the images on each other;
    polished: how many of them are refined on that level; starts: how many of these go on; learned, unlearned: the branches they take,
    unlearned being the freedom of its maps (None leaves it out) and unlearned_starts how many take it, sifted: chosen of so many after
    some iterations (None: without); led: a network that reads what is compared takes the place of both branches, from all starts, and of
    each pair so many go on after its first level; sieved: of so many basins some iterations on the third level tell which are the best
    (None: the values on the second do); basins: how many stay for the third and for the fourth level; margins: of the starts and
    of these basins only such whose value is that close to the best; features: of the search; coarse, fine: data terms of the first two
    and of the last two levels; gamma: weight of the regularizer; curvature: whether the Gauss-Newton matrix is the initial Hessian of
    L-BFGS; witness: data term whose values at the result tell how sure it is, None for those of fine; sees: data term whose gradients
    the learned steps see, None for that of their training; looks_again: whether the evidence is to tell where the coarse term would have
    the result, and where a quarter of the rows; every: on the finest grid one row in so many counts; corrects: whether intensities, once
    corrected, may settle it there; else_nothing: whether what they do not settle is left at that, without evidence.
    """

    rotations: int = 20
    search: int = 0
    each: int = 1
    translations: Translations = "search"
    centred: int = 0
    polished: int = 16
    starts: int = 20
    sifted: int | None = None
    learned: bool = True
    led: int | None = None
    unlearned: FreedomName | None = "rigid"
    unlearned_starts: int = 8
    sieved: int | None = 8
    basins: tuple[int, int] = (3, 2)
    margins: tuple[float, float, float] = (0.05, 0.1, 0.04)
    features: Features = INTENSITY_WAVES
    coarse: DataTerm = unexplained_content
    fine: DataTerm = unexplained_detail
    gamma: float = 1.0
    curvature: bool = True
    witness: DataTerm | None = None
    sees: DataTerm | None = None
    looks_again: bool = False
    every: int = 1
    corrects: bool = False
    else_nothing: bool = False


Look = Literal["intensities", "edges", "faint-edges", "correlation", "local-correlation", "mutual-information"]
CALIBRATED: tuple[Look, ...] = ("intensities", "edges", "faint-edges")  # what the weights of the confidence are fitted to
_EDGES = Plan(
    polished=120,
    margins=(0.08, 0.1, 0.04),
    features=EdgeTensors(normalized_gradients),
    coarse=normalized_gradients,
    fine=normalized_gradients,
    learned=False,
    corrects=True,
)
_EDGES_2D = replace(_EDGES, rotations=36, search=1, starts=40, unlearned_starts=40, sieved=48, basins=(6, 3), margins=(0.2, 0.2, 0.1))
_FAINT_EDGES_2D = replace(_EDGES_2D, fine=faint_gradients, looks_again=True)
# In space centres on each other do better than a search of translations where something fills the field of view.
_SPACE = Plan(
    rotations=12,
    centred=30,
    polished=200,
    starts=24,
    sifted=24,
    unlearned_starts=6,
    led=16,
    sieved=None,
    basins=(4, 2),
    margins=(0.2, 0.1, 0.04),
)
_EDGES_3D = replace(
    _SPACE,
    rotations=6,
    learned=False,
    sieved=12,
    basins=(2, 2),
    features=_EDGES.features,
    coarse=_EDGES.coarse,
    fine=faint_gradients,
    every=2,
    corrects=True,
)
_TERMS: dict[Look, DataTerm] = {
    "correlation": correlation,
    "local-correlation": local_correlation,
    "mutual-information": mutual_information,
}
# What is tried first, by what is compared and by dimension; edges need a finer grid to be told apart in the plane.  Those of
# ``_TERMS`` refine what a search by edges finds, and choose of it; edges tell how sure the result is.  Faint edges too are, on the fine
# grids, nearer to the truth where the contrasts differ, and miss it more often where something is cropped.
PLANS: dict[tuple[Look, int], Plan] = {
    ("intensities", 2): Plan(),
    ("intensities", 3): _SPACE,
    ("edges", 2): _EDGES_2D,
    ("faint-edges", 2): _FAINT_EDGES_2D,
    ("edges", 3): _EDGES_3D,
    **{(look, 2): replace(_EDGES_2D, fine=term, witness=_EDGES_2D.fine, corrects=False) for look, term in _TERMS.items()},
    **{(look, 3): replace(_EDGES_3D, fine=term, witness=_EDGES_3D.fine, every=1, corrects=False) for look, term in _TERMS.items()},
}


class _Stages:
    """What is done to the candidates of a batch; counts the evaluations of each pair."""

    def __init__(
        self,
        grids: PairGrids,
        levels: tuple[int, ...],
        start: Tensor,
        freedom_name: FreedomName,
        rotation_range: float,
        plan: Plan,
        report: Report,
    ):
        self.grids, self.levels, self.freedom_name, self.plan, self.report = grids, levels, freedom_name, plan, report
        self.start = start
        parameters, pair = freedom(freedom_name, start), torch.arange(len(start), device=start.device)
        self.own = Candidates(parameters.maps(parameters.origin), pair, start.new_zeros(len(start)))
        distortion = Distortion(start[..., :-1], plan.gamma)
        self.inverse = distortion.inverse
        self.regularizers = dict.fromkeys(levels, distortion)
        self.criteria: dict[tuple[int, int, DataTerm], Criterion] = {}
        self.rotation_range = rotation_range
        self.evaluations = torch.zeros(len(grids), dtype=torch.float64, device=start.device)

    def searched(self, base: Tensor) -> Candidates:
        """Rotations around base ``(B, d, d + 1)``, each with its best translations, and others that lay centres on each other."""
        laid = [self._laid(base, self.plan.rotations, self.plan.translations)] if self.plan.rotations else []
        if self.plan.centred:
            laid += [self._laid(base, self.plan.centred, "mass"), self._laid(base, self.plan.centred, "centre")]
        return reduce(Candidates.joined, laid)

    def _laid(self, base: Tensor, full_count: int, translations: Translations) -> Candidates:
        plan, coarsest, d = self.plan, self.levels[self.plan.search], base.shape[1]
        count = max(1, round(full_count * self.rotation_range / 180)) if d == 2 else full_count
        turns = rotations(d, count, self.rotation_range)
        x, value = starts(
            self.grids.fixed[coarsest], self.grids.moving[coarsest], base, turns, translations, plan.each, plan.features, self.grids.backend
        )
        pair = torch.arange(len(base), device=base.device).repeat_interleave(x.shape[1])
        there = torch.isfinite(value.flatten())
        return Candidates(x.flatten(0, 1)[there], pair[there], value.flatten()[there])

    def polished(self, found: Candidates) -> Candidates:
        """The best of them, refined on the grid of the search."""
        found = self.refined(found.lowest(self.plan.polished), self.levels[self.plan.search], _POLISH, "rigid")
        return self.judged(found, self.levels[1]).best(self.plan.starts, self.plan.margins[0])

    def unlearned(self, found: Candidates) -> Candidates:
        """Where L-BFGS leads on the second level; of many starts the best go on after a few iterations."""
        plan, size = self.plan, self.levels[1]
        if plan.sifted:
            found = self.refined(found.best(plan.sifted), size, _SIFTING, plan.unlearned)
        return self.refined(found.best(plan.unlearned_starts), size, _UNLEARNED, plan.unlearned)

    def learned(self, found: Candidates, network: Initializer) -> Candidates:
        """Where the learned steps lead."""
        trajectory = network.begin(found.x)
        for number in range(len(network.config.levels)):
            trajectory = self._followed(network, trajectory, found.pair, number)
        return self._reached(trajectory, found)

    def led(self, found: Candidates, network: Initializer) -> Candidates:
        """Where the learned steps lead; after each level but the last only the best of each pair go on."""
        assert self.plan.led is not None
        trajectory = network.begin(found.x)
        for number in range(len(network.config.levels)):
            if number:
                rows = found.best_rows(self.plan.led, self.plan.margins[0])
                found, trajectory = found.select(rows), trajectory.select(rows)
            trajectory = self._followed(network, trajectory, found.pair, number)
            found = self._reached(trajectory, found)
        return found

    def _followed(self, network: Initializer, trajectory: Trajectory, pair: Tensor, number: int) -> Trajectory:
        """Through the steps of a level of the network, compiled for the CPU where the criterion is."""
        config = network.config
        size, term = config.levels[number], self.plan.sees or (self.plan.coarse if self.reads(network) else config.data_terms[0])
        objective = self.grids.objective(size, term).select(pair)
        self.count(pair, config.steps * config.evaluations * self.grids.cost(size))
        if isinstance(objective, BatchCriterion):
            return network.level(trajectory, objective, number)
        from .compiled_steps import follow_level

        return follow_level(network, trajectory, objective, number)

    def _reached(self, trajectory: Trajectory, found: Candidates) -> Candidates:
        """Where the candidates have come to, judged."""
        parameters = freedom(self.freedom_name, trajectory.x)
        return self.judged(Candidates(parameters.maps(parameters.origin), found.pair, found.value), self.levels[1])

    def reads(self, network: Initializer) -> bool:
        """Whether the network has learned to read what is compared."""
        return self.plan.coarse in network.config.data_terms

    def judged(self, found: Candidates, size: int, every: int = 1) -> Candidates:
        """With values on the grid of ``size``, of which only one row in ``every`` counts."""
        value = self.objective(size, found.pair, every).value(found.x)
        self.count(found.pair, self.grids.cost(size) / every)
        return self.guarded(found.x, found.pair, value)

    def refined(
        self,
        found: Candidates,
        size: int,
        iterations: int,
        freedom_name: FreedomName | None = None,
        tolerance: float = _ROUGH,
        every: int = 1,
        term: DataTerm | None = None,
    ) -> Candidates:
        """L-BFGS from each map on the grid of ``size``, of which only one row in ``every`` counts, until a step is below ``tolerance``
        samples of it; the Gauss-Newton matrix there is its initial Hessian; ``term``: that of the plan where it is not given."""
        parameters = freedom(freedom_name or self.freedom_name, found.x)
        end = self.objective(size, found.pair, every, term).minimize(
            parameters,
            iterations=iterations,
            unit=2 / size,
            curved=self.plan.curvature,
            tolerance=tolerance * 2 / size,
            check=lambda: self.report("", 0),
        )
        self.count(found.pair, (end.evaluations + self.plan.curvature) * self.grids.cost(size) / every)
        return self.guarded(parameters.maps(end.p), found.pair, end.value)

    def finished(self, found: Candidates) -> Candidates:
        """Refined on the finest grid."""
        every = self.plan.every  # the fewer rows, the less certain is where the criterion is least
        return self.refined(found, self.levels[-1], _REFINE, tolerance=_FINE * every**2, every=every)

    def sieved(self, found: Candidates) -> Candidates:
        """The best basins, where the plan says so, after some iterations on the third level."""
        if self.plan.sieved is None:
            return found
        return self.refined(found.best(self.plan.sieved, self.plan.margins[0]), self.levels[2], _SIFTING, every=2)

    def part(self, rows: Tensor) -> "_Stages":
        """Those of the pairs ``rows`` only, with nothing counted yet."""
        grids = self.grids if len(rows) == len(self.grids) else self.grids.select(rows)
        return _Stages(grids, self.levels, self.start[rows], self.freedom_name, self.rotation_range, self.plan, self.report)

    def corrected(self, found: Candidates) -> tuple["_Stages", Candidates]:
        """Refined on the finest grid by corrected intensities; stages of these, where each candidate is a pair."""
        finest, own = self.levels[-1], torch.arange(len(found.x), device=found.x.device)
        sides = self.grids.fixed[finest], self.grids.fixed[self.levels[2]], self.grids.moving[finest]
        fixed, smooth, moving = (images if torch.equal(found.pair, own) else images[found.pair] for images in sides)
        images, x = corrected(fixed, smooth, moving, found.x, self.freedom_name, self.grids.backend)
        grids = PairGrids({finest: fixed}, {finest: images}, self.grids.backend)
        plan = replace(self.plan, fine=unexplained_content)
        stages = _Stages(grids, self.levels, self.start[found.pair], self.freedom_name, self.rotation_range, plan, self.report)
        reached = stages.finished(Candidates(x, own, found.value))
        self.count(found.pair, stages.evaluations + 1)
        return stages, Candidates(reached.x, found.pair, reached.value)

    def guarded(self, x: Tensor, pair: Tensor, value: Tensor) -> Candidates:
        """Candidates; infinite in value where A, beside the start's, mirrors, turns beyond the range or changes a size by more than two."""
        matrix = x[..., :-1].numpy(force=True) @ self.inverse.numpy(force=True)[pair.numpy(force=True)]
        sound = affine.stretches_within(matrix, _LARGEST_SCALE) & np.isfinite(value.numpy(force=True))
        if self.rotation_range < 180:
            turned = affine.angle(affine.nearest_rotation(torch.from_numpy(matrix)))
            sound &= turned.numpy() <= math.radians(self.rotation_range + _RANGE_SLACK)
        return Candidates(x, pair, value if sound.all() else value.masked_fill(torch.from_numpy(~sound).to(value.device), torch.inf))

    def ease_regularizer(self, unexplained: Tensor) -> None:
        """On the finest grid the regularizer has its full weight only where much ``(B,)`` is left unexplained: it must not pull there
        where the images say better."""
        weight = self.plan.gamma * (_FULL_WEIGHT * unexplained).clamp(max=1)
        self.regularizers[self.levels[-1]] = self.regularizers[self.levels[-1]].weighted(weight)
        self.criteria = {key: criterion for key, criterion in self.criteria.items() if key[0] != self.levels[-1]}

    def objective(self, size: int, pair: Tensor, every: int = 1, term: DataTerm | None = None) -> Criterion:
        """The criterion of candidates that belong to ``pair``, by one row in ``every``; ``term``: that of the plan where none is given."""
        term = term or (self.plan.fine if size in self.levels[2:] else self.plan.coarse)
        if (size, every, term) not in self.criteria:
            self.criteria[size, every, term] = self.grids.objective(size, term, self.regularizers[size], every)
        return self.criteria[size, every, term].select(pair)

    def count(self, pair: Tensor, evaluations: Tensor | float) -> None:
        """Add to the pairs' evaluations, those of the finest grid being one."""
        numbers = torch.as_tensor(evaluations, dtype=torch.float64, device=pair.device).expand(len(pair))
        self.evaluations.index_add_(0, pair, numbers)


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
    stages = _Stages(grids, levels, start, freedom_name, rotation_range, plan, report)
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
    found = stages.refined(found, levels[2], _REFINE).best(2)
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


def _on_the_finest(stages: _Stages, found: Candidates) -> Outcome:
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


def _agreed(stages: _Stages, outcome: Outcome, by_intensities: Outcome, structure: Tensor) -> Outcome:
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


def _by_corrected(stages: _Stages, found: Candidates) -> tuple[Outcome, Tensor]:
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


def _so_far(found: Candidates, stages: _Stages) -> str:
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


def _evidence(stages: _Stages, x: Tensor, after: Tensor, margin: Tensor, runner_up: Tensor) -> Evidence:
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


def _way_back(stages: _Stages, x: Tensor, value: Tensor) -> Tensor:
    """How far, in samples, the way back leads from where it should end, ``(B,)``: refined on the third level from the inverse map."""
    start = affine.inverse(stages.own.x)
    back = _Stages(stages.grids.swapped(), stages.levels, start, stages.freedom_name, stages.rotation_range, stages.plan, stages.report)
    returned = back.refined(Candidates(affine.inverse(x), back.own.pair, value), stages.levels[2], _BACK, tolerance=_FINE).x
    stages.evaluations += back.evaluations
    there = affine.identity(len(x), x.shape[1], dtype=x.dtype, device=x.device)
    return affine.distance(affine.compose(returned, x), there) * stages.levels[-1] / 2


def _looks(stages: _Stages, result: Candidates) -> Tensor:
    """How far away, in samples, the coarse term and a quarter of the rows would have the result, and what the former says there."""
    finest, coarse = stages.levels[-1], stages.plan.coarse
    there = (stages.refined(result, finest, _LOOK, tolerance=_FINE, every=every, term=term).x for term, every in ((coarse, 2), (None, 4)))
    stages.count(result.pair, 1.0)
    share = stages.grids.objective(finest, coarse).value(result.x)
    return torch.stack((*(affine.distance(x, result.x) * finest / 2 for x in there), share), 1)
