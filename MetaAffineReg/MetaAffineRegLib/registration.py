"""Registration of pairs of images: which method, in which batches, on which device.

Methods
robust  many starts, few basins, and a word on how sure the result is (see ``robust`` and ``searches``)
plain, learn, comb  the paper's, from one start (see ``single_start``)
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from . import gpu_memory
from .backends import Backend, BackendChoice, choose_backend
from .checkpoint import Model, load
from .confidence import Status, probability_of_success, status_of
from .devices import DeviceName, choose_device
from .errors import Cancelled, InputError
from .freedom import FreedomName
from .geometry import Matrix, PairFrame, pair_frame
from .grids import PairGrids, compiled_criterion
from .image import Image
from .model_card import available_models
from .outcome import Evidence
from .plans import Look
from .searches import DATA_TERM_CHOICES, DataTermChoice, robust_until_sure
from .single_start import single_start
from .threads import allowed, share_out, torch_in_one_thread

MethodName = Literal["robust", "comb", "learn", "plain"]
METHODS: tuple[MethodName, ...] = ("robust", "comb", "learn", "plain")
Compared = Look | Literal["corrected-intensities"]
DEFAULT_MODEL = {
    ("robust", 2): "general-2d",
    ("comb", 2): "heads",
    ("learn", 2): "heads",
    **{(method, 3): "general-3d" for method in ("robust", "comb", "learn")},
}
LEVELS = {2: (16, 32, 64, 128), 3: (12, 24, 48, 96)}
_MISTRUSTED = "The result mirrors the image or changes its size by more than a factor of two: do not trust it unless its start did so."
_LEAST_SHARE = {2: 8, 3: 1}  # pairs, with which a thread has enough to do by itself
_CHUNK_BYTES = {2: 240 << 20, 3: 128 << 20}  # of working memory for one batch; slices share the many small steps between their evaluations

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Settings:
    """What the user may choose.

    method: see the module; freedom: what the map may do; model: name of a shipped model or a file, None for the default
    of the method and dimension; rotation_range: degrees around the start within which robust searches, 180 for all; data_term: what
    robust compares, see ``searches``; device: where to compute; outside: what the finest levels of the paper's methods make of
    samples that one image lacks, see ``single_start``; precision: of the images (maps are float64 throughout); backend: what
    computes the criterion, see ``backends``.
    """

    method: MethodName = "robust"
    freedom: FreedomName = "affine"
    model: str | Path | None = None
    rotation_range: float = 180.0
    data_term: DataTermChoice = "auto"
    device: DeviceName = "auto"
    outside: Literal["overlap", "zero"] = "overlap"
    precision: Literal["float32", "float64"] = "float32"
    backend: BackendChoice = "auto"


@dataclass(frozen=True)
class Confidence:
    """How far a result of robust is to be trusted.

    status: "ok", "ambiguous" (look at the runner-up too) or "failed"; probability: of an error below one sample of the finest
    grid, calibrated on pairs with a known truth; overlap: share of the fixed image that the moving one covers; margin: by how much
    the runner-up's criterion is above the result's; consistency_mm: how far the way back leads from where it should end, root mean
    square; runner_up_lps: the best transform of another basin, 4 x 4 like the result, None where there is none; compared:
    "intensities", "edges" or "corrected-intensities" (see ``intensity_correction``), or the data term that was asked for.
    """

    status: Status
    probability: float
    overlap: float
    margin: float
    consistency_mm: float
    runner_up_lps: Matrix | None
    compared: Compared = "intensities"


@dataclass(frozen=True)
class Result:
    """The outcome for one pair.

    fixed_to_moving_lps: 4 x 4, fixed point -> moving point, LPS mm; criterion: that of the method on the finest grid at the
    start and at the end (robust: share of the images' content left unexplained, plus the regularizer; the others: mean squares);
    evaluations of the criterion, in equivalents of one on the finest grid; seconds: this pair's share of its batch; confidence: of
    robust only.
    """

    fixed_to_moving_lps: Matrix
    criterion_before: float
    criterion_after: float
    evaluations: float
    seconds: float
    device: str
    method: str
    model: str | None
    confidence: Confidence | None = None
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Status | None:
        """That of the confidence."""
        return self.confidence.status if self.confidence else None

    @property
    def probability(self) -> float | None:
        """That of the confidence."""
        return self.confidence.probability if self.confidence else None


@dataclass(frozen=True)
class Batch:
    """Pairs of one dimension that go through all stages together: images, where they lie, and what they are registered with.

    grids: the images on ``device``, once they are prepared; seconds: what that took.
    """

    pairs: Sequence[tuple[Image, Image]]
    frames: Sequence[PairFrame]
    settings: Settings
    model: Model | None
    device: torch.device
    grids: PairGrids | None = None
    seconds: float = 0.0

    def prepared(self) -> "Batch":
        """With the images on their grids, or as it is where the GPU has no memory for them now; for a thread of its own too."""
        started = time.perf_counter()
        try:
            grids = _grids(self.pairs, self.frames, self.settings, self.model, self.device)
        except torch.OutOfMemoryError:
            return self
        return replace(self, grids=grids, seconds=time.perf_counter() - started)


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
    results: dict[int, Result] = {}
    for rows, batch in batches(pairs, settings, initials):
        done, share = len(results) / len(pairs), len(rows) / len(pairs)

        def report(stage: str, fraction: float, done: float = done, share: float = share) -> None:
            if cancelled():
                raise Cancelled
            if stage:
                progress(stage, done + share * fraction)

        report("reading the images onto grids", 0.0)
        results.update(zip(rows, compute(batch.prepared(), report), strict=True))
    progress("done", 1.0)
    return [results[row] for row in range(len(pairs))]


def batches(
    pairs: Sequence[tuple[Image, Image]], settings: Settings, initials: Sequence[Matrix | None] | None = None
) -> list[tuple[list[int], Batch]]:
    """The pairs by dimension and in batches that keep to the working memory, each with the numbers of its pairs; not prepared.

    Raises InputError as ``register`` does.
    """
    if settings.method not in METHODS:
        raise InputError(f"There is no method '{settings.method}'; choose {', '.join(METHODS)}.")
    if not 0 <= settings.rotation_range <= 180:
        raise InputError(f"A rotation range of {settings.rotation_range} degrees makes no sense; give 0 to 180.")
    if settings.data_term not in DATA_TERM_CHOICES:
        raise InputError(f"There is no data term '{settings.data_term}'; choose {', '.join(DATA_TERM_CHOICES)}.")
    device = choose_device(settings.device)
    choose_backend(settings.backend, device, settings.precision)
    frames = [
        pair_frame(fixed.geometry, moving.geometry, initial)
        for (fixed, moving), initial in zip(pairs, [None] * len(pairs) if initials is None else initials, strict=True)
    ]
    models = {dimension: _model(settings, dimension) for dimension in {frame.dimension for frame in frames}}
    found: list[tuple[list[int], Batch]] = []
    for dimension, model in sorted(models.items()):
        rows = [row for row, frame in enumerate(frames) if frame.dimension == dimension]
        size = pairs_at_once(dimension, settings)
        for part in (rows[first : first + size] for first in range(0, len(rows), size)):
            found.append((part, Batch([pairs[row] for row in part], [frames[row] for row in part], settings, model, device)))
    return found


def compute(batch: Batch, report: Progress = lambda stage, fraction: None) -> list[Result]:
    """The results of a batch; ``report`` is called often, with an empty stage where there is nothing to tell, and may raise to end it."""

    def work(part: list[int], here: torch.device) -> list[Result]:
        grids = batch.grids
        pairs, frames = [batch.pairs[row] for row in part], [batch.frames[row] for row in part]
        # where the memory of the GPU is not enough, its backend is of no use
        settings = batch.settings if here == batch.device else replace(batch.settings, backend="auto")
        if grids is None or here != batch.device:
            grids = _grids(pairs, frames, settings, batch.model, here)
        elif len(part) < len(batch.frames):
            grids = grids.select(torch.tensor(part, device=here))
        model, seconds = batch.model, batch.seconds / len(batch.pairs)

        def share(rows: slice, tell: Progress) -> list[Result]:
            return _register_batch(grids.select(rows), frames[rows], settings, model, here, seconds, tell)

        with _threads_for(grids.backend):
            shares = min(allowed(), len(part) // _LEAST_SHARE[grids.dimension]) if grids.backend == "numba" else 1
            return _over_threads(share, len(part), shares, report)

    found = gpu_memory.in_parts(range(len(batch.pairs)), len(batch.pairs), batch.device, work)
    return [replace(result, notes=(*notes, *result.notes)) if notes else result for result, notes in found]


def import_kernels() -> None:
    """Import what computes the criterion where nobody chooses, on the CPU and on the GPU where there is one; it may take seconds."""
    for device in {torch.device("cpu"), choose_device("auto")}:
        compiled_criterion(choose_backend("auto", device, "float32"))


def check_pair(fixed: Image, moving: Image, settings: Settings) -> None:
    """Raise the InputError that ``register`` would raise for this pair."""
    _model(settings, pair_frame(fixed.geometry, moving.geometry).dimension)


def _threads_for(backend: Backend) -> AbstractContextManager[None]:
    """The compiled kernels have threads of their own."""
    return torch_in_one_thread() if backend == "numba" else nullcontext()


def _over_threads(work: Callable[[slice, Progress], list[Result]], count: int, shares: int, report: Progress) -> list[Result]:
    """``work`` on 0 .. count - 1 in shares, each in a thread from its first stage to its last; told is what the slowest does."""
    if shares <= 1:
        return work(slice(0, count), report)
    edges = np.linspace(0, count, shares + 1).astype(int).tolist()
    found: list[list[Result]] = [[] for _ in range(shares)]
    told, last_told, ended = [("", 0.0)] * shares, ("", 0.0), threading.Event()

    def some(first: int, last: int) -> None:
        for share in range(first, last):

            def tell(stage: str, fraction: float, share: int = share) -> None:
                if ended.is_set():
                    raise Cancelled
                told[share] = (stage, fraction) if stage else told[share]

            found[share] = work(slice(edges[share], edges[share + 1]), tell)

    def check() -> None:
        nonlocal last_told
        slowest = min(told, key=lambda stage_and_fraction: stage_and_fraction[1])
        report(*(slowest if slowest != last_told else ("", 0.0)))
        last_told = slowest

    share_out(some, shares, 1, check, ended.set)
    return [result for share in found for result in share]


@torch.no_grad()
def _grids(
    pairs: Sequence[tuple[Image, Image]], frames: Sequence[PairFrame], settings: Settings, model: Model | None, device: torch.device
) -> PairGrids:
    sizes = tuple(sorted({*LEVELS[frames[0].dimension], *(model.network.config.levels if model else ())}))
    backend = choose_backend(settings.backend, device, settings.precision)
    with _threads_for(backend):
        return PairGrids.of(pairs, frames, sizes, dtype=getattr(torch, settings.precision), device=device, backend=backend)


@torch.no_grad()
def _register_batch(
    grids: PairGrids,
    frames: Sequence[PairFrame],
    settings: Settings,
    model: Model | None,
    device: torch.device,
    preparation: float,
    report: Progress,
) -> list[Result]:
    """Pairs of one dimension go through all stages together; ``preparation``: the seconds that each took before."""
    started = time.perf_counter()
    levels = LEVELS[grids.dimension]
    network = model.network if model else None  # as maps do, it stays on the CPU, see ``AcrossDevices``
    start = torch.from_numpy(np.stack([frame.start for frame in frames]))
    if settings.method == "robust":
        searched = (settings.freedom, settings.rotation_range, report, settings.data_term)
        outcome = robust_until_sure(grids, levels, start, network, *searched)
    else:
        outcome = single_start(grids, levels, start, settings.method, network, settings.freedom, settings.outside, report)
    evidence = outcome.evidence
    confidences = _confidences(evidence, frames, levels[-1], settings.data_term) if evidence else [None] * len(frames)
    mistrusted = _mistrusted(outcome.x)
    seconds = preparation + (time.perf_counter() - started) / len(frames)
    common = {"seconds": seconds, "device": str(device), "method": settings.method, "model": model.name if model else None}
    return [
        Result(
            fixed_to_moving_lps=frame.to_lps(outcome.x[row].numpy()),
            criterion_before=float(outcome.before[row]),
            criterion_after=float(outcome.after[row]),
            evaluations=float(outcome.evaluations[row]),
            confidence=confidence,
            notes=(_MISTRUSTED,) if mistrusted[row] else (),
            **common,  # type: ignore[arg-type]
        )
        for row, (frame, confidence) in enumerate(zip(frames, confidences, strict=True))
    ]


def _confidences(evidence: Evidence, frames: Sequence[PairFrame], finest: int, data_term: DataTermChoice) -> list[Confidence]:
    probabilities = probability_of_success(evidence).tolist()
    return [_confidence(evidence, row, frame, probabilities[row], finest, data_term) for row, frame in enumerate(frames)]


def _confidence(evidence: Evidence, row: int, frame: PairFrame, probability: float, finest: int, data_term: DataTermChoice) -> Confidence:
    found_by: Compared = "corrected-intensities" if evidence.settled[row] else "edges" if evidence.edges[row] else "intensities"
    millimetres = float(np.linalg.norm(frame.fixed_to_lps[:3, 0])) * 2 / finest  # a sample of the finest grid
    margin = float(evidence.margin[row])
    return Confidence(
        status=status_of(probability),
        probability=probability,
        overlap=float(evidence.overlap[row]),
        margin=margin,
        consistency_mm=float(evidence.consistency[row]) * millimetres,
        runner_up_lps=frame.to_lps(evidence.runner_up[row].cpu().numpy()) if math.isfinite(margin) else None,
        compared=found_by if data_term == "auto" else data_term,
    )


def _mistrusted(x: Tensor) -> list[bool]:
    """Whether maps ``(B, d, d + 1)`` mirror the image or change its size by more than a factor of two."""
    matrices = x[..., :-1].cpu()
    singular = torch.linalg.svdvals(matrices)
    found: list[bool] = ((torch.linalg.det(matrices) <= 0) | (singular > 2).any(1) | (singular < 0.5).any(1)).tolist()
    return found


def _model(settings: Settings, dimension: int) -> Model | None:
    """The model to use for pairs of a dimension, None for the method without one."""
    if settings.method == "plain":
        return None
    name = settings.model or DEFAULT_MODEL.get((settings.method, dimension))
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


def pairs_at_once(dimension: int, settings: Settings) -> int:
    """Pairs a batch so that grids, images and their derivatives keep to the working memory; on a GPU, which has enough to do only with
    many, to that of the GPU."""
    samples = LEVELS[dimension][-1] ** dimension
    floats = 2 * 4 / 3 + 2 * dimension + 5
    device = choose_device(settings.device)
    working = _CHUNK_BYTES[dimension] if device.type == "cpu" else gpu_memory.for_a_batch(device)
    return max(1, math.floor(working / (4 * samples * floats)))
