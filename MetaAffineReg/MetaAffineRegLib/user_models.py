"""The models of the user: files in a folder of the user's own, which an update of the extension leaves alone.  Known without torch."""

import os
import shutil
import sys
from pathlib import Path

from .errors import InputError
from .files import written_together
from .model_card import available_models, read_card

_VARIABLE = "METAAFFINEREG_HOME"  # names another folder
_FORBIDDEN = set('/\\:*?"<>|\0')


def user_folder() -> Path:
    """Where models and unfinished trainings lie; it may not exist yet."""
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming")) / "MetaAffineReg"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "MetaAffineReg"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "MetaAffineReg"


def user_models() -> dict[str, Path]:
    """By name."""
    folder = user_folder() / "Models"
    return {path.stem: path for path in sorted(folder.glob("*.pt")) if path.name[0] != "."}


def model_path(name: str) -> Path:
    """Where a new model of this name goes; raises InputError for a name that can't be used or is taken."""
    name = name.strip()
    if not name or name[0] == "." or _FORBIDDEN & set(name) or len(name) > 80:
        raise InputError(f"'{name}' can't be the name of a model; take letters, digits, spaces and hyphens.")
    if name in available_models() or name in user_models():
        raise InputError(f"There is a model '{name}' already; choose another name, or remove it first.")
    return user_folder() / "Models" / f"{name}.pt"


def free_name(name: str) -> str:
    """The name, or with a number where it is taken."""
    taken = {*available_models(), *user_models()}
    return next(one for one in (name, *(f"{name} {number}" for number in range(2, len(taken) + 3))) if one not in taken)


def rename_model(name: str, new_name: str) -> Path:
    """Give a model of the user another name."""
    old, new = _existing(name), model_path(new_name)
    try:
        return old.rename(new)
    except OSError as error:
        raise InputError(f"{old} can't be renamed ({error.strerror}); see who owns the folder.") from error


def remove_model(name: str) -> None:
    """Delete a model of the user."""
    path = _existing(name)
    try:
        path.unlink()
    except OSError as error:
        raise InputError(f"{path} can't be removed ({error.strerror}); see who owns the folder.") from error


def export_model(name: str, target: Path) -> None:
    """Copy a model of the user to a file of one's own choice."""
    _copy(_existing(name), target)


def import_model(source: Path, name: str | None = None) -> Path:
    """Copy a model file to the user's; raises InputError where it is none or its name is taken."""
    if not source.is_file():
        raise InputError(f"{source} does not exist; choose a .pt file that MetaAffineReg wrote.")
    read_card(source)
    target = model_path(name or source.stem)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target.parent} can't be written ({error.strerror}); choose another folder.") from error
    _copy(source, target)
    return target


def _existing(name: str) -> Path:
    found = user_models().get(name)
    if found is None:
        raise InputError(f"You have no model '{name}'; choose one of your own.")
    return found


def _copy(source: Path, target: Path) -> None:
    try:
        with written_together(target) as (part,):
            shutil.copyfile(source, part)
    except OSError as error:
        raise InputError(f"{target} can't be written ({error.strerror}); make room or choose another place.") from error
