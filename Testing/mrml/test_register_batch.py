"""``slicer-batch``: tables and scenes in, transforms, a scene and a page out; bad rows, a killed run, Slicer's way to run it."""

import csv
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import slicer
import slicer.util

from core.made_files import SLICE, write, write_colors, write_series
from core.made_images import affine, distance, lattice, made
from made_volumes import TURN, apply, blobs, to_world, transform_node, translation, two_moved_slices, volume_node
from made_volumes import lattice as ras_lattice
from MetaAffineRegCLI.transform_files import read_transform, write_transform
from MetaAffineRegLib.geometry import flip_ras_lps
from MetaAffineRegLib.registration import LEVELS
from MetaAffineRegMRML.scene_files import read_scene, write_scene
from MetaAffineRegMRML.transform_nodes import write_linear_transform

FOLDER = Path(__file__).resolve().parents[2] / "MetaAffineReg"
SCRIPT = FOLDER / "Scripts" / "register_batch.py"
TRUTHS = {name: affine(9 * number - 10, (4 - number, 2 * number - 3, 0)) for number, name in enumerate("abc")}
PLACES = np.array([[-14.0, 9.0, 0.0], [12.0, 14.0, 0.0], [4.0, -16.0, 0.0]])


@pytest.fixture
def script(monkeypatch):
    """The script as in a process of its own, whose scene is empty."""
    monkeypatch.delattr(slicer, "mrmlScene", raising=False)
    spec = importlib.util.spec_from_file_location("register_batch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A table beside its images."""
    for number, (name, truth) in enumerate(TRUTHS.items()):
        write(tmp_path / f"{name}-fixed.nrrd", made(SLICE, seed=number))
        write(tmp_path / f"{name}-moving.nrrd", made(SLICE, truth, number))
    save(tmp_path, [(name, f"{name}-fixed.nrrd", f"{name}-moving.nrrd") for name in TRUTHS])
    return tmp_path


def save(folder, rows):
    (folder / "pairs.csv").write_text("\n".join(map(",".join, [("id", "fixed", "moving"), *rows])) + "\n")


def run(script, folder, *words, given="pairs.csv"):
    return script.exit_code([str(word) for word in (folder / given, "--output-dir", folder / "out", *words)])


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def report(folder):
    with (folder / "out" / "report.csv").open(newline="") as f:
        return {line["id"]: line for line in csv.DictReader(f)}


def shown(folder):
    """The pairs of the page in their order, each with the word on its badge and the number of its pictures."""
    page = (folder / "out" / "quality.html").read_text(encoding="utf-8")
    cards = re.findall(r'<article class="[a-z-]+" id="([^"]+)">.*?<span class="badge [a-z-]+">([a-z ]+).*?</article>', page)
    return [(name, word, card.count("src=")) for (name, word), card in zip(cards, page.split("<article")[1:], strict=True)]


def opened(path):
    made = slicer.vtkMRMLScene()
    assert read_scene(made, path)
    return made


def nodes(scene, kind):
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]


def node(scene, name, kind="vtkMRMLTransformableNode"):
    found = [one for one in nodes(scene, kind) if one.GetName() == name]
    assert len(found) == 1
    return found[0]


def found_by(transform):
    return np.linalg.inv(flip_ras_lps(slicer.util.arrayFromTransformMatrix(transform)))


def test_table_gives_transforms_report_page_and_scene(script, folder, capsys):
    assert run(script, folder, "--scene", folder / "all.mrb") == 0
    assert names(folder / "out") == ["a.tfm", "b.tfm", "c.tfm", *(f"pictures/{name}.jpg" for name in "abc"), "quality.html", "report.csv"]
    assert [entry[1:] for entry in shown(folder)] == [("ok", 1)] * 3
    scene = opened(folder / "all.mrb")
    for name, truth in TRUTHS.items():
        assert distance(read_transform(folder / "out" / f"{name}.tfm"), truth, SLICE) < 0.1
        moving = node(scene, f"{name}-moving")
        assert moving.GetParentTransformNode() is node(scene, name)
        assert moving.GetImageData().GetDimensions() == (100, 80, 1)
        assert moving.GetDisplayNode() is not None
        assert distance(found_by(node(scene, name)), truth, SLICE) < 0.1
        assert node(scene, name).GetDescription().startswith("ok, 9")
        assert node(scene, name).GetNodeReference(role("Fixed")) is node(scene, f"{name}-fixed")
    said = capsys.readouterr()
    assert "3 registered, 0 already there, 0 not done; of all rows 3 ok, 0 ambiguous, 0 failed" in said.out
    assert re.search(r"^2 of 3 pairs, [0-9.]+ s, about [0-9]+ s left; b: ok, 9\d % likely to be right$", said.err, re.MULTILINE)


def role(name):
    return getattr(slicer.vtkMRMLTransformNode, f"Get{name}NodeReferenceRole")()


def test_bad_rows_are_said_and_do_not_stop_the_others(script, folder, capsys):
    """A missing file and a constant image among good rows; the page has them first, the scene leaves them out."""
    write(folder / "flat.nrrd", np.zeros((1, 80, 100)))
    rows = [(name, f"{name}-fixed.nrrd", f"{name}-moving.nrrd") for name in "ab"]
    save(folder, [rows[0], ("lost", "none.nrrd", "a-moving.nrrd"), ("flat", "a-fixed.nrrd", "flat.nrrd"), rows[1]])
    assert run(script, folder, "--scene", folder / "all.mrb") == 1
    assert [line["done"] for line in report(folder).values()] == ["yes", "no", "no", "yes"]
    assert [entry[1:] for entry in shown(folder)] == [("not done", 0), ("not done", 0), ("ok", 1), ("ok", 1)]
    said = capsys.readouterr()
    assert "error: lost: " in said.err and "none.nrrd does not exist; give an image file" in said.err
    assert "error: flat: flat.nrrd is constant" in said.err
    assert "2 transforms are in the scene" in said.out
    page = (folder / "out" / "quality.html").read_text(encoding="utf-8")
    assert "none.nrrd does not exist" in page and "Flat.nrrd is constant" in page
    scene = opened(folder / "all.mrb")
    assert sorted(one.GetName() for one in nodes(scene, "vtkMRMLLinearTransformNode")) == ["a", "b"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pipe to wait at")
def test_killed_run_is_taken_up(script, folder, capsys):
    """The process dies while it waits for the third row's image; the two rows before stay as they are."""
    real = folder / "away.nrrd"
    (folder / "c-fixed.nrrd").rename(real)
    os.mkfifo(folder / "c-fixed.nrrd")
    words = [sys.executable, str(SCRIPT), str(folder / "pairs.csv"), "--output-dir", str(folder / "out")]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": ""}, stderr=subprocess.DEVNULL)
    while not (folder / "out" / "report.csv").is_file() or len(report(folder)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert [name for name in names(folder / "out") if not name.startswith(".")][:2] == ["a.tfm", "b.tfm"]
    before = {name: (folder / "out" / name).stat().st_mtime_ns for name in ("a.tfm", "b.tfm", "pictures/a.jpg")}
    (folder / "c-fixed.nrrd").unlink()
    real.rename(folder / "c-fixed.nrrd")
    assert run(script, folder) == 0
    assert "1 registered, 2 already there, 0 not done; of all rows 3 ok" in capsys.readouterr().out
    assert {name: (folder / "out" / name).stat().st_mtime_ns for name in before} == before
    assert [entry[1:] for entry in shown(folder)] == [("ok", 1)] * 3
    for name, truth in TRUTHS.items():
        assert distance(read_transform(folder / "out" / f"{name}.tfm"), truth, SLICE) < 0.1


@pytest.mark.parametrize("gone", ["b.tfm", "pictures/b.jpg"])
def test_row_that_lost_a_file_is_done_again(script, folder, capsys, gone):
    run(script, folder)
    (folder / "out" / gone).unlink()
    assert run(script, folder) == 0
    assert "1 registered, 2 already there" in capsys.readouterr().out
    assert (folder / "out" / gone).is_file()


def test_volumes_colors_and_series_of_one_table(script, folder, monkeypatch):
    """The list of nodes (.mrml) names the files of the table; a fixed image that two rows share is there once."""
    monkeypatch.setitem(LEVELS, 3, (6, 12, 24, 48))
    volume = lattice((14, 13, 12), (5.0, 6.0, 6.0))
    write(folder / "v-fixed.nii.gz", made(volume))
    write(folder / "v-moving.nii.gz", made(volume, affine(4, (2, 0, 1))))
    write_series(folder / "series", made(volume, affine(-3, (0, 1, 2))))
    write_colors(folder / "photo.png", made(SLICE))
    rows = [("file", "v-fixed.nii.gz", "v-moving.nii.gz"), ("dicom", "v-fixed.nii.gz", "series"), ("colors", "photo.png", "a-moving.nrrd")]
    save(folder, rows)
    assert run(script, folder, "--freedom", "rigid", "--scene", folder / "all.mrml") in (0, 1)
    assert [entry[2] for entry in shown(folder)] == [1, 1, 1]
    heights = {name: SimpleITK.ReadImage(str(folder / "out" / "pictures" / f"{name}.jpg")).GetSize()[1] for name in ("file", "colors")}
    assert heights["file"] > 2.9 * heights["colors"]  # three planes
    assert "photo.png: colours converted" in report(folder)["colors"]["notes"]
    text = (folder / "all.mrml").read_text()
    assert text.count('fileName="v-fixed.nii.gz"') == 1 and 'fileName="photo.png"' in text and str(folder) not in text
    scene = slicer.vtkMRMLScene()
    read_scene(scene, folder / "all.mrml")  # slicer-core alone reads no PNG
    assert node(scene, "v-fixed").GetImageData().GetDimensions() == (14, 13, 12)
    assert node(scene, "series").GetImageData().GetDimensions() == (14, 13, 12)
    assert node(scene, "v-moving").GetParentTransformNode() is node(scene, "file")
    assert distance(found_by(node(scene, "file")), affine(4, (2, 0, 1)), volume) < 1
    assert distance(found_by(node(scene, "dicom")), affine(-3, (0, 1, 2)), volume) < 1


@pytest.fixture
def given(tmp_path, scene):
    """A scene with a slice and a moved copy of it, both under transforms of their own, and a transform that names them as a pair."""
    fixed, moving = two_moved_slices(scene)
    fixed.SetAndObserveTransformNodeID(transform_node(translation(3, 2, 0), scene, "above fixed").GetID())
    moving.SetAndObserveTransformNodeID(transform_node(translation(-5, 1, 0), scene, "above moving").GetID())
    write_linear_transform(transform_node(np.eye(4), scene, "to do: 1"), np.eye(4), fixed, moving)
    for one in (fixed, moving):
        one.AddDefaultStorageNode()
        one.GetStorageNode().SetFileName(str(tmp_path / f"{one.GetName()}.nrrd"))
        assert one.GetStorageNode().WriteData(one)
    write_scene(scene, tmp_path / "given.mrb")
    write_scene(scene, tmp_path / "given.mrml")
    return tmp_path


def assert_coincide(scene):
    fixed, moving = node(scene, "before"), node(scene, "after")
    np.testing.assert_allclose(to_world(moving, apply(TURN, PLACES)), to_world(fixed, PLACES), atol=0.1)


@pytest.mark.parametrize("kind", ["mrb", "mrml"])
def test_scene_gives_a_scene_whose_transform_lays_moving_on_fixed(script, given, kind):
    """Its own transform node gets the result, between the volumes where they lie in the world."""
    assert run(script, given, "--freedom", "rigid", "--scene", given / f"done.{kind}", given=f"given.{kind}") == 0
    assert list(report(given)) == ["to do_ 1"]
    scene = opened(given / f"done.{kind}")
    assert node(scene, "after").GetParentTransformNode() is node(scene, "to do: 1")
    assert node(scene, "before").GetParentTransformNode() is node(scene, "above fixed")
    assert_coincide(scene)
    truth = translation(-5, 1, 0) @ TURN @ np.linalg.inv(translation(3, 2, 0))
    np.testing.assert_allclose(flip_ras_lps(read_transform(given / "out" / "to do_ 1.tfm")), truth, atol=0.1)


@pytest.mark.parametrize("kind", ["mrb", "mrml"])
def test_names_may_be_relative(script, given, monkeypatch, kind):
    monkeypatch.chdir(given)
    words = [f"given.{kind}", "--output-dir", "out", "--scene", f"done.{kind}", "--freedom", "rigid"]
    assert script.exit_code(words) == 0
    monkeypatch.chdir("/")
    assert_coincide(opened(given / f"done.{kind}"))


def test_scene_that_was_done_is_done_again_from_where_it_was(script, given):
    """The moving volume hangs under the result of the first run; the second finds the same."""
    assert run(script, given, "--freedom", "rigid", "--scene", given / "done.mrb", given="given.mrb") == 0
    (given / "out" / "report.csv").unlink()
    assert run(script, given, "--freedom", "rigid", "--scene", given / "again.mrb", given="done.mrb") == 0
    assert_coincide(opened(given / "again.mrb"))


def test_all_volumes_of_a_scene_on_one(script, given, scene, capsys):
    third = volume_node(
        "third", (64, 64, 1), ras_lattice((64, 64, 1), (1.4, 1.4, 3.0), center=(0, 0, 0)), lambda p: blobs(p - np.array([6, 0, 0])), scene
    )
    assert third.GetScene() is scene
    write_scene(scene, given / "three.mrb")
    assert run(script, given, "--freedom", "rigid", "--fixed", "before", "--scene", given / "done.mrb", given="three.mrb") == 0
    assert list(report(given)) == ["after to before", "third to before"]
    done = opened(given / "done.mrb")
    assert_coincide(done)
    np.testing.assert_allclose(
        to_world(node(done, "third"), PLACES + np.array([6, 0, 0])),
        to_world(node(done, "before"), PLACES),
        atol=0.1,
    )


def test_runner_up_is_a_transform_of_its_own(script, folder, monkeypatch):
    from core.test_register_command import RUNNER_UP, judge

    judge(monkeypatch, "ok", "failed", "ambiguous")
    assert run(script, folder, "--scene", folder / "all.mrb") == 1
    assert [entry[:2] for entry in shown(folder)] == [("b", "failed"), ("c", "ambiguous"), ("a", "ok")]
    scene = opened(folder / "all.mrb")
    for name in "bc":
        other = node(scene, f"{name} runner-up")
        np.testing.assert_allclose(found_by(other), RUNNER_UP, atol=1e-6)
        assert other.GetNodeReference(role("Moving")) is None
    assert node(scene, "b").GetDescription() == "failed, 25 % likely to be right"


BAD = {
    "no table": ((), "none.csv", "none.csv does not exist"),
    "empty table": ((), "empty.csv", "empty.csv has no rows; add one for each pair."),
    "no scene": ((), "none.mrb", "none.mrb does not exist; give a scene"),
    "a scene that is none": ((), "text.mrb", "text.mrb can't be read as a scene, or it is empty"),
    "a list of nodes that is none": ((), "text.mrml", "text.mrml can't be read as a scene, or it is empty"),
    "an unknown fixed volume": (("--fixed", "nobody"), "given.mrb", "no volume called nobody, one is needed; it has: after, before."),
    "a fixed volume of a table": (("--fixed", "x"), "empty.csv", "--fixed names a volume of a scene"),
    "a scene of another kind": (("--scene", "all.zip"), "given.mrb", "--scene all.zip is not a name for a scene; end it in .mrb or .mrml."),
    "a list that would point into a bundle": (("--scene", "all.mrml"), "given.mrb", "would point to files inside"),
    "a folder that is missing": (("--scene", "no/all.mrb"), "given.mrb", "The folder of --scene"),
    "no batch": (("--batch-size", "0"), "given.mrb", "--batch-size 0 is not a number of pairs; give 1 or more."),
    "an option that does not exist": (("--bogus",), "given.mrb", "unrecognized arguments: --bogus"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(script, given, monkeypatch, capfd, case):
    words, pairs, sentence = BAD[case]
    monkeypatch.chdir(given)
    (given / "empty.csv").write_text("id,fixed,moving\n")
    (given / "text.mrb").write_text("text")
    (given / "text.mrml").write_text("text")
    assert run(script, given, *words, given=pairs) == 2
    assert sentence in capfd.readouterr().err
    assert not (given / "out").exists()


def test_scene_as_its_own_output_is_refused(script, given, capsys):
    before = (given / "given.mrb").read_bytes()
    assert run(script, given, "--scene", given / "given.mrb", given="given.mrb") == 2
    assert "is the input and would be overwritten" in capsys.readouterr().err
    assert (given / "given.mrb").read_bytes() == before


def test_scene_without_a_pair_is_refused(script, scene, tmp_path, capsys):
    two_moved_slices(scene)
    write_scene(scene, tmp_path / "given.mrb")
    assert run(script, tmp_path, given="given.mrb") == 2
    assert "say by --fixed which volume the others are laid on" in capsys.readouterr().err


def test_volume_that_lost_its_file_is_a_bad_row(script, given, capsys):
    (given / "after.nrrd").unlink()
    assert run(script, given, given="given.mrml") == 1
    said = capsys.readouterr().err
    assert "note: not everything in" in said and "error: to do_ 1: after holds no image data" in said


def test_missing_torch_is_one_sentence(script, folder, monkeypatch, capsys):
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    assert run(script, folder) == 2
    assert capsys.readouterr().err.startswith("error: PyTorch is not installed; install it in Slicer by the PyTorch extension")


def test_initial_transform_of_a_scene_is_where_its_volumes_set_out(script, given):
    write_transform(given / "start.tfm", flip_ras_lps(translation(-5, 1, 0) @ TURN @ np.linalg.inv(translation(3, 2, 0))))
    words = ("--method", "plain", "--freedom", "rigid", "--initial", given / "start.tfm", "--scene", given / "done.mrb")
    assert run(script, given, *words, given="given.mrb") == 0
    assert float(report(given)["to do_ 1"]["criterion_before"]) < 1e-3
    assert_coincide(opened(given / "done.mrb"))


AS_SLICER_DOES = """
import sys, types
import slicer
class App:
    def commandOptions(self): return types.SimpleNamespace()
    def exit(self, status): print("exit", status, file=sys.stderr)
slicer.app, slicer.mrmlScene = App(), slicer.vtkMRMLScene()
sys.argv = {argv!r}
_updated_globals = globals()
_updated_globals["__file__"] = {script!r}
exec(open({script!r}).read(), _updated_globals)
print("still open", slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"), file=sys.stderr)
"""


@pytest.mark.parametrize(("table", "code", "volumes"), [("pairs.csv", 0, 6), ("none.csv", 2, 0)])
def test_slicer_runs_it_in_its_own_main_module_and_gets_the_exit_code(folder, table, code, volumes):
    """As ctkAbstractPythonManager::executeFile and qSlicerCoreApplication::handleCommandLineArguments do, in the application's scene."""
    argv = [str(SCRIPT), "--", str(folder / table), "--output-dir", str(folder / "out"), "--scene", str(folder / "all.mrb")]
    words = [sys.executable, "-c", AS_SLICER_DOES.format(argv=argv, script=str(SCRIPT))]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-2:] == [f"exit {code}", f"still open {volumes}"]
    assert (folder / "all.mrb").is_file() == (code == 0)


def test_script_is_plain_ascii():
    """Slicer opens it with the encoding of the system."""
    assert SCRIPT.read_bytes().isascii()
