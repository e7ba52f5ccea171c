"""``benchmark networks``: which plan each network runs, what is counted, and that it registers in earnest."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.made_files import write_task
from core.made_images import lattice
from core.test_benchmark_poses import cells, command
from MetaAffineRegLib import checkpoint
from MetaAffineRegLib.initializer import Initializer, InitializerConfig
from MetaAffineRegLib.plans import PLANS
from MetaAffineRegLib.stages import Stages

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import networks

GEOMETRY = lattice((40, 40, 1), (3.0, 3.0, 3.0))


@pytest.fixture
def tasks(tmp_path):
    """Two tasks of three pairs each."""
    for name in ("plain", "plain-contrast"):
        write_task(tmp_path / name, GEOMETRY, [5, -10, 15], (4, -3, 0))
    return tmp_path


def test_a_row_for_no_network_and_two_for_each(tasks, monkeypatch):
    ran = []

    def planned(pairs, plan, device, model):
        ran.append((model, plan))
        return SimpleNamespace(errors=SimpleNamespace(right=np.array([True, model is not None, plan.unlearned is not None])))

    monkeypatch.setattr(networks, "run_plan", planned)
    code, lines = command(networks, "--data", tasks, "--tasks", "plain", "plain-contrast", "--models", "heads")
    assert code == 0
    table = [cells(line) for line in lines[4:]]
    assert [line[:2] for line in table] == [
        ["none", "-"],
        ["`general-2d`, alone", "unexplained content"],
        ["`general-2d`, beside", "unexplained content"],
        ["`heads`, alone", "mean squares"],
        ["`heads`, beside", "mean squares"],
    ]
    assert [line[2].split(" %")[0] for line in table] == ["66.7", "66.7", "100.0", "66.7", "100.0"]
    assert [plan.coarse for _, plan in ran] == [PLANS[look, 2].coarse for look in ("intensities", "edges")] * 5
    assert not any(plan.corrects for _, plan in ran) and all(plan.learned and plan.reads_all for _, plan in ran)


@torch.no_grad()
def test_in_space_a_network_leads_whatever_it_has_learned_from(tmp_path, monkeypatch):
    write_task(tmp_path / "v-contrast", lattice((20, 20, 20), (6.0, 6.0, 6.0)), [10], (4, -3, 0))
    network = Initializer(InitializerConfig(3, (12, 24), steps=2, data_term="unexplained_content"))
    checkpoint.save(tmp_path / "other.pt", network, {"task": "made"})
    led, original = [], Stages.led

    def watched(stages, found, network):
        led.append(network.config.data_term)
        return original(stages, found, network)

    monkeypatch.setattr(Stages, "led", watched)
    code, lines = command(networks, "--data", tmp_path, "--tasks", "v-contrast", "--models", tmp_path / "other.pt")
    assert code == 0 and led == ["content_and_gradients", "unexplained_content"]
    assert [cells(line)[0] for line in lines[4:]] == ["none", "`general-3d`, alone", "`other`, alone"]


def test_network_of_another_dimension_is_refused(tasks, capsys):
    code, lines = command(networks, "--data", tasks, "--tasks", "plain", "--models", "general-3d")
    assert code == 2 and lines == []
    assert "is for 3 dimensions and the images have 2" in capsys.readouterr().err


def test_registers_in_earnest(tasks):
    code, lines = command(networks, "--data", tasks, "--tasks", "plain", "--first", "1")
    assert code == 0
    assert [cells(line)[2].split(" %")[0] for line in lines[4:]] == ["100.0"] * 3
