"""Plots of the benchmarks, without image content, and pictures of single pairs, which are as free as the images they show."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from scoring import Bin, KnownPair, wilson

from MetaAffineRegCLI.image_files import resample
from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.geometry import Matrix

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SMALLEST = 1e-9  # of what a logarithmic axis shows
ONE_PIXEL = 4 / 64**2  # mse4 of an error of one pixel on 128 x 128
COLORS = {"plain": "tab:gray", "learn": "tab:orange", "comb": "tab:blue", "robust": "tab:green"}
DPI = 80

Panels = dict[str, dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Case:
    """A pair with a result (4 x 4, fixed point -> moving point, LPS mm) and what is written over it."""

    pair: KnownPair
    found: Matrix
    caption: str


def draw_boxes(path: Path, rows: dict[str, Panels], *, one_pixel: bool = False) -> None:
    """Box plots on a logarithmic axis as the paper's Figures 3 to 6: quantity -> panel -> box -> values ``(N,)``.

    At most three panels stand side by side; ``one_pixel`` marks the mse4 of one pixel.
    """
    cells = [(quantity, title, boxes) for quantity, panels in rows.items() for title, boxes in panels.items()]
    columns = min(3, max(len(panels) for panels in rows.values()))
    figure, axes = plt.subplots(
        math.ceil(len(cells) / columns),
        columns,
        figsize=(3.6 * columns, 2.8 * math.ceil(len(cells) / columns)),
        squeeze=False,
        sharey="row",
    )
    for place in axes.flat[len(cells) :]:
        place.set_axis_off()
    for place, (quantity, title, boxes) in zip(axes.flat, cells, strict=False):
        values = [np.maximum(group, SMALLEST) for group in boxes.values()]
        place.boxplot(values, widths=0.6, flierprops={"marker": "+", "markersize": 4, "markeredgecolor": "tab:red"})
        place.set_xticks(range(1, len(boxes) + 1), list(boxes))
        place.set_yscale("log")
        place.set_title(title, fontsize=10)
        place.grid(axis="y", linewidth=0.3)
        if place.get_subplotspec().is_first_col():
            place.set_ylabel(quantity)
        if one_pixel:
            place.axhline(ONE_PIXEL, color="black", linewidth=0.8, linestyle=":")
    _save(figure, path)


def draw_reliability(path: Path, groups: dict[str, list[Bin]]) -> None:
    """The share of right results against the stated probability, with 95 % intervals; the diagonal is a perfect judgement."""
    figure, place = plt.subplots(figsize=(4.5, 4.2))
    place.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
    for name, bins in groups.items():
        _curve(place, [b.stated for b in bins], [(b.right, b.count) for b in bins], name)
    place.set(xlabel="stated probability", ylabel="share below 1 px", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _legend(place)
    _save(figure, path)


def draw_range(path: Path, edges: list[float], counts: dict[str, list[tuple[int, int]]]) -> None:
    """Method -> (right, all) for each bin of |rotation| between ``edges``, degrees, with 95 % intervals."""
    figure, place = plt.subplots(figsize=(6.5, 4))
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    for position, (name, bins) in enumerate(counts.items()):
        shown = [(middle + position - 1, counted) for middle, counted in zip(middles, bins, strict=True) if counted[1]]  # side by side
        _curve(place, [x for x, _ in shown], [counted for _, counted in shown], name)
    place.set(xlabel="rotation between the images, degrees", ylabel="share below 1 px", xlim=(edges[0], edges[-1]), ylim=(-0.02, 1.02))
    place.set_xticks(edges[::2])
    _legend(place)
    _save(figure, path)


def draw_worst(path: Path, cases: list[Case]) -> None:
    """As the paper's Figure 7, a row a pair of slices: fixed, moving, result, truth, result minus fixed."""
    figure, axes = plt.subplots(len(cases), 5, figsize=(9, 1.95 * len(cases)), squeeze=False)
    for places, case in zip(axes, cases, strict=True):
        fixed, moving = case.pair.fixed, case.pair.moving
        shown = [
            array.squeeze() for array in (fixed.array, moving.array, *(resample(moving, fixed, m) for m in (case.found, case.pair.truth)))
        ]
        low, high = np.percentile(shown[0], (0.5, 99.5))
        for place, array in zip(places, shown, strict=False):
            place.imshow(array, cmap="gray", vmin=low, vmax=high)
        places[4].imshow(shown[2] - shown[0], cmap="RdBu", vmin=low - high, vmax=high - low)
        places[2].set_title(case.caption, fontsize=8)
        for place in places:
            place.set_axis_off()
    for place, title in zip(axes[-1], ("fixed", "moving", "result", "truth", "difference"), strict=True):
        place.text(0.5, -0.02, title, transform=place.transAxes, ha="center", va="top", fontsize=8)
    _save(figure, path)


def _curve(place: plt.Axes, x: list[float], counts: list[tuple[int, int]], name: str) -> None:
    shares = np.array([right / count for right, count in counts])
    intervals = np.array([wilson(right, count) for right, count in counts]).reshape(-1, 2)
    reach = np.abs(intervals - shares[:, None]).T
    place.errorbar(x, shares, yerr=reach, label=name, color=COLORS.get(name), marker="o", markersize=4, linewidth=1.2, capsize=2)


def _legend(place: plt.Axes) -> None:
    place.grid(linewidth=0.3)
    if place.get_legend_handles_labels()[0]:
        place.legend(loc="best")


def _save(figure: plt.Figure, path: Path) -> None:
    try:
        figure.tight_layout()
        with written_together(path) as (part,):
            figure.savefig(part, format="png", dpi=DPI)
    finally:
        plt.close(figure)
