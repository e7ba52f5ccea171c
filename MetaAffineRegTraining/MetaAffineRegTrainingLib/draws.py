"""Random numbers that belong to a pair: a function of seed, step, pair and purpose, and of nothing that was drawn before.

So any number of ranks, each with its share of a batch, sees the pairs that one process sees.  The numbers are a counter, mixed after
SplitMix64 (Steele, Lea and Flood, OOPSLA 2014; the constants are those of Stafford's variant 13), made on the device for all pairs at once.
"""

import hashlib
import math

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 2^64 over the golden ratio, as a signed number
_FACTORS = (-4658895280553007687, -7723592293110705685)


class Draws:
    """The numbers of the pairs ``first .. first + count`` of a step, or of what else there is so many of."""

    def __init__(self, seed: int, step: int, first: int, count: int, device: torch.device | str = "cpu", of: str = ""):
        rows = torch.arange(first, first + count, dtype=torch.int64, device=device)
        self._keys = _mixed(rows * _GOLDEN + _number(f"{seed} {step}{of}"))

    def __len__(self) -> int:
        return len(self._keys)

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """In [0, 1), ``(count, *shape)``, float64."""
        bits = self._bits(purpose, math.prod(shape))
        return (_shifted(bits, 11).double() * 2.0**-53).view(len(self), *shape)

    def normal(self, purpose: str, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Standard normal, ``(count, *shape)``: two from each number (Box and Muller)."""
        size = math.prod(shape)
        bits = self._bits(purpose, (size + 1) // 2)
        radius = _shifted(bits, 32).to(dtype).add_(0.5).mul_(2.0**-32).log_().mul_(-2).clamp_min_(0).sqrt_()
        angle = (bits & 0xFFFFFFFF).to(dtype).mul_(2 * math.pi * 2.0**-32)
        return torch.cat((radius * angle.cos(), radius * angle.sin()), 1)[:, :size].reshape(len(self), *shape)

    def below(self, purpose: str, end: int) -> Tensor:
        """Whole numbers 0 .. end - 1, ``(count,)``."""
        return (self.uniform(purpose) * end).long()

    def _bits(self, purpose: str, size: int) -> Tensor:
        keys = _mixed(self._keys + _number(purpose))
        counter = torch.arange(size, dtype=torch.int64, device=keys.device) * _GOLDEN
        return _mixed(keys[:, None] + counter)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)).mul_(_FACTORS[0])
    x = x.bitwise_xor_(_shifted(x, 27)).mul_(_FACTORS[1])
    return x.bitwise_xor_(_shifted(x, 31))


def _shifted(x: Tensor, places: int) -> Tensor:
    """To the right, zeros coming in."""
    return (x >> places).bitwise_and_((1 << (64 - places)) - 1)
