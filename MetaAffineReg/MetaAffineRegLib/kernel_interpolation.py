"""Interpolation of the moving image between its pixels, a vector of samples at a time, in the compiler's own language.

Left to itself the compiler fetches the pixels around a sample number by number.  Here they are read by sixteen bytes, which hold two
channels of two neighbours, one channel of four or four channels of one pixel, and a vector's number of such become four vectors by
shuffles.  The instructions are those that LLVM has for all processors; where vectors are shorter it splits them.
"""

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .backends import BORDER
from .compiling import FASTMATH, inlined
from .lanes import MOVING, SHARES

WIDTH = 16 if binding.get_host_cpu_features().get("avx512f") else 8  # samples of a vector; fewer registers would not hold more
NEAR = 3 << 19  # words of an image that stays in a cache; those of a larger one are fetched ahead
_TO_READ, _AND_TO_KEEP, _AS_DATA = 0, 3, 1  # of LLVM's prefetch
_SINGLE, _BYTE, INT, INDEX = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
_QUAD, VECTOR = ir.VectorType(_SINGLE, 4), ir.VectorType(_SINGLE, WIDTH)
FLAGS = tuple(FASTMATH)


@inlined
def sample_moving(sizes, words, work, count, sums):
    """The channels of the moving image at the ``count`` samples of a block, a multiple of ``WHOLE``, to their lanes; and their
    derivatives where sums ``(2, 1 + n)`` have room for what follows from them.

    words ``(padded samples, W)``: two channels each; W = 1 or 2.
    """
    flat, across, area = pixels_of(sizes, words, work, count)
    for first in range(0, count, WIDTH):
        if words.shape[1] == 2:
            _interpolate(sizes, sums, 4, flat, across, area, work.offsets, np.uint64(first), work.lanes)
        else:
            _interpolate(sizes, sums, 2, flat, across, area, work.offsets, np.uint64(first), work.lanes)


@inlined
def pixels_of(sizes, words, work, count):
    """Words ``(padded samples, W)`` in one row, and how many lie from one row, and one plane, to the next; those around the ``count``
    samples of a block may have to be fetched."""
    flat, each = words.reshape(-1), np.uint64(words.shape[1])
    across = each * np.uint64(sizes[len(sizes) - 1] + 2 * BORDER)
    area = across * np.uint64(sizes[len(sizes) - 2] + 2 * BORDER)
    if len(sizes) == 3 and flat.size > NEAR:
        _fetch_next_row(flat, each, across, area, work, count)
    return flat, across, area


@inlined
def _fetch_next_row(flat, each, across, area, work, count):
    """Have the processor fetch the pixels around what lies below the samples of a block, in the next row of the grid, while it goes on:
    where they lie in a turned image it doesn't foresee."""
    ahead = np.int64(0)
    for direction, step in enumerate((each, across, area)):
        ahead += np.int64(np.rint(work.lines[direction, 2])) * np.int64(step)
    for k in range(count):
        _fetch(flat, np.int64(work.offsets[np.uint64(k)]) + ahead, across, area)


@intrinsic
def _fetch(typing_context, flat, at, across, area):
    """Ask for the words at a place, one row, one plane, and both further; wherever that is, it is no fault."""

    def generate(context, builder, signature, arguments):
        flat, at, across, area = arguments
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), INT, INT, INT])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        here = builder.gep(cgutils.create_struct_proxy(signature.args[0])(context, builder, flat).data, [at])
        behind = builder.gep(here, [area])
        for place in (here, builder.gep(here, [across]), behind, builder.gep(behind, [across])):
            builder.call(prefetch, [builder.bitcast(place, _BYTE.as_pointer()), *map(INT, (_TO_READ, _AND_TO_KEEP, _AS_DATA))])
        return context.get_dummy_value()

    return types.void(flat, types.int64, types.uint64, types.uint64), generate


@intrinsic(prefer_literal=True)
def _interpolate(typing_context, sizes, sums, channels, flat, across, area, offsets, first, lanes):
    """A vector of samples from the ``first`` on; across and area: words from one row and one plane to the next."""
    if not isinstance(channels, types.IntegerLiteral):
        return None
    dimension, count = sizes.count, channels.literal_value
    wanted = 1 if sums.ndim == 1 else 1 + dimension

    def generate(context, builder, signature, arguments):
        _, _, _, flat, across, area, offsets, first, lanes = arguments
        flat, offsets, lanes = (
            cgutils.create_struct_proxy(kind)(context, builder, array).data
            for kind, array in ((signature.args[3], flat), (signature.args[6], offsets), (signature.args[8], lanes))
        )
        code = Vectors(builder, first, lanes)
        for channel, numbers in enumerate(code.interpolated(dimension, count, flat, across, area, offsets)):
            for kind in range(wanted):
                code.store(numbers[kind], MOVING[channel][kind])
        return context.get_dummy_value()

    return types.void(sizes, sums, channels, flat, types.uint64, types.uint64, offsets, types.uint64, lanes), generate


class Vectors:
    """Writes instructions for the samples of a block from the ``first`` on, one in each lane of a vector."""

    def __init__(self, builder, first, lanes):
        self._builder, self._first, self._lanes = builder, first, lanes

    def load(self, lane):
        return self._builder.load(self._at(lane), align=4)

    def store(self, vector, lane):
        self._builder.store(vector, self._at(lane), align=4)

    def _at(self, lane):
        place = self._builder.gep(self._lanes, [self._builder.add(self._first, INDEX(int(lane)))])
        return self._builder.bitcast(place, VECTOR.as_pointer())

    def interpolated(self, dimension, channels, flat, across, area, offsets):
        """Of each channel the value between the pixels around the samples, and its derivatives; one channel is given by words of two
        rows, so that nothing lies across."""
        builder = self._builder
        at = [builder.zext(builder.load(builder.gep(offsets, [builder.add(self._first, INDEX(k))])), INDEX) for k in range(WIDTH)]
        shares = [self.load(SHARES[axis]) for axis in range(dimension)]
        origins = (flat, builder.gep(flat, [area]))[: dimension - 1]
        planes = [[self._bilinear(pixels, shares) for pixels in self._pixels(origin, across, at, channels)] for origin in origins]
        if dimension == 2:
            return planes[0]
        return [self._trilinear(near, far, shares[2]) for near, far in zip(*planes, strict=True)]

    def _pixels(self, origin, across, at, channels):
        """Of each channel the pixels ``at``, their right, their lower and their lower right neighbours, four vectors."""
        if channels == 1:
            here, below, right, right_below = self._four_lanes(origin, at)
            return [(here, right, below, right_below)]
        rows = [self._neighbours(row, at, channels) for row in (origin, self._builder.gep(origin, [across]))]
        return list(zip(*rows[0], *rows[1], strict=True))

    def _neighbours(self, origin, at, channels):
        """The channels of the pixels ``at`` and of their right neighbours, two lists of vectors."""
        here = self._four_lanes(origin, at)
        if channels == 2:
            return here[:2], here[2:]
        return here, self._four_lanes(self._builder.gep(origin, [INDEX(2)]), at)

    def _four_lanes(self, origin, at):
        """Of the sixteen bytes at each of the places the first, second, third and fourth numbers."""
        builder = self._builder
        places = (builder.bitcast(builder.gep(origin, [place]), _QUAD.as_pointer()) for place in at)
        quads = [builder.load(place, align=8) for place in places]
        rows = [self._joined(quads[k::4]) for k in range(4)]
        low, high, even, odd = (0, 4, 1, 5), (2, 6, 3, 7), (0, 1, 4, 5), (2, 3, 6, 7)
        halves = [[self._by_quads(rows[k], rows[k + 1], part) for k in (0, 2)] for part in (low, high)]
        return [self._by_quads(*half, part) for half in halves for part in (even, odd)]

    def _joined(self, vectors):
        """One after the other, as one vector."""
        while len(vectors) > 1:
            count = 2 * vectors[0].type.count
            vectors = [self._shuffled(one, other, range(count)) for one, other in zip(vectors[::2], vectors[1::2], strict=True)]
        return vectors[0]

    def _by_quads(self, one, other, part):
        """Of each four numbers of one vector, 0 .. 3, and each four of another, 4 .. 7, those of ``part``."""
        mask = [4 * quad + k % 4 + k // 4 * WIDTH for quad in range(WIDTH // 4) for k in part]
        return self._shuffled(one, other, mask)

    def _shuffled(self, one, other, mask):
        numbers = list(mask)
        return self._builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(INT, len(numbers)), numbers))

    def _bilinear(self, pixels, shares):
        """Value between four pixels and its derivatives along x and y."""
        upper_left, upper_right, lower_left, lower_right = pixels
        upper, lower = self._minus(upper_right, upper_left), self._minus(lower_right, lower_left)
        top, bottom = self._along(upper_left, upper, shares[0]), self._along(lower_left, lower, shares[0])
        down = self._minus(bottom, top)
        return self._along(top, down, shares[1]), self._between(upper, lower, shares[1]), down

    def _trilinear(self, near, far, share):
        """Value between two planes and its derivatives along x, y and z."""
        away = self._minus(far[0], near[0])
        return self._along(near[0], away, share), *(self._between(near[k], far[k], share) for k in (1, 2)), away

    def _between(self, one, other, share):
        return self._along(one, self._minus(other, one), share)

    def _along(self, one, way, share):
        return self._builder.fadd(one, self._builder.fmul(share, way, flags=FLAGS), flags=FLAGS)

    def _minus(self, one, other):
        return self._builder.fsub(one, other, flags=FLAGS)
