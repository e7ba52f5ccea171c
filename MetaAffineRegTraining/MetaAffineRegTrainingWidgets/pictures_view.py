"""Pictures on labels: sample pairs of the chosen deformations, and examples of what the network does."""

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import InputError
from MetaAffineRegTrainingLib.settings import TrainingSettings
from MetaAffineRegWidgets import torch_offer

_WIDTH = 380


class SamplePictures:
    """Draws pairs of the first checked volume on a label, anew whenever volume or settings have changed."""

    def __init__(self, label: Any):
        self._label = label
        self._drawn: tuple[Any, ...] = ()
        self._image: Any = None

    def show(self, node: Any, settings: TrainingSettings | None) -> None:
        """Raises nothing: what can't be drawn is said in the picture's place."""
        if node is None or settings is None or not torch_offer.isInstalled():
            self._drawn, self._image = (), None
            self._say(_("Check a volume to see sample pairs."))
            return
        shown = (node.GetID(), node.GetMTime(), settings)
        if shown == self._drawn:
            return
        try:
            if self._image is None or shown[:2] != self._drawn[:2]:
                from MetaAffineRegMRML.volume_nodes import image_from_volume_node

                self._image = image_from_volume_node(node)
            from MetaAffineRegTrainingLib.session import sample_pictures

            gray = sample_pictures(self._image, settings)
            content = b"P5 %d %d 255\n" % (gray.shape[1], gray.shape[0]) + gray.tobytes()
            setPicture(self._label, content)
        except InputError as error:
            self._say(str(error))
        self._drawn = shown

    def _say(self, text: str) -> None:
        self._label.setText(text)
        self._label.setWordWrap(True)


def setPicture(label: Any, content: bytes) -> None:
    """Show a picture file's content, fitted to the panel."""
    pixmap = qt.QPixmap()
    if pixmap.loadFromData(qt.QByteArray(content)):
        label.setWordWrap(False)  # a label that wraps has no height for a picture
        label.setPixmap(pixmap.scaledToWidth(_WIDTH))


def setPictureFile(label: Any, path: Path) -> None:
    """Show a picture file; one that is not there leaves the label alone."""
    if path.is_file():
        setPicture(label, path.read_bytes())
