"""Registration against known truth: recovery, groups, lattices, starts, progress, cancelling."""

from dataclasses import replace

import numpy as np
import pytest

from core.made_images import affine, distance, lattice, made
from MetaAffineRegLib import registration
from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegLib.registration import LEVELS, Settings, register

PLAIN = Settings(method="plain", device="cpu")
COMB = Settings("comb", model="mri", device="cpu")
ROBUST = Settings(device="cpu")
SLICE = lattice((100, 80, 1), (1.0, 1.2, 3.0))
SHEAR = np.array([[1.05, 0.06, 0], [0, 0.94, 0], [0, 0, 1]])


def pair(geometry, truth, seed=0):
    return made(geometry, seed=seed, name="fixed"), made(geometry, truth, seed, "moving")


def test_plain_recovers_slices_and_a_volume_in_one_call():
    """The volume is turned by 20 degrees and shifted by 10 voxels; slices and volumes may come mixed."""
    volume = lattice((60, 60, 60), (1.6, 1.6, 1.6))
    shift = np.array([9.0, -9.0, 9.6])
    assert np.linalg.norm(shift) / 1.6 == pytest.approx(10, abs=0.1)
    truths = [affine(15, (8, -5, 0)), affine(20, shift, (1, 2, 3)), affine(-12, (0, 9, 0), stretch=SHEAR)]
    pairs = [pair(SLICE, truths[0]), pair(volume, truths[1], 1), pair(SLICE, truths[2], 2)]
    results = register(pairs, PLAIN)
    for result, truth, geometry in zip(results, truths, (SLICE, volume, SLICE), strict=True):
        pixel = float(min(geometry.spacing))
        assert distance(np.eye(4), truth, geometry) > 3 * pixel
        assert distance(result.fixed_to_moving_lps, truth, geometry) < 0.1 * pixel
        assert result.criterion_after < 0.01 * result.criterion_before
        assert result.method == "plain" and result.model is None and result.notes == () and result.device == "cpu"


@pytest.mark.parametrize("degrees", [-30, 30])
def test_comb_recovers_slices_turned_by_30_degrees(degrees):
    """By a model of another kind of image, so one miss is allowed; its learned steps come nearer, and are not the end."""
    truth = affine(degrees, (3, -4, 0))
    pairs = [pair(SLICE, truth, seed) for seed in range(8)]
    refined = register(pairs, COMB)
    learned = register(pairs, Settings("learn", model="mri", device="cpu"))
    assert sum(distance(result.fixed_to_moving_lps, truth, SLICE) < 0.1 for result in refined) >= 7
    left = np.median([distance(result.fixed_to_moving_lps, truth, SLICE) for result in learned])
    assert 0.1 < left < 0.5 * distance(np.eye(4), truth, SLICE)
    assert {(result.method, result.model) for result in refined} == {("comb", "mri")}
    assert {(result.method, result.model) for result in learned} == {("learn", "mri")}
    assert all(few.evaluations < 1 < many.evaluations for few, many in zip(learned, refined, strict=True))  # on the finest grid


@pytest.mark.parametrize("freedom", ["rigid", "similarity"])
@pytest.mark.parametrize("settings", [PLAIN, COMB], ids=["plain", "comb"])
def test_group_results_stay_in_their_group_in_mm(freedom, settings):
    """The truth is sheared, so that an affine result would not: lattices differ in spacing and size."""
    moving_geometry = lattice((70, 90, 1), (1.5, 0.9, 2.0))
    fixed, moving = made(SLICE), made(moving_geometry, affine(12, (5, 3, 0), stretch=SHEAR * 1.08))
    (result,) = register([(fixed, moving)], Settings(settings.method, freedom, settings.model, device="cpu"))
    matrix = result.fixed_to_moving_lps[:2, :2]
    scale = np.sqrt(np.linalg.det(matrix))
    np.testing.assert_allclose(matrix @ matrix.T, scale**2 * np.eye(2), atol=1e-9)
    if freedom == "rigid":
        assert scale == pytest.approx(1, abs=1e-9)
    else:
        assert scale == pytest.approx(1.08 * np.sqrt(1.05 * 0.94), abs=0.03)
    assert np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])) == pytest.approx(12, abs=3)


def test_rigid_volume_is_rigid_in_mm(monkeypatch):
    """Few thick oblique slices: a volume all the same."""
    monkeypatch.setitem(LEVELS, 3, (12, 24, 48))
    geometry = lattice((44, 36, 10), (2.0, 2.4, 7.0), affine(20, axis=(1, 1, 0)))
    truth = affine(8, (3, -2, 4), (2, 1, 2))
    (result,) = register([(made(geometry), made(geometry, truth))], Settings("plain", "rigid", device="cpu"))
    rotation = result.fixed_to_moving_lps[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert distance(result.fixed_to_moving_lps, truth, geometry) < 0.5


OTHER_LATTICES = {
    "finer": lattice((150, 110, 1), (0.7, 0.8, 1.0)),
    "coarser": lattice((40, 44, 1), (2.4, 2.2, 1.0)),
    "turned": lattice((100, 100, 1), (1.0, 1.0, 1.0), affine(30)),
    "upside down": lattice((100, 80, 1), (1.0, 1.2, 3.0), np.diag([-1.0, -1, 1, 1])),
    "mirrored storage": lattice((100, 80, 1), (1.0, 1.2, 3.0), np.diag([-1.0, 1, 1, 1])),
    "elsewhere": lattice((100, 80, 1), (1.0, 1.2, 3.0), center=(6, -5, 0)),
}


def test_images_of_other_lattices_recover_the_same_physical_transform():
    truth = affine(14, (6, -4, 0), stretch=SHEAR)
    fixed = made(SLICE)
    results = register([(fixed, made(geometry, truth)) for geometry in OTHER_LATTICES.values()], PLAIN)
    for name, result in zip(OTHER_LATTICES, results, strict=True):
        assert distance(result.fixed_to_moving_lps, truth, SLICE) < 0.3, name


def test_registration_sets_out_from_the_initial_transform():
    """Half a turn is beyond every method; from within 15 degrees of it it is found."""
    truth = affine(170, (12, 9, 0))
    found, missed = register([pair(SLICE, truth)] * 2, PLAIN, [affine(158, (10, 10, 0)), None])
    assert distance(found.fixed_to_moving_lps, truth, SLICE) < 0.1
    assert distance(missed.fixed_to_moving_lps, truth, SLICE) > 10
    assert found.criterion_before < missed.criterion_before


def test_images_on_two_scales_of_brightness_are_registered_alike():
    """12-bit beside 0 .. 1, with another background."""
    truth = affine(12, (4, -3, 0))
    fixed, moving = pair(SLICE, truth)
    brighter = type(moving).checked(moving.array * 40 + 900, moving.geometry)
    (result,) = register([(fixed, brighter)], PLAIN)
    assert distance(result.fixed_to_moving_lps, truth, SLICE) < 0.2


def test_object_cut_off_by_the_moving_image_keeps_no_bias():
    """A third of the object lies outside the moving image: zeros there pull, the overlap does not."""
    truth = affine(6, (3, -2, 0))
    cut = lattice((64, 80, 1), (1.0, 1.2, 3.0), center=(-18, 0, 0))
    errors = {}
    for outside in ("overlap", "zero"):
        initial = affine(shift=(1, 0, 0))  # the centres of the two lattices do not lie on each other
        settings = Settings("plain", device="cpu", outside=outside)
        (result,) = register([(made(SLICE), made(cut, truth))], settings, [initial])
        errors[outside] = distance(result.fixed_to_moving_lps, truth, SLICE)
    assert errors["overlap"] < 0.5 < errors["zero"]


@pytest.mark.parametrize("settings", [COMB, ROBUST], ids=["comb", "robust"])
@pytest.mark.parametrize("count", [1, 5])
def test_progress_goes_from_nothing_to_all(monkeypatch, count, settings):
    """Also where not all pairs fit into memory at once."""
    monkeypatch.setitem(registration._CHUNK_BYTES, 2, 2 << 20)  # two slices
    seen = []
    small = lattice((10, 8, 1), (9, 9, 1))
    register([pair(small, affine(5))] * count, settings, progress=lambda *said: seen.append(said))
    fractions = [fraction for _, fraction in seen]
    assert fractions[0] == 0 and fractions[-1] == 1 and fractions == sorted(fractions)
    assert len(set(fractions)) > 5 * count / 2
    assert all(isinstance(stage, str) and stage for stage, _ in seen)


@pytest.mark.parametrize("settings", [COMB, ROBUST], ids=["comb", "robust"])
@pytest.mark.parametrize(("after", "backend"), [(0, "auto"), (1, "auto"), (5, "auto"), (20, "torch")])
def test_cancelling_ends_it_soon(after, backend, settings):
    settings = replace(settings, backend=backend)
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > after

    with pytest.raises(Cancelled):
        register([pair(SLICE, affine(5))], settings, cancelled=cancelled)
    assert len(asked) == after + 1


def test_cancelled_is_asked_often_enough_for_a_button():
    """Between two questions lies one evaluation of the criterion, not a whole level; compiled kernels are asked by the clock."""
    asked = []
    (result,) = register([pair(SLICE, affine(5))], replace(PLAIN, backend="torch"), cancelled=lambda: bool(asked.append(1)))
    assert len(asked) > result.evaluations


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(method="best"), "There is no method 'best'; choose robust, comb, learn, plain"),
        (Settings(model="nonesuch"), "There is no model 'nonesuch'"),
    ],
)
def test_settings_that_do_not_exist_are_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        register([pair(SLICE, affine(5))], settings)


def test_slice_with_volume_is_refused_before_anything_is_computed():
    said = []
    with pytest.raises(InputError, match="give two slices or two volumes"):
        register(
            [pair(SLICE, affine(5)), (made(SLICE), made(lattice((8, 8, 8), (9, 9, 9))))], PLAIN, progress=lambda *words: said.append(words)
        )
    assert said == []


def test_result_that_mirrors_is_not_to_be_trusted():
    """Nothing undoes the mirroring of the initial transform on the way, and a note says so."""
    fixed, moving = pair(SLICE, np.diag([-1.0, 1, 1, 1]))
    other, result = register([pair(SLICE, affine(5)), (fixed, moving)], PLAIN, [None, np.diag([-1.0, 1, 1, 1])])
    assert np.linalg.det(result.fixed_to_moving_lps[:3, :3]) == pytest.approx(-1, abs=0.01)
    assert any("do not trust it" in note for note in result.notes) and other.notes == ()


def test_no_pairs_give_no_results():
    assert register([], PLAIN) == []
