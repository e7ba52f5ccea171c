"""Kernels compiled before anybody waits for them: in a process of its own, beside the panel, once for each version."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import slicer

from MetaAffineRegLib import kernel_cache, processes

from . import torch_offer

_FOLDER = str(Path(kernel_cache.__file__).resolve().parents[1])  # that holds the packages


class CompileAhead:
    """Compiles where torch and numba are installed and not all kernels are in the user's cache; a registration meanwhile compiles for
    itself what it needs.  The process has low priority and ends when the application does."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def isRunning(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it where that is of use, once; not under test."""
        if self._process is not None or slicer.app.testingEnabled() or not torch_offer.isInstalled():
            return
        python, folder = processes.python(), kernel_cache.folder()
        if python is None or folder is None or kernel_cache.is_complete(folder):
            return
        options: dict[str, Any] = {"start_new_session": os.name == "posix"}
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        command, none = [python, "-m", "MetaAffineRegLib.compile_all"], subprocess.DEVNULL
        try:
            with (folder / "errors.txt").open("wb") as errors:
                self._process = subprocess.Popen(command, stdin=none, stdout=none, stderr=errors, cwd=_FOLDER, **options)
        except OSError as error:  # the first registration will take longer, and nothing else is lost
            logging.info("MetaAffineReg does not compile ahead: %s", error)
            return
        logging.info("MetaAffineReg compiles its kernels in the background, which is needed once.")

    def end(self) -> None:
        """End it, whatever it has reached; what it has compiled is kept."""
        if self._process is not None:
            processes.kill(self._process)
