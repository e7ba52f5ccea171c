"""A panel as high as its texts, which wrap, need."""

from typing import Any

import qt


class FittedHeight:
    """Keeps the height of ``widget``, whose groups that fold are ``sections``.

    Once a module was left and entered again, Slicer's module panel does not ask anew how high texts that wrap are: what has grown since
    would be cut off.
    """

    def __init__(self, widget: Any, sections: list[Any]):
        self._widget = widget
        self._settle = qt.QTimer()  # when what was changed has been laid out
        self._settle.setSingleShot(True)
        self._settle.setInterval(0)
        self._settle.timeout.connect(self._fit)
        for section in sections:
            section.toggled.connect(self.update)

    def update(self, *_args: Any) -> None:
        """Something was changed, which may need more room or less."""
        self._settle.start()

    def stop(self) -> None:
        """At the end of the application: touches no widget any more."""
        self._settle.stop()

    def _fit(self) -> None:
        if self._widget.visible:
            needed = max(0, self._widget.heightForWidth(self._widget.width))
            if self._widget.minimumHeight != needed:
                self._widget.setMinimumHeight(needed)
