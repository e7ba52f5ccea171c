"""A training on volumes: what is held out, what it tells, what it leaves; and what can go wrong."""

import errno
import json
import os

import numpy as np
import pytest
import torch

from core.made_images import made
from core.made_volumes_to_train_on import FLAT, SOLID, flat_volumes, quick
from MetaAffineRegLib import checkpoint
from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import Settings, register
from MetaAffineRegTrainingLib.job_folder import JobFolder
from MetaAffineRegTrainingLib.session import Session, Sources, sample_pictures
from MetaAffineRegTrainingLib.settings import TrainingSettings
from MetaAffineRegTrainingLib.trainer import Trainer


@pytest.fixture
def place(tmp_path):
    return {"model": tmp_path / "models" / "mine.pt", "state": tmp_path / "state.resume.pt"}


def run(volumes, settings, place, **options):
    """The events of a whole training."""
    events = []
    Session(volumes, settings, **place, report=events.append, **options).run()
    return events


def texts(events, kind="note"):
    return [event["text"] for event in events if event["event"] == kind]


def test_a_model_with_its_card_and_an_account_of_the_training(place, tmp_path):
    events = run(flat_volumes(4), quick(), place, picture=tmp_path / "examples.pgm")
    kinds = [event["event"] for event in events]
    assert kinds[0] == "evaluation" and kinds[-1] == "done" and {"progress", "picture"} <= set(kinds)
    evaluations = [event for event in events if event["event"] == "evaluation"]
    assert [event["step"] for event in evaluations] == [0, 1, 2, 3, 4]
    for event in evaluations:
        assert set(event["figures"]) == {"plain", "learn", "comb", "robust"}
        assert all(0 <= figures["success"] <= 1 and figures["mse4"] >= 0 for figures in event["figures"].values())
    assert len({event["figures"]["plain"]["mse4"] for event in evaluations}) == 1  # the same pairs each time
    assert (tmp_path / "examples.pgm").read_bytes().startswith(b"P5 ")
    model = checkpoint.load(place["model"])
    assert model.network.config.levels == (32,) and not place["state"].exists()
    card = model.card
    assert card["trained_on"] == "3 parts (slices, axial) of 3 volumes, 1 more held out"
    assert card["training"].startswith("from nothing, 4 steps of 4 pairs") and card["figures"]["robust"]["success"] >= 0
    assert "flat 0" not in json.dumps(card) and "keep the default" in card["verdict"]
    (result,) = register([(made(FLAT), made(FLAT, seed=0))], Settings(model=str(place["model"]), device="cpu"))
    assert result.model == "mine"


def test_card_names_the_volumes_where_the_user_allows_it(place):
    run(flat_volumes(2), quick(names_in_card=True, steps=1), place)
    assert checkpoint.load(place["model"]).card["trained_on"].endswith("(flat 0, flat 1)")


@pytest.mark.parametrize("seed", range(4))
def test_whole_volumes_are_held_out(seed):
    volumes = [made(SOLID, seed=number, name=str(number)) for number in range(8)]
    sources = Sources.of(volumes, TrainingSettings(seed=seed, held_out=0.25))
    trained, held_out = ({part.name for part in parts} for parts in (sources.trained, sources.held_out))
    assert len(held_out) == 2 and len(trained) == 6 and not trained & held_out
    assert {volumes[number].name for number in sources.held_out_volume} == held_out
    assert len(sources.trained) > 6 * 5


def test_blocks_in_space_are_trained_on_in_three_dimensions(place):
    """Volumes of three dimensions; the verdict says against which model it is."""
    volumes = [made(SOLID, seed=number) for number in range(2)]
    events = run(volumes, quick(kind="blocks", steps=1, batch=2), place)
    assert checkpoint.load(place["model"]).network.config.dimension == 3
    assert "general-3d" in events[-1]["verdict"]


def test_blocks_are_fine_tuned_from_the_shipped_model_for_volumes(place):
    """It reads two data terms and the Gauss-Newton step, and goes on doing so."""
    volumes = [made(SOLID, seed=number) for number in range(2)]
    run(volumes, quick(kind="blocks", start="general-3d", steps=2, batch=2), place)
    tuned = checkpoint.load(place["model"])
    assert tuned.network.config == checkpoint.load("general-3d").network.config
    assert tuned.card["training"].startswith("from the model general-3d, 2 steps of 2 pairs")


def test_fine_tuning_starts_from_the_weights_of_the_model(place):
    volumes = flat_volumes(3)
    session = Session(volumes, quick(start="heads", steps=1), **place)
    start = checkpoint.load("heads").network.state_dict()
    assert all(torch.equal(tensor, start[name]) for name, tensor in session.trainer.network.state_dict().items())
    session.run()
    assert checkpoint.load(place["model"]).card["training"].startswith("from the model heads")


def test_time_budget_is_kept(place):
    """Half of a minute of training on time: never more than asked for, as the end has its share kept back."""
    events = run(flat_volumes(3), quick(steps=0, minutes=0.2), place)
    spent = [event["seconds"] for event in events if event["event"] == "progress"][-1]
    assert spent <= 12 * 1.5
    assert "steps of 4 pairs" in events[-1]["card"]["training"]


# What can go wrong


def test_no_volume_is_refused(place):
    with pytest.raises(InputError, match="No volume is chosen; choose the volumes to train on"):
        Session([], quick(), **place)


def test_one_volume_is_allowed_and_told(place):
    events = run(flat_volumes(1), quick(steps=1), place)
    assert any("There is one volume only, so none is held out" in text for text in texts(events))
    assert events[-1]["verdict"] == "Not shown to be better, as no volume was held out: keep the default." and not events[-1]["better"]


def test_mixed_slices_and_volumes_are_refused_for_blocks_and_told_apart_in_a_sentence(place):
    with pytest.raises(InputError, match="flat 0 is a single slice and has no blocks; train on slices, or leave it out"):
        Session([made(SOLID), *flat_volumes(1)], quick(kind="blocks"), **place)


def test_a_single_slice_among_volumes_is_a_slice_among_their_slices():
    sources = Sources.of([made(SOLID, name="solid"), *flat_volumes(1)], TrainingSettings())
    assert {part.geometry.dimension for part in (*sources.trained, *sources.held_out)} == {2}


def test_empty_slices_only_are_refused(place):
    array = np.zeros(SOLID.size[::-1], np.float32)
    array[0, 0, 0] = 1
    with pytest.raises(InputError, match="Every slice in the range shows nothing; choose another range"):
        Session([Image(array, SOLID)] * 3, quick(), **place)


def test_an_empty_volume_among_others_is_left_out_and_told():
    array = np.zeros(SOLID.size[::-1], np.float32)
    array[0, 0, 0] = 1
    sources = Sources.of([Image(array, SOLID), made(SOLID), made(SOLID, seed=1)], TrainingSettings())
    assert sources.volumes + sources.volumes_held_out == 2
    assert sources.notes == ("1 of 3 volumes show nothing in the range and are left out.",)


def test_a_model_folder_that_cannot_be_written_is_refused_before_the_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="The model folder .*file can't be written .*; choose another folder"):
        Session(flat_volumes(2), quick(), tmp_path / "file" / "mine.pt", tmp_path / "state.pt")


def test_a_disk_that_is_full_at_a_checkpoint_costs_neither_the_old_one_nor_the_training(place, monkeypatch):
    from MetaAffineRegTrainingLib import session as room

    monkeypatch.setattr(room, "_SECONDS_BETWEEN_STATES", 0.0)
    save, kept = Trainer.save, []

    def save_until_full(self, path, card, resumable):
        if resumable and self.step > 1:
            kept.append(path.read_bytes())
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        save(self, path, card, resumable)

    monkeypatch.setattr(Trainer, "save", save_until_full)
    events = run(flat_volumes(2), quick(), place)
    assert len(kept) == 3 and len(set(kept)) == 1
    assert any("The state could not be written (No space left on device); the one before is kept" in text for text in texts(events))
    assert events[-1]["event"] == "done"


@pytest.mark.parametrize("start", ["solid", "nothing.pt", "text.pt"])
def test_a_start_that_is_no_model_for_these_images_is_refused(place, tmp_path, start):
    from MetaAffineRegLib.initializer import Initializer, InitializerConfig

    checkpoint.save(tmp_path / "solid.pt", Initializer(InitializerConfig(3, (12,), 1)), {})
    (tmp_path / "text.pt").write_text("no model")
    path = tmp_path / ("solid.pt" if start == "solid" else start)
    said = {
        "solid": "'solid' is for 3 dimensions, the images have 2",
        "nothing.pt": "There is no model",
        "text.pt": "is not a model checkpoint",
    }
    with pytest.raises(InputError, match=said[start]):
        Session(flat_volumes(2), quick(start=str(path)), **place)


def test_a_state_of_another_network_is_refused(place):
    Session(flat_volumes(2), quick(network="multi-level"), **place).trainer.save(place["state"], {}, resumable=True)
    with pytest.raises(InputError, match="belongs to a training with other settings"):
        Session(flat_volumes(2), quick(), **place).run(resume=True)


def test_a_loss_that_is_no_number_stops_the_training_and_keeps_the_last_good_weights(place, monkeypatch):
    loss = Trainer._loss
    monkeypatch.setattr(Trainer, "_loss", lambda self, *args: loss(self, *args) * (float("nan") if self.step == 2 else 1.0))
    session_events = run(flat_volumes(2), quick(), place)
    (said,) = texts(session_events)[-1:]
    assert "no longer finite at step 3" in said and "The last good weights are kept" in said
    network = checkpoint.load(place["model"]).network
    assert all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values())
    assert session_events[-1]["event"] == "done" and "2 steps" in session_events[-1]["card"]["training"]


def test_gpu_memory_that_is_not_enough_makes_smaller_parts_with_the_same_weights(place, monkeypatch):
    whole = Session(flat_volumes(2), quick(steps=3), **place)
    list(whole.trainer.steps())
    loss = Trainer._loss

    def too_large(self, first, count, iterates):
        if count > 1:
            raise torch.OutOfMemoryError
        return loss(self, first, count, iterates)

    monkeypatch.setattr(Trainer, "_loss", too_large)
    parts = Session(flat_volumes(2), quick(steps=3), **place)
    list(parts.trainer.steps())
    assert [note.split("; ")[1] for note in parts.trainer.notes] == [
        "it is computed 2 pairs at a time.",
        "it is computed 1 pairs at a time.",
    ]
    for name, tensor in parts.trainer.network.state_dict().items():
        torch.testing.assert_close(tensor, whole.trainer.network.state_dict()[name], rtol=1e-6, atol=1e-9)


def test_gpu_memory_that_is_not_enough_for_one_pair_is_said(place, monkeypatch):
    def never(*_args):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Trainer, "_loss", never)
    with pytest.raises(InputError, match="not enough for one pair; choose the CPU"):
        run(flat_volumes(2), quick(), place)


def test_cancelled_training_leaves_its_state_and_is_taken_up_with_the_same_weights(place, tmp_path):
    run(flat_volumes(3), quick(steps=6), place)
    whole = checkpoint.load(place["model"]).network.state_dict()
    asked = []

    def stop_after_three():
        asked.append(1)
        if len(asked) == 3:
            raise Cancelled
        return 0.0

    other = {"model": tmp_path / "other.pt", "state": place["state"]}
    with pytest.raises(Cancelled):
        run(flat_volumes(3), quick(steps=6), other, pause=stop_after_three)
    assert place["state"].is_file() and not other["model"].exists()
    Session(flat_volumes(3), quick(steps=6), **other).run(resume=True)
    resumed = checkpoint.load(other["model"]).network.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_breaks_do_not_count_as_time_of_the_training(place):
    session = Session(flat_volumes(2), quick(), **place, pause=lambda: 1000.0)
    session.run()
    assert session.trainer.seconds < -3000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"minutes": 0.0}, "has no length"),
        ({"rotation": 400.0}, "A rotation of 400 can't be used; give 0 to 180"),
        ({"held_out": 0.9}, "A held out of 0.9"),
        ({"network": "deep"}, "There is no network 'deep'"),
        ({"validation_pairs": 1}, "at least 4 pairs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        TrainingSettings(**options)


def test_settings_survive_as_plain_data():
    settings = quick(name="mine", seed=4)
    assert TrainingSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    with pytest.raises(InputError, match="There is no setting 'depth'"):
        TrainingSettings.from_dict({"depth": 3})


def test_sample_pictures_follow_the_deformations():
    image = made(FLAT)
    still, turned = (sample_pictures(image, quick(rotation=degrees, translation=0.0, noise=0.0, scale=0.0)) for degrees in (0.0, 60.0))
    assert still.dtype == np.uint8 and still.shape == turned.shape
    columns = np.split(still[:98, :196], 2, axis=1)
    np.testing.assert_array_equal(*columns)  # nothing moves: the moving image is the fixed one
    assert np.abs(np.subtract(*(part.astype(int) for part in np.split(turned[:98, :196], 2, axis=1)))).max() > 50


def test_job_folder_keeps_volumes_and_settings(tmp_path):
    volumes = flat_volumes(2)
    job = JobFolder.create(tmp_path / "jobs", volumes, quick(), tmp_path / "mine.pt")
    read = JobFolder(job.path)
    assert read.settings == quick() and read.model == tmp_path / "mine.pt"
    for one, other in zip(read.images(), volumes, strict=True):
        np.testing.assert_array_equal(one.array, other.array)
        np.testing.assert_array_equal(one.geometry.index_to_lps, other.geometry.index_to_lps)
        assert one.name == other.name
    assert JobFolder.unfinished(tmp_path / "jobs") is None
    job.state.write_bytes(b"state")
    job.events.write_text('{"event": "progress", "step": 3}\n{"event": "eval')
    assert JobFolder.unfinished(tmp_path / "jobs").path == job.path
    assert [event["step"] for event in job.read_events()] == [3]
    job.remove()
    assert not job.path.exists() and JobFolder.unfinished(tmp_path / "jobs") is None


def test_job_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="can't be written"):
        JobFolder.create(tmp_path / "file", flat_volumes(1), quick(), tmp_path / "mine.pt")
