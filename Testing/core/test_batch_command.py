"""``batch``: a table of pairs, a transform for each, a report; rows that fail, runs that are taken up again."""

import csv

import numpy as np
import pytest

from core.made_files import SLICE, write
from core.made_images import affine, distance, lattice, made
from core.test_register_command import RUNNER_UP, judge, matrix_of, names
from MetaAffineRegCLI.batch import main
from MetaAffineRegLib.registration import LEVELS

TRUTHS = {name: affine(9 * number - 20, (4 - number, 2 * number - 5, 0)) for number, name in enumerate("abcde")}


@pytest.fixture
def folder(tmp_path):
    """A table beside a folder of images: paths are relative to it, and it has columns that nobody asked for."""
    (tmp_path / "images").mkdir()
    for number, (name, truth) in enumerate(TRUTHS.items()):
        write(tmp_path / "images" / f"{name}-fixed.nrrd", made(SLICE, seed=number))
        write(tmp_path / "images" / f"{name}-moving.nrrd", made(SLICE, truth, number))
    save(tmp_path, list(TRUTHS))
    return tmp_path


def save(folder, names, name="pairs.csv"):
    lines = ["truth,id,fixed,moving,more", *(f"?,{name},images/{name}-fixed.nrrd,images/{name}-moving.nrrd," for name in names)]
    (folder / name).write_text("\n".join(lines) + "\n")


def run(folder, *words, output="out", table="pairs.csv"):
    return main([str(word) for word in (folder / table, "--output-dir", folder / output, *words)])


def report(folder, output="out"):
    with (folder / output / "report.csv").open(newline="") as f:
        return {line["id"]: line for line in csv.DictReader(f)}


def test_every_row_gets_its_transform_and_its_line(folder, capsys):
    assert run(folder) == 0
    assert names(folder / "out") == [*(f"{name}.tfm" for name in TRUTHS), "report.csv"]
    for name, truth in TRUTHS.items():
        assert distance(matrix_of(folder / "out" / f"{name}.tfm"), truth, SLICE) < 0.1
    lines = report(folder)
    assert list(lines) == list(TRUTHS)
    for number, line in enumerate(lines.values()):
        assert (line["done"], line["status"], line["method"], line["model"]) == ("yes", "ok", "robust", "general-2d")
        assert float(line["probability"]) > 0.9 and float(line["overlap"]) > 0.5 and float(line["consistency_mm"]) < 0.2
        assert (line["runner_up"], line["criterion"]) == ("", "share of the content left unexplained")
        assert float(line["rotation_degrees"]) == pytest.approx(abs(9 * number - 20), abs=0.2)
    assert capsys.readouterr().out == "5 registered, 0 already there, 0 not done; of all rows 5 ok, 0 ambiguous, 0 failed\n"


def test_doubtful_rows_are_reported_counted_and_keep_their_runner_up(folder, monkeypatch, capsys):
    """A failed one makes the exit code 1 as long as it is there, also where another run had nothing to do."""
    judge(monkeypatch, "ok", "ambiguous", "failed", "ok", "ok")
    assert run(folder) == 1
    assert names(folder / "out") == ["a.tfm", "b-runner-up.tfm", "b.tfm", "c-runner-up.tfm", "c.tfm", "d.tfm", "e.tfm", "report.csv"]
    for name in "bc":
        assert distance(matrix_of(folder / "out" / f"{name}.tfm"), TRUTHS[name], SLICE) < 0.1
        np.testing.assert_allclose(matrix_of(folder / "out" / f"{name}-runner-up.tfm"), RUNNER_UP, atol=1e-9)
    lines = report(folder)
    assert [line["done"] for line in lines.values()] == ["yes"] * 5
    assert [line["status"] for line in lines.values()] == ["ok", "ambiguous", "failed", "ok", "ok"]
    assert [line["runner_up"] for line in lines.values()] == ["", "b-runner-up.tfm", "c-runner-up.tfm", "", ""]
    assert [lines["c"][key] for key in ("probability", "overlap", "margin", "consistency_mm")] == ["0.25", "0.75", "0.01", "1.5"]
    said = capsys.readouterr()
    assert "ambiguous: b: another alignment may be the right one; compare it by eye with the next best, b-runner-up.tfm." in said.err
    assert "failed: c: do not trust this result, check it by eye; the next best is c-runner-up.tfm." in said.err
    assert "5 registered, 0 already there, 0 not done; of all rows 3 ok, 1 ambiguous, 1 failed" in said.out
    assert run(folder) == 1
    assert "0 registered, 5 already there, 0 not done; of all rows 3 ok, 1 ambiguous, 1 failed" in capsys.readouterr().out


def test_row_done_again_loses_the_runner_up_of_before(folder, monkeypatch):
    save(folder, "ab")
    judge(monkeypatch, "ambiguous")
    assert run(folder) == 0
    (folder / "out" / "a.tfm").unlink()
    monkeypatch.undo()
    assert run(folder) == 0
    assert names(folder / "out") == ["a.tfm", "b-runner-up.tfm", "b.tfm", "report.csv"]
    lines = report(folder)
    assert [(line["status"], line["runner_up"]) for line in lines.values()] == [("ok", ""), ("ambiguous", "b-runner-up.tfm")]


def test_method_that_does_not_judge_itself(folder, capsys):
    save(folder, "a")
    assert run(folder, "--method", "comb", "--model", "hands") == 0
    line = report(folder)["a"]
    assert (line["done"], line["status"], line["probability"], line["criterion"]) == ("yes", "", "", "mean squares")
    assert (line["method"], line["model"]) == ("comb", "hands")
    assert capsys.readouterr().out == "1 registered, 0 already there, 0 not done\n"


def test_bad_rows_are_reported_and_skipped(folder, capsys):
    """One missing file, one constant image, one id without paths among good rows."""
    write(folder / "images" / "b-moving.nrrd", np.zeros((1, 80, 100)))
    (folder / "images" / "d-fixed.nrrd").unlink()
    with (folder / "pairs.csv").open("a") as f:
        f.write("?,f\n")
    assert run(folder) == 1
    assert names(folder / "out") == ["a.tfm", "c.tfm", "e.tfm", "report.csv"]
    lines = report(folder)
    assert [line["done"] for line in lines.values()] == ["yes", "no", "yes", "no", "yes", "no"]
    assert "constant" in lines["b"]["message"] and "does not exist" in lines["d"]["message"]
    said = capsys.readouterr()
    assert "error: b: " in said.err and "error: d: " in said.err and "error: f: " in said.err
    assert "3 registered, 0 already there, 3 not done; of all rows 3 ok, 0 ambiguous, 0 failed" in said.out


def test_second_run_does_only_what_is_missing(folder, capsys):
    save(folder, "abc")
    run(folder)
    old = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (folder / "out").glob("*.tfm")}
    before = report(folder)
    save(folder, "abcde")
    assert run(folder) == 0
    assert "2 registered, 3 already there, 0 not done; of all rows 5 ok, " in capsys.readouterr().out
    assert {name: ((folder / "out" / name).read_bytes(), (folder / "out" / name).stat().st_mtime_ns) for name in old} == old
    after = report(folder)
    assert list(after) == list("abcde") and all(after[name] == before[name] for name in "abc")


def test_repaired_row_is_done_by_the_second_run(folder):
    (folder / "images" / "b-fixed.nrrd").rename(folder / "images" / "away.nrrd")
    assert run(folder) == 1
    (folder / "images" / "away.nrrd").rename(folder / "images" / "b-fixed.nrrd")
    assert run(folder) == 0
    assert report(folder)["b"]["done"] == "yes" and report(folder)["b"]["message"] == ""


def test_any_order_and_batch_size_gives_the_same_transforms(folder):
    save(folder, "edcba", "backwards.csv")
    run(folder, "--batch-size", "5")
    run(folder, "--batch-size", "1", output="single")
    run(folder, "--batch-size", "2", output="backwards", table="backwards.csv")
    for name in TRUTHS:
        expected = matrix_of(folder / "out" / f"{name}.tfm")
        for other in ("single", "backwards"):
            assert distance(matrix_of(folder / other / f"{name}.tfm"), expected, SLICE) < 0.01


def test_interrupted_run_leaves_whole_files_and_is_taken_up(folder, monkeypatch, capsys):
    """The third transform stops half written; two are there, and the next run does the other three."""
    from MetaAffineRegCLI import transform_files

    write_whole, written = transform_files.write_transform, []

    def write_half(path, matrix):
        if len(written) == 2:
            path.write_text("#Insight Transf")
            raise KeyboardInterrupt
        written.append(path)
        write_whole(path, matrix)

    monkeypatch.setattr(transform_files, "write_transform", write_half)
    assert run(folder, "--batch-size", "1") == 130
    assert names(folder / "out") == ["a.tfm", "b.tfm", "report.csv"]
    assert list(report(folder)) == ["a", "b"]
    monkeypatch.undo()
    assert run(folder) == 0
    assert "3 registered, 2 already there, 0 not done; of all rows 5 ok, " in capsys.readouterr().out
    for name, truth in TRUTHS.items():
        assert distance(matrix_of(folder / "out" / f"{name}.tfm"), truth, SLICE) < 0.1


def test_halves_of_files_that_a_killed_process_left_are_removed(folder):
    save(folder, "a")
    (folder / "out").mkdir()
    (folder / "out" / ".0123abcd.part.a.tfm").write_text("#Insight Transf")
    (folder / "out" / ".part.of a user").write_text("stays")
    assert run(folder, "--method", "plain") == 0
    assert names(folder / "out") == [".part.of a user", "a.tfm", "report.csv"]


def test_options_reach_the_registration(folder):
    assert run(folder, "--method", "plain", "--freedom", "rigid") == 0
    for name in TRUTHS:
        matrix = matrix_of(folder / "out" / f"{name}.tfm")[:3, :3]
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert {line["method"] for line in report(folder).values()} == {"plain"}


def test_slices_and_volumes_of_one_table(folder, monkeypatch):
    """A row that mixes them fails, the others do not."""
    monkeypatch.setitem(LEVELS, 3, (6, 12, 24, 48))
    volume = lattice((12, 12, 12), (6.0, 6.0, 6.0))
    write(folder / "images" / "b-fixed.nrrd", made(volume))
    write(folder / "images" / "b-moving.nrrd", made(volume, affine(4, (2, 0, 1))))
    write(folder / "images" / "c-fixed.nrrd", made(volume))
    save(folder, "abc")
    code = main([str(word) for word in (folder / "pairs.csv", "--output-dir", folder / "out", "--freedom", "rigid")])
    assert code == 1
    lines = report(folder)
    assert [lines[name]["done"] for name in "abc"] == ["yes", "yes", "no"]
    assert [(lines[name]["method"], lines[name]["model"]) for name in "ab"] == [("robust", "general-2d"), ("robust", "general-3d")]
    assert distance(matrix_of(folder / "out" / "b.tfm"), affine(4, (2, 0, 1)), volume) < 1
