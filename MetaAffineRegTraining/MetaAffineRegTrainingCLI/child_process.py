"""The training process as its parent sees it: started, asked to pause or to stop, heard, ended with all that belongs to it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from MetaAffineRegLib import model_card, processes
from MetaAffineRegTrainingLib.job_folder import JobFolder

_FOLDERS = tuple(str(Path(file).resolve().parents[1]) for file in (model_card.__file__, __file__))  # that hold the packages


class ChildProcess:
    """One training in a process of its own, which ends when this one does; ``program`` is run in the place of the worker, and
    ``environment`` is added to the variables.  Raises OSError where it can't be started.
    """

    def __init__(self, job: JobFolder, resume: bool = False, program: Sequence[str] = (), environment: Mapping[str, str] | None = None):
        self.job = job
        self._place = job.events.stat().st_size if resume and job.events.is_file() else 0
        self._rest = b""
        path = os.pathsep.join((*dict.fromkeys(_FOLDERS), os.environ.get("PYTHONPATH", "")))
        # Threads that spin while they wait make training tens of times slower where other programs want the cores too.
        variables = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONPATH": path, **(environment or {})}
        python = processes.python()
        if python is None and not program:
            raise OSError("there is no PythonSlicer beside the application")
        command = list(program) or [str(python), "-m", "MetaAffineRegTrainingCLI.worker", str(job.path), *(["--resume"] if resume else [])]
        with job.events.open("ab") as events, (job.path / "errors.txt").open("ab") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=events, stderr=errors, env=variables, start_new_session=os.name == "posix"
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def isRunning(self) -> bool:
        return self._process.poll() is None

    def say(self, word: str) -> None:
        """Ask it to pause, to continue or to cancel."""
        pipe: IO[bytes] | None = self._process.stdin
        try:
            assert pipe is not None
            pipe.write(f"{word}\n".encode())
            pipe.flush()
        except (OSError, ValueError):  # it has ended meanwhile, which its events tell, or was killed and its pipe closed
            pass

    def events(self) -> list[dict[str, Any]]:
        """What it said since the last call."""
        with self.job.events.open("rb") as file:
            file.seek(self._place)
            content = self._rest + file.read()
            self._place = file.tell()
        *lines, self._rest = content.split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def last_words(self) -> str:
        """The last line of what it wrote about errors."""
        lines = (self.job.path / "errors.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        """Kill it with all that it started, and wait until it is gone."""
        processes.kill(self._process)
        if self._process.stdin is not None:
            self._process.stdin.close()
