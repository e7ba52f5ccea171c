"""Equation (8) in closed form, against the sum over a real grid."""

import pytest
import torch

from MetaAffineRegLib.affine import identity, mean_squared_distance
from MetaAffineRegLib.sampling import mapped_grid
from MetaAffineRegTrainingLib.losses import root_mean_squared_distance

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])


def maps(d, seed):
    return identity(4, d) + 0.3 * torch.randn(4, d, d + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@DIMENSIONS
def test_closed_form_is_the_mean_over_a_grid(d):
    """The coordinates of n samples have variance (1 - 1 / n^2) / 3; at n = 64 the rest is below 3e-4."""
    shape = (64,) * d
    x, truth = maps(d, 0), maps(d, 1)
    difference = mapped_grid(x, shape, torch.float64) - mapped_grid(truth, shape, torch.float64)
    expected = difference.square().sum(-1).flatten(1).mean(1)
    torch.testing.assert_close(mean_squared_distance(x, truth), expected, rtol=3e-4, atol=0)


@DIMENSIONS
def test_losses_vanish_at_the_truth_alone_and_have_a_gradient_there(d):
    x = maps(d, 0)
    assert torch.equal(mean_squared_distance(x, x), torch.zeros(4, dtype=torch.float64))
    free = x.clone().requires_grad_()
    root_mean_squared_distance(free, x).sum().backward()
    assert bool(torch.isfinite(free.grad).all())


@DIMENSIONS
def test_root_weighs_large_errors_less(d):
    x, truth = maps(d, 0), maps(d, 1)
    torch.testing.assert_close(root_mean_squared_distance(x, truth).square(), mean_squared_distance(x, truth), rtol=1e-4, atol=1e-5)
