"""How a block of samples lies in a thread's scratch: what is known of them in lanes of one array, at constant distances, so that the
compiler sees that none overlaps another."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .compiling import compiled

BLOCK = 256  # samples that are compared together
WHOLE = 32  # a block is filled up to a multiple of it, so that vector instructions leave no rest
ROWS = 128  # that are placed together
STRIDE = BLOCK + 16  # blocks of a power of two would lie in one set of the cache; and a row may be laid by sixteens beyond its end


def _lanes(first: int, count: int) -> tuple[np.uint64, ...]:
    return tuple(np.uint64(lane * STRIDE) for lane in range(first, first + count))


SHARES = _lanes(0, 3)  # where between the pixels a sample lies, along x, y and z
PLACES = _lanes(3, 2)  # its column and row; all samples of a block lie in one plane
COST_SLOPES = _lanes(5, 3)  # half the derivatives of its cost along x, y and z
CONTENT_SLOPES = _lanes(8, 3)
PRODUCTS = _lanes(11, 6)  # xx, xy, (xz,) yy (..): of the halved curvature's vectors
FIXED = _lanes(17, 4)  # channels of the fixed image
MOVING = tuple(_lanes(21 + 4 * channel, 4) for channel in range(4))  # of the moving one: value and derivatives along x, y and z
# Of edges:
COTANGENTS = (PRODUCTS[:3], PRODUCTS[3:])  # half the derivatives of cost and content by the turned gradient, until there are products
TURNED = _lanes(37, 3)  # the moving gradient in the directions of the fixed grid
INVERSE = _lanes(40, 1)[0]  # of the sum of its square and the edge's
COVER_SLOPES = _lanes(41, 2)  # half the derivatives of cost and content by coverage
_COUNT = 43
_LINE = 64  # bytes of a line of the cache


class Work(NamedTuple):
    """Scratch of one thread."""

    lanes: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int32]  # of the first pixel around each sample, in words
    columns: npt.NDArray[np.int32]  # of rows those that are compared, first and last + 1
    begins: npt.NDArray[np.float64]  # where column 0 of each row lies, along x, y and z
    lines: npt.NDArray[np.float64]
    matrix: npt.NDArray[np.float32]  # of the map
    direct: npt.NDArray[np.float64]
    slopes: npt.NDArray[np.float64]
    products: npt.NDArray[np.float64]


@compiled
def work_space():
    """New scratch, whose lanes begin with a line of the processor's cache: a vector that lay in two would take twice as long.  The offsets
    are one lane more, always as far from the others."""
    room = np.empty((_COUNT + 1) * STRIDE + _LINE // 4, np.float32)
    first = -room.ctypes.data % _LINE // 4
    last = first + _COUNT * STRIDE
    return Work(
        room[first:last],
        room[last : last + STRIDE].view(np.int32),
        np.empty((2, ROWS), np.int32),
        np.empty((3, ROWS)),
        np.zeros((3, 5)),
        np.zeros((3, 3), np.float32),
        np.zeros((2, 3, 3)),
        np.zeros((2, 3, 4)),
        np.zeros((6, 10)),
    )
