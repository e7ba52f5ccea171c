"""Small volumes, and settings that make a training short."""

from core.made_images import lattice, made
from MetaAffineRegTrainingLib.settings import TrainingSettings

FLAT = lattice((40, 40, 1), (2.5, 2.5, 1))
SOLID = lattice((20, 20, 20), (5, 5, 5))


def flat_volumes(count):
    """Single slices."""
    return [made(FLAT, seed=seed, name=f"flat {seed}") for seed in range(count)]


def quick(**options):
    """A few steps of a small batch, judged on a few pairs."""
    usual = {"network": "one-level", "steps": 4, "batch": 4, "validation_pairs": 4, "rotation": 20.0, "translation": 0.1, "device": "cpu"}
    return TrainingSettings(**{**usual, **options})
