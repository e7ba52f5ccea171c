"""``benchmark subjects``: heads of different people, judged by loops of three and by how far their tissues cover each other."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measuring import header, machine, row, share
from numpy.typing import NDArray
from poses import distances, moved, object_points, random_pose
from real_pairs import add_volume_arguments, check_poses, read_splits

from MetaAffineRegCLI.image_files import read_image, resample
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix, pair_frame
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Confidence, Settings, register

UPRIGHT = 45.0  # degrees: all heads lie so near to each other in the axes of their files
NEAR = 2.0  # mm
TISSUES = ("head", "grey and white matter", "white matter")

Labels = NDArray[np.uint8]
Pair = tuple[int, int]
Round = tuple[dict[Pair, Matrix], dict[Pair, Confidence]]


@dataclass(frozen=True)
class Subject:
    """A head and the tissue of its samples: 0 around it, 1 fluid, 2 grey, 3 white matter."""

    name: str
    image: Image
    tissue: Labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark subjects``."""
    add_volume_arguments(parser)
    parser.add_argument("--first", type=int, metavar="N", help="only the first N subjects, three or more")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; raises InputError where there are fewer than three subjects."""
    check_poses(arguments)
    subjects = read_subjects(arguments.data, arguments.first)
    random = np.random.default_rng(arguments.seed)
    count = len(subjects)
    ring = list(dict.fromkeys((one, (one + step) % count) for step in (1, -2) for one in range(count)))  # loops of three neighbours
    upright = {pair: _register(*(subjects[k].image for k in pair), arguments.device, UPRIGHT)[0] for pair in ring}
    rounds = []
    for number in range(arguments.poses):
        rounds.append(_round(subjects, ring, random, arguments.device))
        print(f"{number + 1} of {arguments.poses} rounds done", file=sys.stderr, flush=True)
    points = [object_points(subject.image) for subject in subjects]
    away = {pair: [float(distances(maps[pair], upright[pair], points[pair[0]]).mean()) for maps, _ in rounds] for pair in ring}
    loops = [[loop_error(maps, (k, (k + 1) % count, (k + 2) % count), points[k]) for maps, _ in rounds] for k in range(count)]
    every = [error for errors in away.values() for error in errors]
    return [
        f"{count} people, {arguments.poses} rounds, in each a random pose of every head; {machine(arguments.device)}. "
        f"A loop goes from a head to the next, to the one after it and back: {np.median(loops):.2f} mm in the median over the head, "
        f"{np.max(loops):.2f} mm at most. {share(sum(error < NEAR for error in every), len(every))} of the registrations end within "
        f"{NEAR:g} mm of where one ends that sets out upright and searches {UPRIGHT:g} degrees. Overlaps are Dice coefficients in per "
        "cent, of tissues told apart by their brightness (Otsu), before (upright, the middles on each other) / after (in the last round).",
        "",
        *header("A", "B", "loop from A, median mm", "largest mm", f"A to B within {NEAR:g} mm of the upright end", "called ok", *TISSUES),
        *(_row(subjects, pair, loops[pair[0]], away[pair], rounds) for pair in ring[:count]),
    ]


def _round(subjects: list[Subject], ring: list[Pair], random: np.random.Generator, device: str) -> Round:
    """Maps of the pairs of a ring from a random pose of every head, the poses taken off again, and what they say of themselves."""
    poses = [random_pose(subject.image.geometry, random) for subject in subjects]
    posed = [moved(subject.image, pose) for subject, pose in zip(subjects, poses, strict=True)]
    found = {(one, other): _register(posed[one], posed[other], device, 180.0) for one, other in ring}
    maps = {(one, other): np.linalg.inv(poses[other]) @ found[one, other][0] @ poses[one] for one, other in ring}
    return maps, {pair: confidence for pair, (_, confidence) in found.items()}


def _row(subjects: list[Subject], pair: Pair, loops: list[float], away: list[float], rounds: list[Round]) -> str:
    one, other = (subjects[k] for k in pair)
    frame = pair_frame(one.image.geometry, other.image.geometry)
    before, after = (overlaps(one, other, matrix) for matrix in (frame.to_lps(frame.start), rounds[-1][0][pair]))
    return row(
        *(one.name, other.name, f"{np.median(loops):.2f}", f"{max(loops):.2f}"),
        f"{sum(error < NEAR for error in away)} of {len(away)}",
        sum(confidences[pair].status == "ok" for _, confidences in rounds),
        *(f"{100 * b:.0f} / {100 * a:.0f}" for b, a in zip(before, after, strict=True)),
    )


def read_subjects(folder: Path, first: int | None = None) -> list[Subject]:
    """One T1 head without its skull of each person of the split test; raises InputError where there are fewer than three."""
    files: dict[str, str] = {}
    for entry in read_splits(folder):
        if entry["split"] == "test" and entry["contrast"] == "T1" and "skull-stripped" in entry["note"]:
            files.setdefault(entry["subject"], entry["file"])
    chosen = list(files.items())[:first]
    if len(chosen) < 3:
        raise InputError(f"{folder} gives {len(chosen)} people of the split test; loops need three or more.")
    images = {name: read_image(folder / file).image for name, file in chosen}
    return [Subject(name, image, tissues(image)) for name, image in images.items()]


def tissues(image: Image) -> Labels:
    """0 around the head, 1 fluid, 2 grey, 3 white matter, by two thresholds within what is brighter than nothing (Otsu 1979)."""
    mask = image.array > 0.05 * np.percentile(image.array, 99.5)
    inside = sitk.GetImageFromArray(image.array[mask][None, None])
    levels = sitk.OtsuMultipleThresholdsImageFilter()
    levels.SetNumberOfThresholds(2)
    levels.Execute(inside)
    return np.where(mask, 1 + np.digitize(image.array, levels.GetThresholds()), 0).astype(np.uint8)


def overlaps(one: Subject, other: Subject, one_to_other: Matrix) -> tuple[float, ...]:
    """Dice coefficients of the TISSUES under a map, 4 x 4, LPS mm."""
    shares = []
    for least in (1, 2, 3):
        there = resample(Image((other.tissue >= least).astype(np.float32), other.image.geometry), one.image, one_to_other) > 0.5
        shares.append(dice(one.tissue >= least, there))
    return tuple(shares)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Twice what two sets have in common over the sum of their sizes (Dice 1945)."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def loop_error(maps: dict[Pair, Matrix], loop: tuple[int, int, int], points: Matrix) -> float:
    """Mean distance of points (4, n) of the first from where the way round brings them, mm."""
    a, b, c = loop
    return float(distances(maps[c, a] @ maps[b, c] @ maps[a, b], np.eye(4), points).mean())


def _register(fixed: Image, moving: Image, device: str, rotation_range: float) -> tuple[Matrix, Confidence]:
    (result,) = register([(fixed, moving)], Settings(device=device, rotation_range=rotation_range))  # type: ignore[arg-type]
    assert result.confidence is not None
    return result.fixed_to_moving_lps, result.confidence
