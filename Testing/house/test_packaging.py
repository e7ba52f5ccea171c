"""What the extension build and the Extensions Index expect of the repository."""

import json
import re
import struct
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_FOLDERS = ("MetaAffineReg", "MetaAffineRegTraining")


def cmake_list(text: str, name: str) -> list[str]:
    """The items of a ``set(name ...)``, with ``${MODULE_NAME}`` put in; empty where there is none."""
    module = re.search(r"set\(MODULE_NAME (\w+)\)", text).group(1)
    found = re.search(rf"set\({name}\s([^)]*)\)", text)
    return found.group(1).replace("${MODULE_NAME}", module).split() if found else []


def files_of(folder: Path) -> set[str]:
    """What a package of this module must hold: every file but the build list and what Python and the system leave behind."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = (path for path in files if "__pycache__" not in path.parts and path.name != "CMakeLists.txt" and path.name[0] != ".")
    return {path.as_posix() for path in kept}


@pytest.mark.parametrize("module", MODULE_FOLDERS)
def test_build_list_holds_every_file_of_the_folder_once(module):
    text = (ROOT / module / "CMakeLists.txt").read_text()
    scripts, resources = cmake_list(text, "MODULE_PYTHON_SCRIPTS"), cmake_list(text, "MODULE_PYTHON_RESOURCES")
    assert sorted(scripts + resources) == sorted(files_of(ROOT / module))
    assert all(name.endswith(".py") for name in scripts)
    assert not [name for name in resources if name.endswith(".py")]


@pytest.mark.parametrize("module", MODULE_FOLDERS)
def test_both_lists_go_to_the_macro_that_installs_them(module):
    text = (ROOT / module / "CMakeLists.txt").read_text()
    for keyword in ("SCRIPTS", "RESOURCES"):
        assert (f"  {keyword} ${{MODULE_PYTHON_{keyword}}}" in text) == bool(cmake_list(text, f"MODULE_PYTHON_{keyword}"))


def test_extension_builds_every_module_folder():
    text = (ROOT / "CMakeLists.txt").read_text()
    assert tuple(re.findall(r"add_subdirectory\((\w+)\)", text)) == MODULE_FOLDERS


def test_extension_has_the_name_and_the_dependency_of_its_catalog_entry():
    text = (ROOT / "CMakeLists.txt").read_text()
    entry = json.loads((ROOT / "MetaAffineReg.json").read_text())
    assert re.findall(r"^project\((\w+)\)", text, re.MULTILINE) == ["MetaAffineReg"]
    assert re.search(r'EXTENSION_DEPENDS "(.*)"', text).group(1).split() == entry["build_dependencies"]


def test_pictures_named_for_the_catalog_are_in_the_repository():
    text = (ROOT / "CMakeLists.txt").read_text()
    urls = [url for line in re.findall(r'set\(EXTENSION_(?:ICONURL|SCREENSHOTURLS) "(.*)"\)', text) for url in line.split()]
    assert len(urls) >= 2
    assert not [url for url in urls if not (ROOT / url.split("/main/", 1)[1]).is_file()]


def test_catalog_entry_keeps_to_schema_1_0_2():
    """Required keys, allowed keys and ranges of slicer-extension-catalog-entry-schema-v1.0.2.json."""
    content = (ROOT / "MetaAffineReg.json").read_bytes()
    entry = json.loads(content)
    assert b"\r" not in content
    assert entry["$schema"].split("/")[-1] == "slicer-extension-catalog-entry-schema-v1.0.2.json#"
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert set(entry) <= {"$schema", "category", "scm_url", "scm_revision", "build_dependencies", "build_subdirectory", "tier"}
    assert entry["category"] == "Registration"
    assert entry["scm_url"].startswith("https://")
    assert entry["scm_url"].split("/")[-1].startswith("Slicer")
    assert 1 <= entry["tier"] <= 5


@pytest.mark.parametrize("icon", ["MetaAffineReg.png", "MetaAffineReg/Resources/Icons/MetaAffineReg.png"])
def test_icon_is_a_png_of_128_by_128(icon):
    content = (ROOT / icon).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (128, 128)


def test_lock_files_pin_one_version_of_everything_and_name_no_index():
    for lock in ("requirements.lock", "requirements-nodeps.lock"):
        lines = [line for line in (ROOT / lock).read_text().splitlines() if not line.startswith("#")]
        assert lines
        assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9.]+(; [a-z0-9_ =\"]+)?", line)]


def test_tests_are_registered_for_a_real_slicer():
    """The self-test, and the rings that Slicer can run; ``slicer_add_python_test`` calls them py_<prefix><file>."""
    text = (ROOT / "MetaAffineReg" / "CMakeLists.txt").read_text()
    assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in text
    rings = re.search(r"foreach\(ring ([a-z ]+)\)", text).group(1).split()
    script = re.search(r"SCRIPT \$\{CMAKE_CURRENT_SOURCE_DIR\}/(\S+)", text).group(1)
    assert (ROOT / "MetaAffineReg" / script).is_file()
    assert all((ROOT / "Testing" / ring).is_dir() for ring in rings)
    assert f"TEST py_${{ring}}_{Path(script).stem} PROPERTY SKIP_RETURN_CODE" in text
