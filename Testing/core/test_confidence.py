"""The word on a result: more left unexplained, a closer runner-up and a longer way back make it less sure, and never no number."""

import math

import pytest
import torch

from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.confidence import AMBIGUOUS, OK, probability_of_success, status_of
from MetaAffineRegLib.outcome import Evidence


def probability(unexplained=0.05, margin=0.3, consistency=0.05, lesser=None, edges=False, dimension=2):
    """``lesser``: of the shares that are left unexplained of one image; both are as the whole where it is not given."""
    unexplained, margin, consistency, overlap = (
        torch.tensor([number], dtype=torch.float64) for number in (unexplained, margin, consistency, 0.9)
    )
    sides = torch.stack((unexplained if lesser is None else torch.full_like(unexplained, lesser), unexplained), 1)
    evidence = Evidence(unexplained, sides, overlap, margin, consistency, identity(1, dimension), torch.tensor([edges]))
    return probability_of_success(evidence, 0)


LOOKS = pytest.mark.parametrize(("edges", "dimension"), [(False, 2), (True, 2), (False, 3), (True, 3)])


@LOOKS
@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("unexplained", [0.0, 0.05, 0.2, 0.5, 0.9, 1.2]),
        ("margin", [math.inf, 0.3, 0.02, 0.0]),
        ("consistency", [0.0, 0.1, 1.0, 10.0, 1e9]),
        ("lesser", [0.0, 0.02, 0.05]),
    ],
)
def test_worse_evidence_is_never_more_sure(name, worse, edges, dimension):
    found = [probability(**{name: number}, edges=edges, dimension=dimension) for number in worse]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]
    assert all(0 <= number <= 1 for number in found)


@LOOKS
def test_ends_of_the_scale(edges, dimension):
    assert status_of(probability(0.0, math.inf, 0.0, edges=edges, dimension=dimension)) == "ok"
    assert status_of(probability(1.0, 0.0, 100.0, edges=edges, dimension=dimension)) == "failed"
    assert probability(math.inf) == 0
    assert probability(0.01, margin=-0.1) <= probability(0.01, margin=0.0)  # the runner-up has turned out better


def test_two_basins_alike_are_no_better_than_a_coin():
    assert probability(0.0, 0.0, 0.0) <= 0.5 + 1e-9
    assert status_of(probability(0.0, 0.0, 0.0)) != "ok"


def test_statuses_are_in_their_order():
    assert 0 < AMBIGUOUS < OK < 1
    assert [status_of(number) for number in (0.0, AMBIGUOUS, OK, 1.0)] == ["failed", "ambiguous", "ok", "ok"]
    assert status_of(OK - 1e-9) == "ambiguous"
