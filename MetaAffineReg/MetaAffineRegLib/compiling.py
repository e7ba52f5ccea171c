"""How numba compiles the kernels, and where it keeps what it compiled."""

import logging
from collections.abc import Callable
from typing import Any

import numba

from . import kernel_cache

# Slicer's root logger takes DEBUG, and numba notes every bytecode that it reads: hundreds of thousands of records, from a thread that is
# not that of Slicer's log.
logging.getLogger("numba").setLevel(logging.WARNING)


_FOLDER = kernel_cache.folder()
LEAN = {"_nrt": False}  # the option with which numba compiles its own string routines
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
INLINED = {**LEAN, "forceinline": True}
FAST = {**INLINED, "fastmath": FASTMATH}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled at its first call for the types of its arguments, or read from the folder of a former run.

    It leaves Python's lock to others while it runs.
    """
    return _compiled(function)


def lean(function: Callable[..., Any]) -> Callable[..., Any]:
    """``compiled``, of a function that makes no array and returns none: references to arrays are not counted, which every slice of a row
    would pay for, and most where threads share the arrays."""
    return _compiled(function, **LEAN)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """``lean``, of a function whose code is put where it is called: each array that is handed over costs seven numbers."""
    return _compiled(function, **INLINED)


def fast(function: Callable[..., Any]) -> Callable[..., Any]:
    """``inlined``, of a function that goes along a row: sums may be reordered and multiplications fused, or vector instructions could not
    take it; infinities and NaN stay.  Whoever calls it may not reorder, so that the numbers are the same from wherever it is called."""
    return _compiled(function, **FAST)


def _compiled(function: Callable[..., Any], **more: Any) -> Callable[..., Any]:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_FOLDER) if _FOLDER else before
    try:
        return numba.njit(cache=_FOLDER is not None, nogil=True, error_model="numpy", **more)(function)
    finally:
        numba.config.CACHE_DIR = before
