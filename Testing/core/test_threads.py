"""Shared work is done once and to its end, and torch has its threads again afterwards."""

import itertools
import threading
import time

import pytest
import torch

from core.made_images import affine, distance, lattice, made
from core.torch_threads import torch_threads
from MetaAffineRegLib.errors import Cancelled
from MetaAffineRegLib.registration import Settings, register
from MetaAffineRegLib.threads import allowed, share_out, torch_in_one_thread


@pytest.fixture(autouse=True)
def three_threads():
    with torch_threads(3):
        yield


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
@pytest.mark.parametrize("watched", [False, True])
def test_every_part_is_done_once_by_a_thread_that_shares_out_no_further(count, watched):
    """The caller does a share of it, unless it watches, and may share out again afterwards."""
    done, names, inner, checked, ended = [], set(), [], [], []

    def work(first, last):
        done.extend(range(first, last))
        names.add(threading.current_thread().name)
        inner.append(allowed())
        time.sleep(0.01)

    share_out(work, count, check=(lambda: checked.append(count)) if watched else None, end=lambda: ended.append(count))
    assert sorted(done) == list(range(count)) and not ended
    assert set(inner) == ({1} if count > 1 else {3}) and allowed() == 3
    assert (threading.current_thread().name in names) == (count == 1 or not watched)
    assert len(names) == min(count, 3)
    assert bool(checked) == watched


def test_the_later_parts_of_many_are_smaller():
    sizes = []
    share_out(lambda first, last: sizes.append((first, last - first)), 1000)
    lengths = [length for _, length in sorted(sizes)]
    assert len(lengths) == 12 and sum(lengths) == 1000
    assert lengths == sorted(lengths, reverse=True) and lengths[-1] < 20 < 100 < lengths[0]


def test_few_samples_are_not_watched():
    """They are done sooner than anybody looks; what is to end them is asked before."""
    checked = []
    share_out(lambda first, last: time.sleep(0.05), 3, check=lambda: checked.append(0), samples=1_000_000)
    assert len(checked) == 1
    with pytest.raises(ZeroDivisionError):
        share_out(lambda first, last: checked.append(first), 3, check=lambda: 1 / 0, samples=1_000_000)
    assert len(checked) == 1


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
    assert allowed() == 3


def test_nothing_is_begun_after_something_went_wrong():
    """In a helper: the parts that are done have ended before it is told, and no others are begun."""
    caller, done, wrong = threading.current_thread(), [], threading.Event()

    def work(first, last):
        if threading.current_thread() is not caller and not wrong.is_set():
            wrong.set()
            raise ValueError("helper")
        wrong.wait(10)
        time.sleep(0.2)
        done.append(first)

    with pytest.raises(ValueError, match="helper"):
        share_out(work, 100)
    so_far = len(done)
    time.sleep(0.3)
    assert len(done) == so_far <= 2


def test_helpers_that_are_busy_elsewhere_are_not_waited_for():
    busy, taken = threading.Event(), []
    other = threading.Thread(target=lambda: share_out(lambda first, last: busy.wait(10), 12, check=lambda: None))
    other.start()
    try:
        time.sleep(0.1)
        started = time.perf_counter()
        share_out(lambda first, last: taken.append((first, last)), 12)
        assert time.perf_counter() - started < 5 and sum(last - first for first, last in taken) == 12
    finally:
        busy.set()
        other.join()


def test_all_have_ended_when_the_caller_goes_wrong():
    caller, running, ended = threading.current_thread(), [], threading.Event()

    def work(first, last):
        if threading.current_thread() is caller:
            while not running:
                time.sleep(0.001)
            raise ValueError("caller")
        running.append(first)
        ended.wait(10)
        running.remove(first)

    with pytest.raises(ValueError, match="caller"):
        share_out(work, 3, end=ended.set)
    assert not running and ended.is_set() and allowed() == 3


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
