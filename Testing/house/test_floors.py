"""The floors of the house: a file imports only from floors below its own, and there are no circles."""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = sorted(path for folder in ("MetaAffineReg", "MetaAffineRegTraining") for path in (ROOT / folder).rglob("*.py"))
# Packages, lowest first; each imports itself and those on floors before its own.
PACKAGES = (
    ("MetaAffineRegLib",),
    ("MetaAffineRegCLI", "MetaAffineRegMRML", "MetaAffineRegTrainingLib"),
    ("MetaAffineRegWidgets", "MetaAffineRegTrainingCLI", "MetaAffineRegTrainingMRML"),
    ("MetaAffineRegTrainingWidgets",),
    ("MetaAffineReg", "MetaAffineRegTraining", "Scripts"),
)
# Rooms of MetaAffineRegLib, a floor a line; each imports only rooms that stand before it.
LIBRARY = (
    *(
        "errors",
        "files",
        "processes",
        "affine",
        "model_card",
        "user_models",
        "freedom",
        "geometry",
        "map_figures",
        "image",
        "intensity",
        "lbfgs",
    ),
    *("triton_terms", "triton_kernels", "backends", "kernel_cache", "compiling", "threads"),
    *(
        "large_tensors",
        "lanes",
        "kernel_pieces",
        "kernel_rows",
        "kernels",
        "compiled_sampling",
        "sampling",
        "pyramid",
    ),
    *(
        "data_terms",
        "correction_formulas",
        "compiled_correction",
        "intensity_correction",
        "normalized_gradients",
        "correlation",
        "mutual_information",
        "regularizer",
        "objective",
    ),
    *("compiled_images", "compiled_edges", "coverage_bounds"),
    *(
        "kernel_interpolation",
        "kernel_moments",
        "kernel_comparison",
        "kernel_squares",
        "kernel_intensities",
        "kernel_edges",
        "kernel_terms",
        "compiled_floors",
    ),
    *("fused_images", "compiled_freedom", "compiled_regularizer", "compiled_objective", "compiled_lbfgs"),
    *("fused_objective", "triton_objective", "grids"),
    *(
        "initializer",
        "compiled_steps",
        "correlation_features",
        "compiled_search",
        "starts",
        "checkpoint",
        "devices",
        "gpu_memory",
        "candidates",
        "outcome",
        "confidence",
        "brightness",
    ),
    *("plans", "stages", "robust", "searches", "single_start", "registration", "compile_all"),
)
# What each package may import beyond the standard library and the house.
FROM_OUTSIDE = {
    "MetaAffineRegLib": {"numpy", "torch", "numba", "llvmlite", "triton"},
    "MetaAffineRegCLI": {"numpy", "SimpleITK", "matplotlib", "distributed"},
    "MetaAffineRegMRML": {"numpy", "slicer", "vtk"},
    "MetaAffineRegWidgets": {"slicer", "vtk", "qt", "ctk", "PyTorchUtils", "SampleData"},
    "MetaAffineReg": {"numpy", "slicer", "vtk"},
    "Scripts": {"slicer"},
    "MetaAffineRegTrainingLib": {"numpy", "torch"},
    "MetaAffineRegTrainingCLI": set(),
    "MetaAffineRegTrainingMRML": {"numpy", "slicer", "vtk"},
    "MetaAffineRegTrainingWidgets": {"slicer", "vtk", "qt"},
    "MetaAffineRegTraining": {"numpy", "slicer", "vtk"},
}


def package_of(path: Path) -> str:
    """The package of a file; a module file counts as a package of its own."""
    return path.parent.name


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it; those of its own package in full."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(part for part in (package_of(path) if node.level else "", node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def rooms_used(path: Path) -> set[str]:
    """Rooms of its own package that a file imports."""
    rooms = {other.stem for other in path.parent.glob("*.py")}
    names = (name.split(".") for name in imports_of(path))
    return {parts[1] for parts in names if parts[0] == package_of(path) and len(parts) > 1 and parts[1] in rooms}


def floor_of(package: str) -> int:
    return next(number for number, packages in enumerate(PACKAGES) if package in packages)


def test_every_package_and_every_room_of_the_library_has_its_place():
    assert {package_of(path) for path in ROOMS} == {name for floor in PACKAGES for name in floor} == set(FROM_OUTSIDE)
    assert {path.stem for path in ROOMS if package_of(path) == "MetaAffineRegLib"} == {*LIBRARY, "__init__"}


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: f"{package_of(path)}.{path.stem}")
def test_file_imports_from_packages_below_its_own(path):
    used = {name.split(".")[0] for name in imports_of(path)} - {package_of(path)}
    inside = {name for name in used if name in FROM_OUTSIDE}
    assert not {name for name in inside if floor_of(name) >= floor_of(package_of(path))}
    assert used - inside - sys.stdlib_module_names <= FROM_OUTSIDE[package_of(path)]


@pytest.mark.parametrize("room", LIBRARY)
def test_room_of_the_library_imports_rooms_that_stand_before_it(room):
    path = ROOT / "MetaAffineReg" / "MetaAffineRegLib" / f"{room}.py"
    assert rooms_used(path) <= set(LIBRARY[: LIBRARY.index(room)])


@pytest.mark.parametrize("package", FROM_OUTSIDE)
def test_package_has_no_circle(package):
    graph = {path.stem: rooms_used(path) for path in ROOMS if package_of(path) == package}
    graphlib.TopologicalSorter(graph).prepare()
