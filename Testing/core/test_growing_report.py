"""The report of a batch that runs: lines are appended, the last one of a row counts, none is read that was cut off."""

from MetaAffineRegCLI.report_table import GrowingReport, failed_line, read_report


def line(row, done="yes", **others):
    return {"id": row, "done": done, "message": "", **others}


def test_lines_are_in_the_file_as_soon_as_they_are_appended(tmp_path):
    report = GrowingReport(tmp_path / "r.csv", lambda line: True)
    assert read_report(tmp_path / "r.csv") == {} and len(report) == 0
    report.append([line("b", notes='one, two; "three"'), line("a", status="ok")])
    report.append([failed_line("c", "Not\nthis\r\none.")])
    assert list(read_report(tmp_path / "r.csv")) == ["b", "a", "c"] and len(report) == 3
    assert report["b"]["notes"] == 'one, two; "three"' and report["a"]["status"] == "ok"
    assert report["c"]["message"] == "Not this  one."
    assert report["a"] == read_report(tmp_path / "r.csv")["a"]


def test_order_of_the_table_and_one_line_a_row(tmp_path):
    report = GrowingReport(tmp_path / "r.csv", lambda line: True)
    report.append([line("b"), line("a", "no"), line("c")])
    report.append([line("a", status="ok")])
    report.put_in_order("abcd")
    assert [text.split(",")[:2] for text in (tmp_path / "r.csv").read_text().splitlines()[1:]] == [["a", "yes"], ["b", "yes"], ["c", "yes"]]
    report.append([line("d")])
    assert [report[row]["id"] for row in "abcd"] == list("abcd")


def test_line_that_was_cut_off_is_not_taken_for_one(tmp_path):
    report = GrowingReport(tmp_path / "r.csv", lambda line: True)
    report.append([line("a", status="ok"), line("b", status="ok")])
    whole = (tmp_path / "r.csv").read_bytes()
    (tmp_path / "r.csv").write_bytes(whole[:-4])
    report = GrowingReport(tmp_path / "r.csv", lambda line: line["done"] == "yes")
    assert "a" in report and "b" not in report
    report.append([line("b", status="ok")])
    assert (tmp_path / "r.csv").read_bytes() == whole


def test_only_lines_that_stay_are_taken_over(tmp_path):
    GrowingReport(tmp_path / "r.csv", lambda line: True).append([line("a"), line("b", "no"), line("c")])
    assert GrowingReport(tmp_path / "r.csv", lambda line: line["done"] == "yes")["c"]["done"] == "yes"
    assert list(read_report(tmp_path / "r.csv")) == ["a", "c"]
