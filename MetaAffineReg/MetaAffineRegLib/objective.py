"""Equation (1): f(phi_x) = D(fixed, moving o phi_x) + gamma S(phi_x) and its exact gradient; the paper's figures are without S."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, Self

import torch
from torch import Tensor

from .data_terms import DataTerm, mean_squares, shares
from .freedom import Freedom
from .lbfgs import Minimum, minimize
from .regularizer import Distortion
from .sampling import grid_derivative, mapped_grid, normal_matrix, pull_back, sample


class Criterion(Protocol):
    """f of a batch of candidates on one grid, whatever computes it."""

    def __len__(self) -> int:
        """How many candidates."""

    def value(self, x: Tensor) -> Tensor:
        """f at x ``(B, d, d + 1)``, ``(B,)`` in float64."""

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f ``(B,)`` and df/dx ``(B, d, d + 1)`` at x ``(B, d, d + 1)``, both float64."""

    def value_gradient_curvature(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both, and the Gauss-Newton part of the Hessian of f at x, ``(B, n, n)`` in float64, n = d (d + 1)."""

    def shares(self, x: Tensor) -> Tensor:
        """What the images leave unexplained of each other and how far they overlap, ``(B, 3)``, see ``data_terms.shares``; for data terms
        of intensities only."""

    def minimize(
        self, freedom: Freedom, *, iterations: int, unit: float, curved: bool, tolerance: float, check: Callable[[], None]
    ) -> Minimum:
        """f minimised over the parameters of ``freedom`` from its origin, see ``lbfgs``; curved: the Gauss-Newton matrix is the
        initial Hessian."""

    def select(self, rows: Tensor) -> "Criterion":
        """The criterion of the candidates ``rows`` (indices) only."""


class BatchCriterion(ABC):
    """A criterion whose candidates are minimised all at once, by ``lbfgs`` in torch; the regularizer is added here."""

    _regularizer: Distortion | None

    @abstractmethod
    def __len__(self) -> int:
        """As in ``Criterion``, and so what is told in no other way below."""

    @abstractmethod
    def shares(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def select(self, rows: Tensor) -> Self: ...

    @abstractmethod
    def _value(self, x: Tensor) -> Tensor:
        """That of the images alone, and so are the next two."""

    @abstractmethod
    def _value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _curvature(self, x: Tensor) -> Tensor: ...

    def value(self, x: Tensor) -> Tensor:
        value = self._value(x)
        return value if self._regularizer is None else value + self._regularizer.value(x)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = self._value_and_gradient(x)
        if self._regularizer is None:
            return value, gradient
        more, slope = self._regularizer.value_and_gradient(x)
        return value + more, gradient + slope

    def curvature(self, x: Tensor) -> Tensor:
        """The Gauss-Newton part of the Hessian of f at x ``(B, d, d + 1)``, ``(B, n, n)`` in float64, n = d (d + 1)."""
        matrix = self._curvature(x)
        return matrix if self._regularizer is None else matrix + self._regularizer.curvature(x)

    def value_gradient_curvature(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.value_and_gradient(x), self.curvature(x)

    def minimize(
        self, freedom: Freedom, *, iterations: int, unit: float, curved: bool, tolerance: float, check: Callable[[], None]
    ) -> Minimum:
        function = ParametrizedObjective(self, freedom)
        return minimize(
            function,
            freedom.origin,
            iterations=iterations,
            unit=unit,
            curvature=function.curvature(freedom.origin) if curved else None,
            tolerance=tolerance,
            check=check,
        )


class Objective(BatchCriterion):
    """The criterion in torch, on any device; fixed and moving are ``(B, C, *S)`` with the channels of the data term."""

    def __init__(self, fixed: Tensor, moving: Tensor, data_term: DataTerm = mean_squares, regularizer: Distortion | None = None):
        self._fixed, self._moving, self._data_term, self._regularizer = fixed, moving, data_term, regularizer

    def __len__(self) -> int:
        return len(self._fixed)

    def _value(self, x: Tensor) -> Tensor:
        return self._data_term.at(self._fixed, self.warped(x), x[..., :-1])[0]

    def _value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        grid = self._grid(x)
        value, cotangent, by_matrix = self._data_term.at(self._fixed, sample(self._moving, grid), x[..., :-1])
        gradient = pull_back(grid_derivative(self._moving, grid, cotangent))
        if by_matrix is not None:
            gradient[..., :-1] += by_matrix
        return value, gradient

    def _curvature(self, x: Tensor) -> Tensor:
        grid = self._grid(x)
        roots = self._data_term.curvature_roots(self._fixed, sample(self._moving, grid), x[..., :-1])
        return torch.stack([normal_matrix(grid_derivative(self._moving, grid, root)) for root in roots]).sum(0)

    def shares(self, x: Tensor) -> Tensor:
        return shares(self._fixed, self.warped(x))

    def select(self, rows: Tensor) -> Self:
        regularizer = None if self._regularizer is None else self._regularizer.select(rows)
        return type(self)(self._fixed[rows], self._moving[rows], self._data_term, regularizer)

    def _grid(self, x: Tensor) -> Tensor:
        return mapped_grid(x, self._fixed.shape[2:], self._moving.dtype)

    def warped(self, x: Tensor) -> Tensor:
        """moving o phi_x on the fixed grid, ``(B, C, *S)``."""
        return sample(self._moving, self._grid(x))


class AcrossDevices(BatchCriterion):
    """A criterion of images on a GPU, for maps on the CPU, in whose time a GPU would not begin with matrices this small; maps on the GPU,
    as in training, stay there."""

    def __init__(self, images: BatchCriterion, device: torch.device, regularizer: Distortion | None = None):
        self._images, self._device, self._regularizer = images, device, regularizer

    def __len__(self) -> int:
        return len(self._images)

    def _value(self, x: Tensor) -> Tensor:
        return self._images.value(x.to(self._device)).to(x.device)

    def _value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = self._images.value_and_gradient(x.to(self._device))
        return value.to(x.device), gradient.to(x.device)

    def _curvature(self, x: Tensor) -> Tensor:
        return self._images.curvature(x.to(self._device)).to(x.device)

    def shares(self, x: Tensor) -> Tensor:
        return self._images.shares(x.to(self._device)).to(x.device)

    def select(self, rows: Tensor) -> Self:
        regularizer = None if self._regularizer is None else self._regularizer.select(rows.to(self._regularizer.inverse.device))
        return type(self)(self._images.select(rows.to(self._device)), self._device, regularizer)


class ParametrizedObjective:
    """f as a function of the free parameters p ``(B, n)`` of the pairs."""

    def __init__(self, objective: BatchCriterion, freedom: Freedom):
        self._objective, self._freedom = objective, freedom

    def value_and_gradient(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """f ``(B,)`` and df/dp ``(B, n)``."""
        value, gradient = self._objective.value_and_gradient(self._freedom.maps(p))
        return value, (gradient.flatten(1)[:, None] @ self._freedom.jacobian(p))[:, 0]

    def curvature(self, p: Tensor) -> Tensor:
        """The Gauss-Newton part of the Hessian with respect to p, ``(B, n, n)``."""
        jacobian = self._freedom.jacobian(p)
        return jacobian.mT @ self._objective.curvature(self._freedom.maps(p)) @ jacobian

    def select(self, rows: Tensor) -> "ParametrizedObjective":
        """The function of the pairs ``rows`` (indices) only."""
        return ParametrizedObjective(self._objective.select(rows), self._freedom.select(rows))
