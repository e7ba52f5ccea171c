"""``batch``: a table of pairs, a transform for each, a report; rows that fail, runs that are taken up again."""

import csv

import numpy as np
import pytest

from core.made_files import SLICE, write
from core.made_images import affine, distance, lattice, made
from core.test_register_command import matrix_of
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
    return main([str(word) for word in (folder / table, "--output-dir", folder / output, "--model", "hands", *words)])


def report(folder, output="out"):
    with (folder / output / "report.csv").open(newline="") as f:
        return {line["id"]: line for line in csv.DictReader(f)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_row_gets_its_transform_and_its_line(folder, capsys):
    assert run(folder) == 0
    assert names(folder / "out") == [*(f"{name}.tfm" for name in TRUTHS), "report.csv"]
    for name, truth in TRUTHS.items():
        assert distance(matrix_of(folder / "out" / f"{name}.tfm"), truth, SLICE) < 0.1
    lines = report(folder)
    assert list(lines) == list(TRUTHS)
    for number, line in enumerate(lines.values()):
        assert line["status"] == "ok" and line["model"] == "hands" and line["method"] == "comb"
        assert float(line["rotation_degrees"]) == pytest.approx(abs(9 * number - 20), abs=0.2)
    assert "5 registered, 0 already there, 0 failed" in capsys.readouterr().out


def test_bad_rows_are_reported_and_skipped(folder, capsys):
    """One missing file, one constant image, one id without paths among good rows."""
    write(folder / "images" / "b-moving.nrrd", np.zeros((1, 80, 100)))
    (folder / "images" / "d-fixed.nrrd").unlink()
    with (folder / "pairs.csv").open("a") as f:
        f.write("?,f\n")
    assert run(folder) == 1
    assert names(folder / "out") == ["a.tfm", "c.tfm", "e.tfm", "report.csv"]
    lines = report(folder)
    assert [line["status"] for line in lines.values()] == ["ok", "error", "ok", "error", "ok", "error"]
    assert "constant" in lines["b"]["message"] and "does not exist" in lines["d"]["message"]
    said = capsys.readouterr()
    assert "error: b: " in said.err and "error: d: " in said.err and "error: f: " in said.err
    assert "3 registered, 0 already there, 3 failed" in said.out


def test_second_run_does_only_what_is_missing(folder, capsys):
    save(folder, "abc")
    run(folder)
    old = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (folder / "out").glob("*.tfm")}
    before = report(folder)
    save(folder, "abcde")
    assert run(folder) == 0
    assert "2 registered, 3 already there, 0 failed" in capsys.readouterr().out
    assert {name: ((folder / "out" / name).read_bytes(), (folder / "out" / name).stat().st_mtime_ns) for name in old} == old
    after = report(folder)
    assert list(after) == list("abcde") and all(after[name] == before[name] for name in "abc")


def test_repaired_row_is_done_by_the_second_run(folder):
    (folder / "images" / "b-fixed.nrrd").rename(folder / "images" / "away.nrrd")
    assert run(folder) == 1
    (folder / "images" / "away.nrrd").rename(folder / "images" / "b-fixed.nrrd")
    assert run(folder) == 0
    assert report(folder)["b"]["status"] == "ok" and report(folder)["b"]["message"] == ""


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
    assert "3 registered, 2 already there, 0 failed" in capsys.readouterr().out
    for name, truth in TRUTHS.items():
        assert distance(matrix_of(folder / "out" / f"{name}.tfm"), truth, SLICE) < 0.1


def test_options_reach_the_registration(folder):
    assert run(folder, "--method", "plain", "--freedom", "rigid") == 0
    for name in TRUTHS:
        matrix = matrix_of(folder / "out" / f"{name}.tfm")[:3, :3]
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert {line["method"] for line in report(folder).values()} == {"plain"}


def test_slices_and_volumes_of_one_table(folder, monkeypatch):
    """A row that mixes them fails, the others do not."""
    monkeypatch.setitem(LEVELS, 3, (12, 24, 48))
    volume = lattice((12, 12, 12), (6.0, 6.0, 6.0))
    write(folder / "images" / "b-fixed.nrrd", made(volume))
    write(folder / "images" / "b-moving.nrrd", made(volume, affine(4, (2, 0, 1))))
    write(folder / "images" / "c-fixed.nrrd", made(volume))
    save(folder, "abc")
    code = main([str(word) for word in (folder / "pairs.csv", "--output-dir", folder / "out", "--freedom", "rigid")])
    assert code == 1
    lines = report(folder)
    assert [lines[name]["status"] for name in "abc"] == ["ok", "ok", "error"]
    assert lines["b"]["method"] == "plain" and "o model is shipped for this dimension" in lines["b"]["notes"]
    assert distance(matrix_of(folder / "out" / "b.tfm"), affine(4, (2, 0, 1)), volume) < 1
