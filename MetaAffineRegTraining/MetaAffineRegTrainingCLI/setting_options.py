"""The settings of a training on volumes as options of a command."""

import argparse
from dataclasses import fields
from typing import get_args, get_type_hints

from MetaAffineRegTrainingLib.settings import TrainingSettings

_HELP = {
    "kind": "slices in the plane, or blocks in space",
    "orientation": "of the slices",
    "first": "range of the slices, as a share of the volume: its beginning",
    "last": "and its end",
    "skip_empty": "leave out slices and blocks that show nothing",
    "block": "side of a block as a share of the volume's, 0.25 to 1",
    "rotation": "largest rotation in degrees",
    "translation": "largest shift, normalised: 0.5 is a quarter of the image",
    "scale": "0.1: each axis is stretched by up to 10 %% either way",
    "shear": "largest shear",
    "noise": "standard deviation of the noise, the brightest tissue being about 1",
    "contrast": "0.7: moving intensities to a power of 1/2 to 2",
    "bias": "standard deviation of uneven brightness on the moving image",
    "crop": "share of the pairs whose moving image lost a slab",
    "held_out": "share of the volumes that is not trained on but judges the model",
    "network": "shape of a network that starts from nothing",
    "start": "model to start from, a name or a file; default: from nothing",
    "minutes": "how long it may take, all in all",
    "steps": "length in steps instead of minutes",
    "batch": "pairs a step; 0 for the usual",
    "learning_rate": "0 for the usual",
    "validation_pairs": "pairs by which a method is judged",
    "seed": "the same seed gives the same held-out volumes and pairs",
    "device": "where to compute",
    "names_in_card": "let the model card name the volumes",
    "name": "of the model",
}


def add_setting_options(parser: argparse.ArgumentParser) -> None:
    """One option a setting; its default is that of the setting."""
    hints = get_type_hints(TrainingSettings)
    for field in fields(TrainingSettings):
        option, kind = f"--{field.name.replace('_', '-')}", hints[field.name]
        text = f"{_HELP[field.name]} (default: {field.default or 'none'})"
        if kind is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default, help=_HELP[field.name])
        elif get_args(kind):
            parser.add_argument(option, choices=get_args(kind), default=field.default, help=text)
        else:
            parser.add_argument(option, type=kind, default=field.default, help=text)


def settings_of(arguments: argparse.Namespace) -> TrainingSettings:
    """What the options say; raises InputError for values that can't be used."""
    return TrainingSettings(**{field.name: getattr(arguments, field.name) for field in fields(TrainingSettings)})
