"""What is measured in processes of their own: start-up, and the memory that a pair takes.

Run as a program it is such a process: it does what its first word says and prints a line of JSON.
"""

import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from speed_sizes import Size

    from MetaAffineRegLib.image import Image

START_COLUMNS = ("what", "seconds")
MEMORY_COLUMNS = ("images", "backend", "pairs held at once", "peak with one pair, MiB", "with all, MiB", "MB a pair beyond the images")
_PAIRS = {2: 128, 3: 2}  # of a batch; not more than are computed at once
_PROCESSES = 5  # of which the median peak counts: how much of what was freed is kept differs from one to the next


def start_rows(device: str) -> Iterator[tuple[object, ...]]:
    """Cells of the table of start-up times, the best of three processes whose kernels lie compiled in the cache."""
    _asked("start", device)
    runs = [_asked("start", device) for _ in range(3)]
    for what in runs[0]:
        yield what, f"{min(run[what] for run in runs):.2f}"


def memory_rows(sizes: "list[Size]", backends: list[str], device: str) -> Iterator[tuple[object, ...]]:
    """Cells of the table of memory: the peak of a process (on a GPU: of its memory) for one pair and for a batch, the median of several."""
    for size in sizes:
        for backend in backends:
            count = _PAIRS[size.dimension]
            one, many = (
                median(_asked("memory", device, backend, str(size), str(n))["bytes"] for _ in range(_PROCESSES)) for n in (1, count)
            )
            yield size, backend, count, f"{one / 2**20:.0f}", f"{many / 2**20:.0f}", f"{(many - one) / (count - 1) / 1e6:.2g}"


def _asked(*words: str) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__)), *words]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def _start(device: str) -> dict[str, float]:
    """Seconds of the steps to a first registration of images of 128^2."""
    steps: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        steps[name] = time.perf_counter() - started
        return result

    step("import of torch", lambda: importlib.import_module("torch"))
    library = step("import of the library, torch loaded", lambda: importlib.import_module("MetaAffineRegLib.registration"))
    step("load of the model", lambda: library.load("general-2d"))
    images, settings = _images("128^2"), library.Settings(device=device)
    step("first registration, 128^2", lambda: library.register(images, settings))
    step("second registration", lambda: library.register(images, settings))
    return steps


def _memory(device: str, backend: str, size: str, count: str) -> dict[str, float]:
    """Peak in bytes; all pairs are one and the same, so that their images count once."""
    import torch

    from MetaAffineRegLib.registration import Settings, register

    images, settings = _images(size), Settings(device=device, backend=backend)  # type: ignore[arg-type]
    register(images, settings)  # compiles kernels where that was not done yet
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        _forget_peak()
    register(images * int(count), settings)
    return {"bytes": torch.cuda.max_memory_allocated() if device == "cuda" else _peak()}


def _images(size: str) -> "list[tuple[Image, Image]]":
    from speed_sizes import Size, made_pairs

    (pair,) = made_pairs(Size.named(size), 1)
    return [(pair.fixed, pair.moving)]


def _forget_peak() -> None:
    """Let the peak of this process begin anew, where the system knows how."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """Most resident memory of this process since its peak began; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float(np.nan)
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return 1024.0 * int(lines["VmHWM"].split()[0])


if __name__ == "__main__":
    word, *words = sys.argv[1:]
    print(json.dumps({"start": _start, "memory": _memory}[word](*words)))
