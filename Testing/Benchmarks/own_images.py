"""A model trained on a few images of one kind, against the shipped ones, on other images of that kind."""

import argparse
import csv
import os
import platform
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegLib.checkpoint import load
from MetaAffineRegLib.image import Image
from MetaAffineRegTrainingLib import evaluation
from MetaAffineRegTrainingLib.pairs import PairMaker
from MetaAffineRegTrainingLib.session import Session, distributions
from MetaAffineRegTrainingLib.settings import TrainingSettings
from MetaAffineRegTrainingLib.sources import source_stack

SHIPPED = ("general-2d", "heads")
STARTS = {"from nothing": "", "from general-2d": "general-2d"}


def add_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("--data", type=Path, required=True, help="folder with index.csv (columns file, subject, dataset) and the images")
    p.add_argument("--dataset", default="knee", help="the kind of image (default: knee)")
    p.add_argument("--images", type=int, default=12, help="images of as many subjects to train on (default: 12)")
    p.add_argument("--minutes", type=float, default=5.0, help="of each training, all in all (default: 5)")
    p.add_argument("--pairs", type=int, default=200, help="pairs of the other images (default: 200)")


def run(arguments: argparse.Namespace) -> list[str]:
    """The section: what was done, and a table."""
    given, others = chosen(arguments.data, arguments.dataset, arguments.images)
    settings = TrainingSettings(minutes=arguments.minutes)
    pairs = pairs_of(others, settings, arguments.pairs)
    rows = list(table(given, pairs, settings))
    return [
        f"{len(given)} images ({arguments.dataset}), one of each subject; of these a quarter is held out to choose the weights. "
        f"{arguments.minutes:g} min on {torch.get_num_threads()} threads ({platform.machine()}, load {os.getloadavg()[0]:.1f} at the end). "
        f"Figures on {arguments.pairs} pairs of {len(others)} images of other subjects, rotations to {settings.rotation:g} degrees, "
        f"shifts to {settings.translation:g} normalised, each axis stretched by up to {settings.scale:.0%}.",
        "",
        "| model | learn: median mse4 | below the shipped one by | learn | comb | robust | steps | minutes |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "The columns `learn`, `comb` and `robust` are shares of pairs that end below one pixel.",
    ]


def chosen(data: Path, dataset: str, count: int) -> tuple[list[Image], list[Image]]:
    """One image of each of ``count`` subjects, and those of all other subjects."""
    with (data / "index.csv").open(newline="") as f:
        files = [row for row in csv.DictReader(f) if row["dataset"] == dataset]
    subjects = sorted({row["subject"] for row in files})
    mine = sorted(random.Random(0).sample(subjects, count))
    given = [next(row["file"] for row in files if row["subject"] == subject) for subject in mine]
    others = [row["file"] for row in files if row["subject"] not in mine]
    return tuple([read_image(data / name).image for name in names] for names in (given, others))  # type: ignore[return-value]


def pairs_of(images: list[Image], settings: TrainingSettings, count: int) -> evaluation.Pairs:
    """Pairs of images that no training saw."""
    maker = PairMaker(source_stack(images, 128), (16, 32, 64, 128), *distributions(settings))
    return evaluation.evaluation_pairs(maker, count, 1, "own images")


def table(given: list[Image], pairs: evaluation.Pairs, settings: TrainingSettings) -> Iterator[str]:
    """A row for each shipped and each new model."""
    methods = ("learn", "comb", "robust")
    shipped = {name: evaluation.errors(pairs, load(name).network, methods) for name in SHIPPED}
    reference = float(shipped[SHIPPED[0]]["learn"].mse4.median())
    for name, found in shipped.items():
        yield row(f"`{name}`", found, reference, "-", "-")
    for title, start in STARTS.items():
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "own.pt"
            session = Session(
                given, TrainingSettings.from_dict({**settings.to_dict(), "start": start}), model, model.with_suffix(".resume.pt")
            )
            session.run()
            found = evaluation.errors(pairs, load(model).network, methods)
            trainer = session.trainer
            yield row(f"new, {title}", found, reference, str(trainer.step), f"{trainer.seconds / 60:.1f}")


def row(title: str, found: dict[str, evaluation.Errors], reference: float, steps: str, minutes: str) -> str:
    """One line of the table."""
    median = float(found["learn"].mse4.median())
    shares = " | ".join(f"{found[method].success:.1%}" for method in ("learn", "comb", "robust"))
    return f"| {title} | {median:.3g} | {reference / median:.1f} times | {shares} | {steps} | {minutes} |"
