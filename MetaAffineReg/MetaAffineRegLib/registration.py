"""The order of things: start, learned steps, refinement from coarse to fine.

Methods, as in section 3 of the paper:
plain   L-BFGS from the start, 30 iterations on each of 4 levels
learn   the learned initializer alone
comb    L-BFGS from the learned initializer's end, 15 iterations on each level

The paper fills what lies beyond the moving image with zeros.  That keeps the coarse levels from leaving the image, but it
pulls the optimum away from the truth wherever the field of view cuts the object off; so the two finest levels compare the
images on their overlap, unless ``Settings.outside`` asks for zeros throughout.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .checkpoint import Model, available_models, load
from .data_terms import overlap_mean_squares
from .devices import DeviceName, choose_device
from .errors import Cancelled, InputError
from .freedom import FreedomName, freedom
from .geometry import Matrix, PairFrame, pair_frame
from .image import Image
from .initializer import Initializer
from .intensity import intensity_windows
from .lbfgs import minimize
from .objective import Objective, ParametrizedObjective
from .pyramid import pyramid, resample

MethodName = Literal["comb", "learn", "plain"]
METHODS: tuple[MethodName, ...] = ("comb", "learn", "plain")
DEFAULT_MODEL = {2: "heads"}
LEVELS = {2: (16, 32, 64, 128), 3: (12, 24, 48, 96)}
_ITERATIONS = {"plain": 30, "comb": 15}
_CHUNK_BYTES = 128 << 20  # of working memory for one batch of pairs

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Settings:
    """What the user may choose.

    method: see the module; freedom: what the map may do; model: name of a shipped model or a file, None for the default
    of the dimension; device: where to compute; outside: what the finest levels make of samples that one image lacks,
    see the module; precision: of the images (maps are float64 throughout).
    """

    method: MethodName = "comb"
    freedom: FreedomName = "affine"
    model: str | Path | None = None
    device: DeviceName = "auto"
    outside: Literal["overlap", "zero"] = "overlap"
    precision: Literal["float32", "float64"] = "float32"


@dataclass(frozen=True)
class Result:
    """The outcome for one pair.

    fixed_to_moving_lps: 4 x 4, fixed point -> moving point, LPS mm; criterion: mean squares on the finest grid at the start
    and at the end; evaluations of the criterion, in equivalents of one on the finest grid; seconds: this pair's share of its batch.
    """

    fixed_to_moving_lps: Matrix
    criterion_before: float
    criterion_after: float
    evaluations: float
    seconds: float
    device: str
    method: str
    model: str | None
    notes: tuple[str, ...] = ()


def register(
    pairs: Sequence[tuple[Image, Image]],
    settings: Settings = Settings(),
    initials: Sequence[Matrix | None] | None = None,
    progress: Progress = lambda stage, fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Result]:
    """Register each (fixed, moving) pair; the results are those of each pair alone, however many share a batch.

    ``initials`` are 4 x 4 maps, fixed point -> moving point, LPS mm, where given; see ``pair_frame`` for the start without one.
    Raises InputError for bad input (nothing is computed then) and Cancelled when ``cancelled`` says so.
    """
    if settings.method not in METHODS:
        raise InputError(f"There is no method '{settings.method}'; choose {', '.join(METHODS)}.")
    device = choose_device(settings.device)
    frames = [
        pair_frame(fixed.geometry, moving.geometry, initial)
        for (fixed, moving), initial in zip(pairs, [None] * len(pairs) if initials is None else initials, strict=True)
    ]
    models = {dimension: _model(settings, dimension) for dimension in {frame.dimension for frame in frames}}
    results: dict[int, Result] = {}
    for dimension, model in sorted(models.items()):
        rows = [row for row, frame in enumerate(frames) if frame.dimension == dimension]
        chunk = _chunk_size(dimension)
        for first in range(0, len(rows), chunk):
            part = rows[first : first + chunk]
            done = len(results) / len(pairs)
            share = len(part) / len(pairs)
            work = _Batch([pairs[row] for row in part], [frames[row] for row in part], settings, model, device)
            found = work.run(lambda stage, fraction, done=done, share=share: progress(stage, done + share * fraction), cancelled)  # type: ignore[misc]
            results.update(zip(part, found, strict=True))
    progress("done", 1.0)
    return [results[row] for row in range(len(pairs))]


def check_pair(fixed: Image, moving: Image, settings: Settings) -> None:
    """Raise the InputError that ``register`` would raise for this pair."""
    _model(settings, pair_frame(fixed.geometry, moving.geometry).dimension)


class _Batch:
    """Pairs of one dimension that go through all stages together."""

    def __init__(
        self, pairs: list[tuple[Image, Image]], frames: list[PairFrame], settings: Settings, model: Model | None, device: torch.device
    ):
        self._pairs, self._frames, self._settings, self._model, self._device = pairs, frames, settings, model, device
        self._method: MethodName = settings.method if model is not None else "plain"
        self._levels = LEVELS[frames[0].dimension]
        self._evaluations = torch.zeros(len(pairs), dtype=torch.float64, device=device)

    @torch.no_grad()
    def run(self, progress: Progress, cancelled: Callable[[], bool]) -> list[Result]:
        def check() -> None:
            if cancelled():
                raise Cancelled

        started = time.perf_counter()
        progress("reading the images onto grids", 0.0)
        check()
        objectives = self._objectives()
        finest = objectives[self._levels[-1]]
        start = torch.from_numpy(np.stack([frame.start for frame in self._frames])).to(self._device)
        before = finest.value(start)
        x = start
        if self._model is not None:
            progress("learned steps", 0.1)
            check()
            network = self._model.network.to(self._device)
            x = network(objectives, x)[-1]
            self._count(network)
        parameters = freedom(self._settings.freedom, x)
        x = parameters.maps(parameters.origin)
        if self._method != "learn":
            for position, size in enumerate(self._levels):
                progress(f"refinement on a grid of {size}", 0.2 + 0.8 * position / len(self._levels))
                x = self._refine(objectives[size], x, check)
        after = finest.value(x)
        seconds = (time.perf_counter() - started) / len(self._pairs)
        return [self._result(row, x, before, after, seconds) for row in range(len(self._pairs))]

    def _objectives(self) -> dict[int, Objective]:
        dtype = getattr(torch, self._settings.precision)
        fixed_stack, moving_stack = [], []
        for (fixed, moving), frame in zip(self._pairs, self._frames, strict=True):
            windows = intensity_windows(fixed.array, moving.array)
            size = self._levels[-1]
            fixed_stack.append(resample(fixed, frame.fixed_to_lps, size, windows[0], dtype=dtype, device=self._device))
            moving_stack.append(resample(moving, frame.moving_to_lps, size, windows[1], dtype=dtype, device=self._device))
        sizes = set(self._levels)
        if self._model is not None:
            sizes |= set(self._model.network.config.levels)
        fixed_levels = pyramid(torch.stack(fixed_stack), tuple(sorted(sizes)))
        moving_levels = pyramid(torch.stack(moving_stack), tuple(sorted(sizes)))
        masked = self._levels[-2:] if self._settings.outside == "overlap" else ()
        return {
            size: Objective(fixed_levels[size], moving_levels[size], overlap_mean_squares)
            if size in masked
            else Objective(fixed_levels[size][:, :1], moving_levels[size][:, :1])
            for size in sorted(sizes)
        }

    def _refine(self, objective: Objective, x: Tensor, check: Callable[[], None]) -> Tensor:
        parameters = freedom(self._settings.freedom, x)
        sample = 2 / objective.shape[0]
        end = minimize(
            ParametrizedObjective(objective, parameters),
            parameters.origin,
            iterations=_ITERATIONS[self._method],
            unit=sample,
            tolerance=1e-3 * sample,
            check=check,
        )
        self._evaluations += end.evaluations * self._weight(objective.shape[0])
        return parameters.maps(end.p)

    def _count(self, network: Initializer) -> None:
        self._evaluations += network.config.steps * sum(self._weight(size) for size in network.config.levels)

    def _weight(self, size: int) -> float:
        """Cost of one evaluation on a grid of ``size``, in evaluations on the finest."""
        return float((size / self._levels[-1]) ** self._frames[0].dimension)

    def _result(self, row: int, x: Tensor, before: Tensor, after: Tensor, seconds: float) -> Result:
        matrix = x[row].cpu().numpy()
        notes: list[str] = []
        singular = np.linalg.svd(matrix[:, :-1], compute_uv=False)
        if np.linalg.det(matrix[:, :-1]) <= 0 or singular.max() > 2 or singular.min() < 0.5:
            notes.append("The result mirrors the image or changes its size by more than a factor of two: do not trust it.")
        if self._method != self._settings.method:
            notes.append("No model is shipped for this dimension, so the method plain was used.")
        return Result(
            fixed_to_moving_lps=self._frames[row].to_lps(matrix),
            criterion_before=float(before[row]),
            criterion_after=float(after[row]),
            evaluations=float(self._evaluations[row]),
            seconds=seconds,
            device=str(self._device),
            method=self._method,
            model=self._model.name if self._model else None,
            notes=tuple(notes),
        )


def _model(settings: Settings, dimension: int) -> Model | None:
    """The model to use for pairs of a dimension, None for the method without one."""
    if settings.method == "plain":
        return None
    name = settings.model or DEFAULT_MODEL.get(dimension)
    if name is None:
        return None
    model = load(name)
    config = model.network.config
    if config.dimension != dimension:
        shipped = [name for name in available_models() if load(name).network.config.dimension == dimension]
        way_out = f"choose one of: {', '.join(shipped)}" if shipped else "leave the model out"
        raise InputError(f"The model '{model.name}' is for {config.dimension} dimensions and the images have {dimension}; {way_out}.")
    if any(LEVELS[dimension][-1] % size for size in config.levels):
        raise InputError(
            f"The model '{model.name}' works on grids of {config.levels}, which do not divide {LEVELS[dimension][-1]}; choose another."
        )
    return model


def _chunk_size(dimension: int) -> int:
    """Pairs a batch so that grids, images and their derivatives keep to the working memory."""
    samples = LEVELS[dimension][-1] ** dimension
    floats = 2 * 4 / 3 + 2 * dimension + 5
    return max(1, math.floor(_CHUNK_BYTES / (4 * samples * floats)))
