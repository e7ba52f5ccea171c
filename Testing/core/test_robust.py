"""Method robust: far turns are found, the start is never left for worse, ranges and groups are kept, the evidence means what it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.made_images import affine, apply, distance, lattice, made, points_of
from MetaAffineRegLib import affine as maps
from MetaAffineRegLib import checkpoint, registration
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.outcome import Outcome
from MetaAffineRegLib.plans import PLANS
from MetaAffineRegLib.registration import DEFAULT_MODEL, LEVELS, Settings, register
from MetaAffineRegLib.robust import _agreed, robust
from MetaAffineRegLib.stages import Stages
from MetaAffineRegLib.starts import centre_of_mass

ROBUST = Settings(device="cpu")
PLAN = PLANS["intensities", 2]
SLICE = lattice((100, 80, 1), (1.0, 1.2, 3.0))
SAMPLE = 100 / LEVELS[2][-1]  # of the finest grid, mm
SHEAR = np.array([[1.1, 0.05, 0], [0, 0.95, 0], [0, 0, 1]])


def pair(truth, seed=0, geometry=SLICE):
    return made(geometry, seed=seed), made(geometry, truth, seed)


def noise(seed):
    return Image.checked(np.random.default_rng(seed).standard_normal((1, 80, 100)), SLICE)


def spot():
    """Nothing but one bright sample."""
    array = np.zeros((1, 80, 100))
    array[0, 40, 50] = 1.0
    return Image.checked(array, SLICE)


def grids_of(pairs, frames, levels=LEVELS[2]):
    return PairGrids.of(pairs, frames, levels, dtype=torch.float32, device=torch.device("cpu"))


@torch.no_grad()
def found_without_model(pairs, initials=None, freedom="affine", rotation_range=180.0, levels=LEVELS[2]):
    """The outcome, and the maps in mm."""
    initials = [None] * len(pairs) if initials is None else initials
    frames = [pair_frame(fixed.geometry, moving.geometry, initial) for (fixed, moving), initial in zip(pairs, initials, strict=True)]
    start = torch.from_numpy(np.stack([frame.start for frame in frames]))
    outcome = robust(
        grids_of(pairs, frames, levels), levels, start, None, freedom, rotation_range, lambda stage, share: None, PLANS["intensities", 2]
    )
    return outcome, [frame.to_lps(x.numpy()) for frame, x in zip(frames, outcome.x, strict=True)]


def turned_by(matrix):
    """Degrees, of the nearest rotation of the plane."""
    return abs(float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1]))))


FAR = [affine(170, (12, -9, 0)), affine(-170, (-8, 14, 0)), affine(175, (0, 6, 0))]


@pytest.mark.parametrize("model", [True, False], ids=["with the model", "without"])
def test_pairs_turned_by_170_degrees_are_found(model):
    pairs = [pair(truth, seed) for seed, truth in enumerate(FAR)]
    results = [result.fixed_to_moving_lps for result in register(pairs, ROBUST)] if model else found_without_model(pairs)[1]
    for matrix, truth in zip(results, FAR, strict=True):
        assert distance(matrix, truth, SLICE) < 0.1 * SAMPLE


def test_pull_of_the_regularizer_is_small():
    """Images without noise, stretched by 10 and 5 percent: what is found lies beside the truth, by half a sample at most."""
    truth = affine(170, (0, 6, 0), stretch=SHEAR)
    for result in register([pair(truth, seed) for seed in range(3)], ROBUST):
        assert distance(result.fixed_to_moving_lps, truth, SLICE) < 0.5 * SAMPLE


def test_plain_is_lost_there():
    """Else the test above would show little."""
    results = register([pair(truth, seed) for seed, truth in enumerate(FAR)], Settings("plain", device="cpu"))
    assert all(distance(result.fixed_to_moving_lps, truth, SLICE) > 10 * SAMPLE for result, truth in zip(results, FAR, strict=True))


def test_default_method_says_what_it_did():
    (result,) = register([pair(FAR[0])], ROBUST)
    assert (result.method, result.model, result.notes) == ("robust", DEFAULT_MODEL["robust", 2], ())
    assert result.criterion_after < 0.01 < 0.2 < result.criterion_before
    assert result.status == result.confidence.status == "ok" and result.probability == result.confidence.probability


HOPELESS = {
    "strangers": lambda: (made(SLICE, seed=1), made(SLICE, seed=12)),
    "noise": lambda: (noise(0), noise(1)),
    "noise and an object": lambda: (noise(0), made(SLICE)),
    "spot and an object": lambda: (spot(), made(SLICE)),
    "object and a spot": lambda: (made(SLICE), spot()),
    "mirrored": lambda: pair(np.diag([-1.0, 1, 1, 1])),
    "three times the size": lambda: pair(np.diag([3.0, 3, 1, 1])),
    "already there": lambda: pair(np.eye(4)),
}


@pytest.fixture(scope="module")
def hopeless():
    return dict(zip(HOPELESS, register([make() for make in HOPELESS.values()], ROBUST), strict=True))


@pytest.mark.parametrize("case", HOPELESS)
def test_result_is_never_worse_than_the_start_and_a_sound_map(hopeless, case):
    result = hopeless[case]
    assert result.criterion_after <= result.criterion_before < np.inf
    singular = np.linalg.svd(result.fixed_to_moving_lps[:2, :2], compute_uv=False)
    assert np.linalg.det(result.fixed_to_moving_lps[:2, :2]) > 0
    assert 0.5 - 1e-9 <= singular.min() <= singular.max() <= 2 + 1e-9
    assert 0 <= result.probability <= 1 and 0 <= result.confidence.overlap <= 1 + 1e-6 and result.confidence.consistency_mm >= 0
    assert not result.confidence.margin < 0


def test_start_that_only_the_finest_grid_can_tell_is_not_left():
    """What is coarse in the moving image is turned by half a turn, what is fine is not: coarse grids lead astray."""
    grain = np.random.default_rng(0).standard_normal((1, 80, 100))
    fixed, turned = pair(affine(180))
    loud = [Image.checked(image.array + 80 * grain, SLICE) for image in (fixed, turned)]
    outcome, _ = found_without_model([tuple(loud)])
    assert bool((outcome.after <= outcome.before).all())


def test_start_that_is_exact_is_kept(hopeless):
    result = hopeless["already there"]
    assert distance(result.fixed_to_moving_lps, np.eye(4), SLICE) < 1e-3 * SAMPLE
    assert result.status == "ok"


@pytest.mark.parametrize("case", ["noise", "noise and an object", "spot and an object", "three times the size"])
def test_hopeless_pairs_are_not_called_ok(hopeless, case):
    assert hopeless[case].status != "ok"


STRANGE_STARTS = {
    "three times the size": (np.diag([3.0, 3, 3, 1]), lattice((100, 80, 1), (3.0, 3.6, 9.0))),
    "mirrored": (np.diag([-1.0, 1, 1, 1]), SLICE),
}


@pytest.mark.parametrize("case", STRANGE_STARTS)
def test_exact_start_that_mirrors_or_is_of_another_size_is_kept(case):
    """What is sound is told from the start: who gives one like this means it."""
    initial, geometry = STRANGE_STARTS[case]
    (result,) = register([(made(SLICE), made(geometry, initial))], ROBUST, [initial])
    assert distance(result.fixed_to_moving_lps, initial, SLICE) < 0.1 * 3 * SAMPLE
    assert result.criterion_after <= result.criterion_before < 0.01
    confidence = result.confidence
    assert not np.isnan([confidence.probability, confidence.overlap, confidence.margin, confidence.consistency_mm]).any()


def test_images_without_content_give_finite_numbers():
    """No image file is let in that is constant; a grid may be all the same, where the rest lies beyond the frame."""
    frame = pair_frame(SLICE, SLICE)
    batch = grids_of([pair(np.eye(4))] * 2, [frame] * 2)
    for images in (batch.fixed, batch.moving):
        for stack in images.values():
            stack[0, 0] = 0
    for stack in batch.moving.values():
        stack[1, 0] = 0
    start = maps.identity(2, 2)
    with torch.no_grad():
        outcome = robust(batch, LEVELS[2], start, None, "affine", 180.0, lambda stage, share: None, PLAN)
    assert bool(torch.isfinite(outcome.x).all()) and bool((outcome.after <= outcome.before).all())
    assert outcome.after.tolist() == pytest.approx([0, 1], abs=0.01)
    torch.testing.assert_close(outcome.x[0], start[0])


@pytest.mark.parametrize("model", [True, False], ids=["with the model", "without"])
@pytest.mark.parametrize("largest", [0, 30])
def test_rotation_range_is_kept(model, largest):
    """All pairs are turned by 90 degrees: what refinement adds to the range is no more than half a basin, 15 degrees."""
    pairs = [pair(affine(90), seed) for seed in range(4)]
    if model:
        results = [result.fixed_to_moving_lps for result in register(pairs, Settings(rotation_range=largest, device="cpu"))]
    else:
        results = found_without_model(pairs, rotation_range=float(largest))[1]
    assert max(turned_by(matrix) for matrix in results) <= largest + 15


@pytest.mark.parametrize("largest", [5, 10, 30, 90])
def test_pairs_within_the_rotation_range_are_found(largest):
    truths = [affine(0.9 * largest * side, (9, -7, 0)) for side in (-1, 0, 1)]
    pairs = [pair(truth, seed) for seed, truth in enumerate(truths)]
    for result, truth in zip(register(pairs, Settings(rotation_range=largest, device="cpu")), truths, strict=True):
        assert distance(result.fixed_to_moving_lps, truth, SLICE) < 0.1 * SAMPLE


def test_range_lies_around_the_initial_transform():
    truth = affine(170, (12, 9, 0))
    (result,) = register([pair(truth)], Settings(rotation_range=20, device="cpu"), [affine(158, (30, -9, 0))])
    assert distance(result.fixed_to_moving_lps, truth, SLICE) < 0.1 * SAMPLE


@pytest.mark.parametrize("largest", [-1, 181, float("nan")])
def test_range_that_makes_no_sense_is_refused(largest):
    with pytest.raises(InputError, match="A rotation range of .* degrees makes no sense; give 0 to 180"):
        register([pair(np.eye(4))], Settings(rotation_range=largest, device="cpu"))


@pytest.mark.parametrize("initial", [None, affine(10, (3, 2, 0), stretch=SHEAR)], ids=["no start", "sheared start"])
@pytest.mark.parametrize("freedom", ["rigid", "similarity"])
def test_group_results_stay_in_their_group(freedom, initial):
    """Also where the start lies outside and would explain the images best."""
    truth = affine(10, (3, 2, 0), stretch=SHEAR)
    (result,) = register([pair(truth)], Settings(freedom=freedom, device="cpu"), [initial])
    matrix = result.fixed_to_moving_lps[:2, :2]
    scale = np.sqrt(np.linalg.det(matrix))
    np.testing.assert_allclose(matrix @ matrix.T, scale**2 * np.eye(2), atol=1e-9)
    if freedom == "rigid":
        assert scale == pytest.approx(1, abs=1e-9)
    assert turned_by(matrix) == pytest.approx(10, abs=5)


def test_brightness_in_other_units_changes_nothing():
    """Both images brighter and on another background, as one scanner is from another."""
    fixed, moving = pair(FAR[0])
    brighter = [type(image).checked(image.array * 40 + 900, image.geometry) for image in (fixed, moving)]
    one, both = register([(fixed, brighter[1]), tuple(brighter)], ROBUST)
    assert distance(one.fixed_to_moving_lps, FAR[0], SLICE) < 0.2
    assert distance(both.fixed_to_moving_lps, FAR[0], SLICE) < 0.1 * SAMPLE


def test_slab_that_was_cut_away_hardly_pulls():
    """An eighth of the moving image is background: its lack is explained by no map.  Mean squares, from the truth, go far astray."""
    truth = affine(100, (6, -4, 0))
    pairs = []
    for seed in range(4):
        fixed, moving = pair(truth, seed)
        array = moving.array.copy()
        array[:, :, 87:] = 0
        pairs.append((fixed, Image.checked(array, moving.geometry)))
    errors = [
        [distance(result.fixed_to_moving_lps, truth, SLICE) for result in register(pairs, settings, initials)]
        for settings, initials in ((ROBUST, None), (Settings("plain", device="cpu"), [truth] * 4))
    ]
    assert max(errors[0]) < 0.6 * SAMPLE
    assert max(errors[1]) > 3 * max(errors[0])


def test_volume_without_a_model(monkeypatch):
    """Turned by 150 degrees about an oblique axis and shifted, on small grids."""
    monkeypatch.setitem(LEVELS, 3, (8, 16, 24, 48))
    monkeypatch.setattr(registration, "DEFAULT_MODEL", {})
    volume = lattice((36, 32, 30), (2.6, 2.9, 3.1))
    truth = affine(150, (6, -5, 4), (1, 2, 3))
    (result,) = register([(made(volume), made(volume, truth))], ROBUST)
    assert (result.method, result.model, result.notes) == ("robust", None, ())
    assert distance(result.fixed_to_moving_lps, truth, volume) < 0.1 * 2 * 46.8 / 48
    assert result.confidence.runner_up_lps is None or result.confidence.runner_up_lps.shape == (4, 4)


@pytest.fixture(scope="module")
def batch():
    """Easy and hopeless pairs, and their results in one batch."""
    pairs = [pair(truth, seed) for seed, truth in enumerate(FAR)]
    pairs = [pairs[0], HOPELESS["noise"](), pairs[1], HOPELESS["strangers"](), HOPELESS["spot and an object"](), pairs[2]]
    return pairs, register(pairs, ROBUST)


@pytest.mark.parametrize("order", [[0], [1], [4], [5, 3, 1, 0, 2, 4]])
def test_results_do_not_depend_on_what_shares_the_batch(batch, order):
    pairs, expected = batch
    for row, result in zip(order, register([pairs[row] for row in order], ROBUST), strict=True):
        assert distance(result.fixed_to_moving_lps, expected[row].fixed_to_moving_lps, SLICE) < 0.01 * SAMPLE
        assert result.probability == pytest.approx(expected[row].probability, abs=0.01)
        assert result.confidence.margin == pytest.approx(expected[row].confidence.margin, abs=0.005)


@pytest.mark.parametrize("columns", [100, 50], ids=["whole", "half"])
def test_overlap_is_the_share_of_the_fixed_image_that_is_covered(columns):
    """The moving image shows all of the fixed one, or its left half."""
    half = lattice((columns, 80, 1), (1.0, 1.2, 3.0), center=((columns - 100) / 2, 0, 0))
    (result,) = register([(made(SLICE), made(half))], Settings(rotation_range=20, device="cpu"), [np.eye(4)])
    assert distance(result.fixed_to_moving_lps, np.eye(4), SLICE) < 0.3 * SAMPLE
    assert result.confidence.overlap == pytest.approx(columns / 100, abs=0.02)


def test_way_back_leads_home_from_a_good_result_and_astray_where_there_is_nothing_to_hold_on_to(batch):
    good = [batch[1][row].confidence.consistency_mm for row in (0, 2, 5)]
    assert max(good) < 0.05 * SAMPLE
    assert batch[1][4].confidence.consistency_mm > 0.5 * SAMPLE


def nearly_symmetric(difference):
    """An object that is its own image under half a turn, but for a spot."""
    points = points_of(SLICE)
    array = sum(
        height * np.exp(-((points[..., 0] - side * x) ** 2 + (points[..., 1] - side * y) ** 2) / 60)
        for side in (-1, 1)
        for x, y, height in ((20, 6, 60), (8, -18, 90), (3, 14, 40))
    )
    return array + difference * np.exp(-((points[..., 0] - 25) ** 2 + (points[..., 1] + 10) ** 2) / 40)


def test_runner_up_of_a_nearly_symmetric_object_is_its_other_turn():
    """The smaller the mark that tells the two apart, the smaller the margin and the trust."""
    found = []
    for difference in (3.0, 15.0):
        array = nearly_symmetric(difference)
        loud = [Image.checked(array + np.random.default_rng(seed).standard_normal(array.shape) * 2, SLICE) for seed in (0, 1)]
        (result,) = register([tuple(loud)], ROBUST)
        assert distance(result.fixed_to_moving_lps, np.eye(4), SLICE) < SAMPLE
        assert distance(result.confidence.runner_up_lps, affine(180), SLICE) < 2 * SAMPLE
        found.append(result.confidence)
    assert 0 <= found[0].margin < 0.5 * found[1].margin
    assert found[0].probability < found[1].probability


def test_runner_up_is_of_another_basin_wherever_there_is_one(hopeless, batch):
    """Maps no more than 0.04 of half the frame apart are one basin."""
    results = [*hopeless.values(), *batch[1]]
    seconds = [result for result in results if result.confidence.runner_up_lps is not None]
    assert len(seconds) >= 3
    for result in seconds:
        assert np.isfinite(result.confidence.margin)
        assert distance(result.fixed_to_moving_lps, result.confidence.runner_up_lps, SLICE) > 0.04 * 50
    assert all(not np.isfinite(result.confidence.margin) for result in results if result.confidence.runner_up_lps is None)


def test_model_of_the_other_criterion_serves_too():
    """A network that reads mean squares, on levels of its own."""
    truth = affine(30, (4, -5, 0))
    settings = Settings(model="hands", device="cpu")
    assert checkpoint.load("hands").network.config.data_term == "mean_squares"
    (result,) = register([pair(truth)], settings)
    assert result.model == "hands" and distance(result.fixed_to_moving_lps, truth, SLICE) < 0.1 * SAMPLE


def test_evaluations_are_counted_for_each_pair(batch):
    counts = [result.evaluations for result in batch[1]]
    *others, most = sorted(counts)  # one pair goes through all searches
    assert all(5 < count < 500 for count in others) and most < 1000 and len(set(counts)) > 3


def stages_of(pairs, plan, initial=None):
    """The stages of a search, and its starts as maps ``(B, d, d + 1)``."""
    frames = [pair_frame(fixed.geometry, moving.geometry, initial) for fixed, moving in pairs]
    start = torch.from_numpy(np.stack([frame.start for frame in frames]))
    return Stages(grids_of(pairs, frames), LEVELS[2], start, "affine", 180.0, plan, lambda stage, share: None), start


def assert_best_is_near(found, pairs):
    """Of each of the pairs of FAR the candidate with the lowest value."""
    for row, ((fixed, moving), truth) in enumerate(zip(pairs, FAR, strict=True)):
        best = found.x[found.pair == row][found.value[found.pair == row].argmin()]
        assert distance(pair_frame(fixed.geometry, moving.geometry).to_lps(best.numpy()), truth, SLICE) < 3 * SAMPLE


@torch.no_grad()
def test_starts_on_centres_join_those_that_were_searched():
    """Of ten rotations each: the centre of the fixed image on that of the moving one, and the centres of mass."""
    pairs = [pair(truth, seed) for seed, truth in enumerate(FAR)]
    stages, start = stages_of(pairs, replace(PLAN, rotations=6, centred=10))
    found = stages.searched(start)
    assert [int((found.pair == row).sum()) for row in range(3)] == [26, 26, 26]
    only, _ = stages_of(pairs, replace(PLAN, rotations=0, centred=10))
    by_mass, by_middle = only.searched(start).x.view(2, 3, 10, 2, 3)
    assert torch.equal(by_middle[..., 2], torch.zeros_like(by_middle[..., 2]))
    masses = [centre_of_mass(side[16]) for side in (stages.grids.fixed, stages.grids.moving)]
    torch.testing.assert_close(
        maps.apply(by_mass.flatten(0, 1), masses[0].repeat_interleave(10, 0)[:, None])[:, 0], masses[1].repeat_interleave(10, 0)
    )


@torch.no_grad()
def test_few_of_many_starts_go_on_and_the_right_one_is_among_them():
    """After two iterations the three best of 20 starts; without the choice all would go on to the end."""
    pairs = [pair(truth, seed) for seed, truth in enumerate(FAR)]
    plan = replace(PLAN, rotations=20, polished=20, sifted=20, unlearned_starts=3)
    stages, start = stages_of(pairs, plan)
    found = stages.unlearned(stages.polished(stages.searched(start)))
    assert len(found.x) <= 9
    assert_best_is_near(found, pairs)


@torch.no_grad()
def test_learned_steps_from_the_searched_starts_let_the_best_of_them_go_on():
    pairs = [pair(truth, seed) for seed, truth in enumerate(FAR)]
    network = checkpoint.load(DEFAULT_MODEL["robust", 2]).network
    stages, start = stages_of(pairs, replace(PLAN, rotations=20, led=4, margins=(1.0, 0.1, 0.04)))
    found = stages.led(stages.searched(start), network)
    assert all(1 <= int((found.pair == row).sum()) <= 4 for row in range(3))
    assert_best_is_near(found, pairs)


@torch.no_grad()
@pytest.mark.parametrize(
    ("off", "noise", "structure", "before", "agreed"),
    [
        (0.4, 0.4, 0.1, torch.inf, True),
        (0.4, 0.4, 0.5, torch.inf, False),
        (0.4, 0.1, 0.2, torch.inf, False),
        (1.5, 0.4, 0.1, torch.inf, False),
        (0.4, 0.4, 0.1, -1.0, False),
    ],
    ids=["near", "much is left", "without noise", "far", "start is better"],
)
@pytest.mark.parametrize("freedom", ["affine", "rigid"])
def test_mean_of_edges_and_of_corrected_intensities_is_taken_where_they_agree(off, noise, structure, before, agreed, freedom):
    """Off by as much to either side: the mean is right.  Of two pairs only the first is such."""
    truth = affine(20, (3, -2, 0))
    pairs = [pair(truth)] * 2
    stages, _ = stages_of(pairs, PLANS["edges", 2])
    stages.freedom_name = freedom
    frame = pair_frame(SLICE, SLICE)
    right = torch.from_numpy(np.linalg.inv(frame.moving_to_lps) @ truth @ frame.fixed_to_lps)[:2, [0, 1, 3]].expand(2, -1, -1)
    assert distance(frame.to_lps(right[0].numpy()), truth, SLICE) < 1e-9
    way = torch.zeros_like(right)
    way[:, 0, 2] = off * 2 / LEVELS[2][-1] / 2
    outcome, corrected = (
        Outcome(x, *(torch.full((2,), number, dtype=torch.float64) for number in (before, after, 0.0)))
        for x, after in ((right + way, 0.5), (right - way, noise))
    )
    found = _agreed(stages, outcome, corrected, torch.tensor([structure, torch.inf], dtype=torch.float64))
    assert torch.equal(found.x[1], outcome.x[1]) and float(found.after[1]) == 0.5
    if agreed:
        assert float(maps.distance(found.x[:1], right[:1])) < 1e-9 and float(found.after[0]) != 0.5
    else:
        assert torch.equal(found.x[0], outcome.x[0]) and float(found.after[0]) == 0.5


def test_made_pair_is_what_it_says():
    """The truth of these tests: what the fixed image shows at p, the moving one shows at truth p."""
    fixed, moving = pair(FAR[0])
    inside = points_of(SLICE)[0, 30:50:5, 40:60:5]
    index = np.linalg.inv(SLICE.index_to_lps)
    places = np.rint(apply(index, apply(FAR[0], inside))).astype(int)
    shown = moving.array[0, places[..., 1], places[..., 0]]
    np.testing.assert_allclose(shown, fixed.array[0, 30:50:5, 40:60:5], atol=0.1 * fixed.array.max())
