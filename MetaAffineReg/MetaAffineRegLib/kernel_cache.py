"""The folder in the user's cache that keeps compiled kernels, and whether those of the usual settings are there; nothing is imported for it
that takes seconds."""

import hashlib
import os
import shutil
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_COMPLETE = "complete"  # an empty file
_MAKER = "maker"  # a file that says whose kernels these are
_NAME, _DIGITS = "kernels-", 16
_REPLACED = 24 * 3600.0  # seconds after which kernels of earlier sources are; a process that runs may still read some
_UNUSED = 90 * 24 * 3600.0  # seconds after which kernels are given up that nobody reads


def folder() -> Path | None:
    """A folder of this version of the kernels, None without numba or where none can be made.

    numba alone would not see that a kernel calls another one that was changed; nor does it share kernels between versions of Python or
    places of their sources.  A new folder takes the place of those that earlier versions of the same sources have left.
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
    found = base / "MetaAffineReg" / f"{_NAME}{digest.hexdigest()[:_DIGITS]}"
    try:
        found.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    with suppress(OSError):
        os.utime(found)
        if not (found / _MAKER).exists():
            (found / _MAKER).write_text(maker, encoding="utf-8")
            _remove_others(found, maker)
    return found if os.access(found, os.W_OK) else None


def _remove_others(folder: Path, maker: str) -> None:
    """Remove the kernels beside a folder that were of the same maker and that no process of today has read, and those that nobody has
    read for long."""
    for other in folder.parent.glob(_NAME + "[0-9a-f]" * _DIGITS):
        if other == folder or other.is_symlink() or not other.is_dir():
            continue
        try:
            of, unused = other / _MAKER, time.time() - other.stat().st_mtime
            same = of.is_file() and of.read_text(encoding="utf-8") == maker
        except (OSError, UnicodeDecodeError):
            continue
        if unused > (_REPLACED if same else _UNUSED):
            (other / _COMPLETE).unlink(missing_ok=True)
            shutil.rmtree(other, ignore_errors=True)


def is_complete(folder: Path) -> bool:
    """Whether ``compile_all`` has run to its end there."""
    return (folder / _COMPLETE).exists()


def note_complete(folder: Path) -> None:
    """Remember that it has."""
    (folder / _COMPLETE).touch()
