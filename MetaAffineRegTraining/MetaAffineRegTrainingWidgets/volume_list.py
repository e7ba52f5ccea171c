"""The check list of volumes, and the ways to check many of them at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from MetaAffineRegLib.errors import InputError
from MetaAffineRegTrainingMRML.training_volumes import branches, scalar_volumes

from .parameters import VOLUME_ROLE


class VolumeList:
    """Binds the list to references of the parameter node ``parameters``; ``say(text)`` gets what cannot be done."""

    def __init__(self, ui: Any, say: Callable[[str], None]):
        self._ui, self._say = ui, say
        self.parameters: Any = None
        self._shown: list[tuple[str, str]] = []
        self._branches: dict[str, list[str]] = {}
        ui.volumeList.itemChanged.connect(self._onItemChanged)
        ui.branchComboBox.activated.connect(self._onBranch)
        ui.folderButton.clicked.connect(self._onFolder)
        ui.checkAllButton.clicked.connect(self._onAll)

    def checked(self) -> list[Any]:
        """The nodes that are checked."""
        if self.parameters is None:
            return []
        node = self.parameters.parameterNode
        found = (node.GetNthNodeReference(VOLUME_ROLE, index) for index in range(node.GetNumberOfNodeReferences(VOLUME_ROLE)))
        return [one for one in found if one is not None]

    def check(self, ids: list[str]) -> None:
        """Check these volumes and no others."""
        node = self.parameters.parameterNode
        with slicer.util.NodeModify(node):
            node.RemoveNodeReferenceIDs(VOLUME_ROLE)
            for node_id in dict.fromkeys(ids):
                node.AddNodeReferenceID(VOLUME_ROLE, node_id)

    def show(self) -> None:
        """Bring list and branches in line with scene and parameters."""
        listed = self._ui.volumeList
        blocked = listed.blockSignals(True)
        volumes = [(node.GetID(), node.GetName()) for node in scalar_volumes(slicer.mrmlScene)]
        if volumes != self._shown:
            self._shown = volumes
            listed.clear()
            for _id, name in volumes:
                listed.addItem(name)
        checked = {node.GetID() for node in self.checked()}
        for row, (node_id, _name) in enumerate(volumes):
            item = listed.item(row)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Checked if node_id in checked else qt.Qt.Unchecked)
        listed.blockSignals(blocked)
        self._showBranches()

    def load(self, folder: Path) -> None:
        """Add the image files of a folder to the scene and check them; raises InputError where there are none."""
        from MetaAffineRegCLI.image_files import read_voxels
        from MetaAffineRegMRML.volume_nodes import add_volume_node
        from MetaAffineRegTrainingCLI.volume_files import image_files

        files = image_files(folder)
        ids = [node.GetID() for node in self.checked()]
        for path in files:
            voxels = read_voxels(path)
            node = add_volume_node(slicer.mrmlScene, path.name.split(".")[0], voxels.array, voxels.geometry)
            node.CreateDefaultDisplayNodes()
            ids.append(node.GetID())
        self.check(ids)

    def _showBranches(self) -> None:
        found = branches(slicer.mrmlScene)
        combo = self._ui.branchComboBox
        if found != self._branches or combo.count == 0:
            self._branches = found
            combo.clear()
            combo.addItem(_("check a branch ..."))
            for name in found:
                combo.addItem(name)

    def _onItemChanged(self, *_args: Any) -> None:
        rows = [self._ui.volumeList.item(row).checkState() == qt.Qt.Checked for row in range(len(self._shown))]
        self.check([node_id for (node_id, _name), on in zip(self._shown, rows, strict=True) if on])

    def _onBranch(self, *_args: Any) -> None:
        ids = self._branches.get(self._ui.branchComboBox.currentText)
        if ids:
            self.check([*(node.GetID() for node in self.checked()), *ids])
        self._ui.branchComboBox.setCurrentIndex(0)

    def _onAll(self, *_args: Any) -> None:
        ids = [node_id for node_id, _name in self._shown]
        self.check([] if len(self.checked()) == len(ids) else ids)

    def _onFolder(self, *_args: Any) -> None:
        title = _("Choose a folder of images")
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title)
        if folder:
            with slicer.util.tryWithErrorDisplay(_("The folder could not be loaded."), waitCursor=True):
                try:
                    self.load(Path(str(folder)))
                except InputError as error:
                    self._say(str(error))
