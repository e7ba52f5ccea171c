"""The device that work runs on."""

from typing import Literal

import torch

from .errors import InputError

DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> torch.device:
    """``auto`` is the GPU where torch can use one; raises InputError where ``cuda`` is asked for and there is none."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError("There is no CUDA device that this torch can use; choose --device cpu, or install a torch build for your GPU.")
    return torch.device("cuda")
