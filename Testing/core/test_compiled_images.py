"""What compiled code prepares of images is what torch would."""

import pytest
import torch
import torch.nn.functional as F

from MetaAffineRegLib.backends import BORDER
from MetaAffineRegLib.compiled_images import bordered_words, edges
from MetaAffineRegLib.normalized_gradients import NormalizedGradients, gradients

SHAPES = pytest.mark.parametrize("shape", [(9, 14), (1, 5), (6, 9, 14), (2, 3, 4), (1, 4, 5), (40, 40, 40)])


def images(shape, channels=2, count=3):
    return torch.rand(count, channels, *shape, generator=torch.Generator().manual_seed(1))


@SHAPES
@pytest.mark.parametrize("threads", [1, 2])
def test_edges_are_those_of_torch(shape, threads):
    """Around a missing sample there is none; at the border the border counts twice.  The largest images are shared out."""
    given = images(shape)
    given[:, 1] = 1
    given[(0, 1, *(n // 2 for n in shape))] = 0.5
    given[1, 1, ..., 0] = 0
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, normals = edges(given), edges(given, 0.02)
    finally:
        torch.set_num_threads(before)
    expected, covered = gradients(given)
    torch.testing.assert_close(found, torch.cat((expected, covered), 1), rtol=0, atol=1e-6)
    torch.testing.assert_close(normals, NormalizedGradients(0.02).fixed_channels(given), rtol=0, atol=1e-4)
    assert torch.equal(found[:, -1:], covered) and torch.equal(normals[:, -1:], covered)
    assert bool((covered[2] == 1).all()) and not bool(covered[0].all())


@SHAPES
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_words_hold_the_channels_of_a_sample_side_by_side(shape, channels):
    given = images(shape, channels)
    padded = F.pad(given, (BORDER,) * (2 * len(shape)) + (0, channels % 2)).movedim(1, -1).contiguous()
    assert torch.equal(bordered_words(given), padded.flatten(1, -2).view(torch.int64))
