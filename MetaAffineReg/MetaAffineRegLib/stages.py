"""What is done to the candidates of a batch: searched, led, refined, judged, chosen."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from . import affine
from .candidates import Candidates
from .data_terms import DataTerm, unexplained_content
from .freedom import FreedomName, freedom
from .grids import PairGrids
from .initializer import Initializer, Trajectory
from .intensity_correction import corrected
from .objective import BatchCriterion, Criterion
from .plans import Plan
from .regularizer import Distortion
from .starts import Translations, rotations, starts

REFINE = 40  # iterations on each of the two finest grids, which few need
ROUGH, FINE = 3e-2, 5e-3  # samples: steps below end a refinement, on the way and where its end counts
_LARGEST_SCALE = 2.0  # no singular value of A beyond it, nor below its inverse
_FULL_WEIGHT = 3.0  # a third unexplained, as after a crop, gives the regularizer its full weight on the finest grid
_RANGE_SLACK = 10.0  # degrees: starts at the end of the range may still be led on
_POLISH = 6  # iterations from each start on the coarsest grid
_SIFTING = 2  # iterations after which the best of many starts are chosen
_UNLEARNED = 8  # iterations of the unlearned branch

Report = Callable[[str, float], None]


class Stages:
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
        size, term = config.levels[number], self.plan.coarse if self.reads(network) else config.data_terms[0]
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
        """Whether the network has learned to read what is compared, or the plan has it read that."""
        return self.plan.reads_all or self.plan.coarse in network.config.data_terms

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
        tolerance: float = ROUGH,
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
        return self.refined(found, self.levels[-1], REFINE, tolerance=FINE * every**2, every=every)

    def sieved(self, found: Candidates) -> Candidates:
        """The best basins, where the plan says so, after some iterations on the third level."""
        if self.plan.sieved is None:
            return found
        return self.refined(found.best(self.plan.sieved, self.plan.margins[0]), self.levels[2], _SIFTING, every=2)

    def part(self, rows: Tensor) -> "Stages":
        """Those of the pairs ``rows`` only, with nothing counted yet."""
        grids = self.grids if len(rows) == len(self.grids) else self.grids.select(rows)
        return Stages(grids, self.levels, self.start[rows], self.freedom_name, self.rotation_range, self.plan, self.report)

    def corrected(self, found: Candidates) -> tuple["Stages", Candidates]:
        """Refined on the finest grid by corrected intensities; stages of these, where each candidate is a pair."""
        finest, own = self.levels[-1], torch.arange(len(found.x), device=found.x.device)
        sides = self.grids.fixed[finest], self.grids.fixed[self.levels[2]], self.grids.moving[finest]
        fixed, smooth, moving = (images if torch.equal(found.pair, own) else images[found.pair] for images in sides)
        images, x = corrected(fixed, smooth, moving, found.x, self.freedom_name, self.grids.backend)
        grids = PairGrids({finest: fixed}, {finest: images}, self.grids.backend)
        plan = replace(self.plan, fine=unexplained_content)
        stages = Stages(grids, self.levels, self.start[found.pair], self.freedom_name, self.rotation_range, plan, self.report)
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
