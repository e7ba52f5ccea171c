"""Correlation, local correlation and mutual information: by definition, their exact gradients, and what a contrast changes (nothing)."""

import dataclasses

import numpy as np
import pytest
import torch

from core.made_images import affine, distance, lattice, made
from core.test_normalized_gradients import images, objective, other_contrast, truth_of
from core.test_objective import SHIFTS, SIZE, at
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.correlation import Correlation, LocalCorrelation, correlation, local_correlation
from MetaAffineRegLib.data_terms import CONTENT_FLOOR
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.lbfgs import damped_inverse
from MetaAffineRegLib.mutual_information import MutualInformation, mutual_information
from MetaAffineRegLib.normalized_gradients import normalized_gradients
from MetaAffineRegLib.registration import Settings, register

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
TERMS = pytest.mark.parametrize("term", [correlation, local_correlation, mutual_information], ids=["global", "local", "information"])


def changed(image, gain, offset):
    """Other values where there is an image."""
    return torch.cat(((gain * image[:, :1] + offset) * image[:, 1:], image[:, 1:]), 1)


def contrast_for(term, image):
    """One that the term does not see: uneven brightness, any curve, or a gain of the other sign and an offset."""
    if term is local_correlation:
        return other_contrast(image)
    values = image[:, :1].clamp(0, 1)
    return torch.cat((1 - values.sqrt(), image[:, 1:]), 1) if term is mutual_information else changed(image, -0.7, 0.4)


def histogram_by_definition(term, fixed, warped):
    """Joint histograms ``(B, bins, bins)`` from the B-spline's definition, differentiable by autograd."""
    bins = torch.arange(term.bins, dtype=fixed.dtype)
    place = warped[:, 1:].clamp_min(1e-6).reciprocal() * warped[:, :1]
    distances = (place[..., None] - bins).abs()
    near = 2 / 3 - distances**2 + distances**3 / 2
    spline = torch.where(distances < 1, near, (2 - distances).clamp_min(0) ** 3 / 6)
    where = (fixed[:, :1, ..., None] == bins).to(fixed)
    weight = (fixed[:, 1:] * warped[:, 1:])[..., None]
    return torch.einsum("bnk,bnl->bkl", (weight * where).flatten(1, -2), spline.flatten(1, -2))


def entropies(joint):
    def entropy(shares):
        return -(shares * shares.clamp_min(1e-30).log()).sum(-1)

    shares = joint / joint.sum((1, 2), keepdim=True)
    return entropy(shares.sum(2)), entropy(shares.sum(1)), entropy(shares.flatten(1))


@DIMENSIONS
def test_correlation_is_one_minus_the_square_of_the_coefficient(d):
    fixed, moving = images(d)
    value = objective(fixed, moving, correlation).value(identity(3, d))
    for row in range(3):
        r = np.corrcoef(fixed[row, 0].flatten(), moving[row, 0].flatten())[0, 1]
        assert float(value[row]) == pytest.approx(1 - r**2, rel=1e-3)


@DIMENSIONS
def test_correlation_is_the_least_of_mean_squares_over_gain_and_offset(d):
    fixed, moving = images(d)
    value = objective(fixed, moving, correlation).value(identity(3, d))
    for row in range(3):
        f, m = fixed[row, 0].flatten(), moving[row, 0].flatten()
        both = torch.stack((m, torch.ones_like(m)), 1)
        residual = f - both @ torch.linalg.lstsq(both, f[:, None]).solution[:, 0]
        assert float(value[row]) == pytest.approx(float(residual.square().sum() / (f - f.mean()).square().sum()), rel=1e-3)


@DIMENSIONS
def test_local_correlation_window_by_window(d):
    """The formula of the class, written out for windows of four samples a side, two apart."""
    fixed, moving = images(d, 1, 8)
    term = LocalCorrelation(2, 0.1)
    cost = content = 0.0
    for corner in np.ndindex(*(3,) * d):
        window = tuple(slice(2 * c, 2 * c + 4) for c in corner)
        f, m = (image[0, 0][window].flatten().numpy() for image in (fixed, moving))
        covariance = np.cov(f, m, bias=True)
        vf, vm, both = covariance[0, 0], covariance[1, 1], covariance[0, 1]
        shown = ((vf / (vf + 0.01)) ** 2 + (vm / (vm + 0.01)) ** 2) / 2
        cost += shown - both**2 / ((vf + 0.01) * (vm + 0.01))
        content += shown
    assert float(objective(fixed, moving, term).value(identity(1, d))) == pytest.approx(cost / content, rel=1e-4)


@DIMENSIONS
@pytest.mark.parametrize("place", ["inside", "border"])
def test_mutual_information_by_definition_and_its_gradient_against_autograd(d, place):
    fixed, moving = images(d)
    f = objective(fixed, moving, mutual_information)
    warped = f.warped(at(d, SHIFTS[place])).requires_grad_()
    joint = histogram_by_definition(mutual_information, f._fixed, warped)
    h_f, h_m, h_both = entropies(joint)
    content = joint.sum((1, 2)) * (h_f + h_m) / 2
    counts = histogram_by_definition(mutual_information, f._fixed, f._fixed).sum(2)
    shares = counts / counts.sum(1, keepdim=True)
    floor = CONTENT_FLOOR * f._fixed[:, 1].flatten(1).sum(1) * -(shares * shares.clamp_min(1e-30).log()).sum(1)
    cost = content - joint.sum((1, 2)) * (h_f + h_m - h_both)
    value = (cost + (floor - content).clamp_min(0)) / torch.maximum(content, floor)
    (expected,) = torch.autograd.grad(value.sum(), warped)
    found, gradient, _ = mutual_information.at(f._fixed, warped.detach(), None)
    torch.testing.assert_close(found, value.detach())
    shown = warped.detach()[:, 1:] > 0  # elsewhere no map comes near a sample: there is no derivative to speak of
    torch.testing.assert_close(gradient * shown, expected * shown, atol=1e-9, rtol=1e-5)
    if place == "inside":
        torch.testing.assert_close(found, (1 - 2 * (h_f + h_m - h_both) / (h_f + h_m)).detach())


@DIMENSIONS
@pytest.mark.parametrize("term", [correlation, local_correlation, LocalCorrelation(4, 0.1)])
@pytest.mark.parametrize("place", SHIFTS)
def test_gradient_against_autograd(d, term, place):
    f, x = objective(*images(d), term), at(d, SHIFTS[place]).requires_grad_()
    (expected,) = torch.autograd.grad(f.value(x).sum(), x)
    torch.testing.assert_close(f.value_and_gradient(x.detach())[1], expected, atol=1e-12, rtol=1e-7)


@DIMENSIONS
@TERMS
@pytest.mark.parametrize("place", SHIFTS)
def test_gradient_against_central_differences(d, term, place):
    f, x = objective(*images(d), term), at(d, SHIFTS[place])
    gradient = f.value_and_gradient(x)[1]
    h = 1e-8
    found = torch.empty_like(x)
    for row in range(d):
        for column in range(d + 1):
            step = torch.zeros_like(x)
            step[:, row, column] = h
            found[:, row, column] = (f.value(x + step) - f.value(x - step)) / (2 * h)
    torch.testing.assert_close(gradient, found, atol=2e-6, rtol=1e-4)
    assert (float(gradient.abs().max()) > 1e-2) == (place != "outside")


@DIMENSIONS
@TERMS
def test_truth_is_the_best_whatever_the_contrast(d, term):
    fixed, moving = images(d, size={2: 48, 3: 24}[d])
    f, x = objective(fixed, contrast_for(term, moving), term), truth_of(d)
    least = f.value(x)
    assert bool((least < 0.9 * f.value(identity(3, d))).all())
    for offset in (0.1, -0.1):
        for coordinate in range(d):
            beside = x.clone()
            beside[:, coordinate, d] += offset
            assert bool((f.value(beside) > least).all())


@DIMENSIONS
@pytest.mark.parametrize("term", [Correlation(), LocalCorrelation(4, 1e-4), MutualInformation(32)], ids=["global", "local", "information"])
@pytest.mark.parametrize(("gain", "offset"), [(-1.0, 0.2), (0.5, 0.1)])
def test_gain_and_offset_do_not_count(d, term, gain, offset):
    fixed, moving = images(d)
    x, moving = at(d, 0.05), changed(moving, 1 / float(moving[:, 0].abs().max()), 0.0)
    torch.testing.assert_close(
        objective(fixed, changed(moving, gain, offset), term).value(x), objective(fixed, moving, term).value(x), rtol=2e-3, atol=2e-3
    )


@DIMENSIONS
@TERMS
def test_leaving_the_image_is_never_rewarded(d, term):
    f = objective(*images(d), term)
    here = f.value(truth_of(d))
    far = [f.value(at(d, shift)) for shift in (2.5, 5.0, 50.0)]
    assert all(bool((value > here).all()) for value in far)
    torch.testing.assert_close(far[0], torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(far[2], torch.ones(3, dtype=torch.float64))


@DIMENSIONS
@TERMS
def test_flat_and_missing_images_give_finite_numbers(d, term):
    flat = torch.ones(3, 2, *(SIZE[d],) * d, dtype=torch.float64)
    for pair in ((images(d)[0], flat), (flat, images(d)[0]), (flat, flat), (images(d)[0], 0 * flat)):
        f = objective(*pair, term)
        numbers = (*f.value_and_gradient(at(d, 0.1)), f.curvature(at(d, 0.1)))
        assert all(bool(torch.isfinite(tensor).all()) for tensor in numbers)


@DIMENSIONS
@TERMS
def test_curvature_leads_downhill_by_steps_of_the_right_size(d, term):
    """Symmetric, positive; its Newton step from half a sample beside the truth goes down, neither far too far nor too little."""
    n = {2: 48, 3: 24}[d]
    fixed, moving = images(d, size=n)
    noise = 0.05 * torch.randn(fixed[:, :1].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fixed = torch.cat((fixed[:, :1] + noise, fixed[:, 1:]), 1)
    f, x = objective(fixed, contrast_for(correlation, moving), term), truth_of(d)
    x[:, 0, d] += 1 / n
    value, gradient, matrix = f.value_gradient_curvature(x)
    torch.testing.assert_close(matrix, matrix.mT)
    assert bool((torch.linalg.eigvalsh(matrix)[:, 0] > 0).all())
    step = -(damped_inverse(matrix) @ gradient.flatten(1)[..., None])[..., 0].view_as(x)
    assert bool((f.value(x + step / 2) < value).all())
    assert bool((step[:, 0, d] < -0.1 / n).all()) and bool((step[:, 0, d] > -3 / n).all())


@DIMENSIONS
@TERMS
def test_selected_pairs_have_the_bits_they_have_in_the_batch(d, term):
    f, x, rows = objective(*(image.float() for image in images(d)), term), at(d, 0.1), torch.tensor([2, 0])
    value, gradient = f.value_and_gradient(x)
    part_value, part_gradient = f.select(rows).value_and_gradient(x[rows])
    assert torch.equal(part_value, value[rows]) and torch.equal(part_gradient, gradient[rows])


SLICE = lattice((100, 80, 1), (1.0, 1.2, 3.0))
TRUTH = affine(70, (6, -4, 0))


@pytest.fixture(scope="module")
def results():
    """Of each data term, for a slice and another one in other units and inverted."""
    fixed, moving = made(SLICE), made(SLICE, TRUTH)
    pair = fixed, Image.checked(500 - 3 * moving.array, SLICE)
    return {
        term: register([pair], Settings(data_term=term, device="cpu"))[0]
        for term in ("correlation", "local-correlation", "mutual-information")
    }


@pytest.mark.parametrize("term", ["correlation", "local-correlation", "mutual-information"])
def test_another_contrast_is_registered_and_edges_say_how_sure_that_is(results, term):
    found = results[term]
    assert distance(found.fixed_to_moving_lps, TRUTH, SLICE) < 1.0
    assert found.confidence.compared == term and found.status == "ok"
    assert found.criterion_after < found.criterion_before


def test_edges_are_the_witness_of_the_result():
    """Unexplained is what edges leave at the map that was found, and the margin is that of edges, not of the term."""
    from core.test_searches import settings
    from MetaAffineRegLib.plans import PLANS
    from MetaAffineRegLib.robust import robust

    pairs = [(made(SLICE), made(SLICE, TRUTH))]
    plan = dataclasses.replace(PLANS["correlation", 2], gamma=0.0)
    grids, levels, start, *rest = settings(pairs)
    with torch.no_grad():
        outcome = robust(grids, levels, start, *rest, plan)
        edges = grids.objective(levels[-1], normalized_gradients)
        torch.testing.assert_close(outcome.evidence.unexplained, edges.value(outcome.x))
        assert outcome.evidence.edges.tolist() == [True]
        if torch.isfinite(outcome.evidence.margin[0]):
            there = edges.value(outcome.evidence.runner_up) - edges.value(outcome.x)
            torch.testing.assert_close(outcome.evidence.margin, there)


def test_unknown_data_term_is_refused_with_the_ones_there_are():
    with pytest.raises(InputError, match="There is no data term 'joint'; choose auto, intensities, edges, correlation, local-correlation"):
        register([(made(SLICE), made(SLICE))], Settings(data_term="joint"))
