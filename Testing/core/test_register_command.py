"""``register``: files in, a transform as a known truth says, and what else was asked for."""

import dataclasses
import errno
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

import MetaAffineRegCLI
from core.made_files import SLICE, slice_pair, write
from core.made_images import affine, apply, distance, lattice, made
from MetaAffineRegCLI.register import main
from MetaAffineRegLib import registration
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.registration import LEVELS, Confidence

PACKAGES = Path(MetaAffineRegCLI.__file__).resolve().parents[1]


def matrix_of(path):
    """The map of a transform file, 4 x 4, as SimpleITK understands it."""
    transform = SimpleITK.ReadTransform(str(path))
    assert transform.GetDimension() == 3 and transform.IsLinear()
    points = np.vstack((np.zeros(3), np.eye(3)))
    mapped = np.array([transform.TransformPoint(point.tolist()) for point in points])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (mapped[1:] - mapped[0]).T, mapped[0]
    return matrix


RUNNER_UP = affine(77, (1, 2, 0))


def run(tmp_path, *words, truth=None, code=0, method="plain"):
    fixed, moving = slice_pair(tmp_path, affine(12, (6, -4, 0)) if truth is None else truth)
    assert main([str(word) for word in (fixed, moving, "--output", tmp_path / "T.tfm", "--method", method, *words)]) == code


def judge(monkeypatch, *statuses, runner_up=RUNNER_UP, probability=0.25):
    """Let registration say of its results what a test needs, one status a pair, the first again after the last."""
    whole = registration.compute
    left = iter(statuses * 100)

    def judged(*arguments, **options):
        results = whole(*arguments, **options)
        margin = float("inf") if runner_up is None else 0.01
        return [
            dataclasses.replace(result, confidence=Confidence(next(left), probability, 0.75, margin, 1.5, runner_up)) for result in results
        ]

    monkeypatch.setattr(registration, "compute", judged)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_transform_takes_fixed_points_to_moving_points(tmp_path, capsys):
    truth = affine(12, (6, -4, 0))
    run(tmp_path, truth=truth)
    transform = SimpleITK.ReadTransform(str(tmp_path / "T.tfm"))
    for point in ((0.0, 0.0, 0.0), (20.0, -10.0, 0.0), (-15.0, 18.0, 0.0)):
        np.testing.assert_allclose(transform.TransformPoint(point), apply(truth, np.array(point)), atol=0.1)
    assert "rotation 12.0" in capsys.readouterr().out


def test_slice_stays_in_its_plane(tmp_path):
    """A 2D image lies in z = 0; z is left alone, as Slicer expects of a linear transform of it."""
    run(tmp_path)
    matrix = matrix_of(tmp_path / "T.tfm")
    np.testing.assert_allclose(matrix[2], [0, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(matrix[:, 2], [0, 0, 1, 0], atol=1e-12)


def test_only_the_transform_is_written(tmp_path):
    run(tmp_path)
    assert names(tmp_path) == ["T.tfm", "fixed.nrrd", "moving.nrrd"]


def test_half_a_turn_is_found_by_default(tmp_path, capsys):
    """And said to be right; the one output stays alone then."""
    truth = affine(170, (6, -4, 0))
    fixed, moving = slice_pair(tmp_path, truth)
    assert main([str(word) for word in (fixed, moving, "--output", tmp_path / "T.tfm", "--report", tmp_path / "r.json")]) == 0
    assert distance(matrix_of(tmp_path / "T.tfm"), truth, SLICE) < 0.1
    said = capsys.readouterr()
    assert re.match(r"ok, 9\d % likely to be right: share of the content left unexplained 0\.\d+ -> 0\.0\d+, rotation 170\.0", said.out)
    assert said.err == ""
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["method"], report["model"], report["status"], report["runner_up"]) == ("robust", "general-2d", "ok", None)
    assert report["criterion"] == "share of the content left unexplained"
    assert 0.9 < report["probability"] <= 1 and 0.5 < report["overlap"] <= 1 and 0 <= report["consistency_mm"] < 0.2
    assert names(tmp_path) == ["T.tfm", "fixed.nrrd", "moving.nrrd", "r.json"]


def test_range_of_rotations_is_kept_to(tmp_path):
    """What lies beyond it is not found."""
    truth = affine(170, (6, -4, 0))
    fixed, moving = slice_pair(tmp_path, truth)
    code = main([str(word) for word in (fixed, moving, "--output", tmp_path / "T.tfm", "--freedom", "rigid", "--rotation-range", 30)])
    assert code in (0, 1)
    matrix = matrix_of(tmp_path / "T.tfm")
    assert abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) < 60


@pytest.mark.parametrize(("status", "code"), [("ambiguous", 0), ("failed", 1)])
def test_doubtful_result_is_said_and_keeps_its_runner_up(tmp_path, monkeypatch, capsys, status, code):
    judge(monkeypatch, status)
    run(tmp_path, "--report", tmp_path / "r.json", method="robust", code=code)
    assert distance(matrix_of(tmp_path / "T.tfm"), affine(12, (6, -4, 0)), SLICE) < 0.1  # the transform is there all the same
    np.testing.assert_allclose(matrix_of(tmp_path / "T-runner-up.tfm"), RUNNER_UP, atol=1e-9)
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["runner_up"] == "T-runner-up.tfm"
    keys = ("status", "probability", "overlap", "margin", "consistency_mm")
    assert [report[key] for key in keys] == [status, 0.25, 0.75, 0.01, 1.5]
    said = capsys.readouterr()
    assert said.out.startswith(f"{status}, 25 % likely to be right: ")
    assert said.err.startswith(f"{status}: ") and f"the next best, {tmp_path / 'T-runner-up.tfm'}" in said.err.replace("best is", "best,")
    assert ("do not trust this result" in said.err) == (status == "failed")


@pytest.mark.parametrize(("status", "code"), [("ambiguous", 0), ("failed", 1)])
def test_doubtful_result_without_a_runner_up(tmp_path, monkeypatch, capsys, status, code):
    """The margin has no end then, for which JSON has no number."""
    judge(monkeypatch, status, runner_up=None)
    run(tmp_path, "--report", tmp_path / "r.json", method="robust", code=code)
    report = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert (report["status"], report["margin"], report["runner_up"]) == (status, None, None)
    assert "check it by eye" in capsys.readouterr().err
    assert names(tmp_path) == ["T.tfm", "fixed.nrrd", "moving.nrrd", "r.json"]


@pytest.mark.parametrize(("probability", "told"), [(1.0, "99 %"), (0.0, "1 %")])
def test_nothing_is_told_as_certain(tmp_path, monkeypatch, capsys, probability, told):
    judge(monkeypatch, "ok", probability=probability)
    run(tmp_path, method="robust")
    assert capsys.readouterr().out.startswith(f"ok, {told} likely to be right: ")


@pytest.mark.parametrize("method", ["robust", "plain"])
def test_runner_up_of_an_earlier_run_goes(tmp_path, method):
    (tmp_path / "T-runner-up.tfm").write_text("of an earlier run")
    run(tmp_path, method=method)
    assert names(tmp_path) == ["T.tfm", "fixed.nrrd", "moving.nrrd"]


def test_runner_up_of_an_earlier_run_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "T-runner-up.tfm").write_text("of an earlier run")
    judge(monkeypatch, "ambiguous")
    run(tmp_path, method="robust")
    np.testing.assert_allclose(matrix_of(tmp_path / "T-runner-up.tfm"), RUNNER_UP, atol=1e-9)


@pytest.mark.parametrize("status", ["ok", "ambiguous"])
def test_failure_while_writing_keeps_what_an_earlier_run_left(tmp_path, monkeypatch, status):
    from MetaAffineRegCLI import picture

    def broken(*_):
        raise InputError("The picture can't be drawn.")

    old = {name: f"{name} of an earlier run" for name in ("T.tfm", "T-runner-up.tfm", "p.png")}
    for name, content in old.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(picture, "draw", broken)
    judge(monkeypatch, status)
    run(tmp_path, "--picture", tmp_path / "p.png", method="robust", code=2)
    assert {name: (tmp_path / name).read_text() for name in old} == old
    assert names(tmp_path) == sorted([*old, "fixed.nrrd", "moving.nrrd"])


def test_volumes(tmp_path, monkeypatch):
    monkeypatch.setitem(LEVELS, 3, (6, 12, 24, 48))  # the way of a volume through the command; finer grids have their test
    geometry = lattice((40, 36, 30), (2.2, 2.4, 3.0), affine(20, axis=(1, 0, 1)), (10, -20, 30))
    middle = affine(shift=(10, -20, 30))
    truth = middle @ affine(8, (3, -2, 4), (1, 2, 2)) @ np.linalg.inv(middle)
    there = lattice(geometry.size, geometry.spacing, affine(20, axis=(1, 0, 1)))
    # the brightness lies around the origin: the same samples, put 37 mm away
    images = [type(made(there))(made(there, map_).array, geometry) for map_ in (None, affine(8, (3, -2, 4), (1, 2, 2)))]
    names = [write(tmp_path / name, image) for name, image in zip(("f.nii.gz", "m.mha"), images, strict=True)]
    words = [*map(str, names), "--output", str(tmp_path / "T.tfm"), "--freedom", "rigid", "--picture", str(tmp_path / "p.png")]
    assert main(words) == 0
    assert distance(matrix_of(tmp_path / "T.tfm"), truth, geometry) < 0.3
    assert SimpleITK.ReadImage(str(tmp_path / "p.png")).GetWidth() > 500


def test_initial_is_where_it_sets_out(tmp_path):
    truth = affine(170, (12, 9, 0))
    start = SimpleITK.AffineTransform(3)
    start.SetCenter((5.0, 6.0, 0.0))  # so that the translation line of the file is not the offset
    rough = affine(160, (10, 10, 0))
    start.SetMatrix(rough[:3, :3].ravel())
    center = np.array([5.0, 6.0, 0.0])
    start.SetTranslation(rough[:3, 3] - center + rough[:3, :3] @ center)
    SimpleITK.WriteTransform(start, str(tmp_path / "T0.tfm"))
    run(tmp_path, "--initial", tmp_path / "T0.tfm", truth=truth)
    assert distance(matrix_of(tmp_path / "T.tfm"), truth, SLICE) < 0.1


def test_two_dimensional_initial(tmp_path):
    truth = affine(170, (12, 9, 0))
    start = SimpleITK.Euler2DTransform()
    start.SetAngle(float(np.radians(160)))
    start.SetTranslation((10.0, 10.0))
    SimpleITK.WriteTransform(start, str(tmp_path / "T0.tfm"))
    run(tmp_path, "--initial", tmp_path / "T0.tfm", truth=truth)
    assert distance(matrix_of(tmp_path / "T.tfm"), truth, SLICE) < 0.1


def test_own_result_as_initial_stays_where_it_is(tmp_path):
    run(tmp_path)
    first = matrix_of(tmp_path / "T.tfm")
    (tmp_path / "T.tfm").rename(tmp_path / "T0.tfm")
    run(tmp_path, "--initial", tmp_path / "T0.tfm")
    assert distance(matrix_of(tmp_path / "T.tfm"), first, SLICE) < 0.02


@pytest.mark.parametrize("name", ["w.nrrd", "w.png"])
def test_warped_lies_on_fixed(tmp_path, name):
    run(tmp_path, "--warped", tmp_path / name)
    fixed, moving, warped = (SimpleITK.ReadImage(str(tmp_path / file)) for file in ("fixed.nrrd", "moving.nrrd", name))
    assert warped.GetSize() == fixed.GetSize()
    if name == "w.nrrd":
        assert warped.GetSpacing() == fixed.GetSpacing() and warped.GetOrigin() == fixed.GetOrigin()
    before, after = (
        np.abs(SimpleITK.GetArrayFromImage(image).clip(0, 255) - SimpleITK.GetArrayFromImage(fixed).clip(0, 255).astype(float)).mean()
        for image in (moving, warped)
    )
    assert after < 0.1 * before


def test_report_says_what_was_done(tmp_path, capsys):
    run(tmp_path, "--report", tmp_path / "r.json", "--freedom", "similarity")
    report = json.loads((tmp_path / "r.json").read_text())
    np.testing.assert_allclose(report["fixed_to_moving_lps"], matrix_of(tmp_path / "T.tfm"), atol=1e-9)
    assert report["rotation_degrees"] == pytest.approx(12, abs=0.2)
    assert report["scale_min"] == pytest.approx(1, abs=0.01) and report["scale_max"] == pytest.approx(1, abs=0.01)
    assert report["shift_mm"] == pytest.approx(np.hypot(6, 4), abs=0.1)  # of the centre, which is the origin here
    assert report["criterion_after"] < 0.01 * report["criterion_before"]
    assert (report["method"], report["model"], report["notes"], report["criterion"]) == ("plain", None, [], "mean squares")
    keys = ("status", "probability", "overlap", "margin", "consistency_mm", "runner_up")
    assert [report[key] for key in keys] == [None] * 6
    assert capsys.readouterr().out.startswith("mean squares 0.")


def test_picture_is_a_png_of_five_parts(tmp_path):
    run(tmp_path, "--picture", tmp_path / "p.png")
    picture = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "p.png")))
    assert picture.shape[1] > 1000 and picture.shape[0] > 200
    columns = np.array_split(picture[..., :3].astype(float), 5, axis=1)
    assert all(column.std() > 10 for column in columns)


def test_failure_while_writing_leaves_nothing(tmp_path, monkeypatch, capsys):
    """The transform is written first and the picture last; none of them stays when the last fails."""
    from MetaAffineRegCLI import picture

    def broken(path, *_):
        path.write_bytes(b"half")
        raise InputError("The picture can't be drawn.")

    monkeypatch.setattr(picture, "draw", broken)
    run(tmp_path, "--picture", tmp_path / "p.png", "--report", tmp_path / "r.json", code=2)
    assert names(tmp_path) == ["fixed.nrrd", "moving.nrrd"]


def test_full_disk_is_said_in_a_sentence(tmp_path, monkeypatch, capsys):
    from MetaAffineRegCLI import transform_files

    def full(path, _):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(transform_files, "write_transform", full)
    run(tmp_path, code=2)
    assert "can't be used (No space left on device); make room or choose another place." in capsys.readouterr().err
    assert names(tmp_path) == ["fixed.nrrd", "moving.nrrd"]


def test_initial_may_be_refined_in_place(tmp_path):
    run(tmp_path)
    first = matrix_of(tmp_path / "T.tfm")
    run(tmp_path, "--initial", tmp_path / "T.tfm", "--freedom", "rigid")
    assert distance(matrix_of(tmp_path / "T.tfm"), first, SLICE) < 0.1


def test_interruption_leaves_nothing_and_says_so(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(registration, "register", interrupted)
    run(tmp_path, code=130)
    assert "interrupted" in capsys.readouterr().err
    assert names(tmp_path) == ["fixed.nrrd", "moving.nrrd"]


@pytest.mark.parametrize("command", ["register", "batch"])
def test_help_comes_at_once(command):
    """Before torch, SimpleITK and matplotlib are imported."""
    path = os.pathsep.join([str(PACKAGES), str(PACKAGES.parent / "MetaAffineRegTraining")])
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", f"MetaAffineRegCLI.{command}", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert ran.returncode == 0 and f"usage: run.py {command}" in ran.stdout and "--freedom" in ran.stdout
    assert time.monotonic() - started < 3
