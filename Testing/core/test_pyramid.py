"""From lattices to grids in normalised coordinates: places are kept, coverage is told, fine detail is not folded back."""

import numpy as np
import pytest
import torch

from core.made_images import affine, apply, brightness, lattice, made, points_of
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.pyramid import _smooth, pyramid, resample, to_lattices
from MetaAffineRegLib.sampling import axis_coordinates

OBLIQUE = affine(35, axis=(2, -1, 3))
ASKEW = {2: ((90, 40, 1), (0.7, 1.9, 4.0)), 3: ((50, 30, 20), (1.2, 2.0, 3.1))}
DIMENSIONS = pytest.mark.parametrize("d", [2, 3])


def frame_of(geometry):
    return pair_frame(geometry, geometry).fixed_to_lps


def blob(geometry, place, width=6.0):
    """A round spot at an LPS place."""
    squares = ((points_of(geometry) - place) ** 2).sum(-1)
    return Image.checked(np.exp(-squares / (2 * width**2)), geometry)


def center_of_mass(values):
    """Normalised coordinates ``(d,)`` of one channel."""
    coordinate = axis_coordinates(values.shape[-1], dtype=torch.float64)
    mass = values.double()
    along = []
    for axis in range(mass.ndim):
        others = [other for other in range(mass.ndim) if other != axis]
        along.append((mass.sum(others) * coordinate).sum() / mass.sum())
    return torch.stack(along[::-1])


@DIMENSIONS
def test_grid_that_is_the_lattice_gives_the_samples(d):
    geometry = lattice((24, 24, 24 if d == 3 else 1), (2, 2, 2))
    image = made(geometry, noise=5)
    found = resample(image, frame_of(geometry), 24, (0.0, 1.0), dtype=torch.float64)
    expected = image.array if d == 3 else image.array[0]
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-6 * expected.max())
    np.testing.assert_allclose(found[1].numpy(), 1, atol=1e-12)


@DIMENSIONS
@pytest.mark.parametrize("axes", [np.eye(4), OBLIQUE], ids=["straight", "oblique"])
def test_spot_stays_at_its_place_in_space(d, axes):
    """Anisotropic and oblique: the spot's centre of mass on the grid, taken back to mm, is where it was put."""
    geometry = lattice(*ASKEW[d], axes, (40, -30, 20))
    place = geometry.center_lps + axes[:3, :3] @ (6.0, -5.0, 3.0 if d == 3 else 0.0)
    frame = frame_of(geometry)
    values = resample(blob(geometry, place), frame, 96 if d == 2 else 64, (0.0, 1.0))[0]
    z = np.zeros(3)
    z[:d] = center_of_mass(values).numpy()
    np.testing.assert_allclose(apply(frame, z), place, atol=0.02)


@DIMENSIONS
@pytest.mark.parametrize("axes", [np.eye(4), OBLIQUE], ids=["straight", "oblique"])
def test_grid_shows_the_brightness_of_its_points(d, axes):
    """Against the analytic brightness; what is left is the error of linear interpolation on 1 to 3 mm."""
    geometry = lattice(*ASKEW[d], axes)
    frame = frame_of(geometry)
    image = Image.checked(brightness(points_of(geometry), 3), geometry)
    found = resample(image, frame, 64, (10.0, 50.0)).double().numpy()
    along = axis_coordinates(64, dtype=torch.float64).numpy()
    z = np.zeros((64,) * d + (3,))
    z[..., :d] = np.stack(np.meshgrid(*[along] * d, indexing="ij")[::-1], -1)
    expected = (brightness(apply(frame, z), 3) - 10) / 50
    inside = found[1] > 1 - 1e-6
    assert inside.mean() > 0.1
    assert np.sqrt(np.mean((found[0] - expected)[inside] ** 2)) < 0.02


@pytest.mark.parametrize("flat", [0, 1, 2])
def test_slice_may_be_flat_along_any_index(flat):
    """The same picture, stored with its flat axis first, second or last, gives the same grid."""
    plain = lattice((30, 20, 1), (1, 1.5, 2))
    image = made(plain)
    order = [0, 1]
    order.insert(flat, 2)  # index axis -> axis of the plain lattice
    size = [plain.size[axis] for axis in order]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = plain.index_to_lps[:3, :3][:, order], plain.index_to_lps[:3, 3]
    stored = Image(image.array.T.transpose(order).T, type(plain)(tuple(size), matrix))
    assert stored.geometry.size[flat] == 1
    torch.testing.assert_close(resample(stored, frame_of(stored.geometry), 32, (0, 1)), resample(image, frame_of(plain), 32, (0, 1)))


@DIMENSIONS
def test_coverage_is_the_image_s_share_of_the_frame(d):
    geometry = lattice((40, 20, 10 if d == 3 else 1), (1, 1, 1))
    coverage = resample(made(geometry), frame_of(geometry), 40, (0.0, 1.0))[1]
    assert float(coverage.mean()) == pytest.approx(1 / 2 if d == 2 else 1 / 8, rel=1e-6)
    assert float(coverage.min()) == 0 and float(coverage.max()) == 1


@DIMENSIONS
def test_beyond_the_image_lies_the_background(d):
    """Values are counted from the background, so that zero beyond the border is no edge."""
    geometry = lattice((40, 20, 10 if d == 3 else 1), (1, 1, 1))
    image = made(geometry)
    bright = Image.checked(image.array + 500, geometry)
    found = resample(bright, frame_of(geometry), 40, (500.0, 1.0))
    assert float(found[0][found[1] == 0].abs().max()) == 0
    torch.testing.assert_close(found, resample(image, frame_of(geometry), 40, (0.0, 1.0)), atol=1e-4, rtol=1e-4)


def test_detail_finer_than_the_grid_is_smoothed_away():
    """Stripes of two samples on a grid eight times as coarse: picked one by one they would make wide false stripes."""
    geometry = lattice((256, 256, 1), (1, 1, 1))
    stripes = Image.checked(np.cos(np.pi * np.arange(256)[None, None] * np.ones((1, 256, 1)) * 0.97), geometry)
    found = resample(stripes, frame_of(geometry), 32, (0.0, 1.0))[0]
    assert float(found[:, 2:-2].abs().max()) < 0.01


@DIMENSIONS
def test_levels_average_blocks(d):
    finest = torch.randn(2, 2, *(8,) * d, generator=torch.Generator().manual_seed(0))
    levels = pyramid(finest, (2, 4, 8))
    assert torch.equal(levels[8], finest)
    block = finest[(1, 1, *(slice(2, 4),) * d)]
    torch.testing.assert_close(levels[4][(1, 1, *(1,) * d)], block.mean())
    torch.testing.assert_close(levels[2].mean(), finest.mean())


@DIMENSIONS
def test_a_level_may_be_a_third_of_the_one_before(d):
    finest = torch.randn(1, 2, *(9,) * d, generator=torch.Generator().manual_seed(0))
    pool = torch.nn.functional.avg_pool2d if d == 2 else torch.nn.functional.avg_pool3d
    torch.testing.assert_close(pyramid(finest, (3,))[3], pool(finest, 3))


@DIMENSIONS
def test_samples_keep_their_place_on_every_level(d):
    """An image linear in z is the same linear function of z on every level."""
    coordinate = axis_coordinates(16, dtype=torch.float64).expand(1, 1, *(16,) * d)
    for size, level in pyramid(coordinate, (4, 8, 16)).items():
        torch.testing.assert_close(level, axis_coordinates(size, dtype=torch.float64).expand(1, 1, *(size,) * d))


def test_where_images_lie_is_told_of_each_alone():
    """Slices of three planes, oblique ones too."""
    sizes = [(30, 20, 1), (30, 1, 20), (1, 30, 20)]
    images = [made(lattice(size, (1, 2, 3), axes)) for size in sizes for axes in (np.eye(4), OBLIQUE)]
    frames = np.stack([frame_of(image.geometry) for image in images])
    found = to_lattices(images, frames)
    assert found.shape == (6, 2, 3)
    for image, frame, one in zip(images, frames, found, strict=True):
        np.testing.assert_allclose(to_lattices([image], frame[None])[0], one, atol=1e-12)
        middle = np.mean([frame @ (x, y, 0, 1) for x in (-1, 1) for y in (-1, 1)], 0)[:3]
        np.testing.assert_allclose(middle, image.geometry.center_lps, atol=1e-9)
        np.testing.assert_allclose(one[:, 2], 0, atol=1e-9)  # the middle of the frame is that of the image
        known = resample(image, frame, 24, (0.0, 1.0), to_lattice=one)
        torch.testing.assert_close(known, resample(image, frame, 24, (0.0, 1.0)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("ratio", [1.3, 4.0])
def test_smoothing_is_the_convolution_of_torch(axis, ratio):
    """Along an axis, with the border for what lies outside; an axis may be shorter than the Gaussian."""
    values = torch.rand(9, 12, 4, generator=torch.Generator().manual_seed(1))
    sigma = 0.45 * np.sqrt(ratio**2 - 1)
    radius = int(np.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    moved = values.movedim(axis, -1)
    padded = torch.nn.functional.pad(moved.reshape(-1, 1, moved.shape[-1]), (radius, radius), mode="replicate")
    expected = torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None]).reshape(moved.shape).movedim(-1, axis)
    torch.testing.assert_close(_smooth(values, axis, ratio), expected)
