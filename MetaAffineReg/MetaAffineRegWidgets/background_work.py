"""Work in a thread of its own that touches neither Qt nor MRML, watched from the main thread."""

import threading
import time
from collections.abc import Callable
from typing import Any

import qt

from MetaAffineRegLib.errors import Cancelled

# Slicer's event loop holds Python's lock, so that a thread starves: the main thread hands the lock over by sleeping.
_SLEEP_SECONDS = 0.008
_BETWEEN_MILLISECONDS = 2

Function = Callable[[Callable[[str, float], None], Callable[[], bool]], Any]


class Work:
    """One call of ``function(progress, cancelled)``; ``stage`` and ``fraction`` are what it last said."""

    def __init__(self, function: Function):
        self.stage, self.fraction = "", 0.0
        self._function, self._cancelled = function, False
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="MetaAffineReg", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to stop; it does at the next place where it looks."""
        self._cancelled = True

    @property
    def finished(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> Any:
        """What the function returned; raises what it raised, and Cancelled where it was asked to stop."""
        if self._error is not None:
            raise self._error
        if self._cancelled:
            raise Cancelled
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._function(self._note, lambda: self._cancelled)
        except BaseException as error:  # told on the main thread
            self._error = error

    def _note(self, stage: str, fraction: float) -> None:
        self.stage, self.fraction = stage, fraction


class Watch:
    """Runs one work at a time and keeps the event loop served meanwhile.

    ``onProgress(stage, fraction)`` and ``onFinished(work)`` are called on the main thread.  A work that is cancelled is let go at
    once: it says no more, and its thread ends by itself soon after.
    """

    def __init__(self, onProgress: Callable[[str, float], None], onFinished: Callable[[Work], None]):
        self._onProgress, self._onFinished = onProgress, onFinished
        self._work: Work | None = None
        self._said = ("", 0.0)
        self._ending: list[Work] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(_BETWEEN_MILLISECONDS)
        self._timer.timeout.connect(self._look)

    @property
    def isRunning(self) -> bool:
        return self._work is not None

    @property
    def isIdle(self) -> bool:
        """Whether the threads of cancelled works have ended too."""
        return self._work is None and all(work.finished for work in self._ending)

    def start(self, function: Function) -> None:
        self._work, self._said = Work(function), ("", 0.0)
        self._work.start()
        self._timer.start()

    def cancel(self) -> None:
        if self._work is not None:
            self._work.cancel()
            self._ending.append(self._work)
            self._work = None

    def shutDown(self, seconds: float = 5.0) -> None:
        """Cancel, and wait for the threads to end: Python must not go while they run."""
        self.cancel()
        self._timer.stop()
        until = time.monotonic() + seconds
        while not self.isIdle and time.monotonic() < until:
            time.sleep(_SLEEP_SECONDS)

    def _look(self, *_args: Any) -> None:
        time.sleep(_SLEEP_SECONDS)
        work = self._work
        if work is not None and work.finished:
            self._work = None
            self._onFinished(work)
        elif work is not None and (work.stage, work.fraction) != self._said:
            self._said = (work.stage, work.fraction)
            self._onProgress(*self._said)
        self._ending = [ending for ending in self._ending if not ending.finished]
        if self.isIdle:
            self._timer.stop()
