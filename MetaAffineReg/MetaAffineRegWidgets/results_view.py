"""The result: its table, and what can be done with it."""

import math
import os
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import written_together
from MetaAffineRegMRML.result_in_scene import ResultInScene

_TABLE = '<table width="100%" cellspacing="0" cellpadding="2">'


class ResultsView:
    """Shows a result and acts on it in the scene; hidden while there is none.

    ``result`` is a NodeResult.  ``onChange()`` is called after the scene was changed, ``say(text)`` gets what cannot be done.
    """

    def __init__(self, ui: Any, onChange: Callable[[], None], say: Callable[[str], None]):
        self._ui, self._onChange, self._say = ui, onChange, say
        self.result: Any = None
        self.inScene: ResultInScene | None = None
        ui.runnerUpButton.clicked.connect(lambda *_args: self._act(self._switch))
        ui.inverseButton.clicked.connect(lambda *_args: self._act(self._toggleInverse))
        ui.resetButton.clicked.connect(lambda *_args: self._act(self.reset))
        ui.saveButton.clicked.connect(lambda *_args: self._act(self._save))
        self.update()

    def show(self, result: Any, inScene: ResultInScene) -> None:
        self.result, self.inScene = result, inScene
        self.update()

    def clear(self) -> None:
        """Forget the result; the scene stays as it is."""
        self.result = self.inScene = None
        self.update()

    def update(self) -> None:
        """Show the state of the result in the scene."""
        ui, shown = self._ui, self.inScene
        ui.resultCollapsibleButton.setVisible(shown is not None)
        if shown is None:
            return
        status = self.result.status
        ui.resultLabel.setText(table(self.result, shown.shown))
        ui.runnerUpButton.setVisible(self.result.runner_up is not None and (status != "ok" or shown.shown == 1))
        ui.runnerUpButton.setText(_("Switch back to the best") if shown.shown else _("Switch to the runner-up"))
        ui.inverseButton.setText(_("Show moving on fixed") if shown.shows_inverse else _("Show inverse"))

    def layOn(self, on: bool) -> None:
        """Put the moving volume under the result, or take it out."""
        if self.inScene is not None:
            self._act(partial(self.inScene.lay_on, on))

    def reset(self) -> None:
        """Everything as it was before Apply."""
        assert self.inScene is not None
        inScene = self.inScene
        self.clear()
        inScene.reset()

    def _switch(self) -> None:
        assert self.inScene is not None
        self.inScene.show(1 - self.inScene.shown)

    def _toggleInverse(self) -> None:
        assert self.inScene is not None
        self.inScene.show_inverse(not self.inScene.shows_inverse)

    def _save(self) -> None:
        assert self.inScene is not None
        transform = self.inScene.transform
        title, suggestion = _("Save the transform"), f"{transform.GetName()}.tfm"
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, suggestion, _("ITK transform (*.tfm)"))
        path = path[0] if isinstance(path, (tuple, list)) else path
        if path:
            saveTransform(transform, Path(str(path)))

    def _act(self, action: Callable[[], Any]) -> None:
        with slicer.util.tryWithErrorDisplay(_("That could not be done.")):
            try:
                action()
            except InputError as error:
                self._say(str(error))
                return
            finally:
                self.update()
            self._onChange()


def saveTransform(node: Any, path: Path) -> None:
    """Write a linear transform to a .tfm file, whole or not at all; raises InputError where the folder takes no file."""
    if path.suffix.lower() not in (".tfm", ".txt", ".h5"):
        path = path.with_name(path.name + ".tfm")
    storage = slicer.vtkMRMLTransformStorageNode()
    try:
        with written_together(path) as (part,):
            storage.SetFileName(os.fspath(part))
            if not storage.WriteData(node):
                raise InputError(f"{path} can't be written; choose another folder.")
    except OSError as error:
        raise InputError(f"{path} can't be written ({error.strerror}); choose another folder.") from error


def table(result: Any, alternative: int) -> str:
    """Start, result and runner-up side by side, the one shown in the scene in bold; then what it took.  HTML."""
    columns = [(_("before"), result.before), (_("after"), result.after)]
    doubtful = result.runner_up is not None and (result.status != "ok" or alternative == 1)
    if doubtful:
        columns.append((_("runner-up"), result.runner_up))
    bold = 1 + alternative
    rows = [_row("", [title for title, _alignment in columns], bold)]
    rows += [_row(title, [figure(alignment) for _title, alignment in columns], bold) for title, figure in _figures(result.method)]
    with_model = f", {result.model}" if result.model else ""
    compared = f", {result.confidence.compared}" if result.confidence else ""
    what = escape(f"{result.method}{with_model}{compared}, {result.device}")
    took = "".join(_row(name, [_time(seconds)], -1) for name, seconds in _stages(result.stages))
    took += _row(_("in all"), [_time(result.seconds)], 0)
    return "".join((_TABLE, *rows, "</table><br>", what, _TABLE, took, "</table>"))


def _figures(method: str) -> list[tuple[str, Callable[[Any], str]]]:
    unexplained = method == "robust"
    return [
        (
            _("unexplained") if unexplained else _("mean squares"),
            lambda a: _percent(a.criterion) if unexplained else f"{a.criterion:.4g}",
        ),
        (_("overlap"), lambda a: _percent(a.overlap)),
        (_("rotation"), lambda a: f"{a.rotation_degrees:.1f}°"),
        (_("translation"), lambda a: f"{a.shift_mm:.1f} mm"),
        (_("scale"), lambda a: f"{a.scale_min:.3f} .. {a.scale_max:.3f}"),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if math.isfinite(share) else "-"


def _row(title: str, cells: list[str], bold: int) -> str:
    texts = [f"<b>{escape(cell)}</b>" if column == bold else escape(cell) for column, cell in enumerate(cells)]
    return "".join(("<tr><td>", escape(title), "</td>", *(f'<td align="right">{text}</td>' for text in texts), "</tr>"))


def _stages(stages: tuple[tuple[str, float], ...]) -> list[tuple[str, float]]:
    """Seconds by kind of stage: the levels of one refinement together, and all of each further search."""
    total: dict[str, float] = {}
    for name, seconds in stages:
        kind = name.split(":")[0].split(" on a grid")[0].split(" onto")[0]
        total[kind] = total.get(kind, 0.0) + seconds
    return [(kind, seconds) for kind, seconds in total.items() if seconds >= 0.0005]


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
