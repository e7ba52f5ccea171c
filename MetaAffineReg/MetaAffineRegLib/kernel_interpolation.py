"""Interpolation of the moving image between its pixels, eight samples at a time, in the compiler's own language.

Left to itself the compiler fetches the pixels around a sample number by number.  Here they are read by sixteen bytes, which hold two
channels of two neighbours or four channels of one pixel, and eight such become four vectors by shuffles.  The instructions are those that
LLVM has for all processors; where vectors are shorter it splits them.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .backends import BORDER
from .compiling import FASTMATH, inlined
from .lanes import MOVING, SHARES

_WIDTH = 8
_SINGLE, _INDEX = ir.FloatType(), ir.IntType(64)
_QUAD, _VECTOR = ir.VectorType(_SINGLE, 4), ir.VectorType(_SINGLE, _WIDTH)
_FLAGS = tuple(FASTMATH)


@inlined
def sample_moving(sizes, words, covered, work, count, sums):
    """The channels of the moving image at the ``count`` samples of a block, a multiple of eight, to their lanes; and their derivatives
    where sums ``(2, 1 + n)`` have room for what follows from them.

    words ``(padded samples, W)``: two channels each; W = 1 or 2; covered: whether the second channel of one word, the coverage, is
    looked at.
    """
    flat, each = words.reshape(-1), np.uint64(words.shape[1])
    across = each * np.uint64(sizes[len(sizes) - 1] + 2 * BORDER)
    area = across * np.uint64(sizes[len(sizes) - 2] + 2 * BORDER)
    for first in range(0, count, _WIDTH):
        if words.shape[1] == 1:
            if covered:
                _interpolate(sizes, sums, 1, 2, flat, across, area, work.offsets, np.uint64(first), work.lanes)
            else:
                _interpolate(sizes, sums, 1, 1, flat, across, area, work.offsets, np.uint64(first), work.lanes)
        else:
            _interpolate(sizes, sums, 2, 4, flat, across, area, work.offsets, np.uint64(first), work.lanes)


@intrinsic(prefer_literal=True)
def _interpolate(typing_context, sizes, sums, each, used, flat, across, area, offsets, first, lanes):
    """Eight samples from the ``first`` on; ``each``: words of a pixel, used: channels of these that are looked at, across and area: from
    one row and one plane to the next."""
    if not (isinstance(each, types.IntegerLiteral) and isinstance(used, types.IntegerLiteral)):
        return None
    dimension, words = sizes.count, each.literal_value
    wanted = 1 if sums.ndim == 1 else 1 + dimension

    def generate(context, builder, signature, arguments):
        _, _, _, _, flat, across, area, offsets, first, lanes = arguments
        flat, offsets, lanes = (
            cgutils.create_struct_proxy(kind)(context, builder, array).data
            for kind, array in ((signature.args[4], flat), (signature.args[7], offsets), (signature.args[9], lanes))
        )
        code = _Code(builder, first, lanes)
        at = [builder.zext(builder.load(builder.gep(offsets, [builder.add(first, _INDEX(k))])), _INDEX) for k in range(_WIDTH)]

        def plane(origin):
            rows = [code.neighbours(row, at, words) for row in (origin, builder.gep(origin, [across]))]
            return [code.bilinear(pixels, shares) for pixels in list(zip(*rows[0], *rows[1], strict=True))[: used.literal_value]]

        shares = [code.load(SHARES[axis]) for axis in range(dimension)]
        channels = plane(flat)
        if dimension == 3:
            channels = [code.trilinear(near, far, shares[2]) for near, far in zip(channels, plane(builder.gep(flat, [area])), strict=True)]
        for channel, numbers in enumerate(channels):
            for kind in range(wanted):
                code.store(numbers[kind], MOVING[channel][kind])
        return context.get_dummy_value()

    return types.void(sizes, sums, each, used, flat, types.uint64, types.uint64, offsets, types.uint64, lanes), generate


class _Code:
    """Writes instructions on vectors of eight samples from the ``first`` of a block on."""

    def __init__(self, builder, first, lanes):
        self._builder, self._first, self._lanes = builder, first, lanes

    def load(self, lane):
        return self._builder.load(self._at(lane), align=4)

    def store(self, vector, lane):
        self._builder.store(vector, self._at(lane), align=4)

    def _at(self, lane):
        place = self._builder.gep(self._lanes, [self._builder.add(self._first, _INDEX(int(lane)))])
        return self._builder.bitcast(place, _VECTOR.as_pointer())

    def neighbours(self, origin, at, words):
        """The channels of the pixels ``at`` and of their right neighbours, two lists of vectors."""
        here = self._four_lanes(origin, at)
        if words == 1:
            return here[:2], here[2:]
        return here, self._four_lanes(self._builder.gep(origin, [_INDEX(words)]), at)

    def _four_lanes(self, origin, at):
        """Of the sixteen bytes at each of eight places the first, second, third and fourth numbers."""
        builder = self._builder
        places = (builder.bitcast(builder.gep(origin, [place]), _QUAD.as_pointer()) for place in at)
        quads = [builder.load(place, align=8) for place in places]
        rows = [self._shuffled(quads[k], quads[k + 4], range(_WIDTH)) for k in range(4)]
        low, high = (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
        even, odd = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)
        halves = [[self._shuffled(rows[k], rows[k + 1], part) for k in (0, 2)] for part in (low, high)]
        return [self._shuffled(*half, part) for half in halves for part in (even, odd)]

    def _shuffled(self, one, other, mask):
        numbers = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), list(mask))
        return self._builder.shuffle_vector(one, other, numbers)

    def bilinear(self, pixels, shares):
        """Value between four pixels and its derivatives along x and y."""
        upper_left, upper_right, lower_left, lower_right = pixels
        upper, lower = self._minus(upper_right, upper_left), self._minus(lower_right, lower_left)
        top, bottom = self._along(upper_left, upper, shares[0]), self._along(lower_left, lower, shares[0])
        down = self._minus(bottom, top)
        return self._along(top, down, shares[1]), self._between(upper, lower, shares[1]), down

    def trilinear(self, near, far, share):
        """Value between two planes and its derivatives along x, y and z."""
        away = self._minus(far[0], near[0])
        return self._along(near[0], away, share), *(self._between(near[k], far[k], share) for k in (1, 2)), away

    def _between(self, one, other, share):
        return self._along(one, self._minus(other, one), share)

    def _along(self, one, way, share):
        return self._builder.fadd(one, self._builder.fmul(share, way, flags=_FLAGS), flags=_FLAGS)

    def _minus(self, one, other):
        return self._builder.fsub(one, other, flags=_FLAGS)
