"""``benchmark``: each word runs its module and replaces its section of the results, and nothing else."""

import sys
from pathlib import Path

import pytest

from MetaAffineRegLib.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import benchmark

MARKED = "# Results\n\n<!-- range: begin -->\nold\n<!-- range: end -->\n\nbetween\n\n<!-- tables: begin -->\n<!-- tables: end -->\nafter\n"


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "R.md"
    path.write_text(MARKED)
    return path


def run(monkeypatch, results, name, lines):
    """Exit code of a word whose module gives these lines, or raises them."""
    module = benchmark.BENCHMARKS[name][0]

    def told(arguments):
        if isinstance(lines, Exception):
            raise lines
        return lines

    monkeypatch.setattr(module, "run", told)
    return benchmark.main([name, "--data", "anywhere", "--results", str(results)])


def test_section_is_replaced_and_the_rest_stays(monkeypatch, results):
    assert run(monkeypatch, results, "range", ["new", "µ"]) == 0
    assert results.read_text(encoding="utf-8") == MARKED.replace("\nold\n", "\n\nnew\nµ\n\n")
    assert run(monkeypatch, results, "range", ["newer"]) == 0
    assert results.read_text(encoding="utf-8") == MARKED.replace("\nold\n", "\n\nnewer\n\n")


def test_empty_section_is_filled(monkeypatch, results):
    assert run(monkeypatch, results, "tables", ["| a |"]) == 0
    assert results.read_text() == MARKED.replace("tables: begin -->\n", "tables: begin -->\n\n| a |\n\n")


def test_section_may_have_another_name(monkeypatch, results):
    """So that one word can fill two sections, with other pairs."""
    monkeypatch.setattr(benchmark.BENCHMARKS["range"][0], "run", lambda arguments: ["new"])
    assert benchmark.main(["range", "--data", "anywhere", "--results", str(results), "--section", "tables"]) == 0
    assert results.read_text() == MARKED.replace("tables: begin -->\n", "tables: begin -->\n\nnew\n\n")


def test_section_without_marks_is_appended(monkeypatch, tmp_path):
    assert run(monkeypatch, tmp_path / "new.md", "range", ["a"]) == 0
    assert (tmp_path / "new.md").read_text() == "\n<!-- range: begin -->\n\na\n\n<!-- range: end -->\n"


def test_bad_input_leaves_the_results_alone(monkeypatch, results, capsys):
    assert run(monkeypatch, results, "tables", InputError("There are no pairs; make some.")) == 2
    assert capsys.readouterr().err == "error: There are no pairs; make some.\n"
    assert results.read_text() == MARKED


def test_results_in_a_folder_that_is_missing_are_refused(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, tmp_path / "no" / "R.md", "range", ["a"]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("word", sorted(benchmark.BENCHMARKS))
def test_every_word_has_a_section_in_the_results_and_its_command(word):
    text = benchmark.RESULTS.read_text(encoding="utf-8")
    assert text.count(f"<!-- {word}: begin -->") == text.count(f"<!-- {word}: end -->") == 1
    assert f"run.py benchmark {word}" in text


@pytest.mark.parametrize("word", sorted(set(benchmark.BENCHMARKS) - {"panel", "speed"}))
def test_every_word_but_the_panel_and_speed_needs_data(word, capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmark.main([word])
    assert "--data" in capsys.readouterr().err
