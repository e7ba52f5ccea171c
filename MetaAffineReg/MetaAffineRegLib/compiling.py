"""How numba compiles the kernels, and where it keeps what it compiled."""

import hashlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

# Slicer's root logger takes DEBUG, and numba notes every bytecode that it reads: hundreds of thousands of records, from a thread that is
# not that of Slicer's log.
logging.getLogger("numba").setLevel(logging.WARNING)


LEAN = {"_nrt": False}  # the option with which numba compiles its own string routines
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
FAST = {**LEAN, "fastmath": FASTMATH}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled at its first call for the types of its arguments, or read from the folder of a former run.

    It leaves Python's lock to others while it runs.
    """
    return _compiled(function)


def lean(function: Callable[..., Any]) -> Callable[..., Any]:
    """``compiled``, of a function that makes no array: references to arrays are not counted, which every slice of a row would pay for, and
    most where threads share the arrays."""
    return _compiled(function, **LEAN)


def fast(function: Callable[..., Any]) -> Callable[..., Any]:
    """``lean``, of a function that goes along a row: sums may be reordered and multiplications fused, or vector instructions could not take
    it; infinities and NaN stay.  Whoever calls it may not reorder, so that the numbers are the same from wherever it is called."""
    return _compiled(function, **FAST)


def _compiled(function: Callable[..., Any], **more: Any) -> Callable[..., Any]:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _FOLDER or before
    try:
        return numba.njit(cache=_FOLDER is not None, nogil=True, error_model="numpy", **more)(function)
    finally:
        numba.config.CACHE_DIR = before


def _cache_folder() -> str | None:
    """A folder of this version of the kernels in the user's cache, None where none can be made.

    numba alone would not see that a kernel calls another one that was changed.
    """
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    folder = base / "MetaAffineReg" / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


_FOLDER = _cache_folder()
