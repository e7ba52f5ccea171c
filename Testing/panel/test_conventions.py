"""Mistakes that show only in a real Slicer, found by reading the files."""

import ast
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import slicer

from panel.driving import tip

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("MetaAffineReg", "MetaAffineRegTraining")
MODULE_FILES = {module: ROOT / module / f"{module}.py" for module in MODULES}
UI_FILES = {module: ROOT / module / "Resources" / "UI" / f"{module}.ui" for module in MODULES}
SOURCES = {
    f"{path.parent.name}/{path.name}": ast.parse(path.read_text(encoding="utf-8"))
    for module in MODULES
    for path in [MODULE_FILES[module], *sorted((ROOT / module / f"{module}Widgets").glob("*.py"))]
}
every_file = pytest.mark.parametrize("name", SOURCES)
every_module = pytest.mark.parametrize("module", MODULES)
UNBOUND = {"MetaAffineReg": ["model"], "MetaAffineRegTraining": []}  # fields whose widgets the code binds
SIGNALS = {"connect", "disconnect"}


def parameter_names(module):
    ui = ElementTree.parse(UI_FILES[module])
    return [
        (widget.get("name"), prop.findtext("string"))
        for widget in ui.iter("widget")
        for prop in widget.findall("property[@name='SlicerParameterName']")
    ]


def string_connections(tree):
    """Lines of ``x.connect("signal", f)``: a wrong signature there returns False and says nothing."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    return [call.lineno for call in calls if call.func.attr in SIGNALS and call.args and isinstance(call.args[0], ast.Constant)]


def file_scope_imports(tree):
    inside = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
    names = set()
    for node in ast.walk(tree):
        if id(node) not in inside:
            names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            names |= {node.module or ""} if isinstance(node, ast.ImportFrom) and not node.level else set()
    return names


@every_module
def test_every_parameter_name_of_the_ui_is_a_field(module):
    fields = slicer.util.getModuleLogic(module).getParameterNode().allParameters
    assert parameter_names(module)
    assert {name for _widget, name in parameter_names(module)} <= set(fields)


@every_module
def test_every_field_has_one_widget(module):
    """But for those whose choices are not fixed: the code binds them."""
    fields = slicer.util.getModuleLogic(module).getParameterNode().allParameters
    assert sorted([*(name for _widget, name in parameter_names(module)), *UNBOUND[module]]) == sorted(fields)


@every_module
def test_every_widget_that_the_code_names_is_in_the_ui(module):
    """``self.ui.x`` or ``ui.x``, and each name once."""
    names = [widget.get("name") for widget in ElementTree.parse(UI_FILES[module]).iter("widget")]
    assert len(names) == len(set(names))
    used = {
        node.attr
        for name, tree in SOURCES.items()
        if name.startswith((f"{module}/", f"{module}Widgets/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_ui(node.value)
    }
    assert len(used) > 20
    assert used <= set(names)


def is_ui(node):
    return ast.unparse(node) in ("ui", "self.ui", "self._ui")


@every_module
def test_every_mrml_widget_of_the_ui_gets_the_scene(module):
    ui = ElementTree.parse(UI_FILES[module])
    selectors = {widget.get("name") for widget in ui.iter("widget") if widget.get("class").startswith("qMRML")}
    expected = ("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")
    connected = {
        connection.findtext("receiver") for connection in ui.iter("connection")
        if (connection.findtext("signal"), connection.findtext("slot")) == expected
    }  # fmt: skip
    assert selectors - {ui.find("widget").get("name")} == connected


@every_module
def test_every_custom_widget_of_the_ui_is_declared(module):
    ui = ElementTree.parse(UI_FILES[module])
    used = {widget.get("class") for widget in ui.iter("widget") if not widget.get("class").startswith("Q")}
    assert used == {declared.text for declared in ui.iterfind("customwidgets/customwidget/class")}


@every_file
def test_signals_are_objects_not_strings(name):
    assert string_connections(ast.parse('b.connect("clicked()", f)')) == [1]  # the search itself works
    assert string_connections(SOURCES[name]) == []


@every_file
def test_widgets_are_written_by_setters(name):
    """``widget.enabled = False`` with a misspelled property is an error in Slicer alone; a misspelled setter is one everywhere."""
    targets = [target for node in ast.walk(SOURCES[name]) if isinstance(node, ast.Assign) for target in node.targets]
    assert [ast.unparse(target) for target in targets if isinstance(target, ast.Attribute) and is_ui(target.value)] == []


@every_file
def test_qt_objects_are_made_without_keywords(name):
    calls = [node for node in ast.walk(SOURCES[name]) if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("qt.", "ctk."))]
    assert [ast.unparse(call) for call in calls if call.keywords] == []


@every_file
def test_no_signal_is_declared_in_python(name):
    """It crashes in PythonQt; a callback does the same."""
    assert [
        node.lineno for node in ast.walk(SOURCES[name]) if isinstance(node, ast.Attribute) and node.attr in ("Signal", "pyqtSignal")
    ] == []


@every_file
def test_file_scope_imports_nothing_heavy(name):
    """Of the library only what does not import torch, as ``test_loading_the_module_imports_no_torch`` checks."""
    allowed = {"slicer", "vtk", "qt", "ctk", "numpy", "SimpleITK", *sys.stdlib_module_names}
    own = {f"{module}{part}" for module in MODULES for part in ("Lib", "MRML", "Widgets")}
    names = {imported.split(".")[0] for imported in file_scope_imports(ast.parse("import torch")) | file_scope_imports(SOURCES[name])}
    assert names - allowed - own == {"torch"}  # found where there is one, and only there
    assert file_scope_imports(ast.parse("def f():\n    import torch")) == set()


def test_loading_the_module_imports_no_torch():
    """As at the start of Slicer, in a fresh interpreter; the panel is opened as well."""
    if "host" not in sys.modules:
        pytest.skip("Slicer itself has long been started")
    code = (
        "import sys, host; from pathlib import Path; host.install();"
        f"modules = [host.load_module(Path(file)) for file in {[str(file) for file in MODULE_FILES.values()]!r}];"
        "[module.widgetRepresentation().enter() for module in modules];"
        "[module.close() for module in modules]; assert 'torch' not in sys.modules"
    )
    testing = Path(__file__).resolve().parents[1]
    ran = subprocess.run([sys.executable, "-c", code], cwd=testing, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert ran.returncode == 0, ran.stderr


def test_production_code_does_not_know_the_host():
    sources = [path for folder in ROOT.glob("MetaAffineReg*") for path in folder.rglob("*.py")]
    assert sources
    assert [path.name for path in sources if "import host" in (text := path.read_text(encoding="utf-8")) or "Testing/" in text] == []


def test_reload_brings_the_library_anew(panel, monkeypatch):
    saved = {name: module for name, module in sys.modules.items() if name.startswith("MetaAffineReg")}
    before = sys.modules["MetaAffineRegMRML.node_checks"]
    try:
        panel.onReload()
        opened = slicer.util.getModuleWidget("MetaAffineReg")
        assert opened is not panel
        assert sys.modules["MetaAffineRegMRML.node_checks"] is not before
        assert tip(opened.ui.applyButton) == "No fixed volume is chosen; choose one."
    finally:
        for name in [name for name in sys.modules if name.startswith("MetaAffineReg")]:
            del sys.modules[name]
        sys.modules.update(saved)
        slicer.util.getModuleWidget("MetaAffineReg").parent.reload()
