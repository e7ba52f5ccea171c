"""Several processes train as one does: the same pairs, the same loss, one checkpoint, any number of them to go on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.made_files import SLICE, write
from core.made_images import made
from MetaAffineRegLib import checkpoint
from MetaAffineRegTrainingLib.distributed import Ranks

ROOT = Path(__file__).resolve().parents[2]
WORDS = [
    "--task",
    "made",
    "--levels",
    "16",
    "--lstm-steps",
    "2",
    "--steps",
    "8",
    "--batch",
    "12",
    "--device",
    "cpu",
    "--save-every",
    "1",
    "--learning-rate",
    "0.01",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "made"
    folder.mkdir()
    for number in range(6):
        write(folder / f"{number}.png", np.round(made(SLICE, seed=number).array), kind=np.uint8)
    return folder.parent


def train(data, output, processes, *words):
    """The loss of each step."""
    launcher = (
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        if processes > 1
        else [sys.executable]
    )
    command = [*launcher, "-m", "MetaAffineRegTrainingCLI.train", *WORDS, "--data", str(data), "--output", str(output), *words]
    folders = [str(ROOT / name) for name in ("MetaAffineReg", "MetaAffineRegTraining")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["loss"] for line in output.with_suffix(".log.jsonl").read_text().splitlines()]


def weights(path):
    return checkpoint.load(path).network.state_dict()


def test_two_processes_have_the_loss_curve_of_one_and_each_can_go_on_for_the_other(data, tmp_path):
    one, two = train(data, tmp_path / "one.pt", 1), train(data, tmp_path / "two.pt", 2)
    assert len(one) == 8 and one[-1] != one[0]
    np.testing.assert_allclose(two, one, rtol=0, atol=2e-6)  # the log has six digits
    for name, tensor in weights(tmp_path / "one.pt").items():
        torch.testing.assert_close(weights(tmp_path / "two.pt")[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_are_the_batch_each_pair_once(count):
    shares = [Ranks(number, count).share(12) for number in range(count)]
    pairs = [pair for first, size in shares for pair in range(first, first + size)]
    assert pairs == list(range(12))
    assert max(size for _, size in shares) - min(size for _, size in shares) <= 1


def test_state_of_one_process_is_taken_up_by_two(data, tmp_path):
    """The state after five of eight steps, made here; the last three by two processes are those of one."""
    from MetaAffineRegTrainingCLI import train as command

    whole = train(data, tmp_path / "one.pt", 1)
    arguments = command.parser().parse_args([*WORDS, "--data", str(data), "--output", str(tmp_path / "two.pt")])
    files, held_out = command.hold_out(command.task_files(data, "made"), 0)
    trainer = command._trainer(arguments, files, held_out)
    for _loss in trainer.steps():
        if trainer.step == 5:
            trainer.save(tmp_path / "two.resume.pt", {}, resumable=True)
            break
    np.testing.assert_allclose(train(data, tmp_path / "two.pt", 2, "--resume"), whole[5:], rtol=0, atol=2e-6)
