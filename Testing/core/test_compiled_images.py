"""What compiled code prepares of images is what torch would."""

import pytest
import torch
import torch.nn.functional as F

from core.torch_threads import torch_threads
from MetaAffineRegLib.backends import BORDER
from MetaAffineRegLib.compiled_edges import gradient_words, normals
from MetaAffineRegLib.compiled_images import bordered_rows, bordered_words
from MetaAffineRegLib.normalized_gradients import NormalizedGradients, gradients

THREADS = pytest.mark.parametrize("threads", [1, 3])  # which share the planes of the largest images
SHAPES = pytest.mark.parametrize("shape", [(9, 14), (1, 5), (6, 9, 14), (2, 3, 4), (1, 4, 5), (40, 40, 40)])


def images(shape, channels=2, count=3):
    return torch.rand(count, channels, *shape, generator=torch.Generator().manual_seed(1))


def side_by_side(channels):
    padding = (BORDER,) * (2 * (channels.ndim - 2)) + (0, channels.shape[1] % 2)
    return F.pad(channels, padding).movedim(1, -1).contiguous().flatten(1, -2).view(torch.int64)


@SHAPES
@pytest.mark.parametrize("threads", [1, 2])
def test_edges_are_those_of_torch(shape, threads):
    """Around a missing sample there is none; at the border the border counts twice.  The largest images are shared out."""
    given = images(shape)
    given[:, 1] = 1
    given[(0, 1, *(n // 2 for n in shape))] = 0.5
    given[1, 1, ..., 0] = 0
    with torch_threads(threads):
        words, edges = gradient_words(given), normals(given, 0.02)
    expected, covered = gradients(given)
    expected = torch.cat((expected, covered), 1)
    found = words.view(torch.float32)
    torch.testing.assert_close(found, side_by_side(expected).view(torch.float32), rtol=0, atol=1e-6)
    assert torch.equal(found[..., len(shape)], side_by_side(expected).view(torch.float32)[..., len(shape)])
    torch.testing.assert_close(edges, NormalizedGradients(0.02).fixed_channels(given), rtol=0, atol=1e-4)
    assert torch.equal(edges[:, -1:], covered)
    assert bool((covered[2] == 1).all()) and not bool(covered[0].all())


@SHAPES
@pytest.mark.parametrize("channels", [2, 3, 4])
@THREADS
def test_words_hold_the_channels_of_a_sample_side_by_side(shape, channels, threads):
    given = images(shape, channels)
    with torch_threads(threads):
        assert torch.equal(bordered_words(given), side_by_side(given))


@SHAPES
@THREADS
def test_words_hold_the_values_of_a_sample_and_of_the_row_below(shape, threads):
    given = images(shape)[:, 0]
    with torch_threads(threads):
        found = bordered_rows(given)
    bordered = F.pad(given, (BORDER,) * (2 * len(shape)))
    below = F.pad(bordered, (0, 0, 0, 1))[..., 1:, :]
    assert torch.equal(found, torch.stack((bordered, below), -1).flatten(1, -2).view(torch.int64))
