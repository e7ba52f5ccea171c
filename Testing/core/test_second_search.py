"""The second search: only where the first is not sure, and never for worse."""

import dataclasses

import pytest
import torch

from core.made_images import affine, lattice, made
from MetaAffineRegLib import second_search
from MetaAffineRegLib.confidence import probability_of_success, status_of
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import LEVELS
from MetaAffineRegLib.robust import Plan, robust
from MetaAffineRegLib.second_search import robust_with_second_search

SLICE = lattice((100, 80, 1), (1.0, 1.2, 3.0))


def symmetric():
    array = made(SLICE, seed=3).array
    return Image.checked(array + array[:, ::-1, ::-1], SLICE)


EASY = made(SLICE), made(SLICE, affine(25, (4, -3, 0)))
HARD = (symmetric(), symmetric())  # turned by nothing, or by half a turn: none can tell


def settings(pairs):
    frames = [pair_frame(fixed.geometry, moving.geometry) for fixed, moving in pairs]
    grids = PairGrids.of(pairs, frames, LEVELS[2], dtype=torch.float32, device=torch.device("cpu"))
    start = torch.stack([torch.from_numpy(frame.start) for frame in frames])
    return grids, LEVELS[2], start, None, "affine", 180.0, lambda stage, share: None


@pytest.fixture
def plans(monkeypatch):
    """The plans of the searches that are made, with the number of pairs; the second tries little more, to be quick."""
    tried = []

    def search(grids, *others):
        tried.append((len(grids), others[6] if len(others) > 6 else None))
        return robust(grids, *others)

    monkeypatch.setattr(second_search, "robust", search)
    monkeypatch.setattr(second_search, "THOROUGH", {2: Plan(rotations=40, margins=(0.2, 0.2, 0.08))})
    return tried


@torch.no_grad()
def test_only_pairs_that_are_not_sure_are_searched_again(plans):
    pairs = [EASY, HARD, EASY]
    alone = robust(*settings(pairs))
    sure = [status_of(probability_of_success(alone.evidence, row)) == "ok" for row in range(3)]
    assert sure == [True, False, True]
    outcome = robust_with_second_search(*settings(pairs))
    assert plans == [(3, None), (1, second_search.THOROUGH[2])]
    torch.testing.assert_close(outcome.x[[0, 2]], alone.x[[0, 2]], rtol=0, atol=0)
    assert (outcome.evaluations > alone.evaluations).tolist() == [False, True, False]
    assert float(outcome.after[1]) <= float(alone.after[1]) + 1e-4


@torch.no_grad()
def test_second_result_counts_only_where_it_is_no_worse(monkeypatch):
    first = robust(*settings([HARD, EASY, HARD]))

    def search(grids, *others):
        found = robust(grids, *others)
        if len(others) <= 6:
            return found
        # the second search: worse for one pair, better for the other
        shift = torch.tensor([0.1, -0.1], dtype=torch.float64)
        evidence = dataclasses.replace(found.evidence, overlap=torch.tensor([0.125, 0.25], dtype=torch.float64))
        return dataclasses.replace(found, x=found.x + 1, after=first.after[[0, 2]] + shift, evidence=evidence)

    monkeypatch.setattr(second_search, "robust", search)
    monkeypatch.setattr(second_search, "THOROUGH", {2: Plan()})
    outcome = robust_with_second_search(*settings([HARD, EASY, HARD]))
    torch.testing.assert_close(outcome.after, first.after + torch.tensor([0, 0, -0.1], dtype=torch.float64))
    torch.testing.assert_close(outcome.x[:2], first.x[:2])
    torch.testing.assert_close(outcome.x[2], first.x[2] + 1, rtol=0, atol=1e-6)
    assert outcome.evidence.overlap[2] == 0.25 and outcome.evidence.overlap[0] == first.evidence.overlap[0]


@torch.no_grad()
def test_sure_pairs_cost_one_search(plans):
    robust_with_second_search(*settings([EASY]))
    assert plans == [(1, None)]


@torch.no_grad()
def test_progress_never_falls(plans):
    """The second search goes on where the first ended."""
    told = []
    *common, _ = settings([EASY, HARD])
    robust_with_second_search(*common, lambda stage, share: told.append((stage, share)))
    shares = [share for stage, share in told if stage]
    assert len(plans) == 2 and shares == sorted(shares) and shares[-1] <= 1
    assert any(stage.startswith("second search: ") for stage, _ in told)
