"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_together(*paths: Path) -> Iterator[list[Path]]:
    """Names beside ``paths`` to write to; renamed to ``paths`` when the block ends well, removed when it does not."""
    own = secrets.token_hex(4)  # two processes, on two machines perhaps, may write the same file
    beside = [path.with_name(f".{own}.part.{path.name}") for path in paths]
    try:
        yield beside
        for part, path in zip(beside, paths, strict=True):
            os.replace(part, path)
    finally:
        for part in beside:
            part.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what ``written_together`` left in a folder where its process was killed while it wrote."""
    for path in folder.glob(".????????.part.*"):
        path.unlink(missing_ok=True)
