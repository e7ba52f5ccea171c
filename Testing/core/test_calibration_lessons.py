"""``benchmark calibrate``: which results it learns from, and what they count."""

import math
import sys
from pathlib import Path

import pytest
import torch

from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.outcome import Evidence

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import calibration


def evidence(structure):
    """Of slices by edges, of which corrected intensities leave so much structure each."""
    count = len(structure)
    some = torch.linspace(0.1, 0.3, count, dtype=torch.float64)
    looks = torch.full((count, 3), math.nan, dtype=torch.float64)
    left = torch.tensor(structure, dtype=torch.float64)
    edges = torch.tensor(structure) > 1
    return Evidence(some, torch.stack((some, some), 1), some, some, some, looks, left, identity(count, 2), edges)


def test_every_result_of_a_plan_counts_with_its_truth():
    taught = calibration.Lessons()
    calibration._learn(taught, "edges-2d", [evidence([math.inf] * 2), evidence([math.inf])], [True, False, True], False)
    assert taught.right == [True, False, True] and taught.worth == [1.0] * 3
    assert len(taught.seen) == len(taught.lead) == 3 and {len(seen) for seen in taught.seen} == {6}


def test_of_corrected_intensities_those_alone_that_they_settle():
    taught = calibration.Lessons()
    parts = [evidence([0.01, math.inf, 0.05]), evidence([math.inf])]
    calibration._learn(taught, "corrected-2d", parts, [True, False, False, True], True)
    assert taught.right == [True, False] and {len(seen) for seen in taught.seen} == {2}
    assert [seen[1] for seen in taught.seen] == pytest.approx([math.log(0.02), math.log(0.06)])


def test_truths_are_those_of_the_results():
    with pytest.raises(AssertionError):
        calibration._learn(calibration.Lessons(), "edges-2d", [evidence([math.inf])], [True, False], False)
