"""Kernels are compiled by one command, and it is remembered that they are."""

import importlib.metadata
import os
import time

import pytest

from MetaAffineRegLib import compile_all, kernel_cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(kernel_cache.Path, "home", classmethod(lambda cls: tmp_path))
    return tmp_path


def test_every_way_is_taken(cache, monkeypatch):
    """Both dimensions, alone and in a batch, by several searches and from one start; then the folder is complete."""
    taken = []

    def register(pairs, settings):
        taken.append((pairs[0][0].geometry.dimension, len(pairs) > 1, settings.method))

    monkeypatch.setattr(compile_all, "register", register)
    folder = kernel_cache.folder()
    assert cache in folder.parents and not kernel_cache.is_complete(folder)
    compile_all.compile_all()
    assert kernel_cache.is_complete(folder)
    assert set(taken) == {(d, *how) for d in (2, 3) for how in ((False, "robust"), (True, "robust"), (False, "comb"))}


def test_made_pairs_are_of_one_contrast_of_another_and_of_two_things():
    for dimension in (2, 3):
        (one, same), (_, inverted), (_, other) = compile_all._pairs(dimension)
        assert one.geometry.dimension == dimension and same is one
        assert float(((one.array > 0) == (inverted.array > 0)).mean()) == 1 and float(abs(one.array - inverted.array).max()) > 1
        assert float(((one.array > 0) == (other.array > 0)).mean()) < 0.97


def test_without_numba_there_is_no_folder(cache, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(kernel_cache, "version", missing)
    assert kernel_cache.folder() is None and not list(cache.iterdir())


def test_numba_that_is_installed_meanwhile_is_seen(cache, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    with monkeypatch.context() as before:
        before.setattr(kernel_cache, "version", missing)
        assert kernel_cache.folder() is None
    assert kernel_cache.folder() is not None


def test_new_kernels_take_the_place_of_older_ones_of_the_same_sources(cache, monkeypatch):
    """Where no process of today has read them; those of another maker stay for some months, and whatever else lies there for ever."""
    old = kernel_cache.folder()
    (old / "kernel.nbc").write_bytes(b"code")
    monkeypatch.setattr(kernel_cache, "version", lambda name: "another")
    of_another = kernel_cache.folder()
    assert old.is_dir() and of_another.is_dir() and of_another != old
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("LOCALAPPDATA", str(cache))
    monkeypatch.setattr(kernel_cache.Path, "home", classmethod(lambda cls: cache))
    elsewhere, notes, link = (old.with_name(name) for name in ("models", "kernels-notes-of-mine-12", "kernels-" + 16 * "0"))
    for folder in (elsewhere, notes):
        folder.mkdir()
        (folder / "maker").write_text((old / "maker").read_text())
    link.symlink_to(elsewhere)
    before, changed = kernel_cache.hashlib.sha256, []
    monkeypatch.setattr(kernel_cache.hashlib, "sha256", lambda start: before(start + bytes(len(changed))))

    def after(days, *folders):
        """A new folder, these having been read so many days ago."""
        for folder in folders:
            os.utime(folder, (0, time.time() - days * 24 * 3600))
        changed.append(0)
        return kernel_cache.folder()

    second = after(0.5, old, of_another, elsewhere, notes)
    assert second.is_dir() and old.is_dir()
    third = after(2, old, of_another, elsewhere, notes)
    assert third.is_dir() and second.is_dir() and not old.exists() and of_another.is_dir()
    assert kernel_cache.folder() == third
    fourth = after(100, second, third, of_another, elsewhere, notes)
    assert fourth.is_dir() and not any(folder.exists() for folder in (second, third, of_another))
    assert all((folder / "maker").is_file() for folder in (elsewhere, notes, link, fourth))


def test_folder_that_can_not_be_made_is_none(cache):
    (cache / "MetaAffineReg").write_text("a file")
    (cache / "Library").write_text("a file")
    assert kernel_cache.folder() is None
