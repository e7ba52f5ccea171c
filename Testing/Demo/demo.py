"""``run.py demo``: the main job on a real head, as a slice and as a volume, against known truths, in an MRML scene without Slicer.

The fixed images are the middle axial slice of the MNI152 template and the template itself, both with noise on them; the moving ones are
turned, shrunk and shifted, so far that L-BFGS from the start alone goes astray, and the moving volume has other voxels.  They are
registered as nodes, as in the panel, by the default method, and the transform nodes are judged by the files they are saved to.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from numpy.typing import NDArray

from MetaAffineRegCLI.console import run_command
from MetaAffineRegCLI.picture import draw
from MetaAffineRegCLI.report import judgement
from MetaAffineRegCLI.transform_files import read_transform
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry, Matrix
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Settings
from MetaAffineRegMRML.registration_nodes import register_nodes
from MetaAffineRegMRML.volume_nodes import add_volume_node, image_from_volume_node

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path("datasets") / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
NOISE = 0.05  # standard deviation, of the brightest sample
LARGEST_ERROR = 1.0  # samples


@dataclass(frozen=True)
class Case:
    """What is registered: the fixed image without its noise, the lattice of the moving one, and the truth (4 x 4, LPS mm)."""

    name: str
    clean: sitk.Image
    lattice: sitk.Image
    truth: Matrix


def parser() -> argparse.ArgumentParser:
    """The options of ``demo``."""
    p = argparse.ArgumentParser(prog="run.py demo", description="Register a real head image to a moved copy of it and measure the error.")
    p.add_argument("--output-dir", type=Path, default=ROOT / "out" / "demo", help="folder for the results; made where it is missing")
    return p


def template() -> sitk.Image:
    """The template, 1 mm; raises InputError where the package that carries it is missing."""
    package = importlib.util.find_spec("nilearn")
    if package is None or not package.submodule_search_locations:
        raise InputError("The package nilearn, which carries the head image, is not installed; start the demo by run.py.")
    return sitk.DICOMOrient(sitk.ReadImage(package.submodule_search_locations[0] / TEMPLATE, sitk.sitkFloat32), "LPS")


def cases() -> list[Case]:
    """The slice, 1 mm, and the volume, 2 mm against 2.5 x 2.5 x 3 mm; raises InputError as ``template``."""
    head = template()
    middle = head.GetSize()[2] // 2
    plane = head[:, :, middle : middle + 1]
    coarse = sitk.Shrink(sitk.SmoothingRecursiveGaussian(head, 1.0), [2, 2, 2])
    turned_plane = true_map(plane, 55.0, (0, 0, 1), 0.95, (14.0, -9.0, 0.0))
    turned_head = true_map(coarse, 130.0, (1, -2, 2), 0.95, (9.0, -6.0, 12.0))
    other_voxels = lattice((84, 84, 70), (2.5, 2.5, 3.0), coarse)
    return [Case("slice", plane, plane, turned_plane), Case("volume", coarse, other_voxels, turned_head)]


def lattice(size: Sequence[int], spacing: Sequence[float], around: sitk.Image) -> sitk.Image:
    """An empty volume whose middle is that of another."""
    image = sitk.Image(list(size), sitk.sitkUInt8)
    image.SetSpacing(spacing)
    image.SetOrigin((middle_of(around) - middle_of(image)).tolist())
    return image


def middle_of(image: sitk.Image) -> NDArray[np.float64]:
    """LPS, mm, ``(3,)``."""
    return np.array(image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()]))


def true_map(image: sitk.Image, degrees: float, axis: Sequence[float], size: float, shift: Sequence[float]) -> Matrix:
    """Fixed point -> moving point (4 x 4, LPS mm): a turn about the middle of the image, a size along the axes that it has."""
    turn = sitk.VersorTransform(np.divide(axis, np.linalg.norm(axis)).tolist(), np.radians(degrees))
    middle = middle_of(image)
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(turn.GetMatrix(), (3, 3)) @ np.diag([size if n > 1 else 1.0 for n in image.GetSize()])
    matrix[:3, 3] = middle + shift - matrix[:3, :3] @ middle
    return matrix


def moved(case: Case) -> sitk.Image:
    """The fixed image as the moving scanner would have seen it."""
    moving_to_fixed = np.linalg.inv(case.truth)
    transform = sitk.AffineTransform(moving_to_fixed[:3, :3].ravel().tolist(), moving_to_fixed[:3, 3].tolist())
    return sitk.Resample(case.clean, case.lattice, transform, sitk.sitkBSpline, 0.0)


def with_noise(image: sitk.Image) -> sitk.Image:
    """The image with Gaussian noise on it, always the same."""
    array = sitk.GetArrayFromImage(image)
    noisy = sitk.GetImageFromArray(array + np.random.default_rng(0).normal(0, NOISE * array.max(), array.shape).astype(np.float32))
    noisy.CopyInformation(image)
    return noisy


def volume_node(scene: slicer.vtkMRMLScene, name: str, image: sitk.Image) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume node that holds the image where it lies."""
    direction = np.asarray(image.GetDirection())
    geometry = ImageGeometry.from_lattice(image.GetSize(), image.GetSpacing(), image.GetOrigin(), direction)
    return add_volume_node(scene, name, sitk.GetArrayFromImage(image), geometry)


def save(node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    """Write a node by its own storage; raises InputError where that fails."""
    path.unlink(missing_ok=True)  # the storage would report in many words that it replaces a file
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(path))
    if not node.GetStorageNode().WriteData(node):
        raise InputError(f"{path} can't be written; choose another --output-dir.")


def distances(head: Image, one: Matrix, other: Matrix) -> NDArray[np.float64]:
    """How far apart two maps put each sample of the head, in samples of the fixed image."""
    k, j, i = np.nonzero(head.array)
    points = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ head.geometry.index_to_lps.T
    return np.linalg.norm(points @ (one - other).T, axis=-1) / head.geometry.spacing[0]


def table(truth: Matrix, before: Matrix, after: Matrix, head: Image) -> str:
    """Figures of the truth and of the maps before and after registration, a line each."""
    columns = [_figures(head, matrix, truth) for matrix in (truth, before, after)]
    lines = [f"{'':30}{'truth':>10}{'before':>10}{'after':>10}"]
    lines += [f"{name:30}" + "".join(f"{column[name]:10.3f}" for column in columns) for name in columns[0]]
    return "\n".join(lines)


def _figures(head: Image, matrix: Matrix, truth: Matrix) -> dict[str, float]:
    center = np.append(head.geometry.center_lps, 1.0)
    shift = matrix @ center - center
    u, _, vh = np.linalg.svd(matrix[:3, :3])
    error = distances(head, matrix, truth)
    return {
        "rotation (degrees)": float(np.degrees(np.arccos(np.clip((np.trace(u @ vh) - 1) / 2, -1, 1)))),
        "size": float(np.linalg.det(matrix[:3, :3]) ** (1 / head.geometry.dimension)),
        "shift of the middle, x (mm)": float(shift[0]),
        "shift of the middle, y (mm)": float(shift[1]),
        "shift of the middle, z (mm)": float(shift[2]),
        "mean error (samples)": float(error.mean()),
        "largest error (samples)": float(error.max()),
    }


def run_case(case: Case, folder: Path) -> float:
    """Register the images of a case, leave volumes, transform and picture in a folder, tell the figures; the largest error in samples."""
    scene = slicer.vtkMRMLScene()
    fixed, moving = volume_node(scene, "fixed", with_noise(case.clean)), volume_node(scene, "moving", moved(case))
    save(fixed, folder / "fixed.nrrd")
    save(moving, folder / "moving.nrrd")
    images = [image_from_volume_node(node) for node in (fixed, moving)]
    result = register_nodes(fixed, moving, None, Settings())
    transform = scene.GetNodeByID(result.transform_id)
    save(transform, folder / "moving-to-fixed.tfm")
    found, before = read_transform(folder / "moving-to-fixed.tfm"), np.eye(4)
    head = Image(sitk.GetArrayFromImage(case.clean), images[0].geometry)
    error = float(distances(head, found, case.truth).max())
    model = f", model {result.model}" if result.model else ""
    caption = f"{result.method}{model}, {result.seconds:.1f} s on {result.device}: largest error {error:.3f} samples"
    draw(folder / "demo.png", *images, before, found, caption)
    print(table(case.truth, before, found, head))
    print(f"\nFixed and moving image, transform and picture are in {folder}")
    print(f"What the registration says of itself: {judgement(result)}")
    print(f"Error of the {case.name} against the truth: {error:.3f} samples at most (allowed: {LARGEST_ERROR:g})\n", flush=True)
    return error


def demo(arguments: argparse.Namespace) -> int:
    """Run it; 0 where the largest error in the head is below a sample in the slice and in the volume, else 1."""
    errors = []
    for case in cases():
        folder: Path = arguments.output_dir / case.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {folder} can't be made ({error.strerror}); choose another --output-dir.") from error
        errors.append(run_case(case, folder))
    return 0 if max(errors) < LARGEST_ERROR else 1


if __name__ == "__main__":
    sys.exit(run_command(parser(), demo, None))
