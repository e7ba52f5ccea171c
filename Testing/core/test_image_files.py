"""Formats read and written: samples, spacing, place and direction come through; colours, DICOM folders, four dimensions."""

import numpy as np
import pytest
import SimpleITK

from core.made_files import write, write_colors, write_series
from core.made_images import affine, lattice, made
from MetaAffineRegCLI.image_files import read_image, resample, write_image
from MetaAffineRegLib.image import Image

SLICE = lattice((20, 16, 1), (1.5, 2.0, 1.0), affine(30), (30, -20, 0))
VOLUME = lattice((12, 10, 8), (3.0, 4.0, 5.0), affine(35, axis=(2, -1, 3)), (30, -20, 10))


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
@pytest.mark.parametrize("geometry", [SLICE, VOLUME], ids=["2D", "3D"])
def test_medical_formats_keep_samples_and_place(tmp_path, suffix, geometry):
    if geometry is SLICE and suffix.startswith(".nii"):
        pytest.skip("NIfTI turns a rotated 2D image into a 3D one of its own")
    image = made(geometry)
    read = read_image(write(tmp_path / f"image{suffix}", image))
    np.testing.assert_array_equal(read.image.array, image.array)
    expected = geometry.index_to_lps.copy()
    if geometry is SLICE:
        expected[2, 3] = 0  # a 2D image lies in z = 0
    np.testing.assert_allclose(read.image.geometry.index_to_lps, expected, atol=1e-4)
    assert read.dimension == geometry.dimension and read.remarks == ()
    assert read.image.name == f"image{suffix}"


def test_slice_in_a_file_of_three_dimensions_is_a_slice(tmp_path):
    read = read_image(write(tmp_path / "slice.nii.gz", made(SLICE), flat=False))
    assert read.image.geometry.dimension == 2 and read.dimension == 3


@pytest.mark.parametrize("kind", [np.uint8, np.uint16], ids=["8 bit", "16 bit"])
def test_png_is_a_slice_of_unit_pixels(tmp_path, kind):
    array = np.arange(12).reshape(1, 3, 4) * 20
    read = read_image(write(tmp_path / "a.png", array, lattice((4, 3, 1), (1, 1, 1)), kind))
    np.testing.assert_array_equal(read.image.array, array)
    np.testing.assert_allclose(read.image.geometry.spacing, 1)


def test_jpeg_is_read_as_near_as_its_compression_lets(tmp_path):
    image = made(lattice((64, 48, 1), (1, 1, 1)))
    array = image.array / image.array.max() * 250
    read = read_image(write(tmp_path / "a.jpg", array, image.geometry, np.uint8))
    assert np.abs(read.image.array - array).mean() < 2


def test_colours_become_their_luminance(tmp_path):
    image = made(lattice((64, 48, 1), (1, 1, 1)))
    read = read_image(write_colors(tmp_path / "a.png", image))
    gray = image.array / image.array.max() * 200
    expected = gray * (0.299 * 0.5 + 0.587 * 1.25 + 0.114)
    np.testing.assert_allclose(read.image.array, expected, atol=1.5)
    assert read.remarks == ("a.png: colours converted to grey values",)


def test_dicom_folder_is_one_volume(tmp_path):
    """Slices in the order of their place, whatever their names; spacing across them from their positions."""
    image = Image(np.round(made(VOLUME).array), VOLUME)
    read = read_image(write_series(tmp_path / "series", image))
    np.testing.assert_array_equal(read.image.array, image.array)
    np.testing.assert_allclose(read.image.geometry.index_to_lps, VOLUME.index_to_lps, atol=1e-3)


def test_fourth_dimension_of_one_sample_is_none(tmp_path):
    image = made(VOLUME)
    volume = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(image.array)])
    SimpleITK.WriteImage(volume, str(tmp_path / "a.nii.gz"))
    read = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read.image.array, image.array)
    assert read.image.geometry.size == VOLUME.size


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("geometry", [SLICE, VOLUME], ids=["2D", "3D"])
def test_what_is_written_is_read_again(tmp_path, suffix, geometry):
    if geometry is SLICE and suffix == ".nii.gz":
        geometry = lattice((20, 16, 1), (1.5, 2.0, 1.0))
    image = made(geometry)
    write_image(tmp_path / f"a{suffix}", image, geometry.dimension)
    read = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read.image.array, image.array)
    assert read.dimension == geometry.dimension
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_whole_number_formats_round_and_clip(tmp_path):
    array = np.array([[[-5.0, 0.4, 99.6, 300.0], [1, 2, 3, 4]]], np.float32)
    write_image(tmp_path / "a.png", Image(array, lattice((4, 2, 1), (1, 1, 1))), 2)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").image.array[0, 0], [0, 0, 100, 255])


def test_resampling_follows_the_transform_from_fixed_to_moving():
    truth = affine(12, (5, -4, 3), (1, 2, 2))
    fixed, moving = made(VOLUME), made(lattice((24, 24, 24), (3, 3, 3), center=(30, -20, 10)), truth)
    warped = resample(moving, fixed, truth)
    inside = warped != 0
    assert inside.mean() > 0.3
    errors = np.abs(warped - fixed.array)[inside]
    assert np.median(errors) < 0.05 * fixed.array.max()
    assert np.median(errors) < 0.2 * np.median(np.abs(resample(moving, fixed, np.eye(4)) - fixed.array)[inside])


def test_name_that_promises_another_format_is_no_obstacle(tmp_path):
    """A PNG file that is called NRRD is read as what it is."""
    values = np.arange(20, dtype=np.uint8).reshape(4, 5)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / "picture.png"))
    (tmp_path / "picture.png").rename(tmp_path / "picture.nrrd")
    np.testing.assert_array_equal(read_image(tmp_path / "picture.nrrd").image.array[0], values)
