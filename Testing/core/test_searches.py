"""Further searches: only where those before are not sure, and never for worse."""

import dataclasses

import numpy as np
import pytest
import torch

from core.made_images import affine, distance, lattice, made
from MetaAffineRegLib import searches
from MetaAffineRegLib.candidates import Candidates
from MetaAffineRegLib.confidence import probability_of_success, status_of
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.plans import PLANS, QUICK, SECOND, Plan
from MetaAffineRegLib.registration import LEVELS
from MetaAffineRegLib.robust import robust
from MetaAffineRegLib.searches import robust_until_sure

SLICE = lattice((100, 80, 1), (1.0, 1.2, 3.0))


def symmetric():
    array = made(SLICE, seed=3).array
    return Image.checked(array + array[:, ::-1, ::-1], SLICE)


EASY = made(SLICE), made(SLICE, affine(25, (4, -3, 0)))
HARD = (symmetric(), symmetric())  # turned by nothing, or by half a turn: none can tell
INTENSITIES, EDGES, FAINT_EDGES = (PLANS[look, 2] for look in ("intensities", "edges", "faint-edges"))
STRANGERS = EASY[0], Image.checked(np.random.default_rng(1).random((1, 80, 100)), SLICE)


def settings(pairs):
    frames = [pair_frame(fixed.geometry, moving.geometry) for fixed, moving in pairs]
    grids = PairGrids.of(pairs, frames, LEVELS[2], dtype=torch.float32, device=torch.device("cpu"))
    start = torch.stack([torch.from_numpy(frame.start) for frame in frames])
    return grids, LEVELS[2], start, None, "affine", 180.0, lambda stage, share: None


@pytest.fixture
def plans(monkeypatch):
    """The plans of the searches that are made, with the number of pairs."""
    tried = []

    def search(grids, *others):
        tried.append((len(grids), others[6]))
        return robust(grids, *others)

    monkeypatch.setattr(searches, "robust", search)
    return tried


def first_search(pairs):
    return robust(*settings(pairs), INTENSITIES)


@torch.no_grad()
@pytest.mark.parametrize("data_term", ["auto", "intensities"])
def test_only_pairs_that_are_not_sure_are_searched_again(plans, monkeypatch, data_term):
    thorough = Plan(rotations=40, margins=(0.2, 0.2, 0.08))  # little more, to be quick
    monkeypatch.setattr(searches, "THOROUGH", {("intensities", 2): thorough})
    pairs = [EASY, HARD, EASY]
    alone = first_search(pairs)
    sure = (probability_of_success(alone.evidence) > searches._SURE).tolist()
    assert sure == [True, False, True]
    outcome = robust_until_sure(*settings(pairs), data_term)
    assert plans == [(3, INTENSITIES), (1, SECOND[2] if data_term == "auto" else thorough)]
    torch.testing.assert_close(outcome.x[[0, 2]], alone.x[[0, 2]], rtol=0, atol=0)
    assert (outcome.evaluations > alone.evaluations).tolist() == [False, True, False]
    assert probability_of_success(outcome.evidence)[1] >= probability_of_success(alone.evidence)[1]


@torch.no_grad()
@pytest.mark.parametrize("data_term", ["auto", "edges"])
def test_what_has_failed_by_edges_is_searched_thoroughly(plans, monkeypatch, data_term):
    """A pair of strangers fails, by edges alone; a symmetric one is doubtful only."""
    thorough = dataclasses.replace(EDGES, rotations=40)
    monkeypatch.setattr(searches, "THOROUGH", {("edges", 2): thorough, ("faint-edges", 2): thorough})
    told = []
    *common, _ = settings([HARD, STRANGERS])
    outcome = robust_until_sure(*common, lambda stage, share: told.append((stage, share)), data_term)
    if data_term == "edges":  # the strangers differ in brightness
        assert plans == [(1, EDGES), (1, QUICK), (1, FAINT_EDGES), (1, thorough)]
    else:  # the first pair, the second, and both again, the second by strong edges; what it found is settled
        first, again = [(1, INTENSITIES), (1, FAINT_EDGES)], [(1, SECOND[2]), (1, EDGES)]
        assert plans == [first[0], (1, QUICK), first[1], *again, *first, (1, thorough)]
    assert status_of(float(probability_of_success(outcome.evidence)[1])) == "failed"
    assert any(stage.startswith("thorough search: ") for stage, _ in told)
    shares = [share for stage, share in told if stage]
    assert shares == sorted(shares) and shares[-1] <= 1


@torch.no_grad()
def test_edges_alone_are_searched_once(plans):
    outcome = robust_until_sure(*settings([EASY, HARD]), "edges")
    assert plans == [(2, EDGES)]
    assert (outcome.evidence.edges | outcome.settled).tolist() == [True, True]


@torch.no_grad()
def test_the_more_probable_result_stays(monkeypatch):
    first = first_search([HARD, EASY, HARD])

    def search(grids, *others):
        found = robust(grids, *others)
        if others[6] is INTENSITIES:
            return found
        # the second search: less probable for one pair, more for the other
        unexplained = torch.tensor([1.0, 0.0], dtype=torch.float64)
        margin = torch.tensor([0.0, torch.inf], dtype=torch.float64)
        return dataclasses.replace(
            found, x=found.x + 1, evidence=dataclasses.replace(found.evidence, unexplained=unexplained, margin=margin)
        )

    monkeypatch.setattr(searches, "robust", search)
    outcome = robust_until_sure(*settings([HARD, EASY, HARD]))
    assert outcome.settled.tolist() == [False, False, True]
    torch.testing.assert_close(outcome.x[:2], first.x[:2])
    assert float((outcome.x[2] - first.x[2]).abs().min()) > 0.1
    assert outcome.evidence.margin[2] == torch.inf and outcome.evidence.margin[0] == first.evidence.margin[0]


@torch.no_grad()
def test_another_contrast_is_registered_by_edges_or_corrected_intensities(plans):
    """Every tissue in another shade, and all brighter to one side: most are found to a millimetre, all to two samples."""
    truth, shades = affine(70, (6, -4, 0)), np.array([2.0, 9, 4, 7, 1, 8, 3, 6, 2, 5, 9, 1] * 5)
    pairs = []
    for seed in range(1, 6):
        fixed, moving = (Image.checked(np.floor(made(SLICE, moved, seed).array / 25), SLICE) for moved in (None, truth))
        pairs.append((fixed, Image.checked(shades[moving.array.astype(int)] * np.linspace(0.8, 1.2, 100), SLICE)))
    outcome = robust_until_sure(*settings(pairs))
    assert (outcome.evidence.edges | outcome.settled).all() and plans[0] == (len(pairs), QUICK)
    assert all(status_of(probability) == "ok" for probability in probability_of_success(outcome.evidence).tolist())
    to_lps = pair_frame(*(image.geometry for image in pairs[0])).to_lps
    errors = [distance(to_lps(x), truth, SLICE) for x in outcome.x.numpy()]
    assert max(errors) < 200 / LEVELS[2][-1] and np.median(errors) < 1.0


@torch.no_grad()
def test_sure_pairs_cost_one_search(plans):
    robust_until_sure(*settings([EASY]))
    assert plans == [(1, INTENSITIES)]


@torch.no_grad()
def test_progress_never_falls(plans):
    """The second search goes on where the first ended."""
    told = []
    *common, _ = settings([EASY, HARD])
    robust_until_sure(*common, lambda stage, share: told.append((stage, share)))
    shares = [share for stage, share in told if stage]
    assert len(plans) == 2 and shares == sorted(shares) and shares[-1] <= 1
    assert any(stage.startswith("second search: ") for stage, _ in told)


@torch.no_grad()
def test_another_brightness_goes_to_edges_at_once(plans):
    """One pair of the same contrast, one of an inverted one: intensities never see the second."""
    fixed, moving = EASY
    other = Image.checked(np.where(moving.array > 0, 100 - moving.array, 0), SLICE)
    outcome = robust_until_sure(*settings([EASY, (fixed, other)]))
    assert plans == [(1, INTENSITIES), (1, QUICK)]
    assert outcome.settled.tolist() == [False, True]  # edges lead near, corrected intensities settle it
    torch.testing.assert_close(outcome.x[0], first_search([EASY]).x[0], rtol=0, atol=1e-9)
    assert bool(torch.isfinite(outcome.before).all() and torch.isfinite(outcome.after).all())


@torch.no_grad()
def test_pair_that_is_not_settled_costs_the_same_beside_one_that_is():
    fixed, moving = EASY
    settled = fixed, Image.checked(np.where(moving.array > 0, 100 - moving.array, 0), SLICE)
    both, alone = (robust(*settings(pairs), QUICK) for pairs in ([settled, STRANGERS], [STRANGERS]))
    assert both.settled.tolist() == [True, False]
    assert float(both.evaluations[1]) == float(alone.evaluations[0])


@pytest.fixture
def stand_in(monkeypatch):
    """Searches that find what they are told, in turn: probability and shift of one pair; what each was given to try besides."""
    tried, results = [], []
    first = first_search([EASY])

    def search(grids, *others):
        tried.append((others[6], others[7]))
        probability, shift = results.pop(0)
        return dataclasses.replace(
            first,
            x=first.x + shift,
            evidence=dataclasses.replace(first.evidence, unexplained=torch.tensor([probability], dtype=torch.float64)),
        )

    monkeypatch.setattr(searches, "robust", search)
    monkeypatch.setattr(searches, "probability_of_success", lambda evidence: evidence.unexplained.nan_to_num(posinf=0))
    return tried, results


@torch.no_grad()
@pytest.mark.parametrize("disputed", [True, False])
def test_edges_judge_between_two_things_that_were_found(stand_in, monkeypatch, disputed):
    """Of images that differ in brightness edges are compared first; a doubtful result sends for intensities."""
    tried, results = stand_in
    monkeypatch.setattr(searches, "brightness_distance", lambda fixed, moving: torch.ones(len(fixed)))
    results += [(0.99, 5.0)]  # of the quick search, which is not settled: nothing stays
    results += [(0.8, 0.0), (0.95, 1.0 if disputed else 0.0), (0.97, 1.0)]  # intensities are surer, and wrong
    outcome = robust_until_sure(*settings([EASY]))
    assert [plan for plan, _ in tried] == [QUICK, FAINT_EDGES, INTENSITIES, *([FAINT_EDGES] if disputed else [])]
    assert tried[1][1] is None
    assert float(outcome.evidence.unexplained[0]) == (0.97 if disputed else 0.8)
    if disputed:
        best, latest = tried[3][1].x
        assert float((latest - best).mean()) == pytest.approx(1)


@torch.no_grad()
def test_what_was_found_before_is_taken_along(stand_in):
    tried, results = stand_in
    results += [(0.5, 0.5), (0.99, 0.5)]
    outcome = robust_until_sure(*settings([EASY]))
    (first, nothing), (second, known) = tried
    assert (first, second, nothing) == (INTENSITIES, SECOND[2], None)
    torch.testing.assert_close(known.x[0], outcome.x[0])
    assert known.pair.tolist() == [0]  # the best is the latest


@torch.no_grad()
def test_map_that_is_known_is_judged_with_those_that_are_searched():
    """A search that looks nowhere near finds it all the same."""
    nowhere = dataclasses.replace(INTENSITIES, rotations=1, each=1, learned=False)
    truth = affine(140, (4, -3, 0))
    pair = EASY[0], made(SLICE, truth)
    frame = pair_frame(pair[0].geometry, pair[1].geometry)
    known = Candidates(first_search([pair]).x, torch.tensor([0]), torch.zeros(1, dtype=torch.float64))
    for given, near in ((None, False), (known, True)):
        outcome = robust(*settings([pair]), nowhere, given)
        assert (distance(frame.to_lps(outcome.x[0].numpy()), truth, SLICE) < 1) == near
