"""The share of the content left unexplained: its two ends, what it ignores, its derivative, and images that show nothing."""

import pytest
import torch

from MetaAffineRegLib.data_terms import CONTENT_FLOOR, UnexplainedContent, UnexplainedSide, overlap, unexplained_content, unexplained_sides

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
SHAPES = {2: (24, 20), 3: (10, 9, 8)}
SCALE = 0.15
# share of the grid that the warped image reaches; content below the floor from 0.3 on
REACHES = {"whole": 1.0, "border": 0.7, "below the floor": 0.15, "outside": 0.0}


def noise(d, seed, count=3):
    return torch.randn(count, 1, *SHAPES[d], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shown(values, coverage=None):
    """An image with its coverage; values count from the background, so they vanish where nothing is."""
    coverage = torch.ones_like(values) if coverage is None else coverage
    return torch.cat((values * coverage, coverage), 1)


def reaching(d, share):
    """Smooth coverage of the first ``share`` of the columns."""
    columns = torch.arange(SHAPES[d][-1], dtype=torch.float64)
    return (share * SHAPES[d][-1] - columns).clamp(0, 1).expand(3, 1, *SHAPES[d])


def rho(values, scale=SCALE):
    return values.square() / (1 + (values / scale).square())


def some_pair(d, place):
    fixed = shown(0.2 * noise(d, 0))
    return fixed, shown(fixed[:, :1] + 0.2 * noise(d, 1), reaching(d, REACHES[place]))


def test_value_by_hand():
    """Two samples: one where both show 1, one where the fixed image shows 1 and the moving one 0."""
    fixed, warped = shown(torch.tensor([[[[1.0, 1.0]]]])), shown(torch.tensor([[[[1.0, 0.0]]]]))
    value, _ = UnexplainedContent(0.5)(fixed, warped)
    one = 1 / (1 + 4)
    assert value.dtype == torch.float64
    assert float(value) == pytest.approx(one / (3 * one))


@DIMENSIONS
def test_same_image_leaves_nothing_unexplained(d):
    fixed = shown(noise(d, 0))
    value, derivative = unexplained_content(fixed, fixed.clone())
    assert value.tolist() == [0, 0, 0]
    assert float(derivative.abs().max()) == 0


@DIMENSIONS
def test_strangers_leave_all_of_it_unexplained(d):
    """What one shows the other does not: 1.  Noise far below the scale is the same in the mean: the variance of a difference."""
    left = (torch.arange(SHAPES[d][-1]) < SHAPES[d][-1] / 2).double()
    value, _ = unexplained_content(shown(left * noise(d, 0)), shown((1 - left) * noise(d, 1)))
    torch.testing.assert_close(value, torch.ones_like(value))
    value, _ = unexplained_content(shown(0.01 * noise(d, 0)), shown(0.01 * noise(d, 1)))
    torch.testing.assert_close(value, torch.ones_like(value), atol=0.15, rtol=0)


@DIMENSIONS
def test_exchange_changes_nothing_above_the_floor(d):
    fixed, warped = some_pair(d, "border")
    torch.testing.assert_close(unexplained_content(fixed, warped)[0], unexplained_content(warped, fixed)[0])


@DIMENSIONS
@pytest.mark.parametrize("place", ["whole", "border", "below the floor"])
@pytest.mark.parametrize("gain", [0.01, 40.0])
def test_gain_cancels_with_its_scale(d, place, gain):
    """Brightness in other units, the scale in the same: the same share."""
    fixed, warped = some_pair(d, place)
    louder = [torch.cat((gain * image[:, :1], image[:, 1:]), 1) for image in (fixed, warped)]
    torch.testing.assert_close(UnexplainedContent(gain * SCALE)(*louder)[0], unexplained_content(fixed, warped)[0])


@DIMENSIONS
def test_gain_cancels_without_its_scale_where_contrasts_are_small(d):
    fixed, warped = (torch.cat((1e-3 * image[:, :1], image[:, 1:]), 1) for image in some_pair(d, "border"))
    fainter = [torch.cat((0.1 * image[:, :1], image[:, 1:]), 1) for image in (fixed, warped)]
    torch.testing.assert_close(unexplained_content(*fainter)[0], unexplained_content(fixed, warped)[0], rtol=1e-3, atol=0)


@DIMENSIONS
def test_overlap_of_backgrounds_gains_nothing(d):
    """A wider border of background around both images: mean squares would fall, the share stays."""
    fixed, warped = some_pair(d, "whole")
    wider = [torch.nn.functional.pad(image, (3,) * 2 * d) for image in (fixed, warped)]
    for image in wider:
        image[:, 1] = 1
    torch.testing.assert_close(unexplained_content(*wider)[0], unexplained_content(fixed, warped)[0])


@DIMENSIONS
def test_difference_far_above_the_scale_does_not_pull(d):
    """Where a slab was cut away the derivative is a thousandth of what a difference of half the scale would have."""
    fixed = shown(torch.zeros(1, 1, *SHAPES[d], dtype=torch.float64))
    fixed[:, 0] = 5.0
    pulls = []
    for difference in (SCALE / 2, 4.0):
        warped = fixed.clone()
        warped[0, 0].view(-1)[0] -= difference
        term = unexplained_content(fixed, warped)[1][0, 0].view(-1)
        pulls.append(float((term[0] - term[1]).abs()))  # what all samples share is the change of the content
    assert pulls[1] < 1e-3 * pulls[0]


@DIMENSIONS
@pytest.mark.parametrize("place", REACHES)
def test_derivative_against_autograd_and_central_differences(d, place):
    fixed, warped = some_pair(d, place)
    content = rho(warped[:, 1:] * fixed[:, :1]).sum() + rho(fixed[:, 1:] * warped[:, :1]).sum()
    assert (float(content) < 2 * CONTENT_FLOOR * float(rho(fixed[:, :1]).sum())) == (REACHES[place] < 0.3)
    value, derivative = unexplained_content(fixed, warped)
    step = 1e-6 * torch.cat((noise(d, 7), noise(d, 8)), 1)
    difference = unexplained_content(fixed, warped + step)[0] - unexplained_content(fixed, warped - step)[0]
    torch.testing.assert_close((derivative * step).flatten(1).sum(1), difference / 2, rtol=1e-5, atol=1e-12)
    warped = warped.clone().requires_grad_()
    a, b = warped[:, 1:] * fixed[:, :1], fixed[:, 1:] * warped[:, :1]
    cost, explained = (rho(b - a).flatten(1).sum(1), (rho(a) + rho(b)).flatten(1).sum(1))
    floor = 2 * CONTENT_FLOOR * rho(fixed[:, 1:] * fixed[:, :1]).flatten(1).sum(1)
    by_definition = (cost + (floor - explained).clamp_min(0)) / torch.maximum(explained, floor)
    torch.testing.assert_close(value, by_definition)
    (expected,) = torch.autograd.grad(by_definition.sum(), warped)
    torch.testing.assert_close(derivative, expected)


@DIMENSIONS
def test_missing_content_counts_as_unexplained_and_without_a_jump(d):
    """A perfect match on less and less of the fixed image: nothing down to the floor, then more and more, 1 in the end."""
    fixed = shown(noise(d, 0))
    values = [unexplained_content(fixed, shown(fixed[:, :1], reaching(d, share)))[0] for share in torch.linspace(1, 0, 200).tolist()]
    table = torch.stack(values)
    assert bool((table[:80] < 0.1).all())  # only a column at the border is covered by half
    torch.testing.assert_close(table[-1], torch.ones(3, dtype=torch.float64))
    lost = table[120:]
    assert bool((lost.diff(dim=0) > -1e-9).all())
    assert float(lost.diff(dim=0).abs().max()) < 0.1


@DIMENSIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("empty", ["fixed", "warped", "both", "nowhere"])
def test_empty_images_give_finite_numbers(d, dtype, empty):
    """Nothing shown, or shown nowhere: no value that is not finite, and nothing to explain where neither shows anything."""
    fixed, warped = (image.to(dtype) for image in some_pair(d, "whole"))
    if empty in ("fixed", "both"):
        fixed[:, 0] = 0
    if empty in ("warped", "both"):
        warped[:, 0] = 0
    if empty == "nowhere":
        warped = torch.zeros_like(warped)
    value, derivative = unexplained_content(fixed, warped)
    root = unexplained_content.curvature_root(fixed, warped)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in (value, derivative, root))
    expected = 0.0 if empty == "both" else 1.0
    torch.testing.assert_close(value, torch.full((3,), expected, dtype=torch.float64))


@DIMENSIONS
def test_row_of_a_batch_has_the_bits_it_has_alone(d):
    fixed, warped = (image.float() for image in some_pair(d, "border"))
    value, derivative = unexplained_content(fixed, warped)
    for row in range(3):
        alone = unexplained_content(fixed[row : row + 1], warped[row : row + 1])
        assert torch.equal(alone[0], value[row : row + 1]) and torch.equal(alone[1], derivative[row : row + 1])


@DIMENSIONS
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_overlap_is_the_share_of_the_fixed_image(d, share):
    fixed, warped = shown(noise(d, 0)), shown(noise(d, 1), reaching(d, share))
    assert overlap(fixed, warped).tolist() == pytest.approx([share] * 3)


@DIMENSIONS
def test_one_side_is_explained_where_the_other_lacks_a_slab(d):
    """A quarter is blanked in one image: what the blanked one shows is explained, and of the other a quarter is not."""
    whole = shown(torch.ones(1, 1, *SHAPES[d], dtype=torch.float64))
    blanked = whole.clone()
    blanked[:, 0, ..., : SHAPES[d][-1] // 4] = 0
    for fixed, moving, expected in ((whole, blanked, (0.25, 0.0)), (blanked, whole, (0.0, 0.25))):
        found = [float(side(fixed, moving)[0]) for side in unexplained_sides]
        assert found == pytest.approx(expected, abs=0.01)


@DIMENSIONS
def test_neither_side_of_strangers_is_explained(d):
    left = (torch.arange(SHAPES[d][-1]) < SHAPES[d][-1] / 2).double().expand(1, 1, *SHAPES[d])
    found = [float(side(shown(left), shown(1 - left))[0]) for side in unexplained_sides]
    assert found == pytest.approx((1, 1), abs=0.02)


@DIMENSIONS
@pytest.mark.parametrize("place", REACHES)
@pytest.mark.parametrize("moving", [False, True])
def test_derivative_of_one_side_against_autograd_and_central_differences(d, place, moving):
    fixed, warped = some_pair(d, place)
    side = UnexplainedSide(SCALE, moving)
    value, derivative = side(fixed, warped)
    step = 1e-6 * torch.cat((noise(d, 7), noise(d, 8)), 1)
    difference = side(fixed, warped + step)[0] - side(fixed, warped - step)[0]
    torch.testing.assert_close((derivative * step).flatten(1).sum(1), difference / 2, rtol=1e-5, atol=1e-12)
    warped = warped.clone().requires_grad_()
    a, b = warped[:, 1:] * fixed[:, :1], fixed[:, 1:] * warped[:, :1]
    content = rho(b if moving else a)
    cost = (rho(b - a) * content / SCALE**2).flatten(1).sum(1)
    content, floor = content.flatten(1).sum(1), CONTENT_FLOOR * rho(fixed[:, 1:] * fixed[:, :1]).flatten(1).sum(1)
    by_definition = (cost + (floor - content).clamp_min(0)) / torch.maximum(content, floor)
    torch.testing.assert_close(value, by_definition)
    (expected,) = torch.autograd.grad(by_definition.sum(), warped)
    torch.testing.assert_close(derivative, expected)
