"""The curves of a training as tables and charts of the scene, which Slicer's plot view shows."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import slicer.util

METHODS = ("plain", "learn", "comb", "robust")
CHARTS = ("error", "success", "loss")
_TITLES = {
    "error": ("Median mse4 on held-out pairs", "log10 of mse4"),
    "success": ("Held-out pairs that end below one sample", "%"),
    "loss": ("Loss on training pairs", "log10 of the loss"),
}
_COLORS = {
    "plain": (0.5, 0.5, 0.5),
    "learn": (0.85, 0.33, 0.1),
    "comb": (0.2, 0.45, 0.8),
    "robust": (0.1, 0.55, 0.25),
    "loss": (0.3, 0.3, 0.6),
}
_SMALLEST = 1e-12


class Curves:
    """Keeps what was said of a training and shows it in ``scene``; nodes that are gone are made anew.

    They are not saved with the scene: the training itself remembers its curves.
    """

    def __init__(self, scene: slicer.vtkMRMLScene):
        self._scene = scene
        self._ids: dict[str, str] = {}
        self.clear()

    def clear(self) -> None:
        """Forget everything that was said."""
        self._loss: list[tuple[float, float]] = []
        self._figures: list[tuple[float, dict[str, dict[str, float]]]] = []

    def take(self, events: Sequence[dict[str, Any]]) -> None:
        """Note the events "progress" and "evaluation"; ``show`` puts them into the scene.

        A training that was taken up goes back to its last state: what was said of later steps is forgotten.
        """
        for event in events:
            if "step" in event:
                self._loss = [point for point in self._loss if point[0] < event["step"]]
                self._figures = [point for point in self._figures if point[0] < event["step"]]
            if event["event"] == "progress" and (event["loss"] or 0) > 0:
                self._loss.append((event["step"], math.log10(event["loss"])))
            elif event["event"] == "evaluation":
                self._figures.append((event["step"], event["figures"]))

    def show(self) -> None:
        """Bring tables and charts up to date."""
        if self._loss:
            self._fill("loss table", self._loss, ["step", "loss"])
        if self._figures:
            for chart, value in (("error", _error), ("success", _success)):
                rows = [[step, *(value(figures[method]) for method in METHODS)] for step, figures in self._figures]
                self._fill(f"{chart} table", rows, ["step", *METHODS])
        for chart in CHARTS:
            self.chart(chart)

    def _fill(self, name: str, rows: Sequence[Sequence[float]], columns: list[str]) -> None:
        """All columns at once: a plot view that looks in between finds a table without its steps."""
        table = self._node(name, "vtkMRMLTableNode")
        with slicer.util.NodeModify(table):
            slicer.util.updateTableFromArray(table, np.array(rows), columns)

    def chart(self, name: str) -> Any:
        """The chart node of ``CHARTS``, with its series."""
        node = self._node(f"{name} chart", "vtkMRMLPlotChartNode")
        if node.GetNumberOfPlotSeriesNodes() == 0:
            title, unit = _TITLES[name]
            node.SetTitle(title)
            node.SetXAxisTitle("step")
            node.SetYAxisTitle(unit)
            for line in ("loss",) if name == "loss" else METHODS:
                node.AddAndObservePlotSeriesNodeID(self._series(name, line).GetID())
        return node

    def remove(self) -> None:
        """Take all nodes out of the scene."""
        for node_id in self._ids.values():
            node = self._scene.GetNodeByID(node_id)
            if node is not None:
                self._scene.RemoveNode(node)
        self._ids = {}

    def _series(self, chart: str, line: str) -> Any:
        series = self._node(f"{chart} of {line}", "vtkMRMLPlotSeriesNode")
        series.SetName(line)
        series.SetAndObserveTableNodeID(self._node(f"{chart} table", "vtkMRMLTableNode").GetID())
        series.SetPlotType(series.PlotTypeScatter)
        series.SetXColumnName("step")
        series.SetYColumnName(line)
        series.SetMarkerStyle(series.MarkerStyleNone if chart == "loss" else series.MarkerStyleCircle)
        series.SetColor(*_COLORS[line])
        return series

    def _node(self, name: str, class_name: str) -> Any:
        node = self._scene.GetNodeByID(self._ids.get(name, "")) if name in self._ids else None
        if node is None:
            node = self._scene.CreateNodeByClass(class_name)
            node.UnRegister(None)
            node.SetName(f"Training: {name}")
            node.SetSaveWithScene(False)
            self._scene.AddNode(node)
            self._ids[name] = node.GetID()
        return node


def _error(figures: dict[str, float]) -> float:
    return math.log10(max(figures["mse4"], _SMALLEST))


def _success(figures: dict[str, float]) -> float:
    return 100 * figures["success"]
