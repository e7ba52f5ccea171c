"""A training in its child process, watched from the event loop."""

from collections.abc import Callable
from typing import Any

import qt

_BETWEEN_MILLISECONDS = 250


class TrainingRun:
    """One child at a time.  ``onEvents(events)`` gets what it said, in order; ``onEnd(last words)`` is called when it has ended, with
    the last
    line of its error output."""

    def __init__(self, onEvents: Callable[[list[dict[str, Any]]], None], onEnd: Callable[[str], None]):
        self._onEvents, self._onEnd = onEvents, onEnd
        self._child: Any = None
        self.isPaused = False
        self._timer = qt.QTimer()
        self._timer.setInterval(_BETWEEN_MILLISECONDS)
        self._timer.timeout.connect(self._look)

    @property
    def isRunning(self) -> bool:
        return self._child is not None

    def start(self, child: Any) -> None:
        """Watch a ChildProcess that was started."""
        self._child, self.isPaused = child, False
        self._timer.start()

    def pause(self, on: bool) -> None:
        """Hold the training, or let it go on."""
        if self._child is not None:
            self.isPaused = on
            self._child.say("pause" if on else "continue")

    def cancel(self) -> None:
        """Ask it to save its state and end."""
        if self._child is not None:
            self._child.say("cancel")

    def shutDown(self) -> None:
        """End it now, with all that it started; what it saved last can be taken up again."""
        self._timer.stop()
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _look(self, *_args: Any) -> None:
        child = self._child
        if child is None:
            return
        ended = not child.isRunning  # asked before its events are read, so that none is missed
        events = child.events()
        if events:
            self._onEvents(events)
        if ended and self._child is child:
            self._child = None
            self._timer.stop()
            words = child.last_words()
            child.kill()
            self._onEnd(words)
