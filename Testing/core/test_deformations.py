"""The distribution of true deformations: within its bounds, all over them, the same for the same seed."""

import math

import pytest
import torch

from MetaAffineRegLib.affine import nearest_rotation
from MetaAffineRegTrainingLib.deformations import DeformationDistribution
from MetaAffineRegTrainingLib.draws import Draws

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
PAPER = DeformationDistribution(rotation=60, translation=0.5)


def drawn(distribution, d, count=4000, seed=0):
    return distribution.sample(Draws(seed, 0, 0, count), d)


def angles(matrix):
    """Angle of rotation in degrees, unsigned."""
    d = matrix.shape[-1]
    cosine = matrix.diagonal(dim1=1, dim2=2).sum(1)
    cosine = cosine / 2 if d == 2 else (cosine - 1) / 2
    return torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))


@DIMENSIONS
def test_rotations_are_rotations_within_the_bound_and_spread_evenly(d):
    matrix = drawn(PAPER, d)[:, :, :d]
    torch.testing.assert_close(nearest_rotation(matrix), matrix)
    found = angles(matrix)
    assert float(found.max()) <= 60 + 1e-9
    for degrees in (15, 30, 45):  # uniform: four standard deviations of a share of 4000
        assert float((found < degrees).double().mean()) == pytest.approx(degrees / 60, abs=4 * 0.5 / math.sqrt(4000))


def test_planes_turn_both_ways_alike():
    sine = drawn(PAPER, 2)[:, 1, 0]
    assert float((sine > 0).double().mean()) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(4000))


def test_axes_in_space_point_everywhere():
    """The mean outer product of uniform unit vectors is a third of the identity."""
    matrix = drawn(PAPER, 3)[:, :, :3]
    axis = torch.stack([matrix[:, 2, 1] - matrix[:, 1, 2], matrix[:, 0, 2] - matrix[:, 2, 0], matrix[:, 1, 0] - matrix[:, 0, 1]], 1)
    axis = torch.nn.functional.normalize(axis, dim=1)
    torch.testing.assert_close(axis.T @ axis / len(axis), torch.eye(3, dtype=torch.float64) / 3, atol=0.03, rtol=0)
    assert float(axis.mean(0).abs().max()) < 0.05


@DIMENSIONS
def test_translations_fill_their_box(d):
    offset = drawn(PAPER, d)[:, :, d]
    assert float(offset.abs().max()) <= 0.5
    assert float(offset.abs().max()) > 0.49
    torch.testing.assert_close(offset.mean(0), torch.zeros(d, dtype=torch.float64), atol=0.03, rtol=0)
    torch.testing.assert_close(offset.std(0), torch.full((d,), 0.5 / math.sqrt(3), dtype=torch.float64), atol=0.02, rtol=0)


def test_stretch_in_the_plane_grows_with_the_angle():
    """Noise on the entries of A: standard deviation 0.15 of the angle in radians, the paper's Table 5."""
    matrix = drawn(DeformationDistribution(60, 0.5, 0.15), 2)[:, :, :2]
    plain = drawn(PAPER, 2)[:, :, :2]
    angle = torch.deg2rad(angles(plain))
    share = (matrix - plain) / angle[:, None, None]
    assert float(share.std()) == pytest.approx(0.15, rel=0.05)
    assert float(share.mean().abs()) < 0.01


@DIMENSIONS
def test_distortion_leaves_half_of_the_maps_alone_and_the_others_whatever_their_angle(d):
    """Of those distorted the standard deviation is drawn from U[0, 0.2]: a mean square of 0.2^2 / 3."""
    distribution = DeformationDistribution(60, 0.5, 0.0, 0.2)
    matrix = drawn(distribution, d)[:, :, :d]
    distortion = matrix - nearest_rotation(matrix)
    left = distortion.abs().amax((1, 2)) < 1e-12
    assert float(left.double().mean()) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(4000))
    plain = drawn(DeformationDistribution(60, 0.5), d)[:, :, :d]
    noise = (matrix - plain)[~left]
    assert float(noise.square().mean()) == pytest.approx(0.2**2 / 3, rel=0.1)
    assert float(noise.mean().abs()) < 0.01
    angle = angles(plain)[~left]
    small, large = (noise[rows].square().mean() for rows in (angle < 20, angle > 40))
    assert float(small) == pytest.approx(float(large), rel=0.25)
    torch.testing.assert_close(matrix[left], plain[left])


@DIMENSIONS
def test_same_seed_same_deformations(d):
    assert torch.equal(drawn(PAPER, d, 5, 3), drawn(PAPER, d, 5, 3))
    assert not torch.equal(drawn(PAPER, d, 5, 3), drawn(PAPER, d, 5, 4))


@DIMENSIONS
def test_scale_stretches_each_axis_by_itself_within_its_bound(d):
    """A = R S with S the factors: the lengths of the columns, their logarithms uniform."""
    factors = drawn(DeformationDistribution(60, 0, scale=0.25), d)[:, :, :d].norm(dim=1)
    assert 1 / 1.25 - 1e-9 <= float(factors.min()) < 0.82 and 1.23 < float(factors.max()) <= 1.25 + 1e-9
    assert float(factors.log().mean().abs()) < 0.01
    assert float((factors[:, 0] - factors[:, 1]).abs().mean()) > 0.05


@DIMENSIONS
def test_shear_keeps_the_volume_and_its_bound(d):
    matrix = drawn(DeformationDistribution(0, 0, shear=0.2), d)[:, :, :d]
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(4000, dtype=torch.float64))
    assert 0.19 < float(matrix.triu(1).abs().max()) <= 0.2 and float(matrix.tril(-1).abs().max()) == 0
