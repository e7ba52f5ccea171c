"""Processes beside the application: which Python they run, and how they end with all that they started."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def python() -> str | None:
    """The Python that goes with the application, None where there is none.

    Inside Slicer ``sys.executable`` may be the application; the launcher that starts its Python is called PythonSlicer.
    """
    found = shutil.which("PythonSlicer")
    return found or (sys.executable if Path(sys.executable).name.lower().startswith("python") else None)


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process that was started with ``start_new_session``, and its children, and wait until it is gone."""
    if process.poll() is None:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    process.wait()
