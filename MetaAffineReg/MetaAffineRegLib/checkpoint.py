"""Checkpoints of initializers: configuration, weights and model card in one file, loaded as data and never as code."""

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from .errors import InputError
from .files import written_together
from .initializer import Initializer, InitializerConfig
from .model_card import available_models

FORMAT = "MetaAffineReg initializer"
VERSION = 1
_LARGEST_FILE = 64 << 20  # bytes once unpacked; a shipped model has some hundred thousand


@dataclass(frozen=True)
class Model:
    """A trained network with its name and its card (what it was trained on, how, with which figures)."""

    name: str
    network: Initializer
    card: dict[str, Any]


def save(path: Path, network: Initializer, card: dict[str, Any], **extra: Any) -> None:
    """Write a checkpoint; weights in half precision.  ``extra`` is kept as it is (training state)."""
    weights = {name: tensor.detach().to("cpu", torch.float16) for name, tensor in network.state_dict().items()}
    content = {"format": FORMAT, "version": VERSION, "config": network.config.to_dict(), "weights": weights, "card": card, **extra}
    packed = io.BytesIO()
    torch.save(content, packed)
    with written_together(path) as (part,):
        part.write_bytes(packed.getbuffer())  # a full disk is an OSError here; torch would say something of its own


def load(model: str | Path) -> Model:
    """The model of a shipped name or a file.

    Raises InputError where there is none of that name, the file is no checkpoint, holds anything but plain data and
    tensors, or its weights are not those of its configuration.
    """
    shipped = available_models()
    if str(model) in shipped:
        path = shipped[str(model)]
    else:
        path = Path(model)
        if not path.is_file():
            raise InputError(f"There is no model '{model}'; give a file or one of: {', '.join(shipped) or 'none shipped'}.")
    state = path.stat()
    return _loaded(path.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _loaded(path: Path, modified: int, size: int) -> Model:
    """The model of a file as it was at a time: one that is trained anew is read anew."""
    content = read(path)
    return Model(path.stem, _network(path, content), content["card"])


def read(path: Path) -> dict[str, Any]:
    """The checked content of a checkpoint file; raises InputError as ``load`` does."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise InputError(f"{path} is not a model checkpoint; choose a .pt file that MetaAffineReg wrote.") from error
    if size > _LARGEST_FILE:
        raise InputError(f"{path} is too large for a model checkpoint; choose a .pt file that MetaAffineReg wrote.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle fails in every way there is
        raise InputError(
            f"{path} can't be loaded as a model checkpoint: it is damaged or holds code, which is never run; choose another file."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a model checkpoint of MetaAffineReg; choose a .pt file that MetaAffineReg wrote.")
    if content.get("version") != VERSION:
        raise InputError(
            f"{path} has format version {content.get('version')}, this program reads version {VERSION}; use a model of this release."
        )
    if not isinstance(content.get("card"), dict):
        raise InputError(f"{path} has no model card; choose a .pt file that MetaAffineReg wrote.")
    return content


def _network(path: Path, content: dict[str, Any]) -> Initializer:
    try:
        config = InitializerConfig(**content["config"])
        if sum(tensor.numel() for tensor in content["weights"].values()) != config.weights:  # before memory is taken
            raise ValueError("more or fewer weights than the configuration's")
        network = Initializer(config)
        network.load_state_dict(content["weights"])
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        raise InputError(f"{path} holds weights that do not fit its configuration; the file is damaged, choose another model.") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise InputError(f"{path} holds weights that are not finite numbers; the file is damaged, choose another model.")
    return network.eval()
