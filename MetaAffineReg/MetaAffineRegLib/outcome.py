"""What a method finds for a batch of pairs."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .intensity_correction import SETTLED


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against the maps of a batch.

    unexplained: share of the content on the overlap that the map leaves unexplained; sides: the same of what the fixed and of what the
    moving image shows there, by their intensities, ``(B, 2)``; overlap: share of the fixed image that
    the moving one covers; margin: by how much more the runner-up leaves unexplained; consistency: root mean square distance, in
    samples of the finest grid, between the map and the inverse of what registering the other way round makes of it; each ``(B,)``.
    looks: how far away, in samples, two other looks at the images would have the map, and the share that the first of them leaves
    unexplained, ``(B, 3)``, not a number where the plan has none (see ``plans.Plan``).
    structure: share of the fixed image's structure that the moving one leaves unexplained, its intensities corrected, ``(B,)``, infinite
    where they were not (see ``intensity_correction``).
    runner_up: the best map of another basin, ``(B, d, d + 1)``; edges: whether edges tell this rather than intensities, ``(B,)``.
    """

    unexplained: Tensor
    sides: Tensor
    overlap: Tensor
    margin: Tensor
    consistency: Tensor
    looks: Tensor
    structure: Tensor
    runner_up: Tensor
    edges: Tensor

    @property
    def settled(self) -> Tensor:
        """Whether corrected intensities tell the map: what they leave unexplained is noise, ``(B,)``."""
        return self.structure < SETTLED

    @classmethod
    def of_nothing(cls, x: Tensor) -> "Evidence":
        """That nothing is known of maps x ``(B, d, d + 1)``: no success is expected."""
        far = x.new_full((len(x),), torch.inf)
        looks = x.new_full((len(x), 3), torch.nan)
        return cls(far, far[:, None].expand(-1, 2), torch.zeros_like(far), far, far, looks, far, x, torch.zeros_like(far, dtype=torch.bool))

    def on_cpu(self) -> "Evidence":
        """This one on the CPU, figures in float64."""
        numbers = {field.name: getattr(self, field.name).cpu() for field in fields(self)}
        return Evidence(**{name: found if found.dtype == torch.bool else found.double() for name, found in numbers.items()})

    def with_rows(self, rows: Tensor, other: "Evidence") -> "Evidence":
        """This one, with the other in its ``rows`` (indices)."""
        return Evidence(**_replaced(self, rows, other, tuple(field.name for field in fields(self))))

    def select(self, rows: Tensor) -> "Evidence":
        """That of the pairs ``rows`` (indices) only."""
        return Evidence(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class Outcome:
    """Maps x ``(B, d, d + 1)``; the method's criterion before and after, evaluations in equivalents of the finest grid, ``(B,)``."""

    x: Tensor
    before: Tensor
    after: Tensor
    evaluations: Tensor
    evidence: Evidence | None = None

    @property
    def settled(self) -> Tensor:
        """That of the evidence."""
        assert self.evidence is not None
        return self.evidence.settled

    @classmethod
    def of_nothing(cls, x: Tensor) -> "Outcome":
        """That nothing has been tried from maps x ``(B, d, d + 1)``."""
        far = x.new_full((len(x),), torch.inf)
        return cls(x, far, far, torch.zeros_like(far), Evidence.of_nothing(x))

    def with_rows(self, rows: Tensor, other: "Outcome") -> "Outcome":
        """This one, with the other in its ``rows`` (indices); both with evidence."""
        assert self.evidence is not None and other.evidence is not None
        numbers = _replaced(self, rows, other, ("x", "before", "after", "evaluations"))
        return Outcome(**numbers, evidence=self.evidence.with_rows(rows, other.evidence))

    def select(self, rows: Tensor) -> "Outcome":
        """That of the pairs ``rows`` (indices) only."""
        evidence = None if self.evidence is None else self.evidence.select(rows)
        return Outcome(self.x[rows], self.before[rows], self.after[rows], self.evaluations[rows], evidence)


def _replaced(these: Evidence | Outcome, rows: Tensor, others: Evidence | Outcome, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors of these, with those of the others at ``rows``."""
    return {name: getattr(these, name).index_copy(0, rows, getattr(others, name)) for name in names}
