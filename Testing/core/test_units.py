"""Units of work: what is held at a time, what is computed together, and an end in the middle."""

import threading
import weakref
from collections import Counter

import numpy as np
import pytest

from core.made_images import affine, distance, lattice, made
from MetaAffineRegCLI.jobs import BatchFolder, Job, Pair
from MetaAffineRegCLI.transform_files import read_transform
from MetaAffineRegCLI.units import register_unit, registered
from MetaAffineRegLib import registration
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.registration import Settings

SMALL = lattice((24, 20, 1), (2.0, 2.0, 1.0))
FIXED, MOVING = made(SMALL), made(SMALL, affine(4, (2, 0, 0)))
HOW = Settings(method="plain", freedom="rigid", backend="torch", device="cpu")


def jobs(count, read=lambda: Pair(FIXED, MOVING)):
    return [Job(f"{number:02d}", "fixed", "moving", read) for number in range(count)]


@pytest.fixture
def folder(tmp_path):
    return BatchFolder(tmp_path)


@pytest.mark.parametrize(("overlap", "most"), [(True, 5), (False, 2)])
def test_pairs_held_at_a_time_do_not_grow_with_the_table(folder, overlap, most):
    """Units of two pairs; at most five of them, or two where nothing overlaps, and the pair that is being read."""
    alive, peaks = weakref.WeakSet(), []

    class Held(Pair):
        __hash__ = object.__hash__

    def read():
        pair = Held(FIXED, MOVING)
        alive.add(pair)
        peaks.append(len(alive))
        return pair

    todo = jobs(24, read)
    lines = [line for found in registered((todo[k : k + 2] for k in range(0, 24, 2)), HOW, folder, overlap) for line in found]
    assert [line["id"] for line in lines] == [job.id for job in todo]
    assert 2 <= max(peaks) <= 2 * most + 1


def test_parts_are_as_large_as_is_computed_at_once(folder, monkeypatch):
    """Five pairs where two are computed at once; the transforms are the same but for rounding."""
    monkeypatch.setattr(registration, "pairs_at_once", lambda dimension, settings: 2)
    whole, sizes = registration.compute, []
    monkeypatch.setattr(registration, "compute", lambda batch, *more: sizes.append(len(batch.pairs)) or whole(batch, *more))
    assert [line["done"] for line in register_unit(jobs(5), HOW, folder)] == ["yes"] * 5
    assert sizes == [2, 2, 1]
    found = [read_transform(folder.transform(job.id)) for job in jobs(5)]
    np.testing.assert_allclose(found, [found[0]] * 5, atol=1e-8)
    assert distance(found[0], affine(4, (2, 0, 0)), SMALL) < 0.2


def test_unit_done_twice_leaves_the_same_files(folder):
    register_unit(jobs(3), HOW, folder)
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    register_unit(jobs(3), HOW, folder)
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
    assert list(before) and all(name.endswith(".tfm") for name in before)


def test_run_that_is_left_ends_its_threads_in_the_middle_of_a_computation(folder, monkeypatch):
    """What is computed is told to end, not waited for."""
    whole, seen = registration.compute, Counter()

    def compute(batch, report):
        seen["begun"] += 1
        try:
            while seen["begun"] > 1:
                report("", 0.0)
        except BaseException as error:
            seen[type(error).__name__] += 1
            raise
        return whole(batch, report)

    monkeypatch.setattr(registration, "compute", compute)
    lines = registered(([job] for job in jobs(9)), HOW, folder)
    next(lines)
    lines.close()
    assert seen["begun"] <= 2 and seen["Cancelled"] == seen["begun"] - 1
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_folder_that_is_gone_ends_the_run_with_a_sentence(tmp_path):
    with pytest.raises((InputError, OSError)):
        register_unit(jobs(1), HOW, BatchFolder(tmp_path / "gone"))
