"""Distributions of brightness: no map changes them, another contrast does."""

import numpy as np
import pytest
import torch

from MetaAffineRegLib.brightness import DIFFERENT, brightness_distance


def images(values):
    return torch.stack([values, torch.ones_like(values)], 1)


@pytest.fixture
def shapes():
    """Two images of four brightnesses each, in 2D."""
    return torch.tensor([0.0, 0.3, 0.6, 0.9])[torch.from_numpy(np.random.default_rng(2).integers(0, 4, (2, 40, 40)))]


def test_order_does_not_count(shapes):
    turned = images(shapes.flip(1, 2).transpose(1, 2))
    assert brightness_distance(images(shapes), turned).tolist() == [0, 0]


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_shift_of_all_values_is_the_distance(dimension):
    values = torch.full((1, *(8,) * dimension), 0.3)
    assert float(brightness_distance(images(values), images(values + 0.25))) == pytest.approx(0.25, abs=0.02)


def test_background_and_what_is_not_covered_do_not_count(shapes):
    wider = torch.nn.functional.pad(shapes, (0, 30))
    moving = images(wider)
    moving[..., 60:] = torch.tensor([5.0, 0.0])[None, :, None, None]
    assert brightness_distance(images(shapes), moving).max() < 1e-6


def test_another_contrast_is_told_and_a_part_of_the_same_object_is_not():
    """Shells, of which a slab that is cut away holds other shares than the whole."""
    axis = torch.linspace(-1, 1, 64)
    radius = (axis**2 + axis[:, None] ** 2).sqrt()[None]
    shells = torch.where(radius < 0.9, 0.3 + 0.2 * (3.3 * radius).floor(), 0)
    cut = shells.clone()
    cut[:, :16] = 0
    assert 0 < float(brightness_distance(images(shells), images(cut))) < DIFFERENT
    assert float(brightness_distance(images(shells), images(shells**2))) > DIFFERENT


def test_each_pair_is_told_by_itself(shapes):
    curved = torch.where(shapes > 0, shapes**2, 0)
    both = brightness_distance(images(shapes), images(torch.stack([shapes[0], curved[1]])))
    assert both[0] == 0 and both[1] > DIFFERENT


def test_nothing_is_as_bright_as_anything(shapes):
    assert brightness_distance(images(shapes), images(torch.zeros_like(shapes))).tolist() == [0, 0]
