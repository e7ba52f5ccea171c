"""What a method finds for a batch of pairs."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against the maps of a batch.

    unexplained: share of the content on the overlap that the map leaves unexplained; sides: the same of what the fixed and of what the
    moving image shows there, by their intensities, ``(B, 2)``; overlap: share of the fixed image that
    the moving one covers; margin: by how much more the runner-up leaves unexplained; consistency: root mean square distance, in
    samples of the finest grid, between the map and the inverse of what registering the other way round makes of it; each ``(B,)``.
    runner_up: the best map of another basin, ``(B, d, d + 1)``; edges: whether edges tell this rather than intensities, ``(B,)``.
    """

    unexplained: Tensor
    sides: Tensor
    overlap: Tensor
    margin: Tensor
    consistency: Tensor
    runner_up: Tensor
    edges: Tensor


@dataclass(frozen=True)
class Outcome:
    """Maps x ``(B, d, d + 1)``; the method's criterion before and after, evaluations in equivalents of the finest grid, ``(B,)``."""

    x: Tensor
    before: Tensor
    after: Tensor
    evaluations: Tensor
    evidence: Evidence | None = None
