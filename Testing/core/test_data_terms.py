"""Data terms: their values by hand, their derivatives against autograd, and what lies outside."""

import pytest
import torch

from MetaAffineRegLib.data_terms import OVERLAP_FLOOR, mean_squares, overlap_mean_squares

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
SHAPES = {2: (9, 8), 3: (6, 5, 4)}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covered(values, coverage):
    """Images with their coverage; values count from the background, so they vanish where nothing is."""
    return torch.cat((values * coverage, coverage), 1)


def some_pair(d, share):
    """Fixed and warped images whose coverages are smooth and overlap in about ``share`` of the samples."""
    shape = (3, 1, *SHAPES[d])
    fraction = torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    reach = torch.arange(SHAPES[d][-1]) < share * SHAPES[d][-1]
    return covered(random(*shape), 0.5 + fraction / 2), covered(random(*shape, seed=1), (0.5 + fraction.flip(-1) / 2) * reach)


def test_mean_squares_by_hand():
    fixed, warped = torch.zeros(2, 1, 2, 2), torch.tensor([1.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    value, derivative = mean_squares(fixed, warped)
    assert value.dtype == torch.float64 and value.tolist() == [1.0, 4.0]
    torch.testing.assert_close(derivative, warped * 2 / 4)


@DIMENSIONS
def test_mean_squares_derivative(d):
    fixed, warped = random(3, 1, *SHAPES[d]), random(3, 1, *SHAPES[d], seed=1).requires_grad_()
    value, derivative = mean_squares(fixed, warped)
    (expected,) = torch.autograd.grad(value.sum(), warped)
    torch.testing.assert_close(derivative.detach(), expected)


@DIMENSIONS
@pytest.mark.parametrize("share", [1.0, 0.6, 0.15, 0.0], ids=["whole", "border", "below the floor", "outside"])
def test_overlap_derivative_of_values_and_of_coverage(d, share):
    fixed, warped = some_pair(d, share)
    overlap = (fixed[:, 1:] * warped[:, 1:]).square().sum() / fixed[:, 1:].square().sum()
    assert (float(overlap) < OVERLAP_FLOOR) == (share < 0.2)
    warped = warped.requires_grad_()
    value, derivative = overlap_mean_squares(fixed, warped)
    (expected,) = torch.autograd.grad(value.sum(), warped)
    torch.testing.assert_close(derivative.detach(), expected)


@DIMENSIONS
def test_overlap_derivative_against_central_differences(d):
    """Autograd could agree with a value that is wrong in the same way; differences of the value could not."""
    fixed, warped = some_pair(d, 0.6)
    _, derivative = overlap_mean_squares(fixed, warped)
    step = 1e-6 * random(*warped.shape, seed=7)
    difference = overlap_mean_squares(fixed, warped + step)[0] - overlap_mean_squares(fixed, warped - step)[0]
    torch.testing.assert_close((derivative * step).flatten(1).sum(1), difference / 2, rtol=1e-5, atol=1e-13)


@DIMENSIONS
def test_both_terms_agree_where_both_images_are_everywhere(d):
    one = torch.ones(3, 1, *SHAPES[d], dtype=torch.float64)
    fixed, warped = covered(random(3, 1, *SHAPES[d]), one), covered(random(3, 1, *SHAPES[d], seed=1), one)
    torch.testing.assert_close(overlap_mean_squares(fixed, warped)[0], mean_squares(fixed[:, :1], warped[:, :1])[0])


@DIMENSIONS
def test_what_one_image_lacks_does_not_count(d):
    """Half of the warped image is missing; the other half is off by 0.5: the mean square is 0.25, not 0.125 nor more."""
    fixed = covered(random(1, 1, *SHAPES[d]), torch.ones(1, 1, *SHAPES[d], dtype=torch.float64))
    half = (torch.arange(SHAPES[d][-1]) < SHAPES[d][-1] / 2).double().expand(1, 1, *SHAPES[d])
    value, _ = overlap_mean_squares(fixed, covered(fixed[:, :1] + 0.5, half))
    assert float(value) == pytest.approx(0.25)


@DIMENSIONS
def test_no_overlap_costs_the_fixed_image_s_mean_square(d):
    fixed, _ = some_pair(d, 1.0)
    value, _ = overlap_mean_squares(fixed, torch.zeros_like(fixed))
    area = fixed[:, 1:].square().flatten(1).sum(1)
    torch.testing.assert_close(value, fixed[:, :1].square().flatten(1).sum(1) / area)


@DIMENSIONS
def test_value_is_continuous_at_the_floor(d):
    """Coverage scaled through the floor: no jump that a line search could fall into."""
    fixed, warped = (images[:1] for images in some_pair(d, 0.6))
    area, overlap = fixed[:, 1:].square().sum(), (fixed[:, 1:] * warped[:, 1:]).square().sum()
    at_floor = torch.sqrt(OVERLAP_FLOOR * area / overlap)
    below, above = (overlap_mean_squares(fixed, warped * at_floor * (1 + e))[0] for e in (-1e-7, 1e-7))
    assert float((below - above).abs()) < 1e-5 * float(above)


@DIMENSIONS
@pytest.mark.parametrize("term", [mean_squares, overlap_mean_squares])
def test_row_of_a_batch_has_the_bits_it_has_alone(term, d):
    fixed, warped = (images.float() for images in some_pair(d, 0.6))
    value, derivative = term(fixed, warped)
    for row in range(3):
        alone = term(fixed[row : row + 1], warped[row : row + 1])
        assert torch.equal(alone[0], value[row : row + 1]) and torch.equal(alone[1], derivative[row : row + 1])
