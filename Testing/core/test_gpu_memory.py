"""What is done where the memory of the GPU is not enough; the GPU is played by a function that runs out of memory."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.made_images import affine, lattice, made
from MetaAffineRegLib import backends, registration
from MetaAffineRegLib.gpu_memory import IN_SMALLER_BATCHES, ON_CPU, in_parts
from MetaAffineRegLib.registration import Settings, register

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def gpu_for(rows, calls):
    """Work that the GPU has memory for up to ``rows`` at a time."""

    def work(part, device):
        calls.append((tuple(part), device.type))
        if device.type == "cuda" and len(part) > rows:
            raise torch.OutOfMemoryError("made by the test")
        return [10 * row for row in part]

    return work


def test_enough_memory_leaves_everything_as_it_was():
    calls = []
    assert in_parts([3, 4, 5], 2, CUDA, gpu_for(2, calls)) == [(30, ()), (40, ()), (50, ())]
    assert calls == [((3, 4), "cuda"), ((5,), "cuda")]


def test_part_is_halved_until_it_fits():
    calls = []
    done = in_parts(range(5), 5, CUDA, gpu_for(1, calls))
    assert [result for result, _ in done] == [0, 10, 20, 30, 40]
    assert {notes for _, notes in done} == {(IN_SMALLER_BATCHES,)}
    assert {device for _, device in calls} == {"cuda"}


def test_cpu_takes_over_where_one_is_too_much():
    calls = []
    done = in_parts(range(4), 2, CUDA, gpu_for(0, calls))
    assert done == [(row * 10, (ON_CPU,)) for row in range(4)]
    assert [device for _, device in calls].count("cuda") == 2


def test_cpu_without_memory_is_an_error():
    def work(part, device):
        raise torch.OutOfMemoryError("made by the test")

    with pytest.raises(torch.OutOfMemoryError):
        in_parts([0], 1, CPU, work)


@pytest.mark.parametrize("backend", ["auto", "triton"])
def test_registration_goes_on_on_the_cpu_and_says_so(backend, monkeypatch):
    """The results are those of the CPU, also where a backend of the GPU was asked for."""
    grids = registration._grids

    def on_small_gpu(pairs, frames, settings, model, device):
        if device.type == "cuda":
            raise torch.OutOfMemoryError("made by the test")
        return grids(pairs, frames, settings, model, device)

    slices = lattice((48, 48, 1), (2.0, 2.0, 3.0))
    pairs = [(made(slices), made(slices, affine(degrees))) for degrees in (5, 12)]
    expected = register(pairs, Settings(method="plain", device="cpu"))
    monkeypatch.setattr(registration, "choose_device", lambda name: CUDA)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=4 << 30))
    monkeypatch.setattr(registration, "_grids", on_small_gpu)
    monkeypatch.setattr(backends, "_trial", lambda device: None)
    monkeypatch.setattr(backends, "find_spec", lambda name: object())
    monkeypatch.setattr(backends.sys, "platform", "linux")
    results = register(pairs, Settings(method="plain", backend=backend))
    for result, wanted in zip(results, expected, strict=True):
        assert result.notes == (ON_CPU,) and result.device == "cpu"
        np.testing.assert_array_equal(result.fixed_to_moving_lps, wanted.fixed_to_moving_lps)


@pytest.mark.parametrize(("gigabytes", "pairs"), [(80, {2: 2500, 3: 40}), (4, {2: 600, 3: 10})])
def test_gpu_has_more_pairs_at_once_and_no_more_than_it_holds(monkeypatch, gigabytes, pairs):
    monkeypatch.setattr(registration, "choose_device", lambda name: CUDA if name == "cuda" else CPU)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=gigabytes << 30))
    for dimension, least in pairs.items():
        found = registration.pairs_at_once(dimension, Settings(device="cuda"))
        assert least <= found <= 1.4 * least
        assert found > 2 * registration.pairs_at_once(dimension, Settings(device="cpu"))
