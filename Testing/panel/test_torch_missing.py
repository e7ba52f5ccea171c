"""Without torch the panel opens, says what is missing and offers to install it through the PyTorch extension."""

import sys
import types

import pytest

from panel.driving import tip


@pytest.fixture
def without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # import torch raises, find_spec finds nothing


def reopen(panel):
    panel.parent.exit()
    panel.parent.enter()


def test_panel_says_that_torch_is_missing(without_torch, panel, two_slices):
    panel.ui.fixedSelector.setCurrentNode(two_slices[0])
    panel.ui.movingSelector.setCurrentNode(two_slices[1])
    assert not panel.ui.torchPanel.isHidden()
    assert not panel.ui.applyButton.isEnabled()
    assert tip(panel.ui.applyButton) == "PyTorch is not installed; install it with the button above."
    assert panel.ui.statusLabel.text == tip(panel.ui.applyButton)


def test_with_torch_nothing_is_said(panel):
    assert panel.ui.torchPanel.isHidden()


def test_install_button_asks_the_pytorch_extension(without_torch, panel, monkeypatch):
    asked = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False):
            asked.append(askConfirmation)
            monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
            sys.modules["torch"].__spec__ = types.SimpleNamespace(name="torch")

    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
    panel.ui.installTorchButton.click()
    assert asked == [True]
    assert panel.ui.torchPanel.isHidden()


def test_install_button_without_the_extension_says_what_to_do(without_torch, panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    panel.ui.installTorchButton.click()
    assert panel.ui.statusLabel.text == "Install the extension PyTorch in the Extensions Manager and restart Slicer, then come back here."
    assert not panel.ui.torchPanel.isHidden()


def test_torch_installed_meanwhile_is_seen_on_return(panel, monkeypatch):
    with monkeypatch.context() as gone:
        gone.setitem(sys.modules, "torch", None)
        reopen(panel)
        assert not panel.ui.torchPanel.isHidden()
    reopen(panel)
    assert panel.ui.torchPanel.isHidden()
