"""Stages in threads: order, how far they run ahead, errors and an end."""

import threading
import time

import pytest

from MetaAffineRegCLI.overlapping import ahead, in_turn


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


@pytest.mark.parametrize("stage", [ahead, in_turn])
def test_items_come_in_their_order(stage):
    assert list(stage(range(20))) == list(range(20)) == list(stage(stage(range(20)), 3))
    assert threads() == []


def test_next_items_are_made_while_one_is_used_and_no_more_than_that():
    made = []

    def items():
        for number in range(10):
            made.append(number)
            yield number

    taken = ahead(items(), 2)
    assert next(taken) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]  # one is used, two wait, one has no room yet
    taken.close()
    assert made == [0, 1, 2, 3]


def test_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise KeyError("two")

    taken = ahead(items())
    assert next(taken) == 1
    with pytest.raises(KeyError, match="two"):
        next(taken)
    assert threads() == []


def test_generator_that_is_left_ends_its_thread_and_what_it_read_from():
    ended = []

    def items():
        try:
            while True:
                yield 0
        finally:
            ended.append(threading.current_thread().name)

    taken = ahead(ahead(items()))
    next(taken)
    taken.close()
    assert ended == ["ahead"] and threads() == []
