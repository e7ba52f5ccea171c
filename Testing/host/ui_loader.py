"""QUiLoader that knows the stand-in widgets and makes the connections of the .ui file between them."""

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import widgets

STAND_INS = (
    widgets.qMRMLWidget,
    widgets.qMRMLNodeComboBox,
    widgets.ctkCollapsibleButton,
)


class QUiLoader:
    def load(self, file: QtCore.QIODevice) -> QtWidgets.QWidget:
        """The widget described by an open .ui file.

        Qt can't connect signals of Python classes by their C++ signature, so the connections are taken out of the file
        and made here.  Raises RuntimeError for a widget class that has no stand-in.
        """
        tree = ElementTree.fromstring(bytes(file.readAll()))
        known = {cls.__name__ for cls in STAND_INS}
        for custom in tree.iterfind("customwidgets/customwidget/class"):
            if custom.text not in known:
                raise RuntimeError(f"the test host has no stand-in for {custom.text}")
        connections = tree.findall("connections/connection")
        for section in tree.findall("connections"):
            tree.remove(section)
        loader = QtUiTools.QUiLoader()
        for cls in STAND_INS:
            loader.registerCustomWidget(cls)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        root = loader.load(buffer)
        for connection in connections:
            _connect(root, connection)
        return root


def _connect(root: QtWidgets.QWidget, connection: ElementTree.Element) -> None:
    end = {part: connection.findtext(part, "") for part in ("sender", "signal", "receiver", "slot")}
    sender, receiver = (
        root if root.objectName == end[part] else root.findChild(QtWidgets.QWidget, end[part]) for part in ("sender", "receiver")
    )
    signal, slot = (end[part].split("(")[0] for part in ("signal", "slot"))
    getattr(sender, signal).connect(getattr(receiver, slot))
