"""Runs of the method robust with a plan of one's own: what ``register`` does, and more or less is tried."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scoring import Errors, KnownPair, errors

from MetaAffineRegLib.backends import choose_backend
from MetaAffineRegLib.checkpoint import load
from MetaAffineRegLib.devices import choose_device
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.outcome import Evidence
from MetaAffineRegLib.plans import PLANS, Plan
from MetaAffineRegLib.registration import DEFAULT_MODEL, LEVELS
from MetaAffineRegLib.robust import robust
from MetaAffineRegLib.searches import robust_until_sure

DEFAULT = "the default one"  # stands for the name of the default model of a dimension
_TOGETHER = {2: 32, 3: 1}  # pairs


@dataclass(frozen=True)
class PlannedRun:
    """What came out for the pairs of a task: errors, evidence of each pair, mean evaluations and milliseconds a pair."""

    errors: Errors
    evidence: list[Evidence]
    evaluations: float
    milliseconds: float


@torch.no_grad()
def run_plan(pairs: Sequence[KnownPair], plan: Plan | None, device: str, model: str | None = DEFAULT) -> PlannedRun:
    """Register pairs by ``plan`` and all rotations; None: as ``register`` does, further searches and all.

    model: name or file, ``DEFAULT``, None for no network."""
    on = choose_device(device)
    dimension = pairs[0].fixed.geometry.dimension
    name = DEFAULT_MODEL.get(("robust", dimension)) if model == DEFAULT else model
    network = load(name).network if name else None
    sizes = tuple(sorted({*LEVELS[dimension], *(network.config.levels if network else ())}))
    transforms, evidence, evaluations = [], [], []
    started = time.perf_counter()
    for first in range(0, len(pairs), _TOGETHER[dimension]):
        part = pairs[first : first + _TOGETHER[dimension]]
        frames = [pair_frame(pair.fixed.geometry, pair.moving.geometry) for pair in part]
        images = [(pair.fixed, pair.moving) for pair in part]
        backend = choose_backend("auto", on, "float32")
        grids = PairGrids.of(images, frames, sizes, dtype=torch.float32, device=on, backend=backend)
        start = torch.from_numpy(np.stack([frame.start for frame in frames]))
        common = (grids, LEVELS[dimension], start, network, "affine", 180.0, lambda stage, fraction: None)
        outcome = robust_until_sure(*common) if plan is None else robust(*common, plan)  # type: ignore[arg-type]
        assert outcome.evidence is not None
        transforms += [frame.to_lps(outcome.x[row].numpy()) for row, frame in enumerate(frames)]
        evidence.append(outcome.evidence)
        evaluations.append(outcome.evaluations)
    milliseconds = (time.perf_counter() - started) / len(pairs) * 1000
    return PlannedRun(errors(list(pairs), transforms), evidence, float(torch.cat(evaluations).mean()), milliseconds)


def dimension_of(pairs: Mapping[str, Sequence[KnownPair]]) -> int:
    """That of the pairs of all tasks; raises InputError where they are not of one."""
    dimensions = {found[0].fixed.geometry.dimension for found in pairs.values()}
    if len(dimensions) > 1:
        raise InputError("The tasks mix slices and volumes; give those of one dimension.")
    return dimensions.pop()


def plan_of(task: str, dimension: int) -> Plan:
    """That of one search: by edges where the contrasts differ."""
    return PLANS["edges" if task.endswith("-contrast") else "intensities", dimension]
