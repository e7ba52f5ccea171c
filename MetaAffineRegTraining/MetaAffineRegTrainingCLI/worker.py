"""The process that trains for the panel and the console: one job folder in, events out, a line of JSON each.

Events: ``running``; ``note`` (text); ``progress`` (step, loss, share, seconds, left, rate); ``evaluation`` (step, seconds, figures: by
method success and mse4); ``picture`` (path); ``paused``; ``stopped``; ``done`` (model, card, better, verdict); ``error`` (text).
On its standard input it takes the words pause, continue and cancel, a line each; when that ends, who started it is gone, and so is it.
"""

import argparse
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegTrainingLib.job_folder import JobFolder

_LOOK_SECONDS = 0.1
_ORPHAN = 4


def emit(event: dict[str, Any]) -> None:
    """Say something; numbers that are not finite become null."""
    print(json.dumps(json.loads(json.dumps(event), parse_constant=lambda _word: None)), flush=True)


class Control:
    """What the words on an input ask for; read in a thread of its own, so that the end of the input is seen at once."""

    def __init__(self, words: TextIO):
        self._paused, self._cancelled = threading.Event(), threading.Event()
        threading.Thread(target=self._read, args=(words,), daemon=True).start()

    def pause(self) -> float:
        """Hold as long as it is asked for; the seconds that took.  Raises Cancelled."""
        began = time.monotonic()
        if self._paused.is_set() and not self._cancelled.is_set():
            emit({"event": "paused"})
            while self._paused.is_set() and not self._cancelled.wait(_LOOK_SECONDS):
                pass
            emit({"event": "running"})
        if self._cancelled.is_set():
            raise Cancelled
        return time.monotonic() - began

    def _read(self, words: TextIO) -> None:
        for line in words:
            word = line.strip()
            if word == "pause":
                self._paused.set()
            elif word == "continue":
                self._paused.clear()
            elif word == "cancel":
                self._cancelled.set()
        os._exit(_ORPHAN)  # nothing is left to clean up: files are whole at any moment


def work(job: JobFolder, resume: bool, control: Control) -> int:
    """Train; exit code 0 done, 1 failed, 2 input that can't be used, 3 cancelled."""
    try:
        emit({"event": "running"})
        from MetaAffineRegTrainingLib.session import Session  # imports torch

        Session(job.images(), job.settings, job.model, job.state, emit, control.pause, job.picture).run(resume)
    except InputError as error:
        emit({"event": "error", "text": str(error)})
        return 2
    except Cancelled:
        emit({"event": "stopped"})
        return 3
    except OSError as error:
        reason = f"{error.filename or 'A file'} can't be used ({error.strerror or error}); make room or choose another place."
        emit({"event": "error", "text": reason})
        return 2
    except Exception as error:
        traceback.print_exc()
        emit({"event": "error", "text": f"The training failed ({type(error).__name__}: {error})."})
        return 1
    return 0


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    p = argparse.ArgumentParser(description="Train as a job folder says; started by the panel.")
    p.add_argument("folder", type=Path)
    p.add_argument("--resume", action="store_true", help="take up the state in the folder")
    arguments = p.parse_args(words)
    return work(JobFolder(arguments.folder), arguments.resume, Control(sys.stdin))


if __name__ == "__main__":
    sys.exit(main())
