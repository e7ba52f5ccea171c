"""Pieces of rows for the compiled kernels, sixteen numbers at a time, whatever their lengths.

Left to itself the compiler takes what a piece has beyond sixteens number by number, and the processor guesses wrongly how many these
are.  Here vector instructions take some of sixteen numbers, in the compiler's own language; where there are no such instructions it makes
single ones of them.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .compiling import inlined

_WIDTH = 16
_SINGLE, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR, _INTS, _MASK = (ir.VectorType(kind, _WIDTH) for kind in (_SINGLE, _INT, ir.IntType(1)))


@inlined
def copy_piece(values, first, count, lane, filled, lanes):
    """``count`` values from the ``first`` on to a lane, behind those of the block; what lies behind them, others lie on."""
    for i in range(0, count, _WIDTH):
        _copy_some(values, np.uint64(first + i), count - i, lanes, lane + np.uint64(filled + i))


@intrinsic
def _copy_some(typing_context, values, first, count, lanes, to):
    def generate(context, builder, signature, arguments):
        values, first, count, lanes, to = arguments
        target = _address(context, builder, signature.args[3], lanes, to)
        builder.store(_some(context, builder, signature.args[0], values, first, count), target, align=4)
        return context.get_dummy_value()

    return types.void(values, types.uint64, types.int64, lanes, types.uint64), generate


@intrinsic
def squares_outside(typing_context, values, first, last):
    """Sum of the squares of the values before the ``first`` one and from the ``last`` one on."""

    def generate(context, builder, signature, arguments):
        values, first, last = arguments
        count = builder.extract_value(cgutils.create_struct_proxy(signature.args[0])(context, builder, values).shape, 0)
        total = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * _WIDTH))
        for begin, end in ((first.type(0), first), (last, count)):
            with cgutils.for_range_slice(builder, begin, end, first.type(_WIDTH), inc=True) as (at, _):
                found = _some(context, builder, signature.args[0], values, at, builder.sub(end, at))
                builder.store(builder.fadd(builder.load(total), builder.fmul(found, found), flags=("contract",)), total)
        kind = ir.FunctionType(_SINGLE, [_SINGLE, _VECTOR])
        add_up = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{_WIDTH}f32")
        return builder.call(add_up, [_SINGLE(0.0), builder.load(total)], fastmath=("reassoc",))

    return types.float32(values, types.int64, types.int64), generate


def _some(context, builder, kind, values, first, count):
    """Of sixteen values from the ``first`` on so many, zeros for the others, which are not looked at."""
    place = _address(context, builder, kind, values, first)
    found = cgutils.alloca_once(builder, _VECTOR)
    with builder.if_else(builder.icmp_signed(">=", count, count.type(_WIDTH))) as (whole, part):
        with whole:
            builder.store(builder.load(place, align=4), found)
        with part:
            number = builder.insert_element(ir.Constant(_INTS, ir.Undefined), builder.trunc(count, _INT), _INT(0))
            number = builder.shuffle_vector(number, ir.Constant(_INTS, ir.Undefined), ir.Constant(_INTS, [0] * _WIDTH))
            mask = builder.icmp_signed("<", ir.Constant(_INTS, list(range(_WIDTH))), number)
            of = ir.FunctionType(_VECTOR, [_VECTOR.as_pointer(), _INT, _MASK, _VECTOR])
            read = cgutils.get_or_insert_function(builder.module, of, f"llvm.masked.load.v{_WIDTH}f32.p0")
            builder.store(builder.call(read, [place, _INT(4), mask, ir.Constant(_VECTOR, [0.0] * _WIDTH)]), found)
    return builder.load(found)


def _address(context, builder, kind, array, index):
    """Of sixteen numbers of an array, from an index on."""
    numbers = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(numbers, [index]), _VECTOR.as_pointer())
