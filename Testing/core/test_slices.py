"""Slices and blocks of volumes: where they lie, which are left out."""

import numpy as np
import pytest

from core.made_images import lattice, made
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.image import Image
from MetaAffineRegTrainingLib.slices import Parts

VOLUME = lattice((24, 20, 16), (4, 5, 6))


def volume(empty=()):
    image = made(VOLUME)
    array = image.array.copy()
    array[list(empty)] = 0
    return Image(array, VOLUME, "v")


@pytest.mark.parametrize(("orientation", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_a_slice_holds_the_samples_of_the_volume_at_its_place(orientation, axis):
    image = volume()
    parts = Parts(orientation=orientation, skip_empty=False).of(image)
    assert len(parts) == VOLUME.size[axis]
    for n in (0, 5, len(parts) - 1):
        part = parts[n]
        assert part.geometry.dimension == 2 and part.geometry.size[axis] == 1
        np.testing.assert_array_equal(part.array, image.array.take([n], 2 - axis))
        index = np.zeros(4)
        index[axis], index[3] = n, 1
        np.testing.assert_allclose(part.geometry.index_to_lps @ (0, 0, 0, 1), VOLUME.index_to_lps @ index)


def test_orientation_is_that_of_space_and_not_of_storage():
    """A volume stored as sagittal slices: its axial slices run along another index."""
    turned = lattice((16, 24, 20), (6, 4, 5), np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], float))
    parts = Parts(orientation="axial", skip_empty=False).of(made(turned))
    assert len(parts) == 16 and {part.geometry.size for part in parts} == {(1, 24, 20)}


def test_range_is_a_share_of_the_volume():
    parts = Parts(first=0.25, last=0.5, skip_empty=False).of(volume())
    places = [float((part.geometry.index_to_lps @ (0, 0, 0, 1))[2]) for part in parts]
    np.testing.assert_allclose(places, [float((VOLUME.index_to_lps @ (0, 0, k, 1))[2]) for k in (4, 5, 6, 7)])


def test_empty_slices_are_skipped_where_that_is_asked_for_and_constant_ones_always():
    assert len(Parts().of(volume(empty=range(8)))) <= 8
    assert len(Parts(skip_empty=False).of(volume(empty=range(8)))) == 8
    assert Parts(skip_empty=False, first=0.0, last=0.4).of(volume(empty=range(8))) == []


def test_a_single_slice_is_its_own_slice_and_has_no_blocks():
    image = made(lattice((24, 20, 1), (4, 4, 4)), name="flat")
    assert Parts().of(image) == [image]
    with pytest.raises(InputError, match="flat is a single slice and has no blocks; train on slices"):
        Parts("blocks").of(image)


def test_blocks_cover_the_volume_and_hold_its_samples():
    image = volume()
    assert [part.geometry.size for part in Parts("blocks").of(image)] == [VOLUME.size]
    parts = Parts("blocks", block=0.5, skip_empty=False).of(image)
    covered = np.zeros(image.array.shape, bool)
    for part in parts:
        assert part.geometry.size == (12, 10, 8)
        i, j, k = np.round(np.linalg.solve(VOLUME.index_to_lps, part.geometry.index_to_lps @ (0, 0, 0, 1))[:3]).astype(int)
        place = (slice(k, k + 8), slice(j, j + 10), slice(i, i + 12))
        np.testing.assert_array_equal(part.array, image.array[place])
        covered[place] = True
    assert covered.all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"first": 0.5, "last": 0.5}, "are no range"),
        ({"first": -0.1}, "are no range"),
        ({"block": 0.1}, "A block of 0.1"),
        ({"kind": "cubes"}, "are no parts of a volume"),
        ({"orientation": "oblique"}, "are no parts of a volume"),
    ],
)
def test_parts_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Parts(**options)
