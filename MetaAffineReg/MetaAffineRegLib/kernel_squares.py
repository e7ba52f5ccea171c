"""The kernel of mean squares, which goes from the pixels to the sums at once: as it looks at no coverage, what is known of a sample stays
in the processor's registers, but for the derivatives that the matrix is made of.

It is written in the compiler's own language, like the interpolation, so that all sums are added up side by side.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from .compiling import FAST, INLINED, inlined
from .kernel_interpolation import FLAGS, INDEX, INT, VECTOR, WIDTH, Vectors, pixels_of
from .kernel_moments import add_product, add_slope
from .kernels import add_block, compares_coverage, floor_of_row
from .lanes import FIXED, MOVING, PLACES

_TOGETHER = 3 if WIDTH > 8 else 2  # products whose sums the processor's registers hold


class MeanSquares(NamedTuple):
    """The data term of that name; a type, for which the kernels are compiled apart."""

    outside: bool = True  # samples that the moving image does not meet have a cost too


@overload(compares_coverage, jit_options=FAST)
def _compares_coverage(term):
    return (lambda term: False) if term.instance_class is MeanSquares else None


@overload(floor_of_row, jit_options=FAST)
def _floor_of_row(term, channels):
    if term.instance_class is MeanSquares:
        return lambda term, channels: (np.float32(channels.shape[1]), np.float32(0))
    return None


@overload(add_block, jit_options=INLINED)
def _add_block(term, sizes, words, plane, count, work, sums, matrix):
    return _add_squares if term.instance_class is MeanSquares else None


def _add_squares(term, sizes, words, plane, count, work, sums, matrix):
    """words ``(padded samples, 1)``: a value and that of the row below."""
    flat, across, area = pixels_of(sizes, words, work, count)
    found = _sum_squares(sizes, sums, matrix, flat, across, area, count, work.offsets, work.lanes)
    if sums.ndim == 1:
        sums[0] += found[0]
    else:
        sums[0, 0] += found[0]
        for direction in range(len(sizes)):
            x, y, one = found[1 + 3 * direction], found[2 + 3 * direction], found[3 + 3 * direction]
            add_slope(plane, x, y, one, work.slopes[0, direction])
    if matrix is not None:
        _add_products(plane, _sum_products(sizes, count, work.lanes), work.products)


@inlined
def _add_products(plane, found, products):
    for k in range(len(found) // 6):
        xx, xy, x = np.float64(found[6 * k]), np.float64(found[6 * k + 1]), np.float64(found[6 * k + 2])
        yy, y, one = np.float64(found[6 * k + 3]), np.float64(found[6 * k + 4]), np.float64(found[6 * k + 5])
        add_product(plane, xx, xy, x, yy, y, one, products[k])


@intrinsic
def _sum_squares(typing_context, sizes, sums, matrix, flat, across, area, count, offsets, lanes):
    """Of the samples of a block the sum of the squares of the differences and, where sums has room for derivatives, those of their slopes
    along each direction, times column and row, and alone; where there is a matrix, the derivatives of the moving image go to lanes."""
    dimension, curved = sizes.count, not isinstance(matrix, types.NoneType)
    several = 1 if sums.ndim == 1 else 1 + 3 * dimension

    def generate(context, builder, signature, arguments):
        _, _, _, flat, across, area, count, offsets, lanes = arguments
        flat, offsets, lanes = (
            cgutils.create_struct_proxy(kind)(context, builder, array).data
            for kind, array in ((signature.args[3], flat), (signature.args[7], offsets), (signature.args[8], lanes))
        )
        totals = _Totals(builder, several)
        with cgutils.for_range_slice(builder, INDEX(0), count, INDEX(WIDTH), inc=True) as (first, _):
            code = Vectors(builder, first, lanes)
            ((value, *slopes),) = code.interpolated(dimension, 1, flat, across, area, offsets)
            residual = builder.fsub(value, code.load(FIXED[0]), flags=FLAGS)
            totals.add(0, residual, residual)
            if several > 1:
                places = [code.load(place) for place in PLACES]
                for axis, slope in enumerate(slopes):
                    totals.add_moments(1 + 3 * axis, builder.fmul(residual, slope, flags=FLAGS), places)
                    if curved:
                        code.store(slope, MOVING[0][1 + axis])
        return cgutils.pack_array(builder, totals.sums())

    return types.UniTuple(types.float32, several)(
        sizes, sums, matrix, flat, types.uint64, types.uint64, types.int64, offsets, lanes
    ), generate


@intrinsic
def _sum_products(typing_context, sizes, count, lanes):
    """Of the samples of a block the sums of the products of two derivatives of the moving image, xx, xy, (xz,) yy (..), each times the
    places' xx, xy, x, yy, y and one."""
    pairs = [(i, j) for i in range(sizes.count) for j in range(i, sizes.count)]

    def generate(context, builder, signature, arguments):
        _, count, lanes = arguments
        lanes = cgutils.create_struct_proxy(signature.args[2])(context, builder, lanes).data
        found = []
        for several in (pairs[first : first + _TOGETHER] for first in range(0, len(pairs), _TOGETHER)):
            totals = _Totals(builder, 6 * len(several))
            with cgutils.for_range_slice(builder, INDEX(0), count, INDEX(WIDTH), inc=True) as (first, _):
                code = Vectors(builder, first, lanes)
                x, y = (code.load(place) for place in PLACES)
                xx, xy, yy = (builder.fmul(*both, flags=FLAGS) for both in ((x, x), (x, y), (y, y)))
                for k, axes in enumerate(several):
                    product = builder.fmul(*(code.load(MOVING[0][1 + axis]) for axis in axes), flags=FLAGS)
                    totals.add_moments(6 * k, product, (xx, xy, x, yy, y))
            found += totals.sums()
        return cgutils.pack_array(builder, found)

    return types.UniTuple(types.float32, 6 * len(pairs))(sizes, types.int64, lanes), generate


class _Totals:
    """Writes instructions that add up vectors, several sums side by side."""

    def __init__(self, builder, count):
        self._builder = builder
        self._totals = [cgutils.alloca_once_value(builder, _ZEROS) for _ in range(count)]

    def add(self, k, number, factor=None):
        """Add numbers, times a factor where one is given, to the sum k."""
        builder, total = self._builder, self._totals[k]
        more = number if factor is None else builder.fmul(number, factor, flags=FLAGS)
        builder.store(builder.fadd(builder.load(total), more, flags=FLAGS), total)

    def add_moments(self, first, number, factors):
        """Add numbers to the sums from the ``first`` on, times each of the factors, and alone."""
        for k, factor in enumerate((*factors, None)):
            self.add(first + k, number, factor)

    def sums(self):
        """Those over all lanes, number by number."""
        builder, found = self._builder, []
        totals = [builder.load(total) for total in self._totals]
        for first in range(0, len(totals), WIDTH):
            some = totals[first : first + WIDTH]
            together = self._added_up(some + [_ZEROS] * (WIDTH - len(some)))
            found += [builder.extract_element(together, INT(k)) for k in range(len(some))]
        return found

    def _added_up(self, vectors):
        """Of as many vectors as they have lanes the sum of the lanes of each, as one vector."""
        for low, high in _HALVES:
            halves = (
                [self._builder.shuffle_vector(one, other, part) for part in (low, high)]
                for one, other in zip(vectors[::2], vectors[1::2], strict=True)
            )
            vectors = [self._builder.fadd(*both, flags=FLAGS) for both in halves]
        return vectors[0]


def _halves():
    """Which numbers of two vectors to add to which, for half as many of either: within quads first, then whole quads, as there are
    instructions for; in the end each vector's sum is where the vector was."""
    quads = range(0, WIDTH, 4)
    for places in ((0, WIDTH, 1, WIDTH + 1), (0, 1, WIDTH, WIDTH + 1)):
        yield [quad + place for quad in quads for place in places], 2
    several = WIDTH // 2
    while several >= 4:
        yield [begin + k for begin in range(0, 2 * WIDTH, 2 * several) for k in range(several)], several
        several //= 2


def _mask(numbers):
    return ir.Constant(ir.VectorType(INT, len(numbers)), numbers)


_ZEROS = ir.Constant(VECTOR, [0.0] * WIDTH)
_HALVES = [(_mask(low), _mask([number + further for number in low])) for low, further in _halves()]
