"""What can be chosen for a training on volumes; plain data, known without torch."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from MetaAffineRegLib.errors import InputError

from .slices import Parts

LEVELS = {("multi-level", 2): (16, 32), ("one-level", 2): (32,), ("multi-level", 3): (12, 24), ("one-level", 3): (24,)}
_RANGES = {
    "rotation": (0, 180),
    "translation": (0, 1),
    "scale": (0, 1),
    "shear": (0, 0.5),
    "noise": (0, 1),
    "contrast": (0, 2),
    "bias": (0, 1),
    "crop": (0, 1),
    "held_out": (0.05, 0.5),
}


@dataclass(frozen=True)
class TrainingSettings:
    """kind .. block: see ``slices.Parts``; rotation .. shear: see ``deformations``; noise .. crop: see ``appearance``.

    held_out: share of the volumes that is not trained on; network: "multi-level" or "one-level", of a network that starts from nothing;
    start: name or file of the model to start from, empty for nothing; minutes: how long it may take, all in all; steps: length in Adam
    steps instead, 0 for the time; batch: pairs a step, 0 for the usual; validation_pairs: pairs that a method is judged by; names_in_card:
    whether the model card may name the volumes; name: of the model.
    """

    kind: Literal["slices", "blocks"] = "slices"
    orientation: Literal["axial", "coronal", "sagittal"] = "axial"
    first: float = 0.0
    last: float = 1.0
    skip_empty: bool = True
    block: float = 1.0
    rotation: float = 60.0
    translation: float = 0.5
    scale: float = 0.1
    shear: float = 0.0
    noise: float = 0.05
    contrast: float = 0.0
    bias: float = 0.0
    crop: float = 0.0
    held_out: float = 0.25
    network: Literal["multi-level", "one-level"] = "multi-level"
    start: str = ""
    minutes: float = 5.0
    steps: int = 0
    batch: int = 0
    learning_rate: float = 0.0
    validation_pairs: int = 48
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    names_in_card: bool = False
    name: str = "my model"

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"A {name.replace('_', ' ')} of {value:g} can't be used; give {low:g} to {high:g}.")
        _ = self.parts  # says what is wrong with them
        if self.network not in ("multi-level", "one-level"):
            raise InputError(f"There is no network '{self.network}'; choose multi-level or one-level.")
        if self.steps < 0 or (self.steps == 0 and not self.minutes > 0):
            raise InputError("The training has no length; give it some minutes, or steps.")
        if self.batch < 0 or self.validation_pairs < 4 or self.learning_rate < 0:
            raise InputError("A batch and a learning rate are zero (the usual) or more, and at least 4 pairs are needed to judge.")

    @property
    def parts(self) -> Parts:
        """What is trained on of a volume; raises InputError where that makes no sense."""
        return Parts(self.kind, self.orientation, self.first, self.last, self.skip_empty, self.block)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "TrainingSettings":
        """What ``to_dict`` gave; raises InputError for anything else."""
        unknown = sorted(set(content) - {field.name for field in fields(cls)})
        if unknown:
            raise InputError(f"There is no setting '{unknown[0]}' of a training; leave it out.")
        return cls(**content)
