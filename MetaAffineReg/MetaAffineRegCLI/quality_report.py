"""``quality.html``: a page that shows every pair of a batch, worst first, with its pictures inside it."""

import base64
import datetime
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.registration import Settings

from .report import caution, percent
from .report_table import Line, verdict, verdict_in_words
from .views import TITLES

TEMPLATE = Path(__file__).resolve().parent.parent / "Resources" / "quality.html"
_WORST_FIRST = ("not done", "failed", "ambiguous", "not judged", "ok")


@dataclass(frozen=True)
class Entry:
    """One pair of the page: what its images are called, its line of the report, and its picture (JPEG) where there is one."""

    fixed: str
    moving: str
    line: Line
    picture: Path


@dataclass(frozen=True)
class _Figure:
    """A column of the table: its title, what stands in it, and by which number it is sorted."""

    title: str
    text: str
    number: float


def write_quality_report(path: Path, entries: Sequence[Entry], count: int, settings: Settings) -> None:
    """Write the page of a batch of ``count`` pairs, of which ``entries`` are there so far; whole or not at all.

    Each entry is asked for when it is written: one line and one picture are held at a time.
    """
    badness = [_badness(entry) for entry in entries]
    ranked = sorted(range(len(entries)), key=badness.__getitem__)
    head, rest = TEMPLATE.read_text(encoding="utf-8").split("$rows")
    middle, tail = rest.split("$cards")
    chosen = f"{settings.method}, {settings.freedom}, rotations up to {settings.rotation_range:g}°, data term {settings.data_term}"
    words = {
        "summary": _summary(Counter(_WORST_FIRST[rank] for rank, _ in badness), count),
        "settings": escape(f"{datetime.datetime.now():%Y-%m-%d %H:%M}; {chosen}; model {settings.model or 'by default'}"),
        "header": "".join(f"<th>{title}</th>" for title in ("Pair", "Result", *(figure.title for figure in _figures({})))),
    }
    with written_together(path) as (part,), part.open("w", encoding="utf-8") as f:
        f.write(Template(head).substitute(words))
        f.writelines(_row(entries[place].line) + "\n" for place in ranked)
        f.write(middle)
        f.writelines(_card(entries[place]) for place in ranked)
        f.write(tail)


def _badness(entry: Entry) -> tuple[int, float]:
    return _WORST_FIRST.index(verdict(entry.line)), _number(entry.line, "probability")


def _summary(counts: Counter[str], count: int) -> str:
    badges = [
        f'<label class="badge {_css(word)}"><input type="checkbox" checked value="{_css(word)}"> {counts[word]} {word}</label>'
        for word in reversed(_WORST_FIRST)
        if counts[word]
    ]
    so_far = "" if counts.total() == count else f" <b>{counts.total()} of {count} so far.</b>"
    return f"{count} pair{'' if count == 1 else 's'}: {' '.join(badges)}{so_far}"


def _row(line: Line) -> str:
    word = verdict(line)
    name, anchor = escape(line["id"]), quote(line["id"])
    cells = "".join(f'<td data-sort="{figure.number}">{figure.text}</td>' for figure in _figures(line))
    badge = f'<td data-sort="{_WORST_FIRST.index(word)}"><span class="badge {_css(word)}">{word}</span></td>'
    title = f'<td data-sort="{name}"><a href="#{anchor}">{name}</a></td>'
    return f'<tr class="{_css(word)}" data-id="{name}">{title}{badge}{cells}</tr>'


def _card(entry: Entry) -> str:
    line, word = entry.line, verdict(entry.line)
    name = escape(line["id"])
    second = line.get("runner_up") or None
    sentences = [line.get("message") or "", caution(line.get("status") or None, second), line.get("notes") or ""]
    said = "".join(f"<p>{escape(sentence[0].upper() + sentence[1:])}</p>" for sentence in sentences if sentence)
    figures = "".join(f"<div><dt>{figure.title}</dt><dd>{figure.text}</dd></div>" for figure in _figures(line) if figure.text)
    badge = f'<span class="badge {_css(word)}">{escape(verdict_in_words(line))}</span>'
    return (
        f'<article class="{_css(word)}" id="{name}"><h2>{name} {badge}</h2>'
        f'<p class="files">fixed {escape(entry.fixed)}<br>moving {escape(entry.moving)}</p>{said}<dl>{figures}</dl>'
        f"{_pictures(entry)}</article>\n"
    )


def _pictures(entry: Entry) -> str:
    if entry.line["done"] != "yes" or not entry.picture.is_file():
        return ""
    titles = "".join(f"<span>{title}</span>" for title in TITLES)
    data = base64.b64encode(entry.picture.read_bytes()).decode("ascii")
    text = escape(f"{entry.line['id']}: {', '.join(TITLES)}")
    return f'<figure><figcaption>{titles}</figcaption><img loading="lazy" alt="{text}" src="data:image/jpeg;base64,{data}"></figure>'


def _figures(line: Line) -> list[_Figure]:
    """The figures of a line, text empty where one is not known."""
    probability, overlap = _number(line, "probability"), 100 * _number(line, "overlap")
    low, high = _number(line, "scale_min"), _number(line, "scale_max")
    change = max(high - 1, 1 - low) if math.isfinite(low) else -math.inf
    before, after = _number(line, "criterion_before"), _number(line, "criterion_after")
    return [
        _Figure("Likely right", f"{percent(probability)} %" if math.isfinite(probability) else "", probability),
        _Figure("Rotation", _text(_number(line, "rotation_degrees"), ".1f", "°"), _number(line, "rotation_degrees")),
        _Figure("Shift", _text(_number(line, "shift_mm"), ".1f", " mm"), _number(line, "shift_mm")),
        _Figure("Scale", f"{_text(low, '.3f')} to {_text(high, '.3f')}" if math.isfinite(low) else "", change),
        _Figure("Overlap", _text(overlap, ".0f", " %"), overlap),
        _Figure("There and back", _text(_number(line, "consistency_mm"), ".2f", " mm"), _number(line, "consistency_mm")),
        _Figure("Criterion", f"{_text(before, '.4f')} → {_text(after, '.4f')}" if math.isfinite(after) else "", after),
        _Figure("Time", _text(_number(line, "seconds"), ".2f", " s"), _number(line, "seconds")),
    ]


def _number(line: Line, name: str) -> float:
    """A figure of the line; -inf where it is not known, so that such lines come first."""
    value: Any = line.get(name)
    try:
        return float(value)
    except (TypeError, ValueError):
        return -math.inf


def _text(value: float, form: str, unit: str = "") -> str:
    return f"{value:{form}}{unit}" if math.isfinite(value) else ""


def _css(word: str) -> str:
    return word.replace(" ", "-")
