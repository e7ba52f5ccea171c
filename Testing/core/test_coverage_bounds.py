"""What compiled kernels pass over is not covered, and they pass over all of it that lies outside a box or at the ends of a row."""

import numpy as np
import pytest

pytest.importorskip("numba")

from MetaAffineRegLib.coverage_bounds import boxes_of, everywhere, spans_of


@pytest.mark.parametrize("shape", [(9, 7), (8, 9, 7)])
def test_spans_and_boxes_hold_what_is_covered(shape):
    """Two separate patches: the box holds both; a sample of the moving image is felt up to its neighbours."""
    coverage = np.zeros((2, *shape), np.float32)
    coverage[0][(..., 2, 3)] = 0.25
    coverage[0][(..., 6, 5)] = 1
    coverage[0][(..., 6, 2)] = 1
    coverage[1] = 1
    spans, boxes = spans_of(coverage), boxes_of(coverage)
    rows = spans[0].reshape(*shape[:-1], 2)
    assert np.array_equal(rows[..., 2, :], np.broadcast_to([3, 4], rows[..., 2, :].shape))
    assert np.array_equal(rows[..., 6, :], np.broadcast_to([2, 6], rows[..., 6, :].shape))
    assert int((rows[..., 1] > 0).sum()) == 2 * int(np.prod(shape[:-2]))
    assert boxes[0, :2].tolist() == [[1, 6], [1, 7]]  # x and y: first - 1 and last + 1, which lie outside
    assert boxes[0, 2:].tolist() == [[-1, size] for size in shape[:-2]]
    for found, expected in zip((spans[1], boxes[1]), everywhere(1, shape), strict=True):
        assert np.array_equal(found, expected[0])


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_nothing_is_between_the_bounds_where_nothing_is_covered(shape):
    empty = np.zeros((1, *shape), np.float32)
    assert not spans_of(empty).any()
    for low, high in boxes_of(empty)[0]:
        assert not [sample for sample in range(max(shape)) if low < sample < high]
