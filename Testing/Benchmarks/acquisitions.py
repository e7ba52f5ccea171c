"""``benchmark acquisitions``: one subject acquired in two ways, with a known truth, from random poses.

Both images of a pair are sampled from one volume, each on a lattice of its own and with noise of its own, so that the truth is the identity
before the moving one is posed.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measuring import machine
from numpy.typing import NDArray
from poses import NEAR, Tally, header_of, object_points, register_posed, together
from real_pairs import add_volume_arguments, check_poses, read_splits

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image

NOISE = 0.03  # standard deviation, of the brightest samples
AXIAL, SAGITTAL = (1.0, 1.0, 4.0), (4.0, 1.0, 1.0)  # mm
OBLIQUE = 35.0  # degrees
TABLE = 0.5  # brightness, of the brightest samples

Vector = NDArray[np.float64]
Pair = tuple[sitk.Image, sitk.Image]


@dataclass(frozen=True)
class Acquisition:
    """A way to acquire a volume twice; ``files``: names without suffix, or none for the heads of the split test."""

    name: str
    pair_of: Callable[[sitk.Image], Pair]
    files: tuple[str, ...] = ()


def thick_slices(volume: sitk.Image) -> Pair:
    """Voxels of the volume against axial slices of 4 mm."""
    return sampled(volume), sampled(volume, spacing=AXIAL)


def crossing_slices(volume: sitk.Image) -> Pair:
    """Axial against sagittal slices of 4 mm."""
    return sampled(volume, spacing=AXIAL), sampled(volume, spacing=SAGITTAL)


def oblique(volume: sitk.Image) -> Pair:
    """Slices of 4 mm against others 35 degrees oblique to them."""
    return sampled(volume, spacing=AXIAL), sampled(volume, spacing=AXIAL, turn=OBLIQUE)


def other_voxels(volume: sitk.Image) -> Pair:
    """Voxels of 1.2 mm against 3 x 2.5 x 3.5 mm."""
    return sampled(volume, spacing=(1.2, 1.2, 1.2)), sampled(volume, spacing=(3.0, 2.5, 3.5))


def cut_fields(volume: sitk.Image) -> Pair:
    """70 % of the object along one axis against 75 % along another."""
    return sampled(volume, low=(0, 0, 0), high=(1, 1, 0.7)), sampled(volume, low=(0, 0, 0), high=(1, 0.75, 1))


def wide_field(volume: sitk.Image) -> Pair:
    """The object's field of view against one 1.6 times as wide, the object off its middle."""
    return sampled(volume), sampled(volume, low=(-0.5, 0, -0.6), high=(1.1, 1.6, 1.0))


def on_a_table(volume: sitk.Image) -> Pair:
    """A curved table, 15 mm and 8 degrees elsewhere in the moving image."""
    return with_table(sampled(volume), 0.0, 0.0), with_table(sampled(volume, spacing=(2.5, 2.5, 4.0)), 15.0, 8.0)


def twice(volume: sitk.Image) -> Pair:
    """Voxels of the volume against a quarter wider ones in other directions."""
    return sampled(volume), sampled(volume, spacing=tuple(1.25 * step for step in volume.GetSpacing()), turn=OBLIQUE)


ACQUISITIONS = (
    Acquisition("slices of 4 mm", thick_slices),
    Acquisition("axial and sagittal slices of 4 mm", crossing_slices),
    Acquisition("oblique slices of 4 mm", oblique),
    Acquisition("other voxels", other_voxels),
    Acquisition("fields of view that cut", cut_fields),
    Acquisition("a wider field of view", wide_field),
    Acquisition("abdomen CT on a table", on_a_table, ("TS_CTabdomen",)),
    Acquisition("chest CT on a table", on_a_table, ("TS_CTheartA",)),
    Acquisition("mouse heart, PET", twice, ("FAIR_mice3D_R", "FAIR_mice3D_T")),
    Acquisition("knee, MRI", twice, ("FAIR_knee3D_R", "FAIR_knee3D_T")),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark acquisitions``."""
    add_volume_arguments(parser)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only acquisitions whose names contain one of these")


def run(arguments: argparse.Namespace) -> list[str]:
    """Lines of Markdown; raises InputError where a volume is missing."""
    check_poses(arguments)
    random = np.random.default_rng(arguments.seed)
    lines, tallies = [], []
    for acquisition in ACQUISITIONS:
        if arguments.only and not any(word in acquisition.name for word in arguments.only):
            continue
        files = files_of(acquisition, arguments.data)
        tally = Tally()
        for number in range(arguments.poses):
            clean, moving = acquisition.pair_of(read_volume(files[number % len(files)]))
            points = object_points(image_of(clean, None))
            fixed, other = image_of(clean, random), image_of(moving, random)
            tally.results.append(register_posed(fixed, other, np.eye(4), points, random, arguments.device))
        tallies.append(tally)
        lines.append(tally.row(acquisition.name, (acquisition.pair_of.__doc__ or "").rstrip("."), min(len(files), arguments.poses)))
        print(lines[-1], file=sys.stderr, flush=True)
    if not lines:
        raise InputError("--only names no acquisition; leave it out for all.")
    return [
        f"{arguments.poses} poses each, any rotation, shifts up to half the field of view; {machine(arguments.device)}. "
        f"Within reach: a mean error over the object below {NEAR:g} mm, or a voxel of the fixed image where that is less. "
        f"In all {together(tallies).sentence()}.",
        "",
        *header_of("acquisition", "fixed against moving", "volumes"),
        *lines,
    ]


def files_of(acquisition: Acquisition, folder: Path) -> list[Path]:
    """The volumes of an acquisition, turn by turn; raises InputError where one is missing."""
    names = [f"{name}.nii.gz" for name in acquisition.files] or [
        entry["file"]
        for entry in read_splits(folder)
        if entry["split"] == "test" and entry["contrast"] == "T1" and "skull-stripped" in entry["note"]
    ]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise InputError(f"{folder} lacks {missing[0] if missing else 'T1 volumes of the split test'}; give the folder of volumes.")
    return [folder / name for name in names]


def read_volume(path: Path) -> sitk.Image:
    """With brightness 0 to about 1."""
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    low, high = np.percentile(sitk.GetArrayViewFromImage(image), (0.5, 99.5))
    return (image - float(low)) / float(high - low)


def sampled(
    volume: sitk.Image,
    *,
    spacing: Sequence[float] | None = None,
    turn: float = 0.0,
    low: Sequence[float] = (0, 0, 0),
    high: Sequence[float] = (1, 1, 1),
) -> sitk.Image:
    """The volume where it lies, on a lattice of its own; zero where it has no samples.

    spacing: mm, of the volume where it is left out; what is coarser than the volume is smoothed to it first; turn: degrees about an
    oblique axis between the directions; low, high: corners of the field of view, as shares of the volume's.
    """
    own, size = np.array(volume.GetSpacing()), np.array(volume.GetSize())
    steps = own if spacing is None else np.array(spacing)
    turned = sitk.VersorTransform((np.array([1.0, 2.0, 2.0]) / 3).tolist(), np.radians(turn)).GetMatrix()
    directions = np.reshape(volume.GetDirection(), (3, 3)) @ np.reshape(turned, (3, 3))
    counts = np.maximum(np.round((np.array(high) - low) * size * own / steps), 2).astype(int)
    middle = np.array(volume.TransformContinuousIndexToPhysicalPoint((((np.array(low) + high) / 2) * size - 0.5).tolist()))
    lattice = sitk.Image(counts.tolist(), sitk.sitkUInt8)
    lattice.SetSpacing(steps.tolist())
    lattice.SetDirection(directions.ravel().tolist())
    lattice.SetOrigin((middle - directions @ (steps * (counts - 1) / 2)).tolist())
    coarse = np.sqrt(np.maximum(steps**2 - own**2, 0)) / 2.355  # a slice is as thick as its profile is wide at half its height
    smooth = sitk.SmoothingRecursiveGaussian(volume, np.maximum(coarse, 1e-3).tolist()) if coarse.any() else volume
    return sitk.Resample(smooth, lattice, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear, 0.0)


def with_table(image: sitk.Image, aside: float, turn: float) -> sitk.Image:
    """A curved plate, 8 mm thick, behind the object; ``aside`` mm and ``turn`` degrees from its place under the middle."""
    geometry = geometry_of(image)
    array = sitk.GetArrayFromImage(image)
    k, j, i = np.indices(array.shape)
    points = np.stack((i, j, k), -1) * geometry.spacing - (np.array(geometry.size) - 1) / 2 * geometry.spacing  # along the axes, mm
    width, depth = (np.array(geometry.size) * geometry.spacing)[:2]
    angle = np.radians(turn)
    across = np.cos(angle) * points[..., 0] - np.sin(angle) * points[..., 1] - aside
    behind = np.sin(angle) * points[..., 0] + np.cos(angle) * points[..., 1]
    bent = behind - (0.38 * depth - across**2 / (1.5 * width))
    plate = (np.abs(bent) < 4.0) & (np.abs(across) < 0.45 * width)
    found = sitk.GetImageFromArray(np.where(plate, np.maximum(array, TABLE), array))
    found.CopyInformation(image)
    return found


def image_of(volume: sitk.Image, random: np.random.Generator | None) -> Image:
    """As the registration takes it, with noise where ``random`` is given."""
    array = sitk.GetArrayFromImage(volume)
    noise = 0.0 if random is None else NOISE * random.standard_normal(array.shape, dtype=np.float32)
    return Image.checked(array + noise, geometry_of(volume), "volume")


def geometry_of(volume: sitk.Image) -> ImageGeometry:
    """Where the samples lie."""
    return ImageGeometry.from_lattice(volume.GetSize(), volume.GetSpacing(), volume.GetOrigin(), np.asarray(volume.GetDirection()))
