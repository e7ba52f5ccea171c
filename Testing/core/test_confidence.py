"""The word on a result: more left unexplained, a closer runner-up and a longer way back make it less sure, and never no number."""

import math
from dataclasses import fields

import pytest
import torch

from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.confidence import AMBIGUOUS, OK, probability_of_success, status_of
from MetaAffineRegLib.outcome import Evidence


def evidence_of(unexplained=0.05, margin=0.3, consistency=0.05, lesser=None, kind="intensities-2d", coarse=0.05, rows=0.05, structure=0.01):
    """``lesser``: of the shares that are left unexplained of one image; both are as the whole where it is not given; ``coarse``, ``rows``:
    how far away other looks have the result; ``structure``: what corrected intensities leave of it."""
    unexplained, margin, consistency, overlap = (
        torch.tensor([number], dtype=torch.float64) for number in (unexplained, margin, consistency, 0.9)
    )
    sides = torch.stack((unexplained if lesser is None else torch.full_like(unexplained, lesser), unexplained), 1)
    looks = torch.tensor([[coarse, rows, float(unexplained)] if kind.startswith("faint") else [math.nan] * 3], dtype=torch.float64)
    left = torch.tensor([structure if kind.startswith("corrected") else math.inf], dtype=torch.float64)
    runner_up, edges = identity(1, int(kind[-2])), torch.tensor(["edges" in kind])
    return Evidence(unexplained, sides, overlap, margin, consistency, looks, left, runner_up, edges)


def probability(*figures, **named):
    """Of one result, see ``evidence_of``."""
    return float(probability_of_success(evidence_of(*figures, **named)))


KINDS = pytest.mark.parametrize("kind", ["intensities-2d", "edges-2d", "faint-edges-2d", "intensities-3d", "edges-3d"])


@KINDS
@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("unexplained", [0.0, 0.05, 0.2, 0.5, 0.9, 1.2]),
        ("margin", [math.inf, 0.3, 0.02, 0.0]),
        ("consistency", [0.0, 0.1, 1.0, 10.0, 1e9]),
        ("lesser", [0.0, 0.02, 0.05]),
    ],
)
def test_worse_evidence_is_never_more_sure(name, worse, kind):
    found = [probability(**{name: number}, kind=kind) for number in worse]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]
    assert all(0 <= number <= 1 for number in found)


@KINDS
def test_ends_of_the_scale(kind):
    assert status_of(probability(0.0, math.inf, 0.0, kind=kind)) == "ok"
    assert status_of(probability(1.0, 0.0, 100.0, kind=kind)) == "failed"
    assert probability(math.inf) == 0
    assert probability(0.01, margin=-0.1) <= probability(0.01, margin=0.0)  # the runner-up has turned out better


@pytest.mark.parametrize("kind", ["corrected-2d", "corrected-3d"])
def test_corrected_intensities_are_sure_of_what_leaves_noise_alone(kind):
    for name, worse in (("structure", [-0.01, 0.02, 0.1]), ("margin", [math.inf, 0.02, 0.0])):
        found = [probability(kind=kind, **{name: number}) for number in worse]
        assert found == sorted(found, reverse=True) and found[0] > found[-1]
    assert status_of(probability(kind=kind, margin=math.inf)) == "ok"
    assert status_of(probability(kind=kind, margin=0.0)) != "ok"


@pytest.mark.parametrize("look", ["coarse", "rows"])
def test_other_looks_that_lead_away_make_it_less_sure(look):
    found = [probability(0.4, kind="faint-edges-2d", **{look: distance}) for distance in (0.0, 0.1, 1.0, 10.0)]
    assert found == sorted(found, reverse=True) and found[0] > found[-1]


@KINDS
def test_what_explains_nothing_is_no_result(kind):
    assert probability(1.0, math.inf, 0.0, kind=kind) == 0


def test_two_basins_alike_are_no_better_than_a_coin():
    assert probability(0.0, 0.0, 0.0) <= 0.5 + 1e-9
    assert status_of(probability(0.0, 0.0, 0.0)) != "ok"


def test_statuses_are_in_their_order():
    assert 0 < AMBIGUOUS < OK < 1
    assert [status_of(number) for number in (0.0, AMBIGUOUS, OK, 1.0)] == ["failed", "ambiguous", "ok", "ok"]
    assert status_of(OK - 1e-9) == "ambiguous"


def test_results_of_a_batch_are_those_of_each_alone():
    """Of all kinds side by side, whatever their order, on the right scale where nothing was found, and none of none."""
    kinds = ("intensities-2d", "edges-2d", "faint-edges-2d", "corrected-2d")
    evidences = [evidence_of(0.02 * (k + 1), 0.01 * k, 0.1 * k, kind=kind) for k, kind in enumerate(kinds * 2)]
    evidences.append(Evidence.of_nothing(identity(1, 2)))
    joined = Evidence(**{field.name: torch.cat([getattr(one, field.name) for one in evidences]) for field in fields(Evidence)})
    found = probability_of_success(joined)
    assert found.tolist() == pytest.approx([float(probability_of_success(one)) for one in evidences], rel=1e-12)
    assert len(set(found.tolist())) == len(evidences) and float(found[-1]) == 0
    assert len(probability_of_success(joined.select(torch.zeros(0, dtype=torch.long)))) == 0
