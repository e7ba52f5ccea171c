"""Image files, made as other programs make them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from core.made_images import affine, lattice, made
from MetaAffineRegCLI.transform_files import write_transform
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image

SLICE = lattice((100, 80, 1), (1.0, 1.2, 1.0))


def write(
    path: Path, image: Image | NDArray[np.generic], geometry: ImageGeometry = SLICE, kind: type = np.float32, *, flat: bool = True
) -> Path:
    """Write an image, or an array on the lattice of ``geometry``; a slice as a 2D file where ``flat``.  The path again."""
    if isinstance(image, Image):
        geometry, array = image.geometry, image.array
    else:
        array = image
    volume = SimpleITK.GetImageFromArray(array.astype(kind))
    volume.SetSpacing(geometry.spacing.tolist())
    volume.SetOrigin(geometry.index_to_lps[:3, 3].tolist())
    volume.SetDirection((geometry.index_to_lps[:3, :3] / geometry.spacing).ravel().tolist())
    SimpleITK.WriteImage(volume[:, :, 0] if flat and geometry.size[2] == 1 else volume, str(path))
    return path


def write_colors(path: Path, image: Image) -> Path:
    """A photograph whose three channels differ and whose grey values are those of the image."""
    gray = image.array[0] / image.array.max() * 200
    channels = np.stack((gray * 0.5, gray * 1.25, gray * 1.0), -1)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(channels.clip(0, 255).astype(np.uint8), isVector=True), str(path))
    return path


def write_series(folder: Path, image: Image, series: str = "1.2.826.0.1.3680043.8.498.1") -> Path:
    """A folder with one DICOM file a slice."""
    folder.mkdir(exist_ok=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    geometry = image.geometry
    axes = geometry.index_to_lps[:3, :3] / geometry.spacing
    for k, array in enumerate(image.array):
        piece = SimpleITK.GetImageFromArray(array[None].astype(np.int16))
        piece.SetSpacing(geometry.spacing.tolist())
        origin = geometry.index_to_lps[:3, 3] + k * geometry.index_to_lps[:3, 2]
        tags = {
            "0008|0060": "CT", "0008|0016": "1.2.840.10008.5.1.4.1.1.2", "0008|0018": f"{series}.{k + 1}",
            "0020|000d": "1.2.826.0.1.3680043.8.498.9", "0020|000e": series, "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{value:.6f}" for value in origin),
            "0020|0037": "\\".join(f"{value:.6f}" for value in axes[:, :2].T.ravel()),
            "0018|0050": str(geometry.spacing[2]), "0018|0088": str(geometry.spacing[2]),
        }  # fmt: skip
        for tag, value in tags.items():
            piece.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}.{k}.dcm"))
        writer.Execute(piece)
    return folder


def slice_pair(folder: Path, truth: NDArray[np.float64], seed: int = 0) -> tuple[Path, Path]:
    """Two 2D files in ``folder``: fixed, and moved by ``truth``."""
    return write(folder / "fixed.nrrd", made(SLICE, seed=seed)), write(folder / "moving.nrrd", made(SLICE, truth, seed))


def write_task(folder: Path, geometry: ImageGeometry, turns: Sequence[float], shift: tuple[float, float, float]) -> Path:
    """A task of the benchmarks: a pair for each rotation (degrees), all of one fixed image, with the table pairs.csv.  The folder again."""
    folder.mkdir(parents=True)
    write(folder / "f.nrrd", made(geometry))
    lines = ["id,fixed,moving,truth"]
    for k, degrees in enumerate(turns):
        truth = affine(degrees, shift)
        write(folder / f"{k}.nrrd", made(geometry, truth))
        write_transform(folder / f"{k}.tfm", truth)
        lines.append(f"{k},f.nrrd,{k}.nrrd,{k}.tfm")
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder
