"""Stand-ins for the ctk and qMRML widgets of the .ui files, bound to the real scene."""

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

# Events by which the list of nodes is brought up to date, and their priorities.
_SCENE_EVENTS = {"NodeAddedEvent": 10.0, "NodeRemovedEvent": 10.0, "EndImportEvent": 0.0, "EndCloseEvent": 0.0}


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header line over its children, which are hidden while it is collapsed."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self._hidden: list[QtWidgets.QWidget] = []
        self.setContentsMargins(0, self.fontMetrics().height() + 6, 0, 0)
        self.clicked.connect(lambda *_: self.setCollapsed(not self._collapsed))

    def isCollapsed(self) -> bool:
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        # Only what it hides itself is shown again: a child that the panel has hidden stays so.
        self._collapsed = collapsed
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                self._follow(child)

    def _follow(self, child: QtWidgets.QWidget) -> None:
        if self._collapsed and not child.isHidden():
            self._hidden.append(child)
            child.setVisible(False)
        elif not self._collapsed and child in self._hidden:
            self._hidden.remove(child)
            child.setVisible(True)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        self.setCollapsed(self._collapsed)  # children that came after the property was set
        super().showEvent(event)

    collapsed = QtCore.Property(bool, isCollapsed, setCollapsed)

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        header = self.rect
        header.setHeight(self.fontMetrics().height() + 4)
        with QtGui.QPainter(self) as painter:
            painter.fillRect(header, self.palette.color(QtGui.QPalette.ColorRole.Button).darker(110))
            painter.drawText(
                header.adjusted(6, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, ("> " if self._collapsed else "v ") + self.text
            )


def _option(kind: type | str, name: str) -> QtCore.Property:
    return QtCore.Property(kind, lambda self: self._options[name], lambda self, value: self._set_option(name, value))


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Offers the nodes of the scene that are of the given types; None first where that is allowed."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._tags: list[int] = []
        self._current_id = ""
        self._options: dict[str, Any] = {"nodeTypes": (), "showChildNodeTypes": True, "noneEnabled": False, "noneDisplay": "None"}
        self._options |= {"addEnabled": True, "removeEnabled": True}
        self._combo = QtWidgets.QComboBox(self)
        self._combo.currentIndexChanged.connect(self._chosen)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setEnabled(False)

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        events = _SCENE_EVENTS.items() if scene else ()
        self._tags = [scene.AddObserver(getattr(scene, event), self._scene_changed, priority) for event, priority in events]
        self.setEnabled(scene is not None)
        self._fill()

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current_id) if self._scene and self._current_id else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        """Select a node that is offered; any other leaves nothing selected."""
        self._combo.setCurrentIndex(max(self._combo.findData(node_id), 0 if self._options["noneEnabled"] else -1))

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        every = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        return [node for node in every if not node.GetHideFromEditors() and self._offers(node)]

    def _offers(self, node: Any) -> bool:
        types = self._options["nodeTypes"]
        return any(node.IsA(name) for name in types) if self._options["showChildNodeTypes"] else node.GetClassName() in types

    def _scene_changed(self, scene: Any, _event: str) -> None:
        if not (scene.IsClosing() or scene.IsImporting()):
            self._fill()

    def _fill(self) -> None:
        # Row by row, so that QComboBox itself decides what is current after the current node is gone, as in Slicer.
        rows = [(self._options["noneDisplay"], "")] if self._options["noneEnabled"] else []
        rows += [(node.GetName(), node.GetID()) for node in self._nodes()]
        kept = {node_id for _, node_id in rows}
        for row in reversed(range(self._combo.count)):
            if self._combo.itemData(row) not in kept:
                self._combo.removeItem(row)
        for row, (label, node_id) in enumerate(rows):
            if row < self._combo.count and self._combo.itemData(row) == node_id:
                self._combo.setItemText(row, label)
            else:
                self._combo.insertItem(row, label, node_id)

    def _chosen(self, *_: Any) -> None:
        chosen = self._combo.currentData or ""
        if chosen != self._current_id:
            self._current_id = chosen
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(chosen)

    def _set_option(self, name: str, value: Any) -> None:
        self._options[name] = value
        self._fill()

    nodeTypes = _option("QStringList", "nodeTypes")
    showChildNodeTypes = _option(bool, "showChildNodeTypes")
    noneEnabled = _option(bool, "noneEnabled")
    noneDisplay = _option(str, "noneDisplay")
    addEnabled = _option(bool, "addEnabled")
    removeEnabled = _option(bool, "removeEnabled")


class ctkMessageBox:
    """No test may wait for a click: a message box is an error of the test."""

    def __init__(self, _parent: Any = None) -> None:
        raise RuntimeError("a message box was opened")
