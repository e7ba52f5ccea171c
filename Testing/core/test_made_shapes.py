"""Images made by code: the same for the same seed, of spread one, an object on an empty background, no two alike."""

import pytest
import torch

from MetaAffineRegTrainingLib import made_images as module
from MetaAffineRegTrainingLib.made_images import made_images

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
SIZE = {2: 64, 3: 24}


@pytest.fixture(scope="module", params=[2, 3])
def images(request):
    return made_images(24, request.param, SIZE[request.param], seed=1)


def test_images_are_an_object_of_spread_one_on_nothing(images):
    d = images.ndim - 2
    assert images.shape == (24, 1, *(SIZE[d],) * d) and images.dtype == torch.float32
    assert bool(torch.isfinite(images).all())
    spread = images.abs().flatten(1).quantile(0.995, 1)
    torch.testing.assert_close(spread, torch.ones(24))
    shown = (images != 0).flatten(1).double().mean(1)
    assert float(shown.min()) > 0.02 and float(shown.median()) < 0.95 and float(shown.std()) > 0.05


def test_the_field_of_view_cuts_some_and_leaves_others_whole(images):
    inner = images[(..., *[slice(1, -1)] * (images.ndim - 2))]
    cut = (images != 0).flatten(1).sum(1) > (inner != 0).flatten(1).sum(1)
    assert 4 < int(cut.sum()) < 24


def test_images_have_regions_and_no_two_are_alike(images):
    """Inside the object the values differ; between two images nothing agrees."""
    flat = images.flatten(1)
    assert all(float(image[image != 0].std()) > 0.05 for image in flat)
    correlation = torch.corrcoef(flat)
    correlation.fill_diagonal_(0)
    assert float(correlation.max()) < 0.95


@DIMENSIONS
def test_seed_decides_everything(d):
    one, same, other = (made_images(3, d, SIZE[d], seed) for seed in (5, 5, 6))
    assert torch.equal(one, same) and not torch.equal(one, other)
    torch.manual_seed(0)  # the global generator has no say
    assert torch.equal(made_images(3, d, SIZE[d], 5), one)


def test_more_images_begin_with_the_same(monkeypatch):
    """However many are made at a time."""
    many = made_images(7, 2, 32, 0)
    assert torch.equal(made_images(3, 2, 32, 0), many[:3])
    monkeypatch.setattr(module, "_BATCH", 2)
    assert torch.equal(made_images(7, 2, 32, 0), many)
