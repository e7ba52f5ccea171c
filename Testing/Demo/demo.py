"""``run.py demo``: the main job on a real head image, against a known truth, in an MRML scene without Slicer.

The middle axial slice of the MNI152 template is the fixed volume, with noise on it; the moving volume is the slice turned,
shrunk and shifted, so far that L-BFGS from the start alone goes astray.  Both are registered as nodes, as in the panel, by the
default method, and the transform node is judged by the file it is saved to.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from numpy.typing import NDArray

from MetaAffineRegCLI.console import run_command
from MetaAffineRegCLI.image_files import resample
from MetaAffineRegCLI.picture import draw
from MetaAffineRegCLI.report import judgement
from MetaAffineRegCLI.transform_files import read_transform
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import Matrix
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Settings
from MetaAffineRegMRML.registration_nodes import register_nodes
from MetaAffineRegMRML.volume_nodes import image_from_volume_node

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path("datasets") / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
DEGREES, SIZE, SHIFT = 55.0, 0.95, (14.0, -9.0)  # of the moving head against the fixed one; the shift of its middle in mm, LPS
NOISE = 0.05  # standard deviation, of the brightest pixel
LARGEST_ERROR = 1.0  # pixels


def parser() -> argparse.ArgumentParser:
    """The options of ``demo``."""
    p = argparse.ArgumentParser(prog="run.py demo", description="Register a real head image to a moved copy of it and measure the error.")
    p.add_argument("--output-dir", type=Path, default=ROOT / "out" / "demo", help="folder for the results; made where it is missing")
    return p


def template_slice() -> sitk.Image:
    """The middle axial slice of the template, with its own spacing and place; raises InputError where the package is missing."""
    package = importlib.util.find_spec("nilearn")
    if package is None or not package.submodule_search_locations:
        raise InputError("The package nilearn, which carries the head image, is not installed; start the demo by run.py.")
    template = sitk.DICOMOrient(sitk.ReadImage(package.submodule_search_locations[0] / TEMPLATE, sitk.sitkFloat32), "LPS")
    middle = template.GetSize()[2] // 2
    return template[:, :, middle : middle + 1]


def true_map(image: sitk.Image) -> Matrix:
    """Fixed point -> moving point (4 x 4, LPS mm): about the middle of the image, in its plane."""
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()]))
    cosine, sine = SIZE * np.cos(np.radians(DEGREES)), SIZE * np.sin(np.radians(DEGREES))
    matrix = np.eye(4)
    matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    matrix[:3, 3] = [*(middle[:2] + SHIFT), middle[2]] - matrix[:3, :3] @ middle
    return matrix


def moved(image: sitk.Image, fixed_to_moving: Matrix) -> sitk.Image:
    """The image as the moving scanner would have seen it, on the same lattice."""
    moving_to_fixed = np.linalg.inv(fixed_to_moving)
    transform = sitk.AffineTransform(moving_to_fixed[:3, :3].ravel().tolist(), moving_to_fixed[:3, 3].tolist())
    return sitk.Resample(image, image, transform, sitk.sitkBSpline, 0.0)


def with_noise(image: sitk.Image) -> sitk.Image:
    """The image with Gaussian noise on it, always the same."""
    array = sitk.GetArrayFromImage(image)
    noisy = sitk.GetImageFromArray(array + np.random.default_rng(0).normal(0, NOISE * array.max(), array.shape).astype(np.float32))
    noisy.CopyInformation(image)
    return noisy


def volume_node(scene: slicer.vtkMRMLScene, name: str, image: sitk.Image) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume node that holds the image where it lies."""
    index_to_lps = np.eye(4)
    index_to_lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    index_to_lps[:3, 3] = image.GetOrigin()
    index_to_ras = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(index_to_ras, np.diag([-1.0, -1.0, 1.0, 1.0]) @ index_to_lps)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, sitk.GetArrayFromImage(image))
    node.SetIJKToRASMatrix(index_to_ras)
    return node


def save(node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    """Write a node by its own storage; raises InputError where that fails."""
    path.unlink(missing_ok=True)  # the storage would report in many words that it replaces a file
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(path))
    if not node.GetStorageNode().WriteData(node):
        raise InputError(f"{path} can't be written; choose another --output-dir.")


def distances(image: Image, one: Matrix, other: Matrix) -> NDArray[np.float64]:
    """How far apart two maps put each pixel of the head, in pixels of the fixed image."""
    k, j, i = np.nonzero(image.array)
    points = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ image.geometry.index_to_lps.T
    return np.linalg.norm(points @ (one - other).T, axis=-1) / image.geometry.spacing[0]


def table(truth: Matrix, before: Matrix, after: Matrix, head: Image) -> str:
    """Figures of the truth and of the maps before and after registration, a line each."""
    columns = [_figures(head, matrix, truth) for matrix in (truth, before, after)]
    lines = [f"{'':30}{'truth':>10}{'before':>10}{'after':>10}"]
    lines += [f"{name:30}" + "".join(f"{column[name]:10.3f}" for column in columns) for name in columns[0]]
    return "\n".join(lines)


def _figures(head: Image, matrix: Matrix, truth: Matrix) -> dict[str, float]:
    center = np.append(head.geometry.center_lps, 1.0)
    shift = matrix @ center - center
    error = distances(head, matrix, truth)
    return {
        "rotation (degrees)": float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1]))),
        "size": float(np.sqrt(np.linalg.det(matrix[:2, :2]))),
        "shift of the middle, x (mm)": float(shift[0]),
        "shift of the middle, y (mm)": float(shift[1]),
        "mean error (pixels)": float(error.mean()),
        "largest error (pixels)": float(error.max()),
    }


def demo(arguments: argparse.Namespace) -> int:
    """Run it; 0 where the largest error in the head is below a pixel, else 1."""
    folder: Path = arguments.output_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} can't be made ({error.strerror}); choose another --output-dir.") from error
    clean = template_slice()
    truth = true_map(clean)
    scene = slicer.vtkMRMLScene()
    fixed, moving = volume_node(scene, "fixed", with_noise(clean)), volume_node(scene, "moving", moved(clean, truth))
    save(fixed, folder / "fixed.nrrd")
    save(moving, folder / "moving.nrrd")
    images = [image_from_volume_node(node) for node in (fixed, moving)]
    result = register_nodes(fixed, moving, None, Settings())
    transform = scene.GetNodeByID(result.transform_id)
    save(transform, folder / "moving-to-fixed.tfm")
    found, before = read_transform(folder / "moving-to-fixed.tfm"), np.eye(4)
    head = Image(sitk.GetArrayFromImage(clean), images[0].geometry)
    error = float(distances(head, found, truth).max())
    caption = f"{result.method}, model {result.model}, {result.seconds:.1f} s on {result.device}: largest error {error:.3f} pixels"
    draw(folder / "demo.png", images[0], resample(images[1], images[0], before), resample(images[1], images[0], found), caption)
    print(table(truth, before, found, head))
    print(f"\nFixed and moving volume, transform and picture are in {folder}")
    print(f"What the registration says of itself: {judgement(result)}")
    print(f"Error against the truth: {error:.3f} pixels at most (allowed: {LARGEST_ERROR:g})")
    return 0 if error < LARGEST_ERROR else 1


if __name__ == "__main__":
    sys.exit(run_command(parser(), demo, None))
