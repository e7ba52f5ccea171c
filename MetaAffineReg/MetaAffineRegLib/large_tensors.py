"""Room for large tensors: numpy asks the system for large pages, which are there in a fifth of the time that torch's own take."""

import numpy as np
import torch
from torch import Tensor


def room_for(*shape: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
    """A tensor of any values."""
    if torch.device(device).type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, torch.empty(0, dtype=dtype).numpy().dtype))
