"""The image files that a path stands for."""

from pathlib import Path

from MetaAffineRegLib.errors import InputError

_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".bmp", ".dcm")


def image_files(path: Path) -> list[Path]:
    """The file itself; of a folder its image files, or the folder where it holds a DICOM series.  Raises InputError where there is none."""
    if not path.exists():
        raise InputError(f"{path} does not exist; give an image file, a folder of them or a scene.")
    if not path.is_dir():
        return [path]
    files = [file for file in sorted(path.iterdir()) if file.name.lower().endswith(_SUFFIXES)]
    return files if any(file.suffix.lower() != ".dcm" for file in files) else [path]
