"""Work shared out over threads, torch itself keeping to one meanwhile.

Its own threads would wait for each other over every small tensor, and turn idly beside ours where there is nothing for them to do.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

import torch

_POLL = 0.02  # seconds between two looks at whether the work is to end
_CHUNKS = 4  # for each thread, so that none waits long for the slowest
_WORTH = 100_000  # samples; what looks at fewer is done in less than a millisecond, not worth a thread
_LONG = 20_000_000  # samples; what looks at fewer is done in some hundredths of a second
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
    check: Callable[[], None] | None = None,
    end: Callable[[], None] = lambda: None,
    samples: float = math.inf,
) -> None:
    """Call work(first, last) over 0 .. count - 1 in so many chunks a thread; what looks at few ``samples`` stays in the caller's thread.

    ``check`` is called before and, where other threads look at many samples, again and again.  Where there is nothing to check meanwhile
    the caller takes its share of the chunks.  When it is interrupted, or ``check`` or its own part raises, ``end`` is called, and what runs
    is waited for.
    """
    if check is not None:
        check()
        check = check if samples > _LONG else None
    threads = 1 if count < 2 or samples < _WORTH or chunks < 1 else allowed()
    if threads == 1:
        work(0, count)
        return
    parts, pool = deque(_parts(count, threads, chunks)), _pool(threads)
    helpers = min(len(parts), threads) - (check is None)
    everything = [pool.submit(_take_parts, work, parts) for _ in range(helpers)]
    running: Collection[Future[None]] = everything
    try:
        if check is None:
            with _at_work():
                _take_parts(work, parts)
            running = [future for future in everything if not future.cancel()]  # what has not begun would find nothing to do
            for future in running:
                future.exception()  # waits
        while check is not None and running:
            check()
            running = wait(running, _POLL).not_done
    except BaseException:
        parts.clear()
        end()
        wait([future for future in everything if not future.cancel()])
        raise
    for future in everything:
        if not future.cancelled():
            future.result()


@lru_cache(maxsize=1024)
def _parts(count: int, threads: int, chunks: int) -> tuple[tuple[int, int], ...]:
    """0 .. count - 1 in so many parts a thread, or fewer; of many the later are smaller, since the last one is waited for."""
    parts = min(count, threads * chunks)
    shares = [k / parts for k in range(parts + 1)]
    if threads < parts < count:
        shares = [share * (2 - share) for share in shares]
    return tuple(pairwise(sorted({round(count * share) for share in shares})))


def _take_parts(work: Callable[[int, int], None], parts: deque[tuple[int, int]]) -> None:
    """Do one after the other of those that no thread has taken, none where one went wrong."""
    while parts:
        try:
            part = parts.popleft()
        except IndexError:  # another thread was faster
            return
        try:
            work(*part)
        except BaseException:
            parts.clear()
            raise


def share_torch(work: Callable[[int, int], None], count: int, samples: float) -> None:
    """``share_out`` for work by torch: all at once where torch has threads of its own."""
    share_out(work, count, _CHUNKS if _inside else 0, samples=samples)


@contextmanager
def _at_work() -> Iterator[None]:
    """The calling thread does a part of shared work."""
    _here.at_work = True
    try:
        yield
    finally:
        _here.at_work = False


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "registration", lambda: setattr(_here, "at_work", True))
