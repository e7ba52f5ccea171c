"""Equation (1): f(phi_x) = D(fixed, moving o phi_x) and its exact gradient; no regularizer, as in the paper."""

import torch
from torch import Tensor

from .data_terms import DataTerm, mean_squares
from .freedom import Freedom
from .sampling import grid_derivative, mapped_grid, pull_back, sample


class Objective:
    """The criterion of a batch of pairs on one grid; fixed and moving are ``(B, C, *S)`` with the channels of the data term."""

    def __init__(self, fixed: Tensor, moving: Tensor, data_term: DataTerm = mean_squares):
        self._fixed, self._moving, self._data_term = fixed, moving, data_term

    def __len__(self) -> int:
        return len(self._fixed)

    @property
    def shape(self) -> torch.Size:
        """The grid's shape S."""
        return self._fixed.shape[2:]

    def value(self, x: Tensor) -> Tensor:
        """f at x ``(B, d, d + 1)``, ``(B,)`` in float64."""
        return self._data_term(self._fixed, self.warped(x))[0]

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f ``(B,)`` and df/dx ``(B, d, d + 1)`` at x ``(B, d, d + 1)``, both float64."""
        grid = mapped_grid(x, self.shape, self._moving.dtype)
        value, cotangent = self._data_term(self._fixed, sample(self._moving, grid))
        return value, pull_back(grid_derivative(self._moving, grid, cotangent))

    def warped(self, x: Tensor) -> Tensor:
        """moving o phi_x on the fixed grid, ``(B, C, *S)``."""
        return sample(self._moving, mapped_grid(x, self.shape, self._moving.dtype))

    def select(self, rows: Tensor) -> "Objective":
        """The criterion of the pairs ``rows`` (indices) only."""
        return Objective(self._fixed[rows], self._moving[rows], self._data_term)


class ParametrizedObjective:
    """f as a function of the free parameters p ``(B, n)`` of the pairs."""

    def __init__(self, objective: Objective, freedom: Freedom):
        self._objective, self._freedom = objective, freedom

    def value_and_gradient(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """f ``(B,)`` and df/dp ``(B, n)``."""
        value, gradient = self._objective.value_and_gradient(self._freedom.maps(p))
        return value, self._freedom.pull_back(p, gradient)

    def select(self, rows: Tensor) -> "ParametrizedObjective":
        """The function of the pairs ``rows`` (indices) only."""
        return ParametrizedObjective(self._objective.select(rows), self._freedom.select(rows))
