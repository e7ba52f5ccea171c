"""What the machine could do at best: bytes a second from and to memory, and multiplications and additions a second."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import Any, NamedTuple

import numba
import numpy as np
import torch

_COPIED = 1 << 28  # bytes, more than the caches of most processors hold
_PIECES = 32  # in which the CPU copies them, each so short that other work seldom disturbs it
_LANES, _CHAIN = 1024, 32  # numbers that are worked on side by side, and multiply-adds to each before the next ones
_SIDE = 4096  # of the matrices that a GPU multiplies
_SECONDS = 0.3  # of repeated calls, where nothing else is said


class Work(NamedTuple):
    """Of one evaluation, for each sample: operations of value and gradient, those of the normal matrix besides, and bytes read."""

    flop: int
    flop_of_matrix: int
    bytes: int


# By criterion and dimension, counted from the formulas.  Mean squares: position, (bi- or) trilinear interpolation and its derivative,
# difference and square, and the products of the derivatives with it, summed with their moment along a row; then, for the normal matrix,
# the 3 (or 6) products of two derivatives, each summed with two moments.  Both images are read once, as float32.
MEAN_SQUARES = "mean squares"
WORK = {
    (MEAN_SQUARES, 2): Work(36, 21, 8),
    (MEAN_SQUARES, 3): Work(70, 42, 8),
    # Besides: a second channel, coverage, interpolated (12 or 33) and read on both sides; three saturating functions (29); slopes of the
    # cost by two channels, and those of the content with their moments (8 a direction); the weight and direction of the matrix (4).
    ("content left unexplained", 2): Work(36 + 12 + 29 + 16, 21 + 8, 16),
    ("content left unexplained", 3): Work(70 + 33 + 29 + 24, 42 + 12, 16),
    # Besides: d more channels; the moving gradient turned, normalised and compared, cost and content with their derivatives by it (46 or
    # 64) and by the map's matrix (16 or 36); these turned back (12 or 30), times the channels' derivatives, with moments (24 or 48).  For
    # the matrix the derivatives are turned (12 or 45), and each product is of vectors in a metric.
    ("edges", 2): Work(36 + 24 + 46 + 16 + 12 + 24, 21 + 12 + 8 + 6 + 18, 24),
    ("edges", 3): Work(70 + 99 + 64 + 36 + 30 + 48, 42 + 45 + 8 + 15 + 48, 32),
}


@dataclass(frozen=True)
class Ceilings:
    """Of one machine: bytes and floating point operations (float32) a second."""

    bandwidth: float
    arithmetic: float

    def evaluation(self, samples: int, dimension: int, curved: bool, name: str = MEAN_SQUARES, at_once: int = 1) -> float:
        """Seconds that one evaluation of a criterion and its gradient takes at least, ``curved`` with the normal matrix.

        at_once: maps of one pair that are evaluated together, whose images need to be read only once.
        """
        work = WORK[name, dimension]
        flop = work.flop + (work.flop_of_matrix if curved else 0)
        return max(samples * work.bytes / at_once / self.bandwidth, samples * flop / self.arithmetic)


def seconds_of(work: Callable[[], Any], device: torch.device, budget: float = _SECONDS) -> float:
    """The shortest time of a call, once warm, of calls that take ``budget`` seconds together, three at least.

    What else runs on a machine only makes a call longer.
    """
    _finished(work, device)
    times: list[float] = []
    while len(times) < 3 or sum(times) < budget:
        started = time.perf_counter()
        _finished(work, device)
        times.append(time.perf_counter() - started)
    return min(times)


def measured_ceilings(device: torch.device) -> Ceilings:
    """Of the device, on the CPU with as many threads as torch takes."""
    return _of_gpu(device) if device.type != "cpu" else _of_cpu(torch.get_num_threads())


def _finished(work: Callable[[], Any], device: torch.device) -> None:
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()


def _of_gpu(device: torch.device) -> Ceilings:
    source = torch.ones(_COPIED // 4, device=device)
    target = torch.empty_like(source)
    copying = seconds_of(lambda: target.copy_(source), device)
    matrix = torch.rand(_SIDE, _SIDE, device=device)  # float32 throughout: torch leaves TF32 out unless it is asked for
    multiplying = seconds_of(lambda: matrix @ matrix, device)
    return Ceilings(2 * _COPIED / copying, 2 * _SIDE**3 / multiplying)


def _of_cpu(threads: int) -> Ceilings:
    cpu = torch.device("cpu")
    shape = _PIECES, threads, _COPIED // 4 // _PIECES // threads
    sources, targets = np.ones(shape, np.float32), np.ones(shape, np.float32)  # zeros would be made at their first use
    turns = cycle(zip(targets, sources, strict=True))
    rounds = 500
    lanes = [np.ones(_LANES, np.float32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        copying = seconds_of(lambda: list(pool.map(np.copyto, *next(turns))), cpu)
        multiplying = seconds_of(lambda: list(pool.map(lambda values: _multiply_and_add(values, rounds), lanes)), cpu)
    return Ceilings(2 * sources[0].nbytes / copying, 2.0 * threads * rounds * _LANES * _CHAIN / multiplying)


@numba.njit(nogil=True, fastmath={"contract"})
def _multiply_and_add(values, rounds):  # type: ignore[no-untyped-def]
    """Each of ``values`` is multiplied and added to _CHAIN times in a round; numba makes vector instructions of it."""
    factor, summand = np.float32(0.999), np.float32(0.001)
    for _ in range(rounds):
        for lane in range(len(values)):
            value = values[lane]
            for _ in range(_CHAIN):
                value = value * factor + summand
            values[lane] = value
