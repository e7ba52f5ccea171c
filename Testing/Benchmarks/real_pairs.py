"""``benchmark real``: pairs of real volumes with a known transform, from random poses."""

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import machine
from poses import NEAR, Tally, header_of, object_points, register_posed, together

from MetaAffineRegCLI.image_files import read_image
from MetaAffineRegCLI.transform_files import read_transform
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix


@dataclass(frozen=True)
class RealPair:
    """Two volumes, the true transform (4 x 4, fixed point -> moving point, LPS mm), whether it is more than nearly true, their split."""

    fixed: Path
    moving: Path
    kind: str
    truth: Matrix
    certain: bool
    split: str

    @property
    def name(self) -> str:
        """Of the two files."""
        return " - ".join(path.name.split(".")[0] for path in (self.fixed, self.moving))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark real``."""
    add_volume_arguments(parser)
    parser.add_argument("--pairs", nargs="+", metavar="NAME", help="only pairs whose files' names contain one of these")


def add_volume_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of volumes, poses, seed and device."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of volumes, with splits.csv (file, subject, contrast, split, note)"
    )
    parser.add_argument("--poses", type=int, default=20, help="random poses of each pair (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="where to compute (default: cpu)")


def check_poses(arguments: argparse.Namespace) -> None:
    """Raise InputError for no poses."""
    if arguments.poses < 1:
        raise InputError(f"--poses {arguments.poses} is not a number of poses; give 1 or more.")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; raises InputError where a table is missing."""
    check_poses(arguments)
    random = np.random.default_rng(arguments.seed)
    lines: list[str] = []
    tallies: list[tuple[RealPair, Tally]] = []
    for pair in read_real_pairs(arguments.data):
        if arguments.pairs and not any(name in pair.name for name in arguments.pairs):
            continue
        fixed, moving = read_image(pair.fixed).image, read_image(pair.moving).image
        points = object_points(fixed)
        tally = Tally([register_posed(fixed, moving, pair.truth, points, random, arguments.device) for _ in range(arguments.poses)])
        tallies.append((pair, tally))
        lines.append(tally.row(pair.name, pair.kind, "yes" if pair.certain else "nearly", pair.split))
        print(lines[-1], file=sys.stderr, flush=True)
    if not tallies:
        raise InputError(f"{arguments.data} has no pairs with a known transform that --pairs names; leave it out for all.")
    return [
        f"{arguments.poses} poses a pair, any rotation, shifts up to half the field of view; {machine(arguments.device)}. "
        f"Within reach: a mean error over the object below {NEAR:g} mm, or a voxel of the fixed image where that is less.",
        "",
        *_summary(tallies),
        "",
        *header_of("pair", "kind", "truth certain", "split"),
        *lines,
    ]


def _summary(tallies: list[tuple[RealPair, Tally]]) -> Iterator[str]:
    """A sentence for each split and for the pairs whose truth is not certain."""
    for said, certain, split in (("test files", True, "test"), ("files that may be trained on", True, "train")):
        if some := [tally for pair, tally in tallies if (pair.certain, pair.split) == (certain, split)]:
            yield f"- Truth certain, {said}: {together(some).sentence()}."
    if some := [tally for pair, tally in tallies if not pair.certain]:
        yield f"- Truth nearly known: {together(some).sentence()}."


def read_splits(folder: Path) -> list[dict[str, str]]:
    """The rows of splits.csv (file, subject, contrast, split, note); raises InputError where there is no such table."""
    return _rows(folder / "splits.csv")


def read_real_pairs(folder: Path) -> Iterator[RealPair]:
    """The pairs of pairs.csv whose transform is known, at least nearly; raises InputError where there is no such table."""
    splits = {entry["file"]: entry["split"] for entry in read_splits(folder)}
    for entry in _rows(folder / "pairs.csv"):
        said, files = entry["truth"], [folder / name for name in entry["transforms"].replace(";", " ").split()]
        if said.startswith("affine given: x -> b(inv(a) x)"):
            first, second = (read_transform(path) for path in files)
            truth = second @ np.linalg.inv(first)
        elif said.startswith("affine given"):
            truth = read_transform(files[0])
        elif "identity" in said:
            truth = np.eye(4)
        else:
            continue
        certain = said == "identity" or said.startswith("affine given")
        split = "test" if {splits.get(entry["fixed"]), splits.get(entry["moving"])} == {"test"} else "train"
        yield RealPair(folder / entry["fixed"], folder / entry["moving"], entry["kind"], truth, certain, split)


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        raise InputError(f"{table} does not exist; give the folder of volumes of the data collection.")
    with table.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))
