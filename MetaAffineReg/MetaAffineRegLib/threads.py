"""Work shared out over threads, torch itself keeping to one meanwhile.

Its own threads would wait for each other over every small tensor, and turn idly beside ours where there is nothing for them to do.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

_POLL = 0.02  # seconds between two looks at whether the work is to end
_CHUNKS = 4  # for each thread, so that none waits long for the slowest
_WORTH = 100_000  # samples; what looks at fewer is done in less than a millisecond, not worth a thread
_lock = threading.Lock()
_inside = 0  # how many blocks of ``torch_in_one_thread`` are entered
_allowed = 1  # threads that torch had before the first of them
_here = threading.local()


def allowed() -> int:
    """How many threads the caller may take: as many as torch takes, or took before it kept to one; one for a part of shared work."""
    if getattr(_here, "at_work", False):
        return 1
    return _allowed if _inside else torch.get_num_threads()


@contextmanager
def torch_in_one_thread() -> Iterator[None]:
    """Torch works in the calling thread alone until the block ends."""
    global _inside, _allowed  # torch's number of threads is one for the process too
    with _lock:
        if not _inside:
            _allowed = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_allowed)


def share_out(
    work: Callable[[int, int], None],
    count: int,
    chunks: int = _CHUNKS,
    check: Callable[[], None] = lambda: None,
    end: Callable[[], None] = lambda: None,
    samples: int = _WORTH,
) -> None:
    """Call work(first, last) over 0 .. count - 1 in so many chunks a thread, while ``check`` is called, which may raise; then ``end`` is
    called, and what runs is waited for.  Work that looks at few ``samples`` stays in the caller's thread."""
    parts = min(count, chunks * allowed())
    if parts <= 1 or allowed() == 1 or samples < _WORTH:
        check()
        work(0, count)
        return
    edges = np.linspace(0, count, parts + 1).astype(int).tolist()
    everything = {_pool(allowed()).submit(work, first, last) for first, last in pairwise(edges)}
    running = everything
    try:
        while running:
            check()
            running = wait(running, _POLL).not_done
    finally:
        if running:
            end()
        wait(everything)
    for future in everything:
        future.result()


def share_torch(work: Callable[[int, int], None], count: int, samples: int) -> None:
    """``share_out`` for work by torch: all at once where torch has threads of its own."""
    share_out(work, count, _CHUNKS if _inside else 0, samples=samples)


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "registration", lambda: setattr(_here, "at_work", True))
