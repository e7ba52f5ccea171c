"""Which image files a task is trained on, which are held out, and under which terms they are."""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from MetaAffineRegLib.errors import InputError

_HELD_OUT = 0.1  # share of the training subjects kept for validation
_SUFFIXES = (".png", ".jpg", ".jpeg", ".nrrd", ".nii", ".nii.gz", ".mha")
_LICENCES = {  # by task, or by data set where splits.csv names one
    "hands": "LGPL-3 (FAIR toolbox)",
    "brain": "unclear (web collection)",
    "DEP": "CC0",
    "MSL": "CC BY",
    "MSX": "CC BY",
    "MALF": "CC BY-NC",
    "BRATS13": "CC BY-NC-SA",
}


@dataclass(frozen=True)
class Chosen:
    """Which rows of a task's splits.csv: of these data sets (column 'dataset') and of these licences (column 'licence', what stands
    before a bracket) only; None for all."""

    datasets: Sequence[str] | None = None
    licences: Sequence[str] | None = None

    @property
    def columns(self) -> set[str]:
        """Those that the table needs."""
        return {"file", "split"} | ({"dataset"} if self.datasets else set()) | ({"licence"} if self.licences else set())

    def __contains__(self, row: dict[str, str]) -> bool:
        return (not self.datasets or row["dataset"] in self.datasets) and (not self.licences or _terms(row) in self.licences)


_ALL = Chosen()


def task_files(data: Path, task: str, chosen: Chosen = _ALL) -> list[tuple[str, Path]]:
    """(subject, file) of the images a task may be trained on: rows 'train' of its splits.csv that are ``chosen``.

    Without that table, all images of the folder.  Raises InputError where there are none.
    """
    folder = data / task
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; --data names the folder that holds the task's images in '{task}'.")
    if (folder / "splits.csv").is_file():
        files = [(row.get("subject") or row["file"], folder / row["file"]) for row in _training_rows(folder, chosen)]
    else:
        files = [(path.name, path) for path in sorted(folder.iterdir()) if path.name.lower().endswith(_SUFFIXES)]
    if not files:
        raise InputError(f"{folder} holds no image to train on; put images there, or a splits.csv with rows 'train'.")
    return files


def licences(data: Path, task: str, chosen: Chosen = _ALL) -> str:
    """The terms of the images of a task, for the model card."""
    names = {task}
    if (data / task / "splits.csv").is_file():
        rows = _training_rows(data / task, chosen)
        if all(row.get("licence") for row in rows):
            return ", ".join(sorted({_terms(row) for row in rows}))
        names = {row.get("dataset") or task for row in rows}
    return ", ".join(sorted({f"{name}: {_LICENCES.get(name, 'not stated')}" for name in names}))


def hold_out(files: list[tuple[str, Path]], seed: int) -> tuple[list[Path], list[Path]]:
    """Files for training and for validation, apart by subject; with fewer than five subjects both are all."""
    subjects = sorted({subject for subject, _ in files})
    if len(subjects) < 5:
        return [path for _, path in files], [path for _, path in files]
    kept = set(random.Random(seed).sample(subjects, max(1, round(_HELD_OUT * len(subjects)))))
    return [path for subject, path in files if subject not in kept], [path for subject, path in files if subject in kept]


def _terms(row: dict[str, str]) -> str:
    return row["licence"].split(" (")[0]


def _training_rows(folder: Path, chosen: Chosen) -> list[dict[str, str]]:
    table = folder / "splits.csv"
    with table.open(newline="") as f:
        reader = csv.DictReader(f)
        rows = list(reader)
    if not chosen.columns <= set(reader.fieldnames or ()):
        raise InputError(f"{table} lacks one of the columns {', '.join(sorted(chosen.columns))}; name them in its first line.")
    return [row for row in rows if row["split"] == "train" and row in chosen]
