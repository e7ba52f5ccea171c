"""Files that are there whole or not at all."""

import pytest

from MetaAffineRegLib.files import written_together


def test_files_appear_when_the_block_ends(tmp_path):
    names = [tmp_path / "a.txt", tmp_path / "b.txt"]
    with written_together(*names) as parts:
        for part, text in zip(parts, ("one", "two"), strict=True):
            part.write_text(text)
        assert not any(name.exists() for name in names)
    assert [name.read_text() for name in names] == ["one", "two"]
    assert sorted(tmp_path.iterdir()) == names


def test_nothing_is_left_after_an_exception(tmp_path):
    with pytest.raises(RuntimeError), written_together(tmp_path / "a.txt", tmp_path / "b.txt") as (first, _):
        first.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_earlier_file_survives_an_exception(tmp_path):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(KeyboardInterrupt), written_together(tmp_path / "a.txt") as (part,):
        part.write_text("half")
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_nothing_is_left_where_one_of_the_files_was_never_written(tmp_path):
    with pytest.raises(FileNotFoundError), written_together(tmp_path / "a.txt", tmp_path / "b.txt") as (_, second):
        second.write_text("two")
    assert list(tmp_path.iterdir()) == []


def test_names_keep_their_suffix(tmp_path):
    """Writers choose the format by it."""
    with written_together(tmp_path / "a.nii.gz") as (part,):
        assert part.name.endswith(".nii.gz") and part.parent == tmp_path
        part.touch()
