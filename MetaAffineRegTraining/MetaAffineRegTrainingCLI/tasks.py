"""Which image files a task is trained on, which are held out, and under which terms they are."""

import csv
import random
from collections.abc import Sequence
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


def task_files(data: Path, task: str, datasets: Sequence[str] | None = None) -> list[tuple[str, Path]]:
    """(subject, file) of the images a task may be trained on: rows 'train' of its splits.csv, of ``datasets`` only where given.

    Without that table, all images of the folder.  Raises InputError where there are none.
    """
    folder = data / task
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; --data names the folder that holds the task's images in '{task}'.")
    if (folder / "splits.csv").is_file():
        files = [(row.get("subject") or row["file"], folder / row["file"]) for row in _training_rows(folder, datasets)]
    else:
        files = [(path.name, path) for path in sorted(folder.iterdir()) if path.name.lower().endswith(_SUFFIXES)]
    if not files:
        raise InputError(f"{folder} holds no image to train on; put images there, or a splits.csv with rows 'train'.")
    return files


def licences(data: Path, task: str, datasets: Sequence[str] | None = None) -> str:
    """The terms of the images of a task, for the model card."""
    names = {task}
    if (data / task / "splits.csv").is_file():
        names = {row.get("dataset") or task for row in _training_rows(data / task, datasets)}
    return ", ".join(sorted({f"{name}: {_LICENCES.get(name, 'not stated')}" for name in names}))


def hold_out(files: list[tuple[str, Path]], seed: int) -> tuple[list[Path], list[Path]]:
    """Files for training and for validation, apart by subject; with fewer than five subjects both are all."""
    subjects = sorted({subject for subject, _ in files})
    if len(subjects) < 5:
        return [path for _, path in files], [path for _, path in files]
    kept = set(random.Random(seed).sample(subjects, max(1, round(_HELD_OUT * len(subjects)))))
    return [path for subject, path in files if subject not in kept], [path for subject, path in files if subject in kept]


def _training_rows(folder: Path, datasets: Sequence[str] | None) -> list[dict[str, str]]:
    table = folder / "splits.csv"
    with table.open(newline="") as f:
        reader = csv.DictReader(f)
        rows = list(reader)
    needed = {"file", "split"} | ({"dataset"} if datasets else set())
    if not needed <= set(reader.fieldnames or ()):
        raise InputError(f"{table} lacks one of the columns {', '.join(sorted(needed))}; name them in its first line.")
    return [row for row in rows if row["split"] == "train" and (not datasets or row["dataset"] in datasets)]
