"""The processes that train together: one alone, or those that ``torchrun`` started."""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


class Ranks:
    """This process among those that train one network, each on its share of every batch.

    number: of this process; count: how many there are.  Process 0 evaluates, reports and writes.
    """

    def __init__(self, number: int = 0, count: int = 1):
        self.number, self.count = number, count

    @classmethod
    def of_environment(cls, device: torch.device) -> "Ranks":
        """As ``torchrun`` says; one where it did not start this process.  gloo on the CPU, nccl on GPUs, one GPU a process."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), count)

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""
        return self.number == 0

    def share(self, batch: int) -> tuple[int, int]:
        """First pair and number of pairs of this process."""
        first, end = (batch * n // self.count for n in (self.number, self.number + 1))
        return first, end - first

    def agreed(self, number: float, device: torch.device) -> float:
        """The number of process 0, on all."""
        if self.count == 1:
            return number
        told = torch.tensor([number], dtype=torch.float64, device=device)
        dist.broadcast(told, 0)
        return float(told)

    def summed(self, tensors: Iterable[Tensor]) -> None:
        """Add up each of the tensors over all processes, in place, in one message."""
        if self.count == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def close(self) -> None:
        """Let go of the others."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()
