"""``benchmark terms``: what it counts, on results of a known distance from the truth, and that it registers in earnest."""

import sys
from pathlib import Path

import pytest

from core.made_files import write_task
from core.made_images import lattice
from core.test_benchmark_command import outcome_of
from core.test_benchmark_poses import cells, command

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import terms

GEOMETRY = lattice((40, 40, 1), (3.0, 3.0, 3.0))


@pytest.fixture
def tasks(tmp_path):
    """Two tasks of three pairs each."""
    for name in ("plain", "contrast"):
        write_task(tmp_path / name, GEOMETRY, [5, -10, 15], (4, -3, 0))
    return tmp_path


@pytest.fixture
def stand_ins(monkeypatch):
    """Results that are so many px off by data term and task."""
    off = {"edges": {"plain": [0, 0, 5], "contrast": [0, 0, 0]}, "auto": {"plain": [0, 0, 5], "contrast": [0, 5, 5]}}
    said = ["ok", "failed", "failed"]

    def measured(pairs, run, device, label):
        return outcome_of(pairs, off.get(run.data_term, {}).get(label, [5, 5, 5]), status=said, probability=[0.9, 0.1, 0.1])

    monkeypatch.setattr(terms, "measure", measured)


def test_rows_count_right_and_flagged_results_of_each_data_term(tasks, stand_ins):
    code, lines = command(terms, "--data", tasks, "--tasks", "plain", "contrast")
    assert code == 0
    table = {cells(line)[0]: cells(line)[1:] for line in lines[4:10]}
    assert list(table) == ["auto", "intensities", "edges", "correlation", "local-correlation", "mutual-information"]
    assert table["auto"][0].startswith("66.7 %") and table["auto"][1].startswith("33.3 %")
    assert table["auto"][2:] == ["3 of 3", "1 of 3", "12, 12"]
    assert table["edges"][1].startswith("100.0 %") and table["edges"][2:4] == ["1 of 1", "3 of 5"]
    assert lines[11] == "Ahead of auto: edges on contrast by 2."


def test_where_no_term_is_ahead_that_is_said(tasks, stand_ins):
    _, lines = command(terms, "--data", tasks, "--tasks", "plain")
    assert lines[11] == "No single term is ahead of auto on any task."


def test_folder_without_pairs_is_refused_before_anything_runs(tasks, stand_ins, capsys):
    code, lines = command(terms, "--data", tasks, "--tasks", "plain", "nothing")
    assert code == 2 and lines == []
    assert "make the pairs of this task first" in capsys.readouterr().err


def test_registers_in_earnest(tasks):
    """Of one pair every term makes something of the moved copy."""
    code, lines = command(terms, "--data", tasks, "--tasks", "plain", "--first", "1")
    assert code == 0
    assert [cells(line)[1].split(" %")[0] for line in lines[4:10]] == ["100.0"] * 6
