"""What computes the criterion: torch anywhere, or compiled kernels, by numba on the CPU and by Triton on the GPU.

numba and triton are optional: all give the same numbers but for rounding.
"""

import sys
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal, get_args

import torch

from .errors import InputError

Backend = Literal["torch", "numba", "triton"]
BackendChoice = Literal["auto", "torch", "numba", "triton"]
_COMPILED: dict[str, Backend] = {"cpu": "numba", "cuda": "triton"}  # by the type of the device
_PLACES = {"numba": "the CPU", "triton": "an NVIDIA GPU"}
BORDER = 2  # zeros around the images that compiled kernels sample: what lies just outside is read like the rest


def choose_backend(choice: BackendChoice, device: torch.device, precision: str) -> Backend:
    """The backend for images of ``precision`` on ``device``; raises InputError where the one asked for can't be had."""
    if choice not in get_args(BackendChoice):
        raise InputError(f"There is no backend '{choice}'; choose {', '.join(get_args(BackendChoice))}.")
    backend = _COMPILED.get(device.type, "torch") if choice == "auto" else choice
    if backend == "torch":
        return backend
    reason = _hindrance(backend, device, precision)
    if reason and choice != "auto":
        raise InputError(f"The backend '{choice}' can't be used: {reason}. Choose auto or torch.")
    return "torch" if reason else backend


def _hindrance(backend: Backend, device: torch.device, precision: str) -> str | None:
    """Why a compiled backend can't be used, None where it can."""
    if _COMPILED.get(device.type) != backend:
        return f"it computes on {_PLACES[backend]} and the device is {device}"
    if precision != "float32":
        return f"it computes in float32 and the precision is {precision}"
    if backend == "triton" and (sys.platform != "linux" or torch.version.hip):
        return "it needs Linux and a build of torch for CUDA"
    if find_spec(backend) is None:
        return f"{backend} is not installed"
    return _trial(device) if backend == "triton" else None


@lru_cache
def _trial(device: torch.device) -> str | None:
    """Why Triton can't compile and start the kernels there, None where it can."""
    try:
        from .triton_kernels import start

        start(device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # no C compiler, no headers of Python, too old a GPU or Triton, a broken installation ..
        return f"Triton can't compile for this GPU ({' '.join(str(error).split()).rstrip('.') or type(error).__name__})"
    return None
