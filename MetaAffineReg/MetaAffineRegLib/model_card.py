"""The card of a checkpoint, read without torch: what a model was trained on can be shown before torch is imported or even installed."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

from .errors import InputError

MODELS = Path(__file__).resolve().parent.parent / "Resources" / "Models"
_LARGEST = 4 << 20  # bytes of the data beside the weights


class _Inert:
    """Stands for whatever the file names: it takes any arguments and state, and does nothing."""

    def __init__(self, *_args: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass


class _DataOnly(pickle.Unpickler):
    """Containers, numbers and text are read; everything else, tensors included, becomes inert, so that no code of the file ever runs."""

    def find_class(self, _module: str, _name: str) -> Any:
        return _Inert

    def persistent_load(self, _pid: Any) -> Any:
        return _Inert()


def available_models() -> dict[str, Path]:
    """Shipped models by name."""
    return {path.stem: path for path in sorted(MODELS.glob("*.pt"))}


def read_card(path: Path) -> dict[str, Any]:
    """The card of a checkpoint file; raises InputError where the file has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            (entry,) = (entry for entry in archive.infolist() if entry.filename.split("/")[-1] == "data.pkl")
            if entry.file_size > _LARGEST:
                raise ValueError("too large")
            with archive.open(entry) as stream:
                card = _DataOnly(stream).load()["card"]
    except Exception as error:  # a damaged pickle fails in every way there is
        raise InputError(f"{path} is not a model checkpoint; choose a .pt file that MetaAffineReg wrote.") from error
    if not isinstance(card, dict):
        raise InputError(f"{path} has no model card; choose a .pt file that MetaAffineReg wrote.")
    return card
