"""What the machine could do at best: bytes a second from and to memory, and multiplications and additions a second."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from itertools import cycle
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_COPIED = 1 << 28  # bytes, more than the caches of most processors hold
_PIECES = 32  # in which the CPU copies them, each so short that other work seldom disturbs it
_WIDTHS, _CHAINS = (8, 16), 10  # numbers of a vector, and vectors that are worked on side by side, so that none waits for another
_ROUNDS = 1_000_000  # of a multiplication and an addition in each lane
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
    with ThreadPoolExecutor(threads) as pool:
        copying = seconds_of(lambda: list(pool.map(np.copyto, *next(turns))), cpu)
        multiplying = [
            seconds_of(lambda add=add: list(pool.map(add, [_ROUNDS] * threads)), cpu) / width  # type: ignore[misc]
            for width, add in zip(_WIDTHS, (_add_eights, _add_sixteens), strict=True)
        ]
    return Ceilings(2 * sources[0].nbytes / copying, 2.0 * threads * _ROUNDS * _CHAINS / min(multiplying))


@intrinsic(prefer_literal=True)
def _multiply_and_add(typing_context, width, rounds):  # type: ignore[no-untyped-def]
    """Sum of what is left in the lanes after so many rounds; written for the compiler, which makes less of loops over numbers."""
    if not isinstance(width, types.IntegerLiteral):
        return None
    vector = ir.VectorType(ir.FloatType(), width.literal_value)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        factor, summand = (ir.Constant(vector, [number] * vector.count) for number in (0.99951171875, 0.0009765625))
        places = [cgutils.alloca_once_value(builder, ir.Constant(vector, [1.0 + chain] * vector.count)) for chain in range(_CHAINS)]
        with cgutils.for_range(builder, arguments[1]):
            for place in places:
                product = builder.fmul(builder.load(place), factor, flags=("contract",))
                builder.store(builder.fadd(product, summand, flags=("contract",)), place)
        lanes = [builder.extract_element(builder.load(place), ir.IntType(32)(k)) for place in places for k in range(vector.count)]
        return reduce(builder.fadd, lanes)

    return types.float32(width, rounds), generate


@numba.njit(nogil=True)
def _add_eights(rounds):  # type: ignore[no-untyped-def]
    return _multiply_and_add(8, rounds)


@numba.njit(nogil=True)
def _add_sixteens(rounds):  # type: ignore[no-untyped-def]
    return _multiply_and_add(16, rounds)
