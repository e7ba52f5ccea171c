"""What computes the criterion: torch anywhere, or kernels compiled by numba on the CPU, about ten times as fast.

numba is optional: both give the same numbers but for rounding.
"""

from importlib.util import find_spec
from typing import Literal, get_args

import torch

from .errors import InputError

Backend = Literal["torch", "numba"]
BackendChoice = Literal["auto", "torch", "numba"]


def choose_backend(choice: BackendChoice, device: torch.device, precision: str) -> Backend:
    """The backend for images of ``precision`` on ``device``; raises InputError where the one asked for can't be had."""
    if choice not in get_args(BackendChoice):
        raise InputError(f"There is no backend '{choice}'; choose {', '.join(get_args(BackendChoice))}.")
    if choice == "torch":
        return "torch"
    reason = None
    if device.type != "cpu":
        reason = f"it computes on the CPU and the device is {device}"
    elif precision != "float32":
        reason = f"it computes in float32 and the precision is {precision}"
    elif find_spec("numba") is None:
        reason = "numba is not installed"
    if reason and choice == "numba":
        raise InputError(f"The backend 'numba' can't be used: {reason}. Choose auto or torch.")
    return "torch" if reason else "numba"
