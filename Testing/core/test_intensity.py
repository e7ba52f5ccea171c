"""Intensity windows: background from the border, spread from the samples, one window for images on one scale."""

import numpy as np
import pytest

from MetaAffineRegLib.intensity import common_windows, window


def disc(background, value, size=64):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.where(x**2 + y**2 < (size / 4) ** 2, value, background).astype(np.float32)[None]


@pytest.mark.parametrize(("background", "value"), [(0, 100), (255, 20), (-1024, 400)])
def test_background_is_the_border_and_spread_the_distance_from_it(background, value):
    """A photograph on white and a CT in air are treated alike."""
    assert window(disc(background, value)) == (background, abs(value - background))


def test_few_bright_samples_do_not_set_the_spread():
    array = disc(0, 100)
    array[0, 30, 30:33] = 1e5
    assert window(array)[1] == pytest.approx(100)


def test_spread_of_a_single_small_spot_is_not_zero():
    """99.5 % of the samples are background; its spread would divide by zero."""
    array = np.zeros((1, 64, 64), np.float32)
    array[0, 30, 30] = 5
    assert window(array) == (0, 5)


def test_images_on_one_scale_share_a_window():
    first, second = common_windows(window(disc(0, 100)), window(disc(0, 150)))
    assert first == second == (0, 150)


def test_images_on_two_scales_get_one_each():
    assert common_windows(window(disc(0, 1)), window(disc(10, 4000))) == ((0, 1), (10, 3990))


def test_volumes_have_their_border_on_six_sides():
    array = np.full((5, 6, 7), 50, np.float32)
    for axis in range(3):
        np.moveaxis(array, axis, 0)[[0, -1]] = 3
    assert window(array) == (3, 47)


@pytest.mark.parametrize("size", [8, 33, 64])
def test_spread_is_the_quantile_of_the_distances(size):
    array = np.random.default_rng(size).gamma(1.0, 40, (1, size, size)).astype(np.float32)
    background, spread = window(array)
    assert spread == pytest.approx(np.quantile(np.abs(array - background), 0.995), rel=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_background_and_spread_are_exact_whatever_values_are_common(seed):
    """Noise, few values that are each that of many samples, and an image in the order of its values."""
    random = np.random.default_rng(seed)
    size = int(random.integers(2, 90))
    noise, common = random.normal(size=size * size), random.choice([0.0, 0.0, 1.0, 2.5], size * size)
    values = (noise, common, np.sort(noise), common + (random.random(size * size) < 0.4) * noise)[seed % 4]
    array = values.astype(np.float32).reshape(1, size, size)
    border = np.concatenate([array.take((0, -1), axis).ravel() for axis in (1, 2)])
    background = float(np.median(border))
    spread = float(np.quantile(np.abs(array - np.float32(background)).astype(float), 0.995))
    assert window(array) == pytest.approx((background, spread or float(np.abs(array - background).max())), rel=1e-6, abs=1e-6)
