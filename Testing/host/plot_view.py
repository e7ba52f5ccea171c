"""A plot view: draws a chart node of the scene as Slicer's plot view does, in a few strokes."""

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

_LEFT, _TOP, _RIGHT, _BOTTOM = 66, 26, 12, 34


class PlotView(QtWidgets.QLabel):
    """Shows ``chart``, a vtkMRMLPlotChartNode, or nothing where it is None."""

    def __init__(self, width: int = 420, height: int = 250) -> None:
        super().__init__()
        self.setFixedSize(width, height)
        self.chart: Any = None

    def draw(self) -> None:
        pixmap = QtGui.QPixmap(self.size)
        pixmap.fill(QtGui.QColor("white"))
        if self.chart is not None:
            with QtGui.QPainter(pixmap) as painter:
                painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
                self._paint(painter, self.chart)
        self.setPixmap(pixmap)

    def _paint(self, painter: QtGui.QPainter, chart: Any) -> None:
        series = [chart.GetNthPlotSeriesNode(k) for k in range(chart.GetNumberOfPlotSeriesNodes())]
        lines = [(one, _points(one)) for one in series]
        every = [point for _one, points in lines for point in points]
        area = QtCore.QRectF(_LEFT, _TOP, self.width - _LEFT - _RIGHT, self.height - _TOP - _BOTTOM)
        painter.drawText(QtCore.QRectF(0, 2, self.width, _TOP - 4), QtCore.Qt.AlignmentFlag.AlignCenter, chart.GetTitle())
        painter.drawText(
            QtCore.QRectF(area.left(), self.height - 16, area.width(), 14), QtCore.Qt.AlignmentFlag.AlignCenter, chart.GetXAxisTitle()
        )
        painter.save()
        painter.translate(10, area.center().y())
        painter.rotate(-90)
        painter.drawText(QtCore.QRectF(-100, -8, 200, 14), QtCore.Qt.AlignmentFlag.AlignCenter, chart.GetYAxisTitle())
        painter.restore()
        painter.drawRect(area)
        if not every:
            return
        low, high = min(y for _x, y in every), max(y for _x, y in every)
        high = high if high > low else low + 1
        last = max(x for x, _y in every) or 1
        painter.drawText(QtCore.QRectF(20, area.top() - 7, 42, 14), QtCore.Qt.AlignmentFlag.AlignRight, f"{high:.3g}")
        painter.drawText(QtCore.QRectF(20, area.bottom() - 7, 42, 14), QtCore.Qt.AlignmentFlag.AlignRight, f"{low:.3g}")
        painter.drawText(QtCore.QRectF(area.right() - 60, area.bottom() + 3, 60, 14), QtCore.Qt.AlignmentFlag.AlignRight, f"{last:.0f}")
        for place, (one, points) in enumerate(lines):
            color = QtGui.QColor.fromRgbF(*one.GetColor())
            painter.setPen(QtGui.QPen(color, 2))
            path = [
                QtCore.QPointF(area.left() + area.width() * x / last, area.bottom() - area.height() * (y - low) / (high - low))
                for x, y in points
            ]
            painter.drawPolyline(path)
            painter.drawText(QtCore.QPointF(area.left() + 8 + 70 * place, area.top() + 14), one.GetName())


def _points(series: Any) -> list[tuple[float, float]]:
    node = series.GetTableNode()
    table = node.GetTable() if node is not None else None
    columns = [table.GetColumnByName(name) for name in (series.GetXColumnName(), series.GetYColumnName())] if table is not None else [None]
    if any(column is None for column in columns):
        return []
    return [(columns[0].GetTuple1(row), columns[1].GetTuple1(row)) for row in range(table.GetNumberOfRows())]
