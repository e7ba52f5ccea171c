"""The rows of a table as jobs of a batch, whose files are read when their turn comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import overload

from MetaAffineRegLib.geometry import Matrix

from .image_files import read_image
from .jobs import Job, Pair
from .pairs_table import Row


@dataclass(frozen=True)
class TableJobs(Sequence[Job]):
    """A job for each row, made when it is asked for: a long table is held as its text.  Jobs can be sent to other processes."""

    rows: Sequence[Row]
    initial: Matrix | None

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> "TableJobs": ...
    def __getitem__(self, place: int | slice) -> "Job | TableJobs":
        if isinstance(place, slice):
            return TableJobs(self.rows[place], self.initial)
        row = self.rows[place]
        return Job(row.id, str(row.fixed), str(row.moving), partial(read_row, row, self.initial))


def read_row(row: Row, initial: Matrix | None) -> Pair:
    """The images of a row; raises InputError where they can't be used."""
    fixed, moving = read_image(row.fixed), read_image(row.moving)
    return Pair(fixed.image, moving.image, initial, (*fixed.remarks, *moving.remarks))
