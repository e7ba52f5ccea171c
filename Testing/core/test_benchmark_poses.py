"""What the benchmarks of posed volumes, of different heads and of landmarks count, on made images."""

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from core.made_files import write
from core.made_images import affine, apply, brightness, lattice, made, points_of
from MetaAffineRegCLI.console import run_command
from MetaAffineRegCLI.transform_files import write_transform
from MetaAffineRegLib.image import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import acquisitions
import landmarks
import poses
import real_pairs
import subjects
from poses import Posed, Tally

VOLUME = lattice((24, 26, 22), (4.0, 4.0, 4.0), affine(20, axis=(1, 2, 3)))
SLICE = lattice((50, 40, 1), (2.0, 2.0, 2.0))


def said(status="ok", compared="intensities"):
    return SimpleNamespace(status=status, compared=compared)


def command(module, *words):
    """Exit code and lines of a benchmark."""
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    lines = []

    def benchmark(arguments):
        lines.extend(module.run(arguments))
        return 0

    return run_command(parser, benchmark, list(map(str, words))), lines


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("geometry", [VOLUME, SLICE])
def test_pose_turns_about_the_middle_and_keeps_a_slice_in_its_plane(geometry):
    random = np.random.default_rng(0)
    for _ in range(20):
        pose = poses.random_pose(geometry, random)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose) == pytest.approx(1)
        shift = geometry.directions.T @ ((pose @ [*geometry.center_lps, 1])[:3] - geometry.center_lps)
        assert np.abs(shift).max() <= geometry.extent / 2
        if geometry.dimension == 2:
            np.testing.assert_allclose(pose[2], [0, 0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("d", [2, 3])
def test_rotations_are_uniform(d):
    """The mean of uniform rotations is zero, and the mean angle of those of space is pi / 2 + 2 / pi."""
    random = np.random.default_rng(1)
    some = np.array([poses.any_rotation(random, d) for _ in range(4000)])
    assert np.abs(some.mean(0)).max() < 0.05
    if d == 3:
        angles = np.arccos(np.clip((np.trace(some, axis1=1, axis2=2) - 1) / 2, -1, 1))
        assert angles.mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.04)


def test_moved_image_shows_its_object_where_the_pose_puts_it():
    """So the true map of a pair, behind it the pose, is the truth of the posed pair."""
    truth, pose = affine(30, (5, 2, 1), (0, 1, 1)), affine(100, (9, 0, -4), (1, 1, 0))
    moving = poses.moved(made(VOLUME, truth), pose)
    points = points_of(moving.geometry)
    np.testing.assert_allclose(moving.array, brightness(apply(np.linalg.inv(pose @ truth), points)), atol=1e-3)


def test_points_lie_in_the_object_and_their_distances_are_those_of_the_maps():
    image = made(VOLUME)
    points = poses.object_points(image)
    values = brightness(points[:3].T)
    low, high = np.percentile(image.array, (0.5, 99.5))
    assert points.shape[1] > 30 and values.min() > low + 0.149 * (high - low)
    assert poses.distances(affine(shift=(3, 0, 4)), np.eye(4), points) == pytest.approx(np.full(points.shape[1], 5.0))


def test_result_is_right_within_2_mm_or_a_voxel(monkeypatch):
    """The stand-in for the registration ends 1.5 mm off: right for voxels of 4 mm, wrong for voxels of 1 mm."""
    truth, asked = affine(10), []

    def found(pairs, settings):
        ((_, posed),) = pairs
        pose = posed.geometry.index_to_lps @ np.linalg.inv(geometry.index_to_lps)
        asked.append(pose)
        return [SimpleNamespace(fixed_to_moving_lps=affine(shift=(0, 1.5, 0)) @ pose @ truth, confidence=said())]

    monkeypatch.setattr(poses, "register", found)
    for geometry, right in ((VOLUME, True), (lattice((20, 20, 20), (1.0, 1.0, 1.0)), False)):
        image = made(geometry)
        one = poses.register_posed(image, image, truth, poses.object_points(image), np.random.default_rng(0), "cpu")
        assert one.error == pytest.approx(1.5) and one.right == right
    assert not np.allclose(asked[0][:3, :3], np.eye(3))


def test_tally_counts_right_and_flagged_results():
    tally = Tally([Posed(0.5, 2.0, said(), 1.0), Posed(1.0, 2.0, said("failed", "edges"), 2.0), Posed(5.0, 2.0, said("ambiguous"), 3.0)])
    assert cells(tally.row("a", 7)) == ["a", "7", "2 of 3", "1.00", "5.00", "1", "1 of 2", "1 of 1", "1", "2.0"]
    assert len(cells(tally.row())) == len(poses.COLUMNS)
    assert "of 3 results are within reach; of the wrong ones 1 of 1 are flagged, of the right ones 1 of 2" in tally.sentence()
    assert len(poses.together([tally, tally]).results) == 6


@pytest.fixture
def volumes(tmp_path):
    """A collection of three heads and a pair, whose moving volume lies where a file says."""
    truth = affine(25, (4, -6, 3), (1, 0, 2))
    write(tmp_path / "a.nrrd", made(VOLUME))
    write(tmp_path / "b.nrrd", made(lattice((30, 28, 26), (3.5, 3.5, 4.0)), truth))
    write_transform(tmp_path / "t.tfm", truth)
    (tmp_path / "pairs.csv").write_text(
        "fixed,moving,kind,truth,transforms\na.nrrd,b.nrrd,made,affine given: fixed point -> moving point,t.tfm\n"
        "b.nrrd,a.nrrd,made,unknown,\n"
    )
    (tmp_path / "splits.csv").write_text(
        "file,subject,contrast,split,note\n" + "".join(f"{name}.nrrd,{name},T1,test,skull-stripped\n" for name in "ab")
    )
    return tmp_path


def test_real_pair_is_registered_in_earnest_from_any_pose(volumes, capsys):
    code, lines = command(real_pairs, "--data", volumes, "--poses", 2)
    assert code == 0, capsys.readouterr().err
    row = cells(lines[-1])
    assert row[:5] == ["a - b", "made", "yes", "test", "2 of 2"] and float(row[6]) < 0.5
    assert any(line.startswith("- Truth certain, test files: 100.0 %") for line in lines)


@pytest.mark.parametrize(
    ("words", "says"), [(["--poses", "0"], "--poses 0"), (["--pairs", "none"], "no pairs"), (["--data", "nowhere"], "splits.csv")]
)
def test_real_refuses_what_can_not_be_used(volumes, capsys, words, says):
    assert command(real_pairs, "--data", volumes, *words) == (2, [])
    assert says in capsys.readouterr().err


def volume_of(geometry, truth=None):
    """As SimpleITK has it."""
    image = made(geometry, truth)
    volume = sitk.GetImageFromArray(image.array)
    volume.SetSpacing(geometry.spacing.tolist())
    volume.SetOrigin(geometry.index_to_lps[:3, 3].tolist())
    volume.SetDirection((geometry.index_to_lps[:3, :3] / geometry.spacing).ravel().tolist())
    return volume


FINE = lattice((60, 64, 56), (1.5, 1.5, 1.5), affine(20, axis=(1, 2, 3)))


@pytest.mark.parametrize("one", acquisitions.ACQUISITIONS, ids=lambda one: one.name)
def test_both_acquisitions_show_the_object_where_it_lies(one):
    """What the two images show at a point is alike, whatever their lattices: the truth is the identity.  Tables are left out."""
    volume = volume_of(FINE)
    own = one.pair_of(volume)
    assert (
        own[0].GetSpacing() != own[1].GetSpacing() or own[0].GetSize() != own[1].GetSize() or own[0].GetDirection() != own[1].GetDirection()
    )
    for image in own:
        inside = acquisitions.image_of(image, None)
        points = points_of(inside.geometry)
        box = np.linalg.inv(FINE.index_to_lps) @ np.c_[points.reshape(-1, 3), np.ones(points.size // 3)].T
        within = ((box[:3].T > 6) & (np.array(FINE.size) - 7 > box[:3].T)).all(1).reshape(inside.array.shape)
        truth = brightness(points)
        if "table" in one.name:
            within &= truth > 2 * acquisitions.TABLE
        assert within.sum() > 300
        assert np.corrcoef(inside.array[within], truth[within])[0, 1] > 0.97
        if max(inside.geometry.spacing) < 2:
            assert np.abs(inside.array[within] - truth[within]).max() < 0.05 * truth.max()


def test_fields_of_view_and_voxels_are_those_asked_for():
    volume = volume_of(FINE)
    part = acquisitions.sampled(volume, spacing=(1.5, 3.0, 1.5), low=(0, 0.5, -0.25), high=(0.5, 1, 1))
    assert part.GetSize() == (30, 16, 70) and part.GetSpacing() == (1.5, 3.0, 1.5)
    wide = sitk.GetArrayFromImage(acquisitions.sampled(volume, low=(0, 0, -0.5)))
    assert not wide[:26].any() and wide[40:].any()


def test_table_is_elsewhere_in_the_other_image_and_noise_is_its_own():
    dark = volume_of(FINE) * 0
    first, second = (acquisitions.with_table(dark, *place) for place in ((0.0, 0.0), (15.0, 8.0)))
    plates = [sitk.GetArrayFromImage(image) > 0 for image in (first, second)]
    assert all(0.01 < plate.mean() < 0.2 for plate in plates) and (plates[0] & plates[1]).sum() < 0.6 * plates[0].sum()
    random = np.random.default_rng(0)
    one, other = (acquisitions.image_of(volume_of(FINE), random).array for _ in range(2))
    assert np.std(one - other) == pytest.approx(np.sqrt(2) * acquisitions.NOISE, rel=0.02)


def test_loop_that_closes_has_no_error_and_one_that_does_not_has_its_own():
    ab, bc = affine(40, (3, 1, 2), (1, 0, 0)), affine(-70, (0, 9, 2), (0, 1, 1))
    maps = {(0, 1): ab, (1, 2): bc, (2, 0): np.linalg.inv(bc @ ab)}
    points = poses.object_points(made(VOLUME))
    assert subjects.loop_error(maps, (0, 1, 2), points) < 1e-9
    assert subjects.loop_error({**maps, (2, 0): affine(shift=(0, 2, 0)) @ maps[2, 0]}, (0, 1, 2), points) == pytest.approx(2)


def test_dice_is_one_for_the_same_set_and_half_for_half_of_it():
    one = np.zeros((4, 4), bool)
    one[:2] = True
    other = one.copy()
    other[1] = False
    assert subjects.dice(one, one) == 1 and subjects.dice(one, other) == pytest.approx(2 / 3) and subjects.dice(one, ~one) == 0


def test_tissues_are_told_apart_and_overlap_where_the_map_is_right():
    values = np.zeros((20, 20, 20))
    values[4:16, 4:16, 4:16], values[6:14, 6:14, 6:14], values[8:12, 8:12, 8:12] = 1.0, 2.0, 3.0
    values += np.random.default_rng(0).normal(0, 0.02, values.shape)
    geometry = lattice((20, 20, 20), (2.0, 2.0, 2.0))
    image = Image.checked(values, geometry)
    tissue = subjects.tissues(image)
    assert [int((tissue == k).sum()) for k in range(4)] == [20**3 - 12**3, 12**3 - 8**3, 8**3 - 4**3, 4**3]
    one = subjects.Subject("a", image, tissue)
    truth = affine(90, (6, 0, 0))
    other = subjects.Subject("b", poses.moved(image, truth), tissue)
    assert subjects.overlaps(one, other, truth) == pytest.approx((1, 1, 1))
    away = subjects.overlaps(one, other, affine(shift=(8, 0, 0)) @ truth)
    assert away == pytest.approx((8 / 12, 4 / 8, 0))


def test_two_people_make_no_loop(volumes, capsys):
    assert command(subjects, "--data", volumes) == (2, [])
    assert "2 people" in capsys.readouterr().err


def test_heads_of_three_people_are_registered_in_earnest(volumes, capsys):
    """One made head thrice: loops close."""
    write(volumes / "c.nrrd", made(VOLUME, affine(10, (2, 3, 1))))
    with (volumes / "splits.csv").open("a") as f:
        f.write("c.nrrd,c,T1,test,skull-stripped\nd.nrrd,d,T1,train,skull-stripped\n")
    code, lines = command(subjects, "--data", volumes, "--poses", 1)
    assert code == 0, capsys.readouterr().err
    rows = [cells(line) for line in lines[-3:]]
    assert [row[:2] for row in rows] == [["a", "b"], ["b", "c"], ["c", "a"]]
    assert max(float(row[3]) for row in rows) < 1.0 and {row[4] for row in rows} == {"1 of 1"}
    assert all(int(cell.split("/")[1]) > 90 for row in rows for cell in row[6:])


@pytest.fixture
def collection(tmp_path):
    """A marked pair, one without marks, and the hands: the moving image lies 20 degrees and a shift away."""
    truth = affine(20, (6, -4, 0))
    marks = np.array([(10.0, 12.0), (30.0, 8.0), (25.0, 30.0), (40.0, 20.0)])
    to_index = np.linalg.inv(SLICE.index_to_lps) @ truth @ SLICE.index_to_lps
    ends = (np.c_[marks, np.zeros(4), np.ones(4)] @ to_index.T)[:, :2]
    for folder in ("xray/landmarks", "hands"):
        (tmp_path / folder).mkdir(parents=True)
    for name, image in (("xray/f.nrrd", made(SLICE)), ("xray/m.nrrd", made(SLICE, truth))):
        write(tmp_path / name, image)
    (tmp_path / "xray" / "pairs.csv").write_text("fixed,moving,kind\nf.nrrd,m.nrrd,a\nf.nrrd,f.nrrd,b\nm.nrrd,none.nrrd,c\n")
    for name, table in (("f", marks), ("m", np.vstack((ends, [(1, 1)])))):
        (tmp_path / "xray" / "landmarks" / f"{name}.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in table))
    for side, image in (("R", made(SLICE)), ("T", made(SLICE, truth))):
        picture = sitk.GetImageFromArray(np.round(image.array[0] / image.array.max() * 255).astype(np.uint8))
        sitk.WriteImage(picture, str(tmp_path / "hands" / f"hands-{side}.jpg"))
    lines = [",".join(map(str, (*end, *mark))) for end, mark in zip(ends, marks, strict=True)]
    (tmp_path / "hands" / "landmarks.csv").write_text("T_x_px,T_y_px,R_x_px,R_y_px\n" + "\n".join(lines))
    return tmp_path


def test_landmarks_score_the_truth_as_right(collection):
    pair = next(landmarks.read_marked_pairs(collection))
    truth = affine(20, (6, -4, 0))
    assert pair.error(truth) < 1e-12 and landmarks.best_affine_error(pair) < 1e-12
    assert pair.error(affine(shift=(2 * 3.0, 2 * 4.0, 0)) @ truth) == pytest.approx(5 / np.hypot(50, 40))


def test_best_affine_fit_leaves_what_no_affine_map_takes_away(collection):
    """Four corners, one diagonal pulled out and the other one pushed in by the same step: the least squares leave that step."""
    pair = next(landmarks.read_marked_pairs(collection))
    square = np.array([(0.0, 0.0), (10, 0), (0, 10), (10, 10)])
    bent = square + np.array([(1, 0), (-1, 0), (-1, 0), (1, 0)])
    marked = landmarks.MarkedPair("x", pair.fixed, pair.moving, square, bent)
    assert landmarks.best_affine_error(marked) == pytest.approx(1 / marked.diagonal)


def test_landmarks_are_registered_in_earnest_from_any_pose(collection, capsys):
    code, lines = command(landmarks, "--data", collection, "--poses", 2)
    assert code == 0, capsys.readouterr().err
    rows = [cells(line) for line in lines[-3:]]
    assert [row[0] for row in rows] == ["f - m", "f - f", "hands-R - hands-T"]
    assert {row[6] for row in rows} == {"2 of 2"} and max(float(row[5]) for row in rows) < 1.0 < float(rows[0][2])


def test_missing_landmarks_are_told_in_a_sentence(tmp_path, capsys):
    assert command(landmarks, "--data", tmp_path) == (2, [])
    assert "pairs.csv does not exist" in capsys.readouterr().err
