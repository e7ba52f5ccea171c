"""``benchmark tables`` and ``range``: what they count, what they write and what they refuse.

The runs are stood in for by results of a known distance from the truth, so that every number of a table can be told beforehand;
one test registers in earnest.
"""

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK

from core.made_files import write_task
from core.made_images import affine, lattice
from MetaAffineRegCLI.console import run_command
from MetaAffineRegLib.plans import PLANS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import ablation
import capture_range
import judgement
import measuring
import paper
import pictures
import tables
from measuring import Outcome, Run, measure
from planned import DEFAULT
from scoring import errors, read_pairs

GEOMETRY = lattice((40, 40, 1), (3.0, 3.0, 3.0))
SOLID = lattice((12, 12, 12), (9.0, 9.0, 9.0))


def make_task(folder, turns):
    """A pair for each rotation, degrees."""
    write_task(folder, GEOMETRY, turns, (4, -3, 0))


def result(transform, status=None, probability=None, model=None, after=0.5):
    return SimpleNamespace(
        fixed_to_moving_lps=transform, criterion_before=1.0, criterion_after=after, status=status, probability=probability, model=model
    )


def outcome_of(pairs, shifts, **told):
    """What comes out when the result of each pair is ``shifts`` px off; ``told`` are lists of what a result says, one entry a pair."""
    transforms = [affine(shift=(3.0 * shift, 0, 0)) @ pair.truth for pair, shift in zip(pairs, shifts, strict=True)]
    said = [dict(zip(told, values, strict=True)) for values in zip(*told.values(), strict=True)] or [{}] * len(pairs)
    return Outcome(
        [result(transform, **each) for transform, each in zip(transforms, said, strict=True)],
        errors(pairs, transforms),
        12.0,
    )


def stand_in_for_runs(monkeypatch):
    """Methods whose results are a known number of pixels off, whatever the images; the list of runs that will have been asked for."""
    asked = []

    def measured(pairs, run, device, label):
        asked.append(run)
        shift = {"plain": 5.0, "learn": 2.0, "comb": 0.5, "robust": 0.1}[run.method] + (0.25 if run.outside == "zero" else 0)
        count = len(pairs)
        told = {"model": [run.model or ("general" if run.method == "robust" else None)] * count}
        if run.method == "robust":
            told |= {"status": ["ok"] * count, "probability": [0.9] * count}
        return outcome_of(pairs, [shift] * count, **told)

    monkeypatch.setattr(tables, "measure", measured)
    monkeypatch.setattr(capture_range, "measure", measured)
    return asked


@pytest.fixture
def stand_in(monkeypatch):
    return stand_in_for_runs(monkeypatch)


def start_of(pairs):
    return errors(pairs, [pair.start for pair in pairs])


def run(module, tmp_path, *words):
    """Lines of a benchmark whose pairs are in ``tmp_path``; its exit code where it is not 0."""
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    lines = []

    def command(arguments):
        arguments.results = tmp_path / "R.md"
        lines.extend(module.run(arguments))
        return 0

    words = ["--data", tmp_path, *words]
    code = run_command(parser, command, list(map(str, words)))
    return lines if code == 0 else code


def cells(lines, *first):
    """The cells of the only row that begins with ``first``."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    (found,) = [row for row in rows if row[: len(first)] == list(first)]
    return found[len(first) :]


def section(lines, title):
    """The lines under a title, to the next one."""
    start = next(k for k, line in enumerate(lines) if line.startswith("#") and title in line) + 1
    end = next((k for k in range(start, len(lines)) if lines[k].startswith("#")), len(lines))
    return lines[start:end]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lines of ``tables`` for three tasks, the folder they were written in, and the runs."""
    folder = tmp_path_factory.mktemp("tables")
    for task in ("hands", "mri-affine", "mri-180"):
        make_task(folder / task, (10, -40, 55))
    with pytest.MonkeyPatch.context() as monkeypatch:
        asked = stand_in_for_runs(monkeypatch)
        lines = run(tables, folder, "--tasks", "hands", "mri-affine", "mri-180", "--pictures", folder / "worst")
    return SimpleNamespace(lines=lines, folder=folder, asked=asked)


@pytest.fixture
def written(whole):
    return whole.lines


def test_summary_has_a_row_a_method(written):
    summary = section(written, "All tasks")
    mse4 = [f"{4 * (shift / 20) ** 2:.2g}" for shift in (5, 2, 0.5, 0.1)]  # a half width is 20 samples
    for method, model, off, expected in zip(
        ("plain", "learn", "comb", "robust"), ("-", "mri", "mri", "general"), (5, 2, 0.5, 0.1), mse4, strict=True
    ):
        right = "100.0 % (43.9 .. 100.0)" if off < 1 else "0.0 % (0.0 .. 56.1)"
        row = cells(summary, "mri-180", method, model)
        assert row == [expected, expected, expected, f"{off:.2g}", "0", f"{off / 20:.2g}", right, "100.0 %" if off < 3 else "0.0 %", "12"]
    assert cells(summary, "hands", "FAIR \\*")[-3] == "73 %"


def test_paper_s_figures_stand_left_of_ours(written):
    table = section(written, "Table 1")
    zero = f"{4 * (0.75 / 20) ** 2:.2g}"
    assert cells(table, "hands", "comb", "hands-onelevel", "zero") == ["0.02", zero, "0.00", zero, "0.23", zero, "100.0 %"]
    assert cells(table, "hands", "elastix") == ["-", "-", "0.22", "-", "0.00", "-", "3.53", "-", "78 % \\*"]
    assert cells(table, "hands", "robust", "general", "overlap")[0] == "-"
    assert cells(section(written, "Table 4"), "hands", "plain", "-", "overlap")[:4] == ["0.15", "0.25", "0.13", "0.25"]


def test_task_that_was_not_measured_has_the_paper_s_figures_alone(written):
    assert cells(section(written, "Table 5"), "brain-affine", "comb") == ["-", "-", "0.04", "-", "0.00", "-", "0.56", "-", "-"]
    assert cells(section(written, "Table 6"), "mri", "learn") == ["-", "-", "0.49", "-", "0.07", "-", "7.85", "-", "-"]
    assert cells(section(written, "Table 2"), "hands", "brain", "comb") == ["-", "-", "1.43", "-", "0.22", "-", "17.26", "-", "-"]


def test_transfer_names_the_model_of_the_other_task(whole):
    row = cells(section(whole.lines, "Table 2"), "mri", "hands", "comb", "mri-onelevel", "zero")
    assert row[0::2] == ["0.84", "0.16", "7.02", "100.0 %"]
    assert Run("robust", "mri") in whole.asked and Run("robust", "hands") not in whole.asked


def test_every_printed_figure_is_in_the_tables(written):
    text = "\n".join(written)
    for table in (paper.TABLE_1, paper.TABLE_2, paper.TABLE_3, paper.TABLE_4, paper.TABLE_5, paper.TABLE_6):
        assert all(f" {figure:.2f} " in text for triple in table.values() for figure in triple if figure is not None)


def test_plots_are_small_and_worst_pairs_stay_out_of_their_folder(whole):
    plots = {path.name: path.stat().st_size for path in (whole.folder / "Pictures").iterdir()}
    assert set(plots) == {"mse4.png", "eps.png", "transfer.png", "reliability.png"}
    assert max(plots.values()) < 200_000
    assert all(f"(Pictures/{name})" in "\n".join(whole.lines) for name in plots)
    assert {path.name for path in (whole.folder / "worst").iterdir()} == {"worst-hands.png", "worst-mri-affine.png", "worst-mri-180.png"}


def test_first_takes_the_first_pairs(tmp_path, stand_in):
    make_task(tmp_path / "mri-180", (0, 20, 40, 60))
    lines = run(tables, tmp_path, "--tasks", "mri-180", "--first", 2, "--pictures", tmp_path / "worst")
    assert lines[0].startswith("2 pairs a task;")


@pytest.fixture
def four_pairs(tmp_path):
    make_task(tmp_path / "mri", (5, 5, 5, 40))
    return read_pairs(tmp_path / "mri")


def test_flags_are_counted_among_right_and_wrong_results(four_pairs):
    """One at 0.2 px is flagged for nothing; those at 9 and 30 px are worse than doing nothing, and only the first of them says so."""
    outcome = outcome_of(
        four_pairs, (0.1, 0.2, 9.0, 30.0), status=["ok", "ambiguous", "failed", "ok"], after=[0.5, 0.5, 1.5, 0.5], probability=[0.9] * 4
    )
    lines = list(judgement.flags({"mri": outcome}, {"mri": start_of(four_pairs)}))
    expected = ["1", "1", "1", "0", "0", "1", "50.0 % (9.5 .. 90.5)", "50.0 % (9.5 .. 90.5)", "2", "1", "1"]
    assert cells(lines, "mri") == expected == cells(lines, "all")


def test_nothing_wrong_leaves_a_dash(four_pairs):
    lines = list(judgement.flags({"mri": outcome_of(four_pairs, (0.1,) * 4, status=["ok"] * 4)}, {"mri": start_of(four_pairs)}))
    assert cells(lines, "mri")[6] == "-"


def test_results_without_a_probability_are_left_out(four_pairs, tmp_path):
    outcome = outcome_of(four_pairs, (0.1, 0.1, 9.0, 9.0), status=["ok"] * 4, probability=[0.95, None, 0.95, 0.25])
    lines = list(judgement.probabilities(tmp_path, {"all tasks": [outcome], "none": []}))
    assert lines[0] == "- all tasks: calibration error 0.383, 3 results with a probability"  # (2 x 0.45 + 0.25) / 3
    assert cells(lines, "all tasks", "0.9 .. 1.0")[:2] == ["2", "0.950"]
    assert (tmp_path / "reliability.png").is_file()


def test_range_counts_by_the_true_rotation(tmp_path, stand_in):
    make_task(tmp_path / "mri-180", (3, -14, 16, -179.5, 180))
    lines = run(capture_range, tmp_path)
    assert cells(lines, "0 .. 15")[0] == "2" and cells(lines, "15 .. 30")[0] == "1" and cells(lines, "165 .. 180")[0] == "2"
    assert cells(lines, "30 .. 45") == ["0", "-", "-", "-"]
    assert cells(lines, "all") == ["5", "0.0 % (0.0 .. 43.4)", *["100.0 % (56.6 .. 100.0)"] * 2]
    assert "comb (mri)" in lines[2] and "robust (general)" in lines[2]
    assert (tmp_path / "Pictures" / "range.png").stat().st_size < 200_000


def test_rotation_on_an_edge_counts_above_it_and_the_last_bin_is_closed():
    counts = capture_range.by_rotation(np.array([0.0, 14.999, 15.0, 180.0]), np.array([True, False, True, True]))
    assert counts[0] == (1, 2) and counts[1] == (1, 1) and counts[-1] == (1, 1)
    assert sum(count for _, count in counts) == 4


def test_worst_pair_is_shown_with_its_result_and_its_truth(four_pairs, tmp_path):
    pictures.draw_worst(tmp_path / "w.png", [pictures.Case(pair, pair.truth, pair.id) for pair in four_pairs[:2]])
    right = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "w.png")))[..., :3]
    pictures.draw_worst(tmp_path / "w.png", [pictures.Case(pair, np.eye(4), pair.id) for pair in four_pairs[:2]])
    wrong = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "w.png")))[..., :3]
    changed = np.flatnonzero((right != wrong).any((0, 2))) * 5 // right.shape[1]
    assert set(changed) == {2, 4}  # of five columns: the result and the difference


def test_pairs_that_are_shown_are_the_worst(tmp_path, monkeypatch):
    make_task(tmp_path / "mri-180", (5,) * 6)
    shifts = (3.0, 0.1, 0.3, 7.0, 0.2, 0.4)
    told = {"status": ["ok"] * 6, "probability": [0.5] * 3 + [None] * 3}
    monkeypatch.setattr(tables, "measure", lambda pairs, run, device, label: outcome_of(pairs, shifts, **told, model=[run.model] * 6))
    captions = []
    monkeypatch.setattr(pictures, "draw_worst", lambda path, cases: captions.extend(case.caption for case in cases))
    run(tables, tmp_path, "--tasks", "mri-180", "--pictures", tmp_path / "worst")
    assert captions == ["3: 7 px, ok", "0: 3 px, ok, probability 0.50", "5: 0.4 px, ok", "2: 0.3 px, ok, probability 0.50"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data", "nowhere"], "not a folder"),
        (["--tasks", "mri", "brain"], "brain"),
        (["--tasks", "knees"], "no model knees or knees-onelevel"),
        (["--first", "0"], "1 or more"),
    ],
)
def test_unusable_words_are_refused_before_anything_is_computed(tmp_path, stand_in, capsys, words, says):
    for task in ("mri", "knees"):
        make_task(tmp_path / task, (10,))
    assert run(tables, tmp_path, "--pictures", tmp_path / "worst", *(words if "--tasks" in words else ["--tasks", "mri", *words])) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and says in said and said.count("\n") == 1
    assert stand_in == [] and not (tmp_path / "Pictures").exists()


def test_range_without_its_pairs_is_refused(tmp_path, stand_in, capsys):
    assert run(capture_range, tmp_path) == 2
    assert "pairs.csv does not exist" in capsys.readouterr().err


def test_ablation_takes_the_changes_of_the_dimension_and_edges_where_contrasts_differ(tmp_path, monkeypatch):
    write_task(tmp_path / "v-contrast", SOLID, (10,), (4, -3, 0))
    write_task(tmp_path / "v-crop", SOLID, (10,), (4, -3, 0))
    plans, with_network = [], []

    def planned(pairs, plan, device, model=DEFAULT):
        plans.append(plan)
        with_network.append(model)
        return SimpleNamespace(errors=errors(pairs, [pair.truth for pair in pairs]), evaluations=3.0, milliseconds=5.0)

    monkeypatch.setattr(ablation, "run_plan", planned)
    lines = run(ablation, tmp_path, "--tasks", "v-contrast", "v-crop")
    assert cells(lines, "classical: no learned steps, L-BFGS over rigid maps from the same starts") == ["100.0 %", "100.0 %", "3", "5"]
    assert [plan and plan.coarse for plan in plans[6:8]] == [PLANS["edges", 3].coarse, PLANS["intensities", 3].coarse]
    assert {plan.led for plan in plans[8:10]} == {None} and plans[2:6] == [None] * 4
    assert with_network == [DEFAULT] * 4 + [None] * 2 + [DEFAULT] * (len(with_network) - 6)


def test_ablation_of_some_changes_and_of_none_that_there_is(tmp_path, monkeypatch, capsys):
    write_task(tmp_path / "v-crop", SOLID, (10,), (4, -3, 0))
    done = SimpleNamespace(errors=errors(read_pairs(tmp_path / "v-crop"), [np.eye(4)]), evaluations=3.0, milliseconds=5.0)
    monkeypatch.setattr(ablation, "run_plan", lambda pairs, plan, device, model=DEFAULT: done)
    lines = run(ablation, tmp_path, "--tasks", "v-crop", "--changes", "2", "0")
    names = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]
    assert names == [list(ablation.CHANGES_IN_SPACE)[number] for number in (2, 0)]
    assert run(ablation, tmp_path, "--tasks", "v-crop", "--changes", "99") == 2
    assert "--changes holds a number that no row has" in capsys.readouterr().err


def test_ablation_of_slices_and_volumes_at_once_is_refused(tmp_path, capsys):
    make_task(tmp_path / "mri", (10,))
    write_task(tmp_path / "v-crop", SOLID, (10,), (4, -3, 0))
    assert run(ablation, tmp_path, "--tasks", "mri", "v-crop") == 2
    assert "mix slices and volumes" in capsys.readouterr().err


def test_run_in_earnest(tmp_path, capsys):
    """L-BFGS finds small turns to a fraction of a pixel, each pair its own; the time is that of the call."""
    make_task(tmp_path / "mri", (5, -10, 0))
    pairs = read_pairs(tmp_path / "mri")
    outcome = measure(pairs, Run("plain"), "cpu", "mri")
    assert outcome.errors.rms_px.max() < 0.2 < start_of(pairs).rms_px.min()
    assert outcome.milliseconds > 0 and outcome.model is None
    assert "3 pairs, 100.0 % (43.9 .. 100.0) below 1 px" in capsys.readouterr().err
    assert "cpu" in measuring.machine("cpu")
