"""Contrast and uneven brightness of the moving image; noise and crops are tested with the pairs."""

import math

import pytest
import torch

from MetaAffineRegTrainingLib.appearance import Disturbances
from MetaAffineRegTrainingLib.draws import Draws

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])


def applied(d, moving, **options):
    return Disturbances(0.0, **options).applied(torch.zeros_like(moving), moving, Draws(1, 0, 0, len(moving)))


@DIMENSIONS
def test_contrast_raises_intensities_to_a_power_within_its_bounds_and_keeps_their_order(d):
    ramp = torch.linspace(-1.5, 1.5, 16).view(1, 1, 16, *(1,) * (d - 1)).expand(300, 1, *(16,) * d)
    fixed, moving = applied(d, ramp, contrast=math.log(2))
    assert float(fixed.abs().max()) == 0
    profile = moving.movedim(2, -1)[:, 0].flatten(1, -2)[:, 0]
    assert bool((profile.diff(dim=1) > 0).all())
    power = profile[:, -1].log() / math.log(1.5)
    assert 0.5 <= float(power.min()) + 1e-4 < 0.55 and 1.8 < float(power.max()) <= 2.0 + 1e-4
    torch.testing.assert_close(
        profile,
        ramp[0, 0].movedim(0, -1).flatten(0, -2)[0].sign() * ramp[0, 0].movedim(0, -1).flatten(0, -2)[0].abs() ** power[:, None],
        atol=1e-4,
        rtol=1e-3,
    )


@DIMENSIONS
def test_curve_is_monotone_rises_or_falls_and_leaves_the_background(d):
    ramp = torch.linspace(0, 1, 17).view(1, 1, 17, *(1,) * (d - 1)).expand(200, 1, *(17,) * d)
    profile = applied(d, ramp, curve=1.0)[1].movedim(2, -1)[:, 0].flatten(1, -2)[:, 0]
    assert float(profile[:, 0].abs().max()) == 0
    change = profile[:, 1:].diff(dim=1)
    rising = (change >= -1e-6).all(1)
    assert bool((rising ^ (change <= 1e-6).all(1)).all())
    assert 0.35 < float(rising.double().mean()) < 0.65
    assert float(profile[:, 1:].min()) >= 0.05 and float(profile.max()) <= 1.0 + 1e-6
    span = (profile[:, -1] - profile[:, 1]).abs()
    assert float(span.max()) <= 0.7 and float(span.min()) > 0.1  # never flat


def test_curve_changes_the_share_of_the_pairs_asked_for():
    image = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = (applied(2, image, curve=0.3)[1] != image).flatten(1).any(1)
    assert 0.2 < float(changed.double().mean()) < 0.4


@DIMENSIONS
def test_bias_is_a_smooth_positive_factor_of_the_spread_asked_for(d):
    fields = applied(d, torch.ones(200, 1, *(16,) * d), bias=0.2)[1]
    assert float(fields.min()) > 0
    corners = fields[(slice(None), 0, *(0,) * d)].log()
    assert float(corners.std()) == pytest.approx(0.2, rel=0.25) and abs(float(corners.mean())) < 0.06
    steps = fields.log().diff(dim=-1).abs()
    assert float(steps.max()) < 0.25 * float(fields.log().std() * 6)


def test_zero_stays_zero_whatever_the_contrast_and_brightness():
    """The background is what images are filled with beyond their border."""
    assert float(applied(2, torch.zeros(5, 1, 8, 8), contrast=1.0, bias=0.5)[1].abs().max()) == 0
