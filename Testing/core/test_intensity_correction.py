"""Corrected intensities: a curve and uneven brightness are undone, the map is found with them, and what is no function of both is told."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from core.made_images import affine as affine_map
from core.made_images import distance, lattice, made
from MetaAffineRegLib import affine, compiled_correction, correction_formulas, intensity_correction
from MetaAffineRegLib.freedom import FREEDOMS
from MetaAffineRegLib.intensity_correction import SETTLED, corrected, structure_left
from MetaAffineRegLib.registration import Settings, register

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
BACKENDS = pytest.mark.parametrize("backend", ["torch", "numba"])
SIZE = {2: 64, 3: 48}


def shapes(d, seed=0, noise=0.02):
    """Smooth blobs ``(1, 2, *S)`` on a dark background, all of it covered."""
    random = torch.Generator().manual_seed(seed)
    coarse = F.pad(torch.rand(1, 1, *(6,) * d, generator=random), (2,) * (2 * d))
    image = F.interpolate(coarse, size=(SIZE[d],) * d, mode="bilinear" if d == 2 else "trilinear")
    image = image + noise * torch.randn(image.shape, generator=random)
    return torch.cat((image, torch.ones_like(image)), 1)


def recoloured(image):
    """Inverted, bent, and brighter to one side."""
    line = torch.linspace(-1, 1, image.shape[-1])
    values = (1.2 - image[:, :1]) ** 2 * (1 + 0.3 * line + 0.1 * line**2)
    return torch.cat((values, image[:, 1:]), 1)


def smooth(image):
    return F.avg_pool2d(image, 2) if image.ndim == 4 else F.avg_pool3d(image, 2)


def turned(d, degrees):
    x, angle = affine.identity(1, d), math.radians(degrees)
    x[0, 0, 0] = x[0, 1, 1] = math.cos(angle)
    x[0, 0, 1], x[0, 1, 0] = -math.sin(angle), math.sin(angle)
    return x


@DIMENSIONS
@BACKENDS
def test_curve_and_uneven_brightness_are_undone(d, backend):
    fixed, here = shapes(d), affine.identity(1, d)
    moving = recoloured(shapes(d, noise=0.0))
    images, x = corrected(fixed, smooth(fixed), moving, here, "affine", backend)
    assert float((moving - fixed)[:, 0].std()) > 0.2
    assert float((images - fixed)[:, 0].std()) < 0.03  # the noise is 0.02
    assert torch.equal(images[:, 1], moving[:, 1])
    assert float(structure_left(fixed, moving, here, backend)) > 1
    assert float(structure_left(fixed, images, x, backend)) < 0.01


@DIMENSIONS
def test_map_is_found_with_the_intensities(d):
    fixed = shapes(d)
    off = affine.compose(affine.identity(1, d), turned(d, 3.0))
    off[0, :, d] += 1.0 * 2 / SIZE[d]  # a sample
    _, x = corrected(fixed, smooth(fixed), recoloured(shapes(d)), off, "affine", "torch")
    away, left = (float(affine.distance(maps, affine.identity(1, d))) * SIZE[d] / 2 for maps in (off, x))
    assert away > 1 and left < 0.2


@DIMENSIONS
def test_map_keeps_to_its_freedom(d):
    fixed = shapes(d)
    _, x = corrected(fixed, smooth(fixed), recoloured(shapes(d)), turned(d, 4.0), "rigid", "torch")
    matrix = x[0, :, :d]
    assert torch.allclose(matrix @ matrix.T, torch.eye(d, dtype=matrix.dtype), atol=1e-9)


@DIMENSIONS
def test_backends_agree(d):
    fixed, moving = shapes(d), recoloured(shapes(d, seed=1))
    moving[..., :5] = 0  # not covered
    (one, x), (other, y) = (corrected(fixed, smooth(fixed), moving, turned(d, 2.0), "affine", backend) for backend in ("torch", "numba"))
    assert float(affine.distance(x, y)) * SIZE[d] / 2 < 1e-3 and float((one - other).abs().max()) < 1e-4
    both = [float(structure_left(fixed, one, x, backend)) for backend in ("torch", "numba")]
    assert both[0] == pytest.approx(both[1], abs=1e-4)


@DIMENSIONS
@pytest.mark.parametrize("fitted", [False, True])
def test_equations_are_those_of_torch(d, fitted):
    """With and without coefficients so far, by which samples count for less; much is not covered, and some is mapped outside."""
    fixed, moving, back = shapes(d), recoloured(shapes(d, seed=1)), affine.compose(turned(d, 5.0), turned(d, 0.0))
    moving[..., :7], fixed[..., :5, :], back[0, 0, d] = 0, 0, 0.3
    fits = [intensity_correction._unfitted(moving[0])]
    if fitted:
        coefficients = torch.randn(fits[0].coefficients.shape, generator=torch.Generator().manual_seed(2))
        fits = [dataclasses.replace(fits[0], coefficients=coefficients)]
    one, other = (
        formulas.equations(fixed, smooth(fixed), moving, back, fits, 4) for formulas in (correction_formulas, compiled_correction)
    )
    for expected, found in zip(one, other, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@DIMENSIONS
@BACKENDS
@pytest.mark.parametrize("freedom", FREEDOMS)
def test_pair_has_the_same_numbers_alone_and_in_a_batch(d, backend, freedom):
    fixed = torch.cat([shapes(d, seed) for seed in range(3)])
    moving, start = recoloured(fixed), torch.cat([turned(d, degrees) for degrees in (0.0, 2.0, -3.0)])
    images, maps = corrected(fixed, smooth(fixed), moving, start, freedom, backend)
    left = structure_left(fixed, images, maps, backend)
    for row in range(3):
        part = slice(row, row + 1)
        image, x = corrected(fixed[part], smooth(fixed[part]), moving[part], start[part], freedom, backend)
        assert torch.equal(image, images[part]) and torch.equal(x, maps[part])
        assert torch.equal(structure_left(fixed[part], image, x, backend), left[part])


@DIMENSIONS
def test_structure_is_left_by_wrong_maps_and_by_other_objects_and_noise_is_none(d):
    fixed, here = shapes(d), affine.identity(1, d)
    noisy = shapes(d, noise=0.0)
    noisy[:, 0] += 0.1 * torch.randn(noisy[:, 0].shape, generator=torch.Generator().manual_seed(5))
    assert float(structure_left(fixed, noisy, here, "torch")) < 0.05
    for moving, x in ((recoloured(fixed), turned(d, 90.0)), (shapes(d, seed=7), here)):
        images, x = corrected(fixed, smooth(fixed), moving, x, "affine", "torch")
        assert float(structure_left(fixed, images, x, "torch")) > 2 * SETTLED


@DIMENSIONS
@BACKENDS
@pytest.mark.parametrize("kind", ["flat", "nothing covered", "no overlap"])
def test_nothing_to_go_by_gives_numbers_and_no_settlement(d, backend, kind):
    fixed, moving, x = shapes(d), shapes(d), affine.identity(1, d)
    if kind == "flat":
        moving[:, 0] = 1.0
    elif kind == "nothing covered":
        moving[:] = 0
    else:
        x[0, 0, d] = 3.0
    images, maps = corrected(fixed, smooth(fixed), moving, x, "affine", backend)
    assert bool(torch.isfinite(images).all()) and bool(torch.isfinite(maps).all())
    assert not float(structure_left(fixed, images, maps, backend)) < SETTLED


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_another_contrast_is_settled_by_corrected_intensities(backend):
    geometry, truth = lattice((128, 128, 1), (0.6, 0.6, 1.0)), affine_map(70, (6, -4, 0))
    fixed, moving = made(geometry, noise=1.0), made(geometry, truth, noise=1.0)
    i = torch.linspace(0.7, 1.3, 128).numpy()
    array = (moving.array.max() + 5 - moving.array) ** 1.5 * i
    (result,) = register([(fixed, type(moving)(array, moving.geometry, "other"))], Settings(device="cpu", backend=backend))
    assert result.confidence is not None and result.confidence.compared == "corrected-intensities"
    assert result.status == "ok" and result.criterion_after < result.criterion_before
    assert distance(result.fixed_to_moving_lps, truth, geometry) < 0.3  # half a sample
