"""A process with all that it started; a launcher, as PythonSlicer is one, starts the real one."""

import os
import signal
import subprocess
from typing import Any


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process that was started with ``start_new_session``, and its children, and wait until it is gone."""
    if process.poll() is None:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    process.wait()
