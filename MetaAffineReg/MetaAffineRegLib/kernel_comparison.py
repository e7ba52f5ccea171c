"""Blocks of samples that a data term compares where both images are covered: one step after the other, each over the whole block."""

from .compiling import inlined
from .kernel_interpolation import sample_moving
from .kernel_moments import add_products, add_slopes
from .lanes import CONTENT_SLOPES, COST_SLOPES, PRODUCTS


def add_samples(term, sizes, lanes, count, matrix):
    """What a data term sums of the samples of a block, as a tuple: cost and content first.  A sample whose fixed channels are zero has
    none."""
    raise NotImplementedError("each data term has a compiled one")


def compare_samples(term, sizes, lanes, count, matrix, direct):
    """``add_samples``, the slopes of cost and content to their lanes; what these depend on the map's matrix besides is added to direct
    ``(2, 3, 3)``."""
    raise NotImplementedError("each data term has a compiled one")


def curve_samples(term, sizes, lanes, count, matrix):
    """The products of the cost's curvature to their lanes."""
    raise NotImplementedError("each data term has a compiled one")


def add_compared(term, sizes, words, plane, count, work, sums, matrix):
    """``kernels.add_block`` of such a data term."""
    d, lanes = len(sizes), work.lanes
    sample_moving(sizes, words, work, count, sums)
    if sums.ndim == 1:
        found = add_samples(term, sizes, lanes, count, work.matrix)
    else:
        found = compare_samples(term, sizes, lanes, count, work.matrix, work.direct)
        for direction in range(d):
            add_slopes(plane, COST_SLOPES[direction], lanes, count, work.slopes[0, direction])
            add_slopes(plane, CONTENT_SLOPES[direction], lanes, count, work.slopes[1, direction])
    for n in range(len(found)):
        _add(found[n], n, sums)
    if matrix is not None:
        curve_samples(term, sizes, lanes, count, work.matrix)
        for product in range(d * (d + 1) // 2):
            add_products(plane, PRODUCTS[product], lanes, count, work.products[product])


@inlined
def _add(number, n, sums):
    """Add a number to the sum n, not to its derivatives."""
    if sums.ndim == 1:
        sums[n] += number
    else:
        sums[n, 0] += number
