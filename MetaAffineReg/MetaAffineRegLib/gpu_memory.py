"""The memory of the GPU: how much there is, and what is done where it is not enough."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")

_MOST, _SHARE = 2 << 30, 0.125  # bytes, and share of the memory, that the images of a batch and what is made of them may take

ON_CPU = "The memory of the GPU was not enough, so the CPU was used."
IN_SMALLER_BATCHES = "The memory of the GPU was not enough for all pairs at once, so they were registered in smaller batches."


def report() -> str:
    """What torch can compute on, and how much of its memory is free, as a sentence."""
    if not torch.cuda.is_available():
        return f"No GPU that PyTorch can use; the CPU computes (threads: {torch.get_num_threads()})."
    free, total = torch.cuda.mem_get_info()
    return f"{torch.cuda.get_device_name()}: {free / 2**30:.1f} of {total / 2**30:.1f} GB of memory are free."


def for_a_batch(device: torch.device) -> int:
    """Bytes of the memory of a GPU that a batch of pairs is laid out for, the same whatever is free; ``in_parts`` sees to the rest."""
    return min(_MOST, int(_SHARE * torch.cuda.get_device_properties(device).total_memory))


def in_parts(
    rows: Sequence[int], size: int, device: torch.device, work: Callable[[list[int], torch.device], list[T]]
) -> list[tuple[T, tuple[str, ...]]]:
    """``work`` on at most ``size`` rows at a time, in their order, each result with notes on what was done for want of memory.

    Where the memory of the GPU is not enough, the part is halved; where it is not enough for one row, the CPU does that row and
    all that follow, which need as much.
    """
    waiting = [list(rows[first : first + size]) for first in range(0, len(rows), size)]
    done: list[tuple[T, tuple[str, ...]]] = []
    notes: tuple[str, ...] = ()
    while waiting:
        part = waiting.pop(0)
        try:
            found = work(part, device)
        except torch.OutOfMemoryError:
            if device.type == "cpu":
                raise
            torch.cuda.empty_cache()
            if len(part) > 1:
                middle = len(part) // 2
                waiting[:0] = [part[:middle], part[middle:]]
                notes = (IN_SMALLER_BATCHES,)
            else:
                waiting.insert(0, part)
                device, notes = torch.device("cpu"), (ON_CPU,)
            continue
        done += [(one, notes) for one in found]
    return done
