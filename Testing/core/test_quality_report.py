"""The page of a batch and its pictures, and batches in which a pair goes wrong."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import SimpleITK

from core.made_images import affine, lattice, made
from MetaAffineRegCLI.batch_run import register_jobs
from MetaAffineRegCLI.jobs import BatchFolder, Job, Pair
from MetaAffineRegCLI.quality_report import Entry, write_quality_report
from MetaAffineRegCLI.report_table import failed_line, read_report
from MetaAffineRegCLI.views import plane_views, write_strip
from MetaAffineRegLib import registration
from MetaAffineRegLib.registration import Settings

SLICE = lattice((60, 50, 1), (1.0, 1.2, 1.0))
VOLUME = lattice((20, 16, 12), (2.0, 3.0, 4.0))
VOID = {"input", "img", "meta", "br"}


def line(name, status="ok", probability="0.9", **others):
    return {"id": name, "done": "yes", "message": "", "status": status, "probability": probability, "runner_up": "", **others}


def page(tmp_path, lines, count=None):
    entries = [Entry(f"{one['id']}-fixed", f"{one['id']}-moving", one, tmp_path / f"{one['id']}.jpg") for one in lines]
    write_quality_report(tmp_path / "quality.html", entries, count or len(lines), Settings())
    return (tmp_path / "quality.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Raises AssertionError where a tag is closed that is not the last one opened."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_worst_come_first(tmp_path):
    lines = [
        *(line("sure"), line("fair", probability="0.75"), line("mute", status="", probability="")),
        *(line("two", "ambiguous", "0.4"), failed_line("lost", "lost.png does not exist."), line("wrong", "failed", "0.05")),
    ]
    text = page(tmp_path, lines)
    order = ["lost", "wrong", "two", "mute", "fair", "sure"]
    assert re.findall(r'<tr class="[a-z-]+" data-id="(\w+)"', text) == order
    assert re.findall(r'<article class="[a-z-]+" id="(\w+)"', text) == order
    badges = ("not done", "failed, 5 % likely to be right", "ambiguous, 40 % likely to be right", "not judged")
    assert re.findall(r'</?h2>\w* ?<span class="badge [a-z-]+">([^<]+)<', text)[:4] == list(badges)
    assert "6 pairs:" in text and "so far" not in text
    for word, count in (("ok", 2), ("ambiguous", 1), ("failed", 1), ("not judged", 1), ("not done", 1)):
        assert f"> {count} {word}</label>" in text
    assert "inf" not in re.sub(r"<script>.*</script>|data-sort=\"-inf\"", "", text, flags=re.DOTALL)


def test_page_is_whole_and_loads_nothing(tmp_path):
    write_strip(tmp_path / "a.jpg", made(SLICE), made(SLICE, affine(10)), np.eye(4), affine(10))
    text = page(tmp_path, [line("a"), line("no picture")], count=5)
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert text.count("<img ") == 1 and 'src="data:image/jpeg;base64,/9j/' in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text) and "http" not in text
    assert "2 of 5 so far" in text


def test_names_can_not_write_into_the_page(tmp_path):
    text = page(tmp_path, [failed_line("<b>&'\"", "<script>alert(1)</script>")])
    assert "<script>alert" not in text and "<b>&'" not in text
    assert "&lt;script&gt;alert(1)" in text and 'id="&lt;b&gt;&amp;&#x27;&quot;"' in text


def test_views_after_the_true_map_show_the_fixed_image():
    truth = affine(12, (6, -4, 0))
    (views,) = plane_views(made(SLICE), made(SLICE, truth), np.eye(4), truth)
    inside = np.s_[12:-12, 12:-12]
    assert np.abs(views.difference[inside]).max() < 0.05 < np.abs(views.before - views.fixed)[inside].max()
    np.testing.assert_array_equal(views.checkerboard[:5, :5], views.fixed[:5, :5])
    np.testing.assert_array_equal(views.checkerboard[:5, 9:14], views.after[:5, 9:14])
    assert views.aspect == pytest.approx(1.2)


def test_volume_is_shown_in_its_three_middle_planes_head_up():
    image = made(VOLUME)
    axial, coronal, sagittal = plane_views(image, image, np.eye(4), np.eye(4))
    assert [views.fixed.shape for views in (axial, coronal, sagittal)] == [(16, 20), (12, 20), (12, 16)]
    assert [views.aspect for views in (axial, coronal, sagittal)] == pytest.approx([1.5, 2.0, 4 / 3])
    for views, plane in ((axial, image.array[6]), (coronal, image.array[::-1, 8]), (sagittal, image.array[::-1, :, 10])):
        assert np.corrcoef(views.fixed.ravel(), plane.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(("size", "spacing"), [((200, 30, 1), (1, 1, 1)), ((30, 200, 1), (1, 1, 1)), ((900, 700, 1), (0.1, 0.1, 1))])
def test_strip_keeps_the_shape_of_the_images(tmp_path, size, spacing):
    """Five squares; the image in the middle of each, the rest white."""
    geometry = lattice(size, spacing)
    bright = made(geometry)
    dark = type(bright)(bright.array * 0, geometry)
    write_strip(tmp_path / "strip.jpg", dark, dark, np.eye(4), np.eye(4))
    strip = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "strip.jpg")))
    assert strip.shape == (240, 5 * 244 - 4, 3)
    rows, columns = np.nonzero(strip[:, :240].max(-1) < 128)
    expected = [240 * n / max(size) for n in size[:2]]
    assert [np.ptp(columns) + 1, np.ptp(rows) + 1] == pytest.approx(expected, abs=3)
    assert rows.mean() == pytest.approx(119.5, abs=2) and columns.mean() == pytest.approx(119.5, abs=2)


def jobs(names):
    def read(name):
        truth = affine(5, (1, 2, 0))
        return Pair(made(SLICE, name=name), made(SLICE, truth, name=f"{name}-moving"))

    return [Job(name, f"{name}-fixed", f"{name}-moving", lambda name=name: read(name)) for name in names]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 1 GiB"), "There is not enough memory for these images; resample or crop them"),
        (MemoryError(), "There is not enough memory"),
        (np.linalg.LinAlgError("SVD did not converge"), "The registration broke off (LinAlgError: SVD did not converge); try another"),
    ],
)
def test_pair_that_breaks_off_does_not_take_its_batch_with_it(tmp_path, monkeypatch, error, sentence):
    whole = registration.compute

    def compute(batch, *arguments):
        if any(fixed.name == "bad" for fixed, _ in batch.pairs):
            raise error
        return whole(batch, *arguments)

    monkeypatch.setattr(registration, "compute", compute)
    assert register_jobs(jobs(["one", "bad", "two"]), Settings(method="plain"), BatchFolder(tmp_path / "out"), 3) == 1
    lines = read_report(tmp_path / "out" / "report.csv")
    assert [(name, entry["done"]) for name, entry in lines.items()] == [("one", "yes"), ("bad", "no"), ("two", "yes")]
    assert lines["bad"]["message"].startswith(sentence)


def test_line_that_a_killed_run_did_not_write_is_written_by_the_next(tmp_path, capsys):
    folder = BatchFolder(tmp_path / "out")
    register_jobs(jobs(["one", "two"]), Settings(method="plain"), folder, 1)
    kept = folder.report.read_text().splitlines()[:2]
    folder.report.write_text("\n".join(kept) + "\n")
    assert register_jobs(jobs(["one", "two"]), Settings(method="plain"), folder, 1) == 0
    assert "1 registered, 1 already there" in capsys.readouterr().out
    assert list(read_report(folder.report)) == ["one", "two"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"a,b\n1,2\n", b"id\none\n"])
def test_file_that_is_no_report_is_as_none(tmp_path, content):
    folder = BatchFolder(tmp_path / "out")
    folder.make()
    folder.report.write_bytes(content)
    assert register_jobs(jobs(["one"]), Settings(method="plain"), folder, 1) == 0
    assert list(read_report(folder.report)) == ["one"]
