"""The boxes outside which compiled kernels compare nothing hold all that is covered, and no more."""

import numpy as np
import pytest

pytest.importorskip("numba")

from MetaAffineRegLib.coverage_boxes import boxes_of, everywhere


@pytest.mark.parametrize("shape", [(9, 7), (8, 9, 7)])
def test_boxes_hold_what_is_covered(shape):
    """Two separate patches: the box holds both; a sample of the moving image is felt up to its neighbours."""
    coverage = np.zeros((1, *shape), np.float32)
    coverage[0][(..., 2, 3)] = 0.25
    coverage[0][(..., 6, 5)] = 1
    (boxes,) = boxes_of(coverage, np.ones_like(coverage))
    assert boxes.shape == (2, len(shape), 2)
    assert boxes[0, :2].tolist() == [[2, 6], [1, 7]]  # x and y: first - 1 and last + 1, which lie outside
    assert boxes[1].tolist() == [[-1, size] for size in reversed(shape)]
    assert np.array_equal(boxes[1], everywhere(1, shape)[0, 1])


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_nothing_lies_between_the_numbers_where_nothing_is_covered(shape):
    boxes = boxes_of(np.zeros((2, *shape), np.float32), np.ones((2, *shape), np.float32))
    for low, high in boxes[:, 0].reshape(-1, 2):
        assert not [sample for sample in range(max(shape)) if low < sample < high]
