"""The table of pairs: one row a registration."""

import csv
from dataclasses import dataclass
from pathlib import Path

from MetaAffineRegLib.errors import InputError

from .options import RUNNER_UP

_COLUMNS = ("id", "fixed", "moving")
_LONGEST_ID = 100  # characters; file systems end at 255 bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, its files named from ``folder`` on: a long table is held as its text."""

    id: str
    folder: Path
    fixed_file: str
    moving_file: str

    @property
    def fixed(self) -> Path:
        return self.folder / self.fixed_file

    @property
    def moving(self) -> Path:
        return self.folder / self.moving_file


def read_table(path: Path) -> list[Row]:
    """The rows of a table of pairs; raises InputError where it is missing or lacks columns, or where IDs can't name files."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a CSV file with the columns id, fixed, moving.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            reader = csv.DictReader(f)
            names = reader.fieldnames or []
            rows = [Row(line.get("id") or "", path.parent, line.get("fixed") or "", line.get("moving") or "") for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a CSV file; save it as plain text, UTF-8.") from error
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise InputError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; the first line must name id, fixed, moving."
        )
    if not rows:
        raise InputError(f"{path} has no rows; add one for each pair.")
    seen: set[str] = set()
    for name in (row.id for row in rows):
        if not name or name in seen or name != Path(name).name or name.startswith(".") or "\\" in name or len(name) > _LONGEST_ID:
            raise InputError(f"{path} has an id '{name}' that is empty, not alone or no file name; give every row an id of its own.")
        seen.add(name)
    for name in sorted(seen):
        if name + RUNNER_UP in seen:
            raise InputError(
                f"{path} has the ids '{name}' and '{name}{RUNNER_UP}', which is the name of the runner-up of the former; rename one."
            )
    return rows
