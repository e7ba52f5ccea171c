"""Bad input of the commands: one clear sentence on the error stream, exit code 2, and no file more or less than before."""

import re

import numpy as np
import pytest
import SimpleITK
import torch

from core.made_files import SLICE, slice_pair, write, write_colors, write_series
from core.made_images import affine, lattice, made
from MetaAffineRegCLI import batch, register
from MetaAffineRegLib import checkpoint
from MetaAffineRegLib.initializer import Initializer, InitializerConfig

VOLUME = lattice((8, 7, 6), (9.0, 9.0, 9.0))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def good(tmp_path):
    """Names of a good pair."""
    return slice_pair(tmp_path, affine(5))


def refused(main, words, folder, capfd):
    """The sentence with which a command refuses its words; nothing in the folder has changed by then."""
    before = files(folder)
    assert main([str(word) for word in words]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    sentence = said[-1]
    assert sentence.startswith("error: ") and sentence.endswith((".", ")"))
    assert not any("Traceback" in line for line in said)
    assert files(folder) == before
    return sentence


def poisoned(value):
    def make(folder):
        array = made(SLICE).array.copy()
        array[0, 4, 5] = value
        return write(folder / "bad.nrrd", array)

    return make


def text(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut_off(folder):
    path = write(folder / "bad.nrrd", made(SLICE))
    path.write_bytes(path.read_bytes()[:500])
    return path


def single_pixel(folder):
    SimpleITK.WriteImage(SimpleITK.Image([1, 1], SimpleITK.sitkUInt8), str(folder / "bad.png"))
    return folder / "bad.png"


def four_dimensions(folder):
    volume = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(made(VOLUME).array)] * 3)
    SimpleITK.WriteImage(volume, str(folder / "bad.nii.gz"))
    return folder / "bad.nii.gz"


def vectors(folder):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.random.default_rng(0).random((9, 9, 2)), isVector=True), str(folder / "bad.nrrd"))
    return folder / "bad.nrrd"


def two_series(folder):
    write_series(folder / "bad", made(VOLUME), "1.2.3.4")
    return write_series(folder / "bad", made(VOLUME), "1.2.3.5")


def empty_folder(folder):
    (folder / "bad").mkdir()
    return folder / "bad"


def boasting(folder):
    """A header that claims more than any memory holds."""
    path = folder / "bad.nrrd"
    path.write_bytes(b"NRRD0004\ntype: float\ndimension: 3\nsizes: 100000 100000 100000\nendian: little\nencoding: raw\n\n")
    return path


def two_claims(folder):
    """A modest header that claims more in another line."""
    path = boasting(folder)
    path.write_bytes(path.read_bytes().replace(b"sizes", b"sizes: 4 4 4\nsizes"))
    return path


def other_line_ends(folder):
    """A header that ends where other programs' lines end, and a claim behind it."""
    path = boasting(folder)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"x\nsizes: 4 4 4\n\n")
    return path


BAD_IMAGES = {
    "missing": (lambda folder: folder / "bad.png", "bad.png does not exist; give an image file"),
    "text": (text("bad.png", b"no picture"), "bad.png can't be read as an image"),
    "empty": (text("bad.nii", b""), "bad.nii can't be read as an image"),
    "unknown format": (text("bad.xyz", b"123"), "bad.xyz can't be read as an image .* give PNG, JPEG, NRRD, NIfTI, MHA or a DICOM folder"),
    "cut off": (cut_off, "bad.nrrd can't be read as an image"),
    "boasting": (boasting, "bad.nrrd claims 100000 x 100000 x 100000 samples, more than fit into memory; resample or crop it"),
    "two claims": (two_claims, "bad.nrrd (can't be read as an image|claims)"),
    "other line ends": (other_line_ends, "bad.nrrd claims 100000 x 100000 x 100000 samples"),
    "NaN": (poisoned(np.nan), "bad.nrrd holds samples that are not a number or infinite; replace them"),
    "Inf": (poisoned(-np.inf), "bad.nrrd holds samples that are not a number or infinite; replace them"),
    "constant": (lambda folder: write(folder / "bad.nrrd", np.full((1, 80, 100), 7)), r"bad.nrrd is constant \(every sample is 7\)"),
    "single pixel": (single_pixel, "bad.png: The image has 1 x 1 x 1 samples; .* at least two"),
    "3D with 2D": (lambda folder: write(folder / "bad.nrrd", made(VOLUME)), "give two slices or two volumes"),
    "4D": (four_dimensions, r"bad.nii.gz has 4 dimensions \(8 x 7 x 6 x 3\); save one time point as a 3D image"),
    "vectors": (vectors, "bad.nrrd holds 2 numbers a pixel that are no colours; give an image with one value a pixel"),
    "empty folder": (empty_folder, "is a folder without a DICOM series; give an image file or the folder of one series"),
    "two series": (two_series, "holds 2 DICOM series; move the one to register into a folder of its own"),
}  # fmt: skip


@pytest.mark.parametrize("role", ["fixed", "moving"])
@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_image(tmp_path, good, capfd, case, role):
    make, sentence = BAD_IMAGES[case]
    bad = make(tmp_path)
    images = [bad, good[1]] if role == "fixed" else [good[0], bad]
    said = refused(register.main, [*images, "--output", tmp_path / "T.tfm", "--method", "plain"], tmp_path, capfd)
    assert re.search(sentence, said), said


def wrong_dimension(folder):
    checkpoint.save(folder / "model.pt", Initializer(InitializerConfig(3, (12,), 1)), {})
    return folder / "model.pt"


class _Call:
    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return type(self._path).touch, (self._path,)


def with_code(folder):
    torch.save({"format": checkpoint.FORMAT, "extra": _Call(folder / "marker")}, folder / "model.pt")
    return folder / "model.pt"


def displacement_field(folder):
    field = SimpleITK.DisplacementFieldTransform(SimpleITK.Image([4, 4, 4], SimpleITK.sitkVectorFloat64))
    SimpleITK.WriteTransform(field, str(folder / "field.h5"))
    return folder / "field.h5"


def identity(name):
    def make(folder):
        SimpleITK.WriteTransform(SimpleITK.AffineTransform(3), str(folder / name))
        return folder / name

    return make


def flat_transform(folder):
    (folder / "flat.tfm").write_text(
        "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\nParameters: 1 0 0 0 1 0 0 0 0 0 0 0\nFixedParameters: 0 0 0\n"
    )
    return folder / "flat.tfm"


BAD_OPTIONS = {
    "--model of another dimension": (wrong_dimension, "model' is for 3 dimensions and the images have 2; choose one of: .*hands"),
    "--model that is none": (text("model.pt", b"no model"), "model.pt is not a model checkpoint"),
    "--model that holds code": (with_code, "model.pt can't be loaded as a model checkpoint: it is damaged or holds code"),
    "--model that does not exist": (lambda folder: "nonesuch", "There is no model 'nonesuch'; give a file or one of: .*hands"),
    "--initial that is missing": (lambda folder: folder / "T0.tfm", "T0.tfm does not exist; give a transform file"),
    "--initial that is none": (text("T0.tfm", b"no transform"), "T0.tfm can't be read as a transform"),
    "--initial that is not linear": (displacement_field, "field.h5 is not a linear transform"),
    "--initial that is flat": (flat_transform, "flat.tfm .*transform"),
    "--initial with the name of the runner-up": (identity("T-runner-up.tfm"), "T-runner-up.tfm is an input, and it is the name of the"),
    "--report with the name of the runner-up": (lambda folder: folder / "T-runner-up.tfm", "Two outputs .* runner-up, T-runner-up.tfm"),
    "--rotation-range beyond half a turn": (lambda folder: 180.5, "A rotation range of 180.5 degrees makes no sense; give 0 to 180"),
    "--rotation-range below nothing": (lambda folder: -1, "A rotation range of -1.0 degrees makes no sense"),
    "--rotation-range that is no number": (lambda folder: "nan", "A rotation range of nan degrees makes no sense"),
    "--output in no folder": (lambda folder: folder / "none" / "T.tfm", "The folder of --output .* does not exist; create it or"),
    "--output that is a folder": (empty_folder, "--output .* is a folder; give the name of a file"),
    "--output of another kind": (lambda folder: folder / "T.png", "T.png is not a name for a transform; end it in .tfm"),
    "--warped in no folder": (lambda folder: folder / "none" / "w.png", "The folder of --warped .* does not exist"),
    "--warped in the place of an input": (lambda folder: folder / "moving.nrrd", "moving.nrrd is an input and would be overwritten"),
    "--warped with its samples apart": (lambda folder: folder / "w.mhd", "w.mhd is not a name for an image of 2 dimensions"),
    "--warped of another kind": (lambda folder: folder / "w.tfm", "w.tfm is not a name for an image of 2 dimensions; end it in one of"),
    "--report in no folder": (lambda folder: folder / "none" / "r.json", "The folder of --report .* does not exist"),
    "--picture of another kind": (lambda folder: folder / "p.jpg", "p.jpg is not a name for a picture; end it in .png"),
    "--picture with the name of the output": (lambda folder: folder / "T.tfm", "Two outputs have the same name|end it in .png"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_option(tmp_path, good, capfd, case):
    make, sentence = BAD_OPTIONS[case]
    option = case.split()[0]
    words = {"--output": tmp_path / "T.tfm", option: make(tmp_path)}
    said = refused(register.main, [*good, *(word for pair in words.items() for word in pair)], tmp_path, capfd)
    assert re.search(sentence, said), said
    assert not (tmp_path / "marker").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with CUDA takes it")
@pytest.mark.parametrize("command", ["register", "batch"])
def test_cuda_without_cuda(tmp_path, good, capfd, command):
    if command == "register":
        said = refused(register.main, [*good, "--output", tmp_path / "T.tfm", "--device", "cuda"], tmp_path, capfd)
    else:
        said = refused(
            batch.main,
            [table(tmp_path, "id,fixed,moving\na,fixed.nrrd,moving.nrrd\n"), "--output-dir", tmp_path, "--device", "cuda"],
            tmp_path,
            capfd,
        )
    assert "There is no CUDA device" in said and "choose --device cpu" in said


def table(folder, content):
    (folder / "pairs.csv").write_text(content) if isinstance(content, str) else (folder / "pairs.csv").write_bytes(content)
    return folder / "pairs.csv"


BAD_TABLES = {
    "a column missing": ("id,fixed\na,b\n", "pairs.csv lacks the column moving; the first line must name id, fixed, moving"),
    "all columns missing": ("x;y;z\n1;2;3\n", "lacks the columns id, fixed, moving"),
    "empty": ("", "lacks the columns id, fixed, moving"),
    "no rows": ("id,fixed,moving\n", "has no rows; add one for each pair"),
    "the same id twice": ("id,fixed,moving\na,b,c\na,d,e\n", "has an id 'a' that is empty, not alone or no file name"),
    "an empty id": ("id,fixed,moving\n,b,c\n", "has an id '' that is empty"),
    "an id that climbs": ("id,fixed,moving\n../x,b,c\n", "has an id '../x' that is empty, not alone or no file name"),
    "an id with a folder": ("id,fixed,moving\nx/y,b,c\n", "has an id 'x/y'"),
    "an absolute id": ("id,fixed,moving\n/x,b,c\n", "has an id '/x'"),
    "an id with the name of a runner-up": ("id,fixed,moving\na-runner-up,b,c\na,d,e\n", "the ids 'a' and 'a-runner-up'.*; rename one"),
    "an id longer than names may be": (f"id,fixed,moving\n{'x' * 300},b,c\n", "has an id 'x+' that is empty"),
    "an id of dots": ("id,fixed,moving\n..,b,c\n", r"has an id '\.\.'"),
    "a picture": (b"\x89PNG\r\n\x1a\n\xff\xfe", "can't be read as a CSV file|lacks the columns"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table(tmp_path, good, capfd, case):
    content, sentence = BAD_TABLES[case]
    said = refused(batch.main, [table(tmp_path, content), "--output-dir", tmp_path / "out"], tmp_path, capfd)
    assert re.search(sentence, said), said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--output-dir", "none/out"], "--output-dir none/out can't be used: .*does not exist; "),
        (["--output-dir", "pairs.csv"], "--output-dir pairs.csv can't be used: it is a file"),
        (["--output-dir", "out", "--batch-size", "0"], "--batch-size 0 is not a number of pairs; give 1 or more"),
        (["--output-dir", "out", "--model", "nonesuch"], "There is no model 'nonesuch'"),
        (["--output-dir", "out", "--initial", "none.tfm"], "none.tfm does not exist"),
        (["--output-dir", ".", "--initial", "a-runner-up.tfm"], "a-runner-up.tfm is the name of the runner-up of a row; choose"),
        (["--output-dir", "out", "--rotation-range", "-0.1"], "A rotation range of -0.1 degrees makes no sense; give 0 to 180"),
        (["--output-dir", "out", "--rotation-range", "inf"], "A rotation range of inf degrees makes no sense; give 0 to 180"),
    ],
)
def test_bad_option_of_batch(tmp_path, good, capfd, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    table(tmp_path, "id,fixed,moving\na,fixed.nrrd,moving.nrrd\n")
    said = refused(batch.main, ["pairs.csv", *options], tmp_path, capfd)
    assert re.search(sentence, said), said
    assert not (tmp_path / "out").exists()


def test_missing_table(tmp_path, capfd):
    said = refused(batch.main, [tmp_path / "none.csv", "--output-dir", tmp_path], tmp_path, capfd)
    assert "none.csv does not exist; give a CSV file" in said


def test_colours_are_converted_and_told(tmp_path, good, capfd):
    """Not refused: a note, and the transform is there."""
    photo = write_colors(tmp_path / "photo.png", made(SLICE, affine(5)))
    fixed = write_colors(tmp_path / "first.jpg", made(SLICE))
    assert register.main([str(fixed), str(photo), "--output", str(tmp_path / "T.tfm"), "--method", "plain"]) == 0
    said = capfd.readouterr().err
    assert "note: photo.png: colours converted to grey values" in said and "note: first.jpg: colours converted" in said
    assert (tmp_path / "T.tfm").exists()


def test_unknown_words_end_with_the_usage(capfd):
    with pytest.raises(SystemExit) as caught:
        register.main(["--nonsense"])
    assert caught.value.code == 2 and "usage: run.py register" in capfd.readouterr().err
