"""Equation (8): the mean squared distance between two maps over the image grid."""

from torch import Tensor


def mean_squared_distance(x: Tensor, truth: Tensor) -> Tensor:
    """Mean over [-1, 1]^d of |phi_x(z) - phi_truth(z)|^2, ``(B,)``; both maps ``(B, d, d + 1)``.

    In closed form: coordinates of a uniform grid have mean 0 and variance 1/3 (n to infinity).
    """
    difference = x - truth
    return difference[..., :-1].square().sum((-1, -2)) / 3 + difference[..., -1].square().sum(-1)


def root_mean_squared_distance(x: Tensor, truth: Tensor) -> Tensor:
    """Its root, smooth at zero: with the square alone the widest deformations outweigh all others."""
    return (mean_squared_distance(x, truth) + 1e-6).sqrt()
