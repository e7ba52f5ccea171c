"""The folder in the user's cache that keeps compiled kernels, and whether all of them are there; nothing is imported for it that takes
seconds."""

import hashlib
import os
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_COMPLETE = "complete"  # an empty file


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """A folder of this version of the kernels, None without numba or where none can be made.

    numba alone would not see that a kernel calls another one that was changed.
    """
    try:
        digest = hashlib.sha256(version("numba").encode())
    except PackageNotFoundError:
        return None
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    found = base / "MetaAffineReg" / f"kernels-{digest.hexdigest()[:16]}"
    try:
        found.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return found if os.access(found, os.W_OK) else None


def is_complete() -> bool:
    """Whether ``compile_all`` has run to its end here."""
    found = folder()
    return found is not None and (found / _COMPLETE).exists()


def note_complete() -> None:
    """Remember that it has."""
    found = folder()
    if found is not None:
        (found / _COMPLETE).touch()
