"""Images that can't be registered are refused in one sentence."""

import numpy as np
import pytest

from core.made_images import lattice
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.image import Image

GEOMETRY = lattice((4, 3, 2), (1, 1, 1))


def ramp():
    return np.arange(24, dtype=np.float64).reshape(2, 3, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_one_bad_sample_is_enough(value):
    """1e300 is finite in the file and infinite in the float32 that is registered."""
    array = ramp()
    array[1, 2, 3] = value
    with pytest.raises(InputError, match="scan holds samples that are not a number or infinite; replace them"), np.errstate(over="ignore"):
        Image.checked(array, GEOMETRY, "scan")


def test_constant_image_is_refused_with_its_value():
    with pytest.raises(InputError, match=r"scan is constant \(every sample is 7\); .* choose another image"):
        Image.checked(np.full((2, 3, 4), 7), GEOMETRY, "scan")


def test_array_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"scan: the array of shape \(4, 3, 2\) does not fit"):
        Image.checked(ramp().reshape(4, 3, 2), GEOMETRY, "scan")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.float64, ">i2"])
def test_any_kind_of_number_becomes_float32(dtype):
    image = Image.checked(ramp().astype(dtype), GEOMETRY)
    assert image.array.dtype == np.float32
    np.testing.assert_array_equal(image.array, ramp())
