"""``train``: a folder of images in, a checkpoint with its card out; subjects apart; taken up again."""

import json

import numpy as np
import pytest

from core.made_files import SLICE, write
from core.made_images import affine, distance, made
from MetaAffineRegLib import checkpoint
from MetaAffineRegLib.registration import Settings, register
from MetaAffineRegTrainingCLI import train
from MetaAffineRegTrainingCLI.tasks import Chosen
from MetaAffineRegTrainingCLI.train import hold_out, main, task_files

QUICK = ["--levels", "16", "--lstm-steps", "2", "--steps", "4", "--batch", "4", "--device", "cpu", "--save-every", "2"]


@pytest.fixture
def data(tmp_path):
    """Seven images of six subjects; one image is for testing only and can't be read."""
    folder = tmp_path / "data" / "made"
    folder.mkdir(parents=True)
    lines = ["file,split,subject"]
    for number in range(7):
        write(folder / f"{number}.png", np.round(made(SLICE, seed=number).array), kind=np.uint8)
        lines.append(f"{number}.png,train,s{max(1, number)}")
    (folder / "secret.png").write_bytes(b"not to be read")
    (folder / "splits.csv").write_text("\n".join([*lines, "secret.png,test,s9"]) + "\n")
    return tmp_path / "data"


def run(data, output, *words):
    return main(["--task", "made", "--data", str(data), "--output", str(output), *QUICK, *map(str, words)])


def test_checkpoint_with_its_card(data, tmp_path, capsys):
    output = tmp_path / "mine.pt"
    assert run(data, output, "--seed", "3") == 0
    model = checkpoint.load(output)
    assert model.network.config.levels == (16,) and len(model.network.cells) == 2
    card = model.card
    assert card["task"] == "made" and "not stated" in card["data_licence"]
    assert card["trained_on"].endswith("1 held out for validation")
    assert "--seed 3" in card["command"] and "--steps 4" in card["command"] and str(tmp_path) not in json.dumps(card)
    assert card["figures"]["validation_mse4_mean"] > 0
    log = [json.loads(line) for line in (tmp_path / "mine.log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mine.log.jsonl", "mine.pt"]


def test_options_of_network_and_images_reach_the_checkpoint_and_its_card(data, tmp_path):
    words = "--gradient-input direction --data-term unexplained_content --distortion 0.1 --crop 0.3 --noise-on-moving 0.5 --made-images 5"
    assert run(data, tmp_path / "mine.pt", *words.split()) == 0
    model = checkpoint.load(tmp_path / "mine.pt")
    assert (model.network.config.gradient_input, model.network.config.data_term) == ("direction", "unexplained_content")
    assert "5 images made by code" in model.card["trained_on"]
    assert "distortion 0.1" in model.card["deformations"] and "cropped 0.3" in model.card["deformations"]
    (result,) = register([(made(SLICE), made(SLICE, affine(5)))], Settings(model=str(tmp_path / "mine.pt"), device="cpu"))
    assert (result.method, result.model) == ("robust", "mine") and distance(result.fixed_to_moving_lps, affine(5), SLICE) < 0.2


def test_starts_near_the_truth_and_two_data_terms_reach_the_checkpoint(data, tmp_path):
    words = "--data-term content_and_gradients --curve 0.5 --start-rotation 30 --starts 2"
    assert run(data, tmp_path / "mine.pt", *words.split()) == 0
    model = checkpoint.load(tmp_path / "mine.pt")
    assert len(model.network.config.data_terms) == 2
    assert "starts turned by up to 30 degrees" in model.card["deformations"] and "curve 0.5" in model.card["deformations"]


def test_only_images_under_the_licences_asked_for_are_trained_on(data, tmp_path):
    table = data / "made" / "splits.csv"
    rows = ["file,split,subject,licence", "0.png,train,s0,CC BY", "1.png,train,s1,CC BY-NC (somewhere)", "2.png,train,s2,GPL (a, b)"]
    table.write_text("\n".join(rows) + "\n")
    files = task_files(data, "made", Chosen(licences=["CC BY", "GPL"]))
    assert [path.name for _, path in files] == ["0.png", "2.png"]
    assert run(data, tmp_path / "mine.pt", "--licences", "CC BY", "GPL") == 0
    assert checkpoint.load(tmp_path / "mine.pt").card["data_licence"] == "CC BY, GPL"


def test_trained_model_registers(data, tmp_path):
    run(data, tmp_path / "mine.pt")
    settings = Settings("learn", model=str(tmp_path / "mine.pt"), device="cpu")
    (result,) = register([(made(SLICE), made(SLICE, affine(5)))], settings)
    assert result.model == "mine" and np.isfinite(result.fixed_to_moving_lps).all()


def test_interrupted_training_is_taken_up_with_the_same_bits(data, tmp_path, monkeypatch):
    run(data, tmp_path / "whole.pt")
    from MetaAffineRegTrainingLib import trainer

    save, saved = trainer.save, []

    def save_once(path, *arguments, **extra):
        if saved:
            raise KeyboardInterrupt
        saved.append(path)
        save(path, *arguments, **extra)

    monkeypatch.setattr(trainer, "save", save_once)
    assert run(data, tmp_path / "parts.pt") == 130
    assert (tmp_path / "parts.resume.pt").exists() and not (tmp_path / "parts.pt").exists()
    monkeypatch.undo()
    assert run(data, tmp_path / "parts.pt", "--resume") == 0
    whole, parts = (checkpoint.load(tmp_path / name).network.state_dict() for name in ("whole.pt", "parts.pt"))
    assert all((whole[name] == parts[name]).all() for name in whole)
    assert not (tmp_path / "parts.resume.pt").exists()


def test_only_training_rows_are_read(data):
    files = task_files(data, "made")
    assert len(files) == 7 and "secret.png" not in {path.name for _, path in files}
    assert files[0][0] == files[1][0] == "s1"


def test_folder_without_a_table_is_taken_whole(data):
    (data / "made" / "splits.csv").unlink()
    assert len(task_files(data, "made")) == 8


@pytest.mark.parametrize("seed", range(5))
def test_no_subject_is_trained_on_and_validated_with(seed, tmp_path):
    files = [(f"s{number // 3}", tmp_path / f"{number}.png") for number in range(30)]
    subject = {path: name for name, path in files}
    kept, held_out = hold_out(files, seed)
    assert sorted([*kept, *held_out]) == sorted(subject)
    assert len(held_out) == 3
    assert not {subject[path] for path in kept} & {subject[path] for path in held_out}


def test_held_out_subjects_depend_on_the_seed(tmp_path):
    files = [(f"s{number}", tmp_path / f"{number}.png") for number in range(30)]
    assert len({tuple(hold_out(files, seed)[1]) for seed in range(5)}) > 1
    assert hold_out(files, 1) == hold_out(files, 1)


def test_few_subjects_are_both(tmp_path):
    files = [(f"s{number}", tmp_path / f"{number}.png") for number in range(4)]
    assert hold_out(files, 0) == ([path for _, path in files],) * 2


BAD = {
    "licences of a table without them": (["--licences", "CC0"], "splits.csv lacks .*columns? .*licence"),
    "no such task": (["--task", "none"], "There is no folder .*none; --data names the folder"),
    "no such folder": (["--data", "none"], "There is no folder none"),
    "output in no folder": (["--output", "none/mine.pt"], "must be a .pt file in a folder that exists"),
    "output of another kind": (["--output", "mine.png"], "must be a .pt file"),
    "nothing to resume": (["--resume"], "There is nothing to resume"),
    "levels that do not nest": (["--levels", "12", "16"], "each must divide the finest"),
    "levels that are too many": (["--levels", *["16"] * 9], "These settings make no network"),
    "too many steps": (["--lstm-steps", "99"], "These settings make no network"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_words_are_refused_in_a_sentence(data, tmp_path, capsys, monkeypatch, case):
    import re

    monkeypatch.chdir(tmp_path)
    words, sentence = BAD[case]
    before = sorted(tmp_path.rglob("*"))
    assert run(data, "mine.pt", *words) == 2
    said = capsys.readouterr().err
    assert re.search(f"^error: .*{sentence}", said), said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("option", ["--steps", "--batch", "--lstm-steps", "--save-every"])
def test_counts_are_above_zero(data, tmp_path, capsys, option):
    with pytest.raises(SystemExit) as end:
        run(data, tmp_path / "mine.pt", option, "0")
    assert end.value.code == 2
    assert "0 is not above zero" in capsys.readouterr().err
    assert not (tmp_path / "mine.pt").exists()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("file\n0.png\n", "splits.csv lacks .*columns? file"),
        ("file,split\n0.png,test\n", "holds no image to train on"),
        ("file,split\nnone.png,train\n", "none.png does not exist"),
        ("file,split\nsecret.png,train\n", "error: [^ ]*secret.png can't be read as an image"),
    ],
)
def test_bad_tables_are_refused_in_a_sentence(data, tmp_path, capsys, table, sentence):
    import re

    (data / "made" / "splits.csv").write_text(table)
    assert run(data, tmp_path / "mine.pt") == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not (tmp_path / "mine.pt").exists()


def test_options_that_shape_the_weights_are_told_apart_from_places():
    arguments = train.parser().parse_args(
        ["--task", "made", "--data", "there", "--output", "o.pt", "--levels", "16", "32", "--device", "cpu"]
    )
    words = train._without_paths(arguments)
    assert words[words.index("--levels") + 1 : words.index("--levels") + 3] == ["16", "32"]
    assert "there" not in words and "o.pt" not in words and "cpu" not in words
