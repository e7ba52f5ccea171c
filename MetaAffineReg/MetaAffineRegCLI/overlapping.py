"""Stages that work at the same time: while one item is computed, the next one is read."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_POLL = 0.2  # seconds between two looks at whether the other side has gone


@dataclass(frozen=True)
class _Raised:
    error: BaseException


_END: Any = object()


def in_turn(items: Iterable[T], depth: int = 1) -> Generator[T]:
    """The items as they are, each made when it is asked for; stands where ``ahead`` may not."""
    yield from items


def ahead(items: Iterable[T], depth: int = 1) -> Generator[T]:
    """The items in their order, made in a thread of their own: up to ``depth`` wait to be taken while the next one is made.

    What making them raises is raised here.  When this generator is closed, the thread ends at its next item and is waited for.
    """
    waiting: queue.Queue[T | _Raised] = queue.Queue(depth)
    over = threading.Event()

    def put(item: T | _Raised) -> bool:
        while not over.is_set():
            try:
                waiting.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        source = iter(items)
        try:
            while not over.is_set() and put(next(source, _END)):
                pass
        except BaseException as error:  # raised where the items are taken
            put(_Raised(error))
        finally:
            if isinstance(source, Generator):
                source.close()

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := _taken(waiting)) is not _END:
            if isinstance(item, _Raised):
                raise item.error
            yield item
    finally:
        over.set()
        thread.join()


def closed_after(items: Generator[T]) -> Iterator[T]:
    """The items; their generator is closed when this one ends or is closed."""
    with closing(items):
        yield from items


def _taken(waiting: queue.Queue[T | _Raised]) -> T | _Raised:
    while True:
        try:
            return waiting.get(timeout=_POLL)  # without a time-out Ctrl-C would wait on Windows
        except queue.Empty:
            continue
