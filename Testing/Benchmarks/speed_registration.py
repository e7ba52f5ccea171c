"""How long whole registrations take: one pair, a batch, and batches of growing size."""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from measuring import number, share
from scoring import KnownPair, errors
from speed_ceilings import Ceilings, seconds_of
from speed_sizes import Size, made_pairs

from MetaAffineRegLib.backends import Backend
from MetaAffineRegLib.registration import LEVELS, Result, Settings, register

COLUMNS = ("images", "backend", "pairs", "ms a pair", "below 1 sample (95 % interval)", "evaluations", "times the limit of these")
_SLOW = 8  # times fewer pairs where torch computes on the CPU
BATCHES = {2: (1, 4, 16, 64, 200), 3: (1, 2, 4)}


def settings_for(backend: Backend, device: torch.device) -> Settings:
    """The default ones on a device and a backend."""
    return Settings(device="cuda" if device.type == "cuda" else "cpu", backend=backend)


def pair_rows(
    sizes: list[Size], backends: list[Backend], device: torch.device, ceilings: Ceilings, count: dict[int, int]
) -> Iterator[tuple[object, ...]]:
    """Cells of the table of pairs that are registered one by one; the time is the median."""
    for size, backend, pairs in _cases(sizes, backends, device, count):
        settings, results, times = settings_for(backend, device), [], []
        register([(pairs[0].fixed, pairs[0].moving)], settings)
        for pair in pairs:
            started = time.perf_counter()
            results += register([(pair.fixed, pair.moving)], settings)
            times.append(time.perf_counter() - started)
        yield _cells(size, backend, pairs, results, float(np.median(times)), ceilings)


def batch_rows(
    sizes: list[Size], backends: list[Backend], device: torch.device, ceilings: Ceilings, count: dict[int, int]
) -> Iterator[tuple[object, ...]]:
    """Cells of the table of pairs that are registered in one call."""
    for size, backend, pairs in _cases(sizes, backends, device, count):
        settings, images = settings_for(backend, device), [(pair.fixed, pair.moving) for pair in pairs]
        register(images[:2], settings)
        started = time.perf_counter()
        results = register(images, settings)
        yield _cells(size, backend, pairs, results, (time.perf_counter() - started) / len(pairs), ceilings)


def growth(size: Size, backend: Backend, device: torch.device, most: int) -> tuple[list[int], list[float]]:
    """Numbers of pairs up to ``most``, and the seconds that each many take together; the same pair again and again."""
    (pair,) = made_pairs(size, 1)
    counts = [count for count in BATCHES[size.dimension] if count <= most]
    settings = settings_for(backend, device)
    return counts, [seconds_of(lambda n=count: register([(pair.fixed, pair.moving)] * n, settings), device) for count in counts]  # type: ignore[misc]


def affordable(count: int, backend: Backend, device: torch.device) -> int:
    """So many pairs, fewer where torch computes on the CPU."""
    return max(1, count // _SLOW) if backend == "torch" and device.type == "cpu" else count


def _cases(
    sizes: list[Size], backends: list[Backend], device: torch.device, count: dict[int, int]
) -> Iterator[tuple[Size, Backend, list[KnownPair]]]:
    for size in sizes:
        pairs = list(made_pairs(size, count[size.dimension]))
        for backend in backends:
            yield size, backend, pairs[: affordable(len(pairs), backend, device)]


def _cells(
    size: Size, backend: Backend, pairs: Sequence[KnownPair], results: Sequence[Result], seconds: float, ceilings: Ceilings
) -> tuple[object, ...]:
    right = errors(list(pairs), [result.fixed_to_moving_lps for result in results]).right
    evaluations = float(np.mean([result.evaluations for result in results]))
    finest = Size(LEVELS[size.dimension][-1], size.dimension)
    limit = evaluations * ceilings.evaluation(finest.samples, size.dimension, curved=False)
    shown = share(int(right.sum()), len(right))
    return size, backend, len(pairs), f"{1000 * seconds:.3g}", shown, number(evaluations), number(seconds / limit)
