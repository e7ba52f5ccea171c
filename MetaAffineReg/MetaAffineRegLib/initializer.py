"""The learned initializer, equations (2)-(7): K LSTM steps that see nothing but gradients of the criterion.

Each step k of each pyramid level has an LSTM cell of its own; the layers L_in and L_out are shared by
all of them.  A one-level network is the paper's model, several levels are its Table 6.

The network works in the frame of its start: x_k = start o u_k with u_0 the identity, so that what it learned about
one start holds for every other.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from . import affine
from .objective import Objective

GradientInput = Literal["raw", "direction"]
DataTermName = Literal["mean_squares", "unexplained_content"]
_RAW_SCALE = 20.0  # gradients of mean squares of images of spread one become numbers of the size of one


@dataclass(frozen=True)
class InitializerConfig:
    """The shape of a network.

    dimension: 2 or 3; levels: grid sizes, coarse to fine; steps: K of each level; expansion: width of the hidden
    state as a multiple of the number of parameters (4 in the paper); gradient_input: the gradient times a constant
    ("raw", the paper) or its direction and the logarithm of its norm ("direction"); data_term: the
    criterion whose gradients it learned to read.
    """

    dimension: int
    levels: tuple[int, ...]
    steps: int = 5
    expansion: int = 4
    gradient_input: GradientInput = "raw"
    data_term: DataTermName = "mean_squares"

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        numbers = (self.dimension, self.steps, self.expansion, *self.levels)
        if not all(type(n) is int for n in numbers) or self.gradient_input not in get_args(GradientInput):
            raise ValueError("a network's dimension, levels, steps and expansion are whole numbers, its input raw or direction")
        if self.data_term not in get_args(DataTermName):
            raise ValueError(f"a network's data term is one of {', '.join(get_args(DataTermName))}")
        if self.dimension not in (2, 3) or not 1 <= self.steps <= 50 or not 1 <= self.expansion <= 16:
            raise ValueError("a network has 2 or 3 dimensions, 1 to 50 steps a level and an expansion of 1 to 16")
        if not 1 <= len(self.levels) <= 8 or not all(4 <= n <= 512 for n in self.levels) or list(self.levels) != sorted(self.levels):
            raise ValueError("a network has 1 to 8 levels of 4 to 512 samples, coarse to fine")

    @property
    def parameters(self) -> int:
        """Entries of [A | b]."""
        return self.dimension * (self.dimension + 1)

    @property
    def inputs(self) -> int:
        """Numbers that a step sees."""
        return self.parameters + (self.gradient_input == "direction")

    @property
    def weights(self) -> int:
        """How many weights the network has: L_in, L_out and the cells, each layer with its biases."""
        n, width = self.parameters, self.expansion * self.parameters
        return (self.inputs + 1) * width + (width + 1) * n + self.steps * len(self.levels) * 8 * width * (width + 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return asdict(self)


class Initializer(nn.Module):
    """Theta_K of equation (7)."""

    def __init__(self, config: InitializerConfig):
        super().__init__()
        self.config = config
        n = config.parameters
        width = config.expansion * n
        self.L_in = nn.Linear(config.inputs, width, dtype=torch.float64)
        self.cells = nn.ModuleList(nn.LSTMCell(width, width, dtype=torch.float64) for _ in range(config.steps * len(config.levels)))
        self.L_out = nn.Linear(width, n, dtype=torch.float64)
        # Near the identity mapping: a fresh network hardly moves its start.
        nn.init.normal_(self.L_out.weight, std=1e-3)
        nn.init.zeros_(self.L_out.bias)

    def forward(self, objectives: Mapping[int, Objective], start: Tensor, count: int | None = None) -> list[Tensor]:
        """The iterates x_1 .. x_K of all levels, each ``(B, d, d + 1)``, from the start; objectives by grid size.

        Only the first ``count`` of them where it is given.  The gradient enters detached: training needs no second
        derivative of the images.
        """
        hidden = start.new_zeros(len(start), self.L_out.in_features)
        state = (hidden, hidden)
        u = affine.identity(len(start), self.config.dimension, dtype=start.dtype, device=start.device)
        iterates = []
        for index, cell in enumerate(self.cells[:count]):
            objective = objectives[self.config.levels[index // self.config.steps]]
            features = self._features(objective, affine.compose(start, u).detach(), start[..., :-1])
            state = cell(self.L_in(features), state)  # (4)
            u = u + self.L_out(state[0]).view_as(u)  # (5), (6)
            iterates.append(affine.compose(start, u))
        return iterates

    def _features(self, objective: Objective, x: Tensor, turn: Tensor) -> Tensor:
        """What a step sees at x = start o u, ``turn`` being the matrix of the start: df/du = turn' df/dx."""
        _, gradient = objective.value_and_gradient(x)
        flat = (turn.mT @ gradient).flatten(1)
        if self.config.gradient_input == "raw":
            return _RAW_SCALE * flat
        norm = flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return torch.cat((flat / norm, norm.log10() + 2), 1)
