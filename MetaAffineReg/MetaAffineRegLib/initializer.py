"""The learned initializer, equations (2)-(7): K LSTM steps that see nothing but gradients of the criterion.

Each step k of each pyramid level has an LSTM cell of its own; the layers L_in and L_out are shared by
all of them.  A one-level network is the paper's model, several levels are its Table 6.

The network works in the frame of its start: x_k = start o u_k with u_0 the identity, so that what it learned about
one start holds for every other.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from . import affine
from .data_terms import DataTerm, mean_squares, unexplained_content
from .lbfgs import damped_inverse
from .normalized_gradients import normalized_gradients
from .objective import Criterion

GradientInput = Literal["raw", "direction", "newton"]
DataTermName = Literal["mean_squares", "unexplained_content", "normalized_gradients", "content_and_gradients"]
_DATA_TERMS: dict[DataTermName, tuple[DataTerm, ...]] = {
    "mean_squares": (mean_squares,),
    "unexplained_content": (unexplained_content,),
    "normalized_gradients": (normalized_gradients,),
    "content_and_gradients": (unexplained_content, normalized_gradients),
}
LONGEST_STEP = 0.5  # of Gauss-Newton, normalised: a quarter of the image
RAW_SCALE = 20.0  # gradients of mean squares of images of spread one become numbers of the size of one


@dataclass(frozen=True)
class InitializerConfig:
    """The shape of a network.

    dimension: 2 or 3; levels: grid sizes, coarse to fine; steps: K of each level; expansion: width of the hidden
    state as a multiple of the number of parameters (4 in the paper); gradient_input: the gradient times a constant
    ("raw", the paper), its direction and the logarithm of its norm ("direction"), or these of the gradient and of the damped
    Gauss-Newton step, on which the network then improves ("newton"); data_term: the criterion whose gradients it learned to read, or
    two of them.
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
            raise ValueError("a network's dimension, levels, steps and expansion are whole numbers, its input raw, direction or newton")
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
        return {"raw": self.parameters, "direction": self.parameters + 1, "newton": 2 * self.parameters + 2}[self.gradient_input]

    @property
    def outputs(self) -> int:
        """Numbers that a step gives: a change of every parameter, and of its share of the Gauss-Newton step where that is known."""
        return self.parameters * (2 if self.gradient_input == "newton" else 1)

    @property
    def evaluations(self) -> int:
        """Those of the criterion that a step asks for, a Gauss-Newton matrix being one."""
        return 2 if self.gradient_input == "newton" else 1

    @property
    def data_terms(self) -> tuple[DataTerm, ...]:
        """Those whose gradients it learned to read."""
        return _DATA_TERMS[self.data_term]

    @property
    def weights(self) -> int:
        """How many weights the network has: L_in, L_out and the cells, each layer with its biases."""
        width = self.expansion * self.parameters
        return (self.inputs + 1) * width + (width + 1) * self.outputs + self.steps * len(self.levels) * 8 * width * (width + 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return asdict(self)


@dataclass(frozen=True)
class Trajectory:
    """How far the steps from start ``(B, d, d + 1)`` have come: u, of the same shape, with x = start o u, and the state of the LSTM."""

    start: Tensor
    u: Tensor
    state: tuple[Tensor, Tensor]

    @property
    def x(self) -> Tensor:
        """The map, ``(B, d, d + 1)``."""
        return affine.compose(self.start, self.u)

    def select(self, rows: Tensor) -> "Trajectory":
        """Those of the starts ``rows`` (indices) only."""
        return Trajectory(self.start[rows], self.u[rows], (self.state[0][rows], self.state[1][rows]))


class Initializer(nn.Module):
    """Theta_K of equation (7)."""

    def __init__(self, config: InitializerConfig):
        super().__init__()
        self.config = config
        width = config.expansion * config.parameters
        self.L_in = nn.Linear(config.inputs, width, dtype=torch.float64)
        self.cells = nn.ModuleList(nn.LSTMCell(width, width, dtype=torch.float64) for _ in range(config.steps * len(config.levels)))
        self.L_out = nn.Linear(width, config.outputs, dtype=torch.float64)
        # Near the identity mapping: a fresh network hardly moves its start.
        nn.init.normal_(self.L_out.weight, std=1e-3)
        nn.init.zeros_(self.L_out.bias)

    def forward(self, objectives: Mapping[int, Criterion], start: Tensor, count: int | None = None) -> list[Tensor]:
        """The iterates x_1 .. x_K of all levels, each ``(B, d, d + 1)``, from the start; objectives by grid size.

        Only the first ``count`` of them where it is given.  The gradient enters detached: training needs no second
        derivative of the images.
        """
        trajectory, iterates = self.begin(start), []
        for index in range(len(self.cells) if count is None else count):
            trajectory = self._step(trajectory, objectives[self.config.levels[index // self.config.steps]], index)
            iterates.append(trajectory.x)
        return iterates

    def begin(self, start: Tensor) -> Trajectory:
        """No step yet."""
        hidden = start.new_zeros(len(start), self.L_out.in_features)
        u = affine.identity(len(start), self.config.dimension, dtype=start.dtype, device=start.device)
        return Trajectory(start, u, (hidden, hidden))

    def level(self, trajectory: Trajectory, objective: Criterion, number: int) -> Trajectory:
        """The K steps of pyramid level ``number``, whose grid that of the objective is."""
        for index in range(number * self.config.steps, (number + 1) * self.config.steps):
            trajectory = self._step(trajectory, objective, index)
        return trajectory

    def _step(self, trajectory: Trajectory, objective: Criterion, index: int) -> Trajectory:
        features, step = self._look(objective, trajectory.x.detach(), trajectory.start[..., :-1])
        state = self.cells[index](self.L_in(features), trajectory.state)  # (4)
        change = self.L_out(state[0])  # (5)
        if step is not None:
            change, gain = change.chunk(2, 1)
            change = change + (1 + gain) * step
        return replace(trajectory, u=trajectory.u + change.view_as(trajectory.u), state=state)  # (6)

    def _look(self, objective: Criterion, x: Tensor, turn: Tensor) -> tuple[Tensor, Tensor | None]:
        """What a step sees at x = start o u, and the Gauss-Newton step ``(B, n)`` where it is asked for; ``turn`` being the matrix of
        the start, df/du = turn' df/dx."""
        if self.config.gradient_input != "newton":
            gradient = (turn.mT @ objective.value_and_gradient(x)[1]).flatten(1)
            return RAW_SCALE * gradient if self.config.gradient_input == "raw" else _direction_and_norm(gradient), None
        _, gradient, matrix = objective.value_gradient_curvature(x)
        gradient = (turn.mT @ gradient).flatten(1)
        d = self.config.dimension
        blocks = matrix.view(-1, d, d + 1, d, d + 1)
        matrix = torch.einsum("bia,bikjl,bjc->bakcl", turn, blocks, turn).reshape_as(matrix)
        step = -(damped_inverse(matrix) @ gradient[..., None])[..., 0]
        step = step * (LONGEST_STEP / step.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)
        return torch.cat((_direction_and_norm(gradient), _direction_and_norm(step)), 1), step


def _direction_and_norm(vector: Tensor) -> Tensor:
    """Unit vectors and the logarithms of the norms, ``(B, n)`` -> ``(B, n + 1)``."""
    norm = vector.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return torch.cat((vector / norm, norm.log10() + 2), 1)
