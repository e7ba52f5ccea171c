"""All kernels are compiled by one command, and it is remembered that they are."""

import importlib.metadata

import pytest

from MetaAffineRegLib import compile_all, kernel_cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(kernel_cache.Path, "home", classmethod(lambda cls: tmp_path))
    kernel_cache.folder.cache_clear()
    yield tmp_path
    kernel_cache.folder.cache_clear()


def test_every_way_is_taken(cache, monkeypatch):
    """Both dimensions, alone and in a batch, by several searches and from one start; then the folder is complete."""
    taken = []
    monkeypatch.setattr(
        compile_all, "register", lambda pairs, settings: taken.append((pairs[0][0].geometry.dimension, len(pairs), settings.method))
    )
    assert not kernel_cache.is_complete()
    compile_all.compile_all()
    assert kernel_cache.is_complete() and cache in kernel_cache.folder().parents
    assert {(d, count > 1, method) for d, count, method in taken} == {
        (d, *how) for d in (2, 3) for how in ((False, "robust"), (True, "robust"), (False, "comb"))
    }


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
    assert kernel_cache.folder() is None and not kernel_cache.is_complete()
    kernel_cache.note_complete()
    assert not list(cache.iterdir())


def test_folder_that_can_not_be_made_is_none(cache, monkeypatch):
    (cache / "MetaAffineReg").write_text("a file")
    (cache / "Library").write_text("a file")
    assert kernel_cache.folder() is None
