"""Equation (8): the mean squared distance between two maps over the image grid."""

from torch import Tensor

from MetaAffineRegLib.affine import mean_squared_distance


def root_mean_squared_distance(x: Tensor, truth: Tensor) -> Tensor:
    """The root of equation (8), smooth at zero: with the square alone the widest deformations outweigh all others."""
    return (mean_squared_distance(x, truth) + 1e-6).sqrt()
