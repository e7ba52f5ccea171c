"""What a batch registers, and where its files lie.

In the folder of a batch: ``<id>.tfm``, ``<id>-runner-up.tfm`` where a result is not sure, ``report.csv``, and where they are asked
for ``quality.html`` and its pictures ``pictures/<id>.jpg``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import remove_leftovers
from MetaAffineRegLib.geometry import Matrix
from MetaAffineRegLib.image import Image

from .report_table import Line


@dataclass(frozen=True)
class Pair:
    """What is registered; ``initial`` (4 x 4, fixed -> moving, LPS mm) and remarks on the images."""

    fixed: Image
    moving: Image
    initial: Matrix | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One registration of a batch: what its files are called, what its images are called, and how to read them.

    ``read`` raises InputError where the images can't be used; in another thread or process it is called only where the one who
    runs the batch says so (see ``units`` and ``cluster``).
    """

    id: str
    fixed: str
    moving: str
    read: Callable[[], Pair]


@dataclass(frozen=True)
class BatchFolder:
    """Where the files of a batch lie; with ``quality`` it holds pictures and a page that shows them."""

    path: Path
    quality: bool = False

    @classmethod
    def checked(cls, path: Path, quality: bool) -> "BatchFolder":
        """Raises InputError where the folder can't be made."""
        if not path.is_dir() and (path.exists() or not path.parent.is_dir()):
            raise InputError(f"--output-dir {path} can't be used: it is a file, or its parent folder does not exist; choose another.")
        return cls(path, quality)

    @property
    def report(self) -> Path:
        return self.path / "report.csv"

    @property
    def page(self) -> Path:
        return self.path / "quality.html"

    def transform(self, row: str) -> Path:
        return self.path / f"{row}.tfm"

    def picture(self, row: str) -> Path:
        return self.path / "pictures" / f"{row}.jpg"

    def make(self) -> None:
        """Make the folders that are missing."""
        self.path.mkdir(exist_ok=True)
        if self.quality:
            (self.path / "pictures").mkdir(exist_ok=True)

    def clear(self) -> None:
        """Remove halves of files that a process left which was killed while it wrote them."""
        for folder in (self.path, self.path / "pictures"):
            remove_leftovers(folder)

    def is_finished(self, row: str, line: Line | None) -> bool:
        """Whether an earlier run left all that belongs to a row; its line is written last."""
        files = [self.transform(row), *([self.picture(row)] if self.quality else [])]
        return line is not None and line.get("done") == "yes" and all(path.is_file() for path in files)
