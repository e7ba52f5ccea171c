"""The user's models: listed, renamed, removed, copied out and in."""

import pytest
import torch

from MetaAffineRegLib import checkpoint
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.initializer import Initializer, InitializerConfig
from MetaAffineRegLib.user_models import (
    export_model,
    free_name,
    import_model,
    model_path,
    remove_model,
    rename_model,
    user_folder,
    user_models,
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("METAAFFINEREG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mine(home):
    """A model of the user."""
    path = model_path("mine")
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    checkpoint.save(path, Initializer(InitializerConfig(2, (16,), 1)), {"task": "made"})
    return path


def test_none_at_first_and_nothing_is_made_by_looking(home):
    assert user_models() == {} and user_folder() == home and not home.exists()


def test_a_model_is_listed_and_loaded_by_its_file(mine):
    assert user_models() == {"mine": mine}
    assert checkpoint.load(mine).card == {"task": "made"}


def test_rename_and_remove(mine):
    assert rename_model("mine", "yours") == mine.with_name("yours.pt")
    assert list(user_models()) == ["yours"]
    remove_model("yours")
    assert user_models() == {}


def test_export_and_import_keep_every_byte(mine, tmp_path):
    export_model("mine", tmp_path / "copy.pt")
    content = mine.read_bytes()
    remove_model("mine")
    path = import_model(tmp_path / "copy.pt", "again")
    assert path.read_bytes() == content and list(user_models()) == ["again"]
    assert import_model(tmp_path / "copy.pt").stem == "copy"


def test_free_name_counts_on(mine):
    assert [free_name("mine"), free_name("other"), free_name("general-2d")] == ["mine 2", "other", "general-2d 2"]


@pytest.mark.parametrize("name", ["", "  ", "a/b", ".hidden", "a" * 81, "general-2d", "mine", " mine "])
def test_names_that_are_none_or_taken_are_refused(mine, name):
    with pytest.raises(InputError, match="can't be the name of a model|There is a model"):
        rename_model("mine", name)
    assert list(user_models()) == ["mine"]


def test_what_is_no_model_is_not_taken_in(mine, tmp_path):
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(InputError, match="is not a model checkpoint"):
        import_model(tmp_path / "text.pt")
    with pytest.raises(InputError, match="does not exist"):
        import_model(tmp_path / "none.pt")
    for act in (remove_model, lambda name: export_model(name, tmp_path / "x.pt"), lambda name: rename_model(name, "x")):
        with pytest.raises(InputError, match="You have no model 'general-2d'"):
            act("general-2d")
    assert list(user_models()) == ["mine"]


def test_a_place_that_takes_no_file_is_said(mine, tmp_path):
    with pytest.raises(InputError, match="can't be written"):
        export_model("mine", tmp_path / "none" / "x.pt")


def test_a_full_disk_leaves_the_checkpoint_that_was_there(mine, monkeypatch):
    """Half of the new file is written, then the disk is full."""
    import errno
    from pathlib import Path

    before, write = mine.read_bytes(), Path.write_bytes

    def half(path, content):
        write(path, bytes(content)[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(mine, Initializer(InitializerConfig(2, (16,), 1)), {"task": "new"})
    assert mine.read_bytes() == before and [path.name for path in mine.parent.iterdir()] == ["mine.pt"]
