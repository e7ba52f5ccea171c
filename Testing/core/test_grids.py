"""Grids of a batch: values and coverage on every level, the channels a criterion wants, the way back, costs."""

import numpy as np
import pytest
import torch

from core.made_images import affine, lattice, made
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.data_terms import mean_squares, overlap_mean_squares, unexplained_content
from MetaAffineRegLib.fused_images import rows_of
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.normalized_gradients import normalized_gradients
from MetaAffineRegLib.objective import Objective
from MetaAffineRegLib.regularizer import Distortion

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
SIZES = {2: (16, 32, 64), 3: (8, 16)}


def grids(d, count=2):
    n = 64 if d == 2 else 20
    geometry = lattice((n, n - 4, n if d == 3 else 1), (90 / n,) * 3)
    pairs = [(made(geometry, seed=seed), made(geometry, affine(8, (3, -2, 0)), seed)) for seed in range(count)]
    frames = [pair_frame(fixed.geometry, moving.geometry) for fixed, moving in pairs]
    return PairGrids.of(pairs, frames, SIZES[d], dtype=torch.float32, device=torch.device("cpu"))


@DIMENSIONS
def test_levels_hold_values_and_coverage(d):
    """Values of spread one; the lattice is a little narrower than its square frame, which the coverage tells."""
    batch = grids(d)
    assert len(batch) == 2 and batch.dimension == d and batch.finest == max(SIZES[d])
    for images in (batch.fixed, batch.moving):
        assert set(images) == set(SIZES[d])
        for size, stack in images.items():
            assert stack.shape == (2, 2, *(size,) * d) and stack.dtype == torch.float32
            assert 0.8 < float(stack[:, 0].abs().max()) < 1.5
            narrow = 1 - 4 / (64 if d == 2 else 20)
            assert float(stack[:, 1].mean()) == pytest.approx(narrow, abs=0.05)
            assert float(stack[:, 1].min()) >= 0 and float(stack[:, 1].max()) <= 1 + 1e-6


@DIMENSIONS
def test_criterion_takes_the_channels_it_knows(d):
    batch, size = grids(d), SIZES[d][0]
    for term, channels in ((mean_squares, 1), (overlap_mean_squares, 2), (unexplained_content, 2)):
        assert batch.objective(size, term).warped(identity(2, d)).shape == (2, channels, *(size,) * d)


@DIMENSIONS
def test_criterion_takes_the_regularizer(d):
    batch, x = grids(d), identity(2, d)
    x[:, 0, 0] = 1.3
    term = Distortion(identity(2, d)[..., :-1], 0.5)
    with_it, without = (batch.objective(16, unexplained_content, regularizer).value(x) for regularizer in (term, None))
    torch.testing.assert_close(with_it - without, torch.full((2,), 0.5 * np.log(1.3) ** 2 / d, dtype=torch.float64))


@DIMENSIONS
def test_swapped_is_the_way_back(d):
    batch = grids(d)
    back = batch.swapped()
    for size in SIZES[d]:
        assert torch.equal(back.fixed[size], batch.moving[size]) and torch.equal(back.moving[size], batch.fixed[size])


@DIMENSIONS
def test_cost_is_the_share_of_samples(d):
    batch = grids(d)
    assert batch.cost(max(SIZES[d])) == 1
    assert batch.cost(SIZES[d][0]) == pytest.approx((SIZES[d][0] / max(SIZES[d])) ** d)


@DIMENSIONS
@pytest.mark.parametrize("term", [unexplained_content, normalized_gradients])
def test_criterion_by_one_row_in_two_has_the_numbers_of_these_rows_alone(d, term):
    """In torch and compiled; where rows are left out the fixed image shows nothing, and half of the rows say about the same as all."""
    batch, size = grids(d), SIZES[d][-1]
    kept = rows_of(batch.fixed[size], 2)
    assert kept.mean() == 0.5 and (d == 2 or not torch.equal(kept[0], kept[1]))
    x = identity(2, d)
    x[:, 0, d] = 0.05
    channels = term.fixed_channels(batch.fixed[size]) * kept
    expected = Objective(channels, term.moving_channels(batch.moving[size]), term)
    for backend in ("torch", "numba"):
        thinned = PairGrids(batch.fixed, batch.moving, backend).objective(size, term, every=2)
        value, gradient = thinned.value_and_gradient(x)
        torch.testing.assert_close(value, expected.value(x), rtol=1e-5, atol=1e-6)
        scale = float(gradient.abs().max())
        assert float((gradient - expected.value_and_gradient(x)[1]).abs().max()) < 5e-3 * scale
    whole = batch.objective(size, term).value(x)
    assert not torch.equal(value, whole) and float((value - whole).abs().max()) < 0.1
