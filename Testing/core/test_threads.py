"""Shared work is done once and to its end, and torch has its threads again afterwards."""

import itertools
import threading
import time

import pytest
import torch

from core.made_images import affine, distance, lattice, made
from MetaAffineRegLib.errors import Cancelled
from MetaAffineRegLib.registration import Settings, register
from MetaAffineRegLib.threads import allowed, share_out, torch_in_one_thread


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_torch_keeps_to_one_thread_for_a_while():
    with torch_in_one_thread():
        assert torch.get_num_threads() == 1 and allowed() == 3
        with torch_in_one_thread():
            assert torch.get_num_threads() == 1 and allowed() == 3
    assert torch.get_num_threads() == allowed() == 3
    with pytest.raises(ZeroDivisionError), torch_in_one_thread():
        _ = 1 / 0
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_every_part_is_done_once_by_a_thread_that_shares_out_no_further(count):
    done, names, inner = [], set(), []

    def work(first, last):
        done.extend(range(first, last))
        names.add(threading.current_thread().name)
        inner.append(allowed())

    share_out(work, count)
    assert sorted(done) == list(range(count))
    assert set(inner) == ({1} if count > 1 else {3})
    assert (threading.current_thread().name in names) == (count == 1)


def test_small_work_stays_with_the_caller():
    done = []
    share_out(lambda first, last: done.append((first, last, threading.current_thread())), 7, samples=1000)
    assert done == [(0, 7, threading.current_thread())]


def test_nothing_runs_on_after_an_end():
    running, ended = [], threading.Event()

    def work(first, last):
        running.append(first)
        ended.wait(10)
        running.remove(first)

    def check():
        if running:
            raise Cancelled

    started = time.perf_counter()
    with pytest.raises(Cancelled):
        share_out(work, 3, check=check, end=ended.set)
    assert not running and time.perf_counter() - started < 5


def test_what_goes_wrong_in_a_thread_is_told():
    def work(first, last):
        if first:
            raise ValueError("part")

    with pytest.raises(ValueError, match="part"):
        share_out(work, 3)


SLICE = lattice((40, 40, 1), (1.0, 1.0, 1.0))


def pairs(count):
    return [(made(SLICE, seed=seed), made(SLICE, affine(25 * seed, (2, -1, 0)), seed)) for seed in range(count)]


def test_pairs_shared_over_threads_have_the_results_of_each_alone():
    settings = Settings(device="cpu")
    given = pairs(17)
    for shared, (fixed, moving) in zip(register(given, settings), given, strict=True):
        alone = register([(fixed, moving)], settings)[0]
        assert distance(shared.fixed_to_moving_lps, alone.fixed_to_moving_lps, SLICE) < 0.01
        assert shared.status == alone.status


def test_shared_pairs_tell_how_far_they_are_and_can_be_cancelled():
    told, asked = [], itertools.count()
    register(pairs(17), Settings(device="cpu"), progress=lambda stage, fraction: told.append((stage, fraction)))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1 and len({stage for stage, _ in told}) > 3
    with pytest.raises(Cancelled):
        register(pairs(17), Settings(device="cpu"), cancelled=lambda: next(asked) > 2)
    assert torch.get_num_threads() == 3
