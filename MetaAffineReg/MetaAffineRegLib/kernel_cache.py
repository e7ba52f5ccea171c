"""The folder in the user's cache that keeps compiled kernels, and whether those of the usual settings are there; nothing is imported for it
that takes seconds."""

import hashlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_COMPLETE = "complete"  # an empty file


def folder() -> Path | None:
    """A folder of this version of the kernels, None without numba or where none can be made.

    numba alone would not see that a kernel calls another one that was changed; nor does it share kernels between versions of Python or
    places of their sources.
    """
    try:
        maker = f"{version('numba')} {sys.implementation.cache_tag} {Path(__file__).resolve().parent}"
    except PackageNotFoundError:
        return None
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(maker.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    found = base / "MetaAffineReg" / f"kernels-{digest.hexdigest()[:16]}"
    try:
        found.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return found if os.access(found, os.W_OK) else None


def is_complete(folder: Path) -> bool:
    """Whether ``compile_all`` has run to its end there."""
    return (folder / _COMPLETE).exists()


def note_complete(folder: Path) -> None:
    """Remember that it has."""
    (folder / _COMPLETE).touch()
