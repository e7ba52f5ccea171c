"""Images on disk: whatever SimpleITK reads, and DICOM folders."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import ImageGeometry, Matrix
from MetaAffineRegLib.image import Image

_MOST_SAMPLES = 1 << 30  # 4 GiB as float32
_FEW_SAMPLES, _LONGEST_HEADER = 1 << 24, 1 << 14
# The header of a NRRD file of one value a sample that holds its data itself; of what can be read in two ways nothing is allowed.
_FIELDS = rb"type|dimension|space|space dimension|space directions|space origin|spacings|endian|encoding"
_LINES = rb"(?:#[ -~]*\n|(?:" + _FIELDS + rb"): [ -~]+\n|kinds:(?: domain| space)+\n)*"
_PLAIN_NRRD = re.compile(rb"NRRD000[1-5]\n" + _LINES + rb"sizes:(?P<sizes>(?: \d{1,9}){2,3})\n" + _LINES + rb"\n")
_IMAGE_SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mha")
_WHOLE_NUMBERS = (".png", ".jpg", ".jpeg", ".bmp")
_FORMATS = {  # which reader of ITK a name promises: to ask each of them takes a fifth of the time for a slice
    **dict.fromkeys((".nrrd", ".nhdr"), "NrrdImageIO"),
    **dict.fromkeys((".nii", ".nii.gz"), "NiftiImageIO"),
    **dict.fromkeys((".mha", ".mhd"), "MetaImageIO"),
    ".png": "PNGImageIO",
}
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Voxels:
    """What a file holds, as it holds it: (nk, nj, ni), for colours (nk, nj, ni, 3 or 4), where it lies and of how many dimensions."""

    array: NDArray[np.generic]
    geometry: ImageGeometry
    dimension: int

    @property
    def is_color(self) -> bool:
        """Whether a voxel is red, green, blue and perhaps opacity."""
        return self.array.ndim == 4


@dataclass(frozen=True)
class ImageFile:
    """An image as it was read: remarks on what was converted, and how many dimensions the file has."""

    image: Image
    remarks: tuple[str, ...]
    dimension: int


def read_image(path: str | Path) -> ImageFile:
    """An image file or a folder with one DICOM series.

    Raises InputError as ``read_voxels`` does and for what can't be registered (see ``Image.checked``).
    """
    path = Path(path)
    voxels = read_voxels(path)
    array = voxels.array
    remarks: tuple[str, ...] = ()
    if voxels.is_color:
        array = array[..., :3].astype(np.float32) @ np.asarray(_LUMINANCE, np.float32)
        remarks = (f"{path.name}: colours converted to grey values",)
    return ImageFile(Image.checked(array, voxels.geometry, path.name), remarks, voxels.dimension)


def read_voxels(path: Path) -> Voxels:
    """The numbers in an image file or in a folder with one DICOM series.

    Raises InputError where it is missing, unreadable, four-dimensional, too large or has vectors that are no colours.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give an image file or a folder with a DICOM series.")
    reader = _series_reader(path) if path.is_dir() else _file_reader(path)
    try:
        volume = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path} can't be read as an image ({_reason(error)}); convert it to NRRD, NIfTI, MHA or PNG.") from error
    components = volume.GetNumberOfComponentsPerPixel()
    array = sitk.GetArrayFromImage(volume)
    if np.iscomplexobj(array) or components not in (1, 3, 4):
        raise InputError(f"{path} holds {components} numbers a pixel that are no colours; give an image with one value a pixel.")
    try:
        geometry = ImageGeometry.from_lattice(volume.GetSize(), volume.GetSpacing(), volume.GetOrigin(), np.asarray(volume.GetDirection()))
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    shape = (*geometry.size[::-1], *((components,) if components > 1 else ()))
    return Voxels(array.reshape(shape), geometry, volume.GetDimension())


def series_files(folder: Path) -> tuple[Path, ...]:
    """The files of the one DICOM series in a folder, in their order in space; raises InputError where there is none or more."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise InputError(f"{folder} is a folder without a DICOM series; give an image file or the folder of one series.")
    if len(series) > 1:
        raise InputError(f"{folder} holds {len(series)} DICOM series; move the one to register into a folder of its own.")
    return tuple(map(Path, sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])))


def resample(moving: Image, fixed: Image, fixed_to_moving_lps: Matrix) -> NDArray[np.float32]:
    """The moving image on the fixed image's lattice, linear interpolation, zero outside, (nk, nj, ni)."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(fixed_to_moving_lps[:3, :3].ravel().tolist())
    transform.SetTranslation(fixed_to_moving_lps[:3, 3].tolist())
    image = sitk.Resample(_to_itk(moving), _to_itk(fixed), transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(image)


def write_image(path: Path, image: Image, dimension: int) -> None:
    """Write an image of ``dimension`` 2 or 3; raises InputError for a format that can't hold it.

    PNG, JPEG and BMP hold whole numbers only: values are rounded and clipped to 0 .. 255.
    """
    volume = _to_itk(image)
    if path.suffix.lower() in _WHOLE_NUMBERS:
        volume = sitk.Cast(sitk.Clamp(sitk.Round(volume), sitk.sitkFloat32, 0, 255), sitk.sitkUInt8)
    try:
        sitk.WriteImage(volume[:, :, 0] if dimension == 2 else volume, str(path), useCompression=True)
    except RuntimeError as error:
        raise InputError(f"{path.name} can't be written ({_reason(error)}); choose a name that ends in .nrrd, .nii.gz or .mha.") from error


def check_image_name(path: Path, dimension: int) -> None:
    """Raise InputError where no image of ``dimension`` can be written under this name."""
    name = path.name.lower()
    flat = name.endswith(_WHOLE_NUMBERS)
    if not (flat or name.endswith(_IMAGE_SUFFIXES)) or (flat and dimension == 3):
        kinds = ", ".join(_IMAGE_SUFFIXES if dimension == 3 else _IMAGE_SUFFIXES + _WHOLE_NUMBERS)
        raise InputError(f"{path} is not a name for an image of {dimension} dimensions; end it in one of {kinds}.")


def _to_itk(image: Image) -> sitk.Image:
    volume = sitk.GetImageFromArray(image.array)
    geometry = image.geometry
    volume.SetSpacing(geometry.spacing.tolist())
    volume.SetDirection((geometry.index_to_lps[:3, :3] / geometry.spacing).ravel().tolist())
    volume.SetOrigin(geometry.index_to_lps[:3, 3].tolist())
    return volume


def _file_reader(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    if _is_small_nrrd(path):
        reader.SetImageIO("NrrdImageIO")
        return reader
    if not _is_what_its_name_says(reader, path):
        reader.SetImageIO("")
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise InputError(
                f"{path} can't be read as an image ({_reason(error)}); give PNG, JPEG, NRRD, NIfTI, MHA or a DICOM folder."
            ) from error
    size = reader.GetSize()
    if (len(size) > 3 and max(size[3:]) > 1) or len(size) < 2:
        raise InputError(
            f"{path} has {len(size)} dimensions ({' x '.join(map(str, size))}); save one time point as a 3D image and register that."
        )
    if math.prod(size) * reader.GetNumberOfComponents() > _MOST_SAMPLES:
        raise InputError(f"{path} claims {' x '.join(map(str, size))} samples, more than fit into memory; resample or crop it first.")
    if len(size) > 3:
        reader.SetExtractSize([*size[:3], *(0,) * (len(size) - 3)])
    return reader


def _is_small_nrrd(path: Path) -> bool:
    """Whether a file says in plain text, which ITK takes a fifth of the time for a slice to tell, that it holds two or three dimensions and
    few samples."""
    if path.suffix.lower() != ".nrrd":
        return False
    try:
        with path.open("rb") as file:
            header = _PLAIN_NRRD.match(file.read(_LONGEST_HEADER))
    except OSError:
        return False
    return header is not None and math.prod(map(int, header["sizes"].split())) <= _FEW_SAMPLES


def _is_what_its_name_says(reader: sitk.ImageFileReader, path: Path) -> bool:
    """Whether the header has been read in the format that the name of the file ends in."""
    format_name = next((name for suffix, name in _FORMATS.items() if path.name.lower().endswith(suffix)), None)
    if format_name is None:
        return False
    reader.SetImageIO(format_name)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    return True


def _series_reader(path: Path) -> sitk.ImageSeriesReader:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(name) for name in series_files(path)])
    return reader


def _reason(error: RuntimeError) -> str:
    """The last telling line of an ITK exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("sitk::ERROR: ").rstrip(".!") if lines else "unknown reason"
