"""Images on disk: whatever SimpleITK reads, and DICOM folders."""

import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image

_MOST_SAMPLES = 1 << 30  # 4 GiB as float32
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def read_image(path: str | Path) -> tuple[Image, tuple[str, ...]]:
    """An image file or a folder with one DICOM series, and remarks on what was converted.

    Raises InputError where it is missing, unreadable, four-dimensional, too large, has vectors that are no colours,
    or can't be registered (see ``Image.checked``).
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; give an image file or a folder with a DICOM series.")
    reader = _series_reader(path) if path.is_dir() else _file_reader(path)
    try:
        volume = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path} can't be read as an image ({_reason(error)}); convert it to NRRD, NIfTI, MHA or PNG.") from error
    components = volume.GetNumberOfComponentsPerPixel()
    array = sitk.GetArrayFromImage(volume)
    remarks: tuple[str, ...] = ()
    if np.iscomplexobj(array) or components not in (1, 3, 4):
        raise InputError(f"{path} holds {components} numbers a pixel that are no colours; give an image with one value a pixel.")
    if components > 1:
        array = array[..., :3].astype(np.float32) @ np.asarray(_LUMINANCE, np.float32)
        remarks = (f"{path.name}: colours converted to grey values",)
    geometry = ImageGeometry.from_lattice(volume.GetSize(), volume.GetSpacing(), volume.GetOrigin(), np.asarray(volume.GetDirection()))
    return Image.checked(array.reshape(geometry.size[::-1]), geometry, path.name), remarks


def write_image(path: Path, array: np.ndarray, geometry: ImageGeometry, two_dimensional: bool) -> None:
    """Write samples (nk, nj, ni) as an image; raises InputError for a format that can't hold them.

    PNG, JPEG and their like hold whole numbers only: values are rounded and clipped to 0 .. 255.
    """
    if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp"):
        array = np.clip(np.rint(array), 0, 255).astype(np.uint8)
        two_dimensional = True
    image = sitk.GetImageFromArray(array[0] if two_dimensional else array)
    if not two_dimensional:
        image.SetSpacing(geometry.spacing.tolist())
        image.SetDirection((geometry.index_to_lps[:3, :3] / geometry.spacing).ravel().tolist())
        image.SetOrigin(geometry.index_to_lps[:3, 3].tolist())
    else:
        image.SetSpacing(geometry.spacing[:2].tolist())
        image.SetDirection((geometry.index_to_lps[:2, :2] / geometry.spacing[:2]).ravel().tolist())
        image.SetOrigin(geometry.index_to_lps[:2, 3].tolist())
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise InputError(f"{path} can't be written ({_reason(error)}); choose a name that ends in .nrrd, .nii.gz or .mha.") from error


def _file_reader(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path} can't be read as an image ({_reason(error)}); give PNG, JPEG, NRRD, NIfTI, MHA or a DICOM folder.") from error
    size = reader.GetSize()
    if len(size) > 3 and max(size[3:]) > 1 or len(size) < 2:
        raise InputError(f"{path} has {len(size)} dimensions ({' x '.join(map(str, size))}); save one time point as a 3D image and register that.")
    if math.prod(size) * reader.GetNumberOfComponents() > _MOST_SAMPLES:
        raise InputError(f"{path} claims {' x '.join(map(str, size))} samples, more than fit into memory; resample or crop it first.")
    if len(size) > 3:
        reader.SetExtractSize([*size[:3], *(0,) * (len(size) - 3)])
    return reader


def _series_reader(path: Path) -> sitk.ImageSeriesReader:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path))
    if not series:
        raise InputError(f"{path} is a folder without a DICOM series; give an image file or the folder of one series.")
    if len(series) > 1:
        raise InputError(f"{path} holds {len(series)} DICOM series; move the one to register into a folder of its own.")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), series[0]))
    return reader


def _reason(error: RuntimeError) -> str:
    """The last telling line of an ITK exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("sitk::ERROR: ").rstrip(".!") if lines else "unknown reason"
