"""``benchmark speed``: its made pairs are moved as they say, its limits are those of the machine, and each part gives a table."""

import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import benchmark
import rivals
import speed
import speed_processes
import speed_registration
import speed_rivals
from scoring import KnownPair, errors, read_pairs
from speed_ceilings import MEAN_SQUARES, WORK, Ceilings, measured_ceilings, seconds_of
from speed_evaluation import GROWTH_SIDES, TERMS, criterion, exponent, images_on_a_grid, measure
from speed_sizes import SIZES, Size, made_pairs, random_maps

from MetaAffineRegCLI.image_files import resample
from MetaAffineRegLib.affine import angle, nearest_rotation
from MetaAffineRegLib.registration import Settings, register

CPU = torch.device("cpu")
SMALL = Size(48, 2)


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    """Those of a slow machine, so that none has to be measured."""
    monkeypatch.setattr(speed, "measured_ceilings", lambda device: Ceilings(1e9, 2e9))


def section(tmp_path, *words):
    """The rows of the table that a part writes, cell by cell, without its head."""
    results = tmp_path / "R.md"
    assert benchmark.main(["speed", "--results", str(results), *words]) == 0
    lines = [line for line in results.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[1:]]


@pytest.mark.parametrize("name", SIZES)
def test_sizes_by_their_names(name):
    size = Size.named(name)
    assert str(size) == name and size.samples == eval(name.replace("^", "**"))
    assert len(size.shape) == size.dimension


@pytest.mark.parametrize("dimension", [2, 3])
def test_maps_turn_by_at_most_a_radian(dimension):
    x = random_maps(200, dimension, 3)
    turned = angle(nearest_rotation(x[..., :-1]))
    assert 0.8 < float(turned.max()) < 1.2
    assert float(torch.linalg.det(x[..., :-1]).min()) > 0.5


@pytest.mark.parametrize("size", [Size(64, 2), Size(32, 3)], ids=str)
def test_made_pairs_are_moved_by_their_truth(size):
    """Laid on the fixed image by the truth, the moving one explains it better than by a map that is one sample off.

    The median of three pairs: one has much that leaves the image.
    """

    def squares(pair: KnownPair, shift: Sequence[float]) -> float:
        off = pair.truth.copy()
        off[:3, 3] += shift
        return float(((resample(pair.moving, pair.fixed, off) - pair.fixed.array) ** 2).mean())

    pairs = list(made_pairs(size, 3))
    for axis in range(size.dimension):
        for step in (-1, 1):
            assert np.median([squares(pair, step * np.eye(3)[axis]) / squares(pair, (0, 0, 0)) for pair in pairs]) > 1.2


def test_limit_is_the_slower_of_memory_and_arithmetic():
    assert Ceilings(8e9, 1e15).evaluation(1000, 2, False) == pytest.approx(1e-6)
    assert Ceilings(1e15, 36e9).evaluation(1000, 2, False) == pytest.approx(1e-6)
    assert Ceilings(1e15, 112e9).evaluation(1000, 3, True) == pytest.approx(1e-6)
    assert Ceilings(16e9, 1e15).evaluation(1000, 2, False, "content left unexplained") == pytest.approx(1e-6)
    assert Ceilings(2e9, 1e15).evaluation(1000, 2, False, at_once=4) == pytest.approx(1e-6)


@pytest.mark.parametrize("d", [2, 3])
def test_every_criterion_has_a_limit_above_that_of_mean_squares(d):
    assert {name for name, dimension in WORK if dimension == d} == set(TERMS)
    plain = WORK[MEAN_SQUARES, d]
    assert all(all(more >= less for more, less in zip(WORK[name, d], plain, strict=True)) for name in TERMS)


def test_ceilings_of_this_machine_are_those_of_a_computer():
    found = measured_ceilings(CPU)
    assert 5e8 < found.bandwidth < 5e12
    assert 1e9 < found.arithmetic < 1e14


def test_time_of_a_call_is_the_shortest(monkeypatch):
    """The first call warms up and does not count; the clock is read before and after each of the others."""
    calls, clock = [], iter([10, 13, 20, 22, 30, 34, 40, 45])
    monkeypatch.setattr("speed_ceilings.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert seconds_of(lambda: calls.append(None), CPU, budget=10) == 2
    assert len(calls) == 5


def test_exponent_of_a_law():
    assert exponent([1, 10, 100], [3.0, 3.0 * 10**1.5, 3000.0]) == pytest.approx(1.5)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("curved", [False, True])
def test_evaluations_are_measured_on_every_backend(backend, curved, monkeypatch):
    monkeypatch.setattr("speed_evaluation.seconds_of", lambda work, device: len(work()))
    images = images_on_a_grid(SMALL, CPU)
    for term in TERMS.values():
        every = criterion(images, backend, term)
        found = measure(every, 2, curved, CPU)
        assert (found.one, found.at_once) == (2 + curved, 64)


def test_table_of_pairs_says_time_success_and_limit(tmp_path, monkeypatch):
    words = ("--sizes", "128^2", "--backends", "numba", "--pairs-2d", "3", "--parts")
    ((size, backend, count, milliseconds, right, evaluations, over),) = section(tmp_path, *words, "batch")
    assert (size, backend, count) == ("128^2", "numba", "3") and right.startswith("100.0 %")
    limit = float(evaluations) * Ceilings(1e9, 2e9).evaluation(128**2, 2, False)
    assert float(over) == pytest.approx(float(milliseconds) / 1000 / limit, rel=0.1)
    ((_, _, count, *_),) = section(tmp_path, *words, "pair")
    assert count == "1"


def test_growth_is_fitted_for_images_and_batches(tmp_path, monkeypatch):
    monkeypatch.setitem(GROWTH_SIDES, 2, (32, 64))
    monkeypatch.setattr(speed_registration, "register", lambda pairs, settings: [sum(range(20_000 * len(pairs)))])
    words = ("--sizes", "128^2", "--backends", "numba", "--pairs-2d", "4", "--parts", "growth")
    images, batches = section(tmp_path, *words)
    assert images[:3] == ["numba", "evaluation, over samples (2D)", "1024, 4096"]
    assert batches[2] == "1, 4" and float(batches[4]) == pytest.approx(1, abs=0.4)


def test_memory_of_a_pair_is_what_more_pairs_take(monkeypatch):
    """The median of processes that differ."""
    peaks = {"1": 100_000_000, "128": 227_000_000}
    more = cycle((0, 0, 90_000_000))
    monkeypatch.setattr(speed_processes, "_asked", lambda *words: {"bytes": peaks[words[-1]] + next(more)})
    ((*_, each),) = speed_processes.memory_rows([Size(128, 2)], ["numba"], "cpu")
    assert float(each) == pytest.approx(1.0)


def test_start_up_is_measured_in_a_process_of_its_own():
    found = speed_processes._asked("start", "cpu")
    assert next(iter(found)) == "import of torch" and all(0 < seconds < 300 for seconds in found.values())
    assert found["second registration"] <= found["first registration, 128^2"]


def test_other_programs_get_pairs_whose_truth_fits(tmp_path):
    pairs = list(made_pairs(Size(128, 2), 2))
    speed_rivals.write_pairs(pairs, tmp_path / "128^2", 2)
    read = read_pairs(tmp_path / "128^2", None)
    results = register([(pair.fixed, pair.moving) for pair in read], Settings(device="cpu"))
    assert errors(read, [result.fixed_to_moving_lps for result in results]).right.all()


def test_run_without_the_other_programs_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(rivals, "is_set_up", lambda: False)
    assert section(tmp_path, "--parts", "rivals") == []
    assert "is not there" in (tmp_path / "R.md").read_text()


@pytest.mark.parametrize("words", [("--pairs-2d", "0"), ("--threads", "-1"), ("--device", "cuda", "--backends", "numba")])
def test_what_can_not_be_measured_is_refused(tmp_path, words, capsys):
    assert benchmark.main(["speed", "--results", str(tmp_path / "R.md"), *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "R.md").exists()
