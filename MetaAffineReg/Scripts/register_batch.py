"""Register the pairs of a table or of a scene without any window.

In Slicer:          Slicer --no-splash --no-main-window --python-script register_batch.py -- PAIRS.csv --output-dir DIR
Without Slicer:     python3 run.py slicer-batch PAIRS.csv --output-dir DIR

Slicer runs this file inside its own main module and stays open until it is told to exit.
"""

import argparse
import dataclasses
import importlib.util
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
import slicer.util

if TYPE_CHECKING:
    from MetaAffineRegCLI.jobs import BatchFolder, Job
    from MetaAffineRegCLI.pairs_table import Row
    from MetaAffineRegCLI.report_table import Line
    from MetaAffineRegLib.geometry import Matrix
    from MetaAffineRegMRML.scene_pairs import ScenePair

MODULE_FOLDER = Path(__file__).resolve().parent.parent


def parser() -> argparse.ArgumentParser:
    """The options of ``slicer-batch``."""
    from MetaAffineRegCLI.options import add_registration_options

    p = argparse.ArgumentParser(
        prog="slicer-batch",
        description="Register the pairs of a table or of a scene. Writes DIR/<id>.tfm, DIR/<id>-runner-up.tfm where a result is "
        "ambiguous or failed, DIR/report.csv, DIR/quality.html and its pictures; a second run does only what is missing. "
        "Exit code: 0 all well, 1 some pair could not be registered or its result failed, 2 input that can't be used.",
    )
    p.add_argument("pairs", type=Path, help="CSV with the columns id, fixed, moving (paths relative to it), or a scene (.mrb, .mrml)")
    p.add_argument("--output-dir", type=Path, required=True, help="folder for the results; made where only it is missing")
    p.add_argument("--scene", type=Path, help="write a scene too, .mrb or .mrml: the volumes, each moving one under its transform")
    p.add_argument(
        "--fixed", metavar="NAME", help="in a scene: the volume on which all others are laid (default: the pairs that its transforms name)"
    )
    add_registration_options(p)
    p.add_argument("--batch-size", type=int, default=1, help="pairs that are registered together; more are faster on a GPU (default: 1)")
    return p


def register_batch(arguments: argparse.Namespace) -> int:
    """Run table or scene; 0 when all pairs are done, 1 when some are not, or say of themselves that they failed."""
    check(arguments)
    from MetaAffineRegCLI.batch import checked_settings
    from MetaAffineRegCLI.batch_run import register_jobs
    from MetaAffineRegCLI.jobs import BatchFolder
    from MetaAffineRegCLI.pairs_table import read_table
    from MetaAffineRegCLI.table_jobs import TableJobs
    from MetaAffineRegCLI.units import registered

    folder = BatchFolder.checked(arguments.output_dir, quality=True)
    how = arguments.batch_size, partial(registered, overlap=False)  # Slicer has nodes and Python's lock in its main thread
    if is_scene(arguments.pairs):
        scene = own_scene()
        pairs = pairs_of_scene(scene, arguments)
        settings, initial = checked_settings(arguments, folder, [pair.id for pair in pairs])
        code = register_jobs([job_of_nodes(pair, initial) for pair in pairs], settings, folder, *how)
    else:
        rows = read_table(arguments.pairs)
        settings, initial = checked_settings(arguments, folder, [row.id for row in rows])
        code = register_jobs(TableJobs(rows, initial), settings, folder, *how)
    if not arguments.scene:
        return code
    if not is_scene(arguments.pairs):
        scene = own_scene()
        lines = finished_lines(folder)
        pairs = load_pairs(scene, [row for row in rows if row.id in lines], with_voxels=arguments.scene.suffix == ".mrb")
    write_results(scene, pairs, folder, arguments.scene)
    return code


def check(arguments: argparse.Namespace) -> None:
    """Raise InputError for options that can't be used, before anything is computed."""
    from MetaAffineRegCLI.options import check_folder
    from MetaAffineRegLib.errors import InputError

    if arguments.batch_size < 1:
        raise InputError(f"--batch-size {arguments.batch_size} is not a number of pairs; give 1 or more.")
    if arguments.fixed is not None and not is_scene(arguments.pairs):
        raise InputError(f"--fixed names a volume of a scene, and {arguments.pairs} is none; leave it out.")
    output: Path | None = arguments.scene
    if output is None:
        return
    if not is_scene(output):
        raise InputError(f"--scene {output} is not a name for a scene; end it in .mrb or .mrml.")
    check_folder(output.resolve(), "--scene")
    if output.resolve() == arguments.pairs.resolve():
        raise InputError(f"--scene {output} is the input and would be overwritten; choose another name.")
    if output.suffix == ".mrml" and arguments.pairs.suffix == ".mrb":
        raise InputError(f"--scene {output} would point to files inside {arguments.pairs}; end its name in .mrb.")


def is_scene(path: Path) -> bool:
    from MetaAffineRegMRML.scene_files import SUFFIXES

    return path.suffix in SUFFIXES


def own_scene() -> slicer.vtkMRMLScene:
    """The scene of the application, which knows all kinds of nodes, or one for this run where there is no application."""
    return slicer.mrmlScene if hasattr(slicer, "mrmlScene") else slicer.vtkMRMLScene()


def pairs_of_scene(scene: slicer.vtkMRMLScene, arguments: argparse.Namespace) -> "list[ScenePair]":
    """What there is to register in the scene that is given."""
    from MetaAffineRegMRML.scene_files import read_scene
    from MetaAffineRegMRML.scene_pairs import scene_pairs

    if not read_scene(scene, arguments.pairs):
        print(f"note: not everything in {arguments.pairs} could be read; a scene that is written lacks it too", file=sys.stderr)
    return scene_pairs(scene, arguments.fixed)


def job_of_nodes(pair: "ScenePair", initial: "Matrix | None") -> "Job":
    """A job that reads two nodes where they lie in the world and leaves them alone."""
    from MetaAffineRegCLI.jobs import Job, Pair
    from MetaAffineRegMRML.registration_nodes import read_pair

    def read() -> Pair:
        return dataclasses.replace(Pair(**vars(read_pair(pair.fixed, pair.moving, pair.transform, None))), initial=initial)

    return Job(pair.id, pair.fixed.GetName(), pair.moving.GetName(), read)


def finished_lines(folder: "BatchFolder") -> "dict[str, Line]":
    """The lines of the report whose rows have all their files."""
    from MetaAffineRegCLI.report_table import read_report

    return {row: line for row, line in read_report(folder.report).items() if folder.is_finished(row, line)}


def load_pairs(scene: slicer.vtkMRMLScene, rows: "list[Row]", with_voxels: bool) -> "list[ScenePair]":
    """Add the volumes of a table to a scene: a fixed one once however many are laid on it, and a moving one for each row.

    Without voxels they only name their files: a list of nodes needs no more, and memory is kept for one volume at a time.
    """
    from MetaAffineRegCLI.image_files import read_voxels, series_files
    from MetaAffineRegMRML.scene_files import set_files
    from MetaAffineRegMRML.scene_pairs import ScenePair
    from MetaAffineRegMRML.volume_nodes import add_volume_node

    def add(path: Path) -> slicer.vtkMRMLScalarVolumeNode:
        voxels = read_voxels(path)
        node = add_volume_node(scene, scene.GenerateUniqueName(path.name.split(".")[0]), voxels.array, voxels.geometry)
        node.CreateDefaultDisplayNodes()
        if not with_voxels:
            set_files(node, series_files(path) if path.is_dir() else [path])
            node.SetAndObserveImageData(None)
        return node

    shared = {path: add(path) for path in dict.fromkeys(row.fixed.resolve() for row in rows)}
    return [ScenePair(row.id, shared[row.fixed.resolve()], add(row.moving)) for row in rows]


def write_results(scene: slicer.vtkMRMLScene, pairs: "list[ScenePair]", folder: "BatchFolder", path: Path) -> None:
    """Put what the folder holds for the pairs into the scene and write it."""
    from MetaAffineRegCLI.options import runner_up_path
    from MetaAffineRegCLI.report_table import verdict_in_words
    from MetaAffineRegCLI.transform_files import read_transform
    from MetaAffineRegMRML.scene_files import write_scene
    from MetaAffineRegMRML.scene_pairs import SceneResult, put_results

    lines = finished_lines(folder)

    def result(pair: "ScenePair") -> SceneResult:
        first, line = folder.transform(pair.id), lines[pair.id]
        other = read_transform(runner_up_path(first)) if line["runner_up"] else None
        return SceneResult(pair, read_transform(first), other, verdict_in_words(line))

    results = [result(pair) for pair in pairs if pair.id in lines]
    put_results(scene, results)
    write_scene(scene, path)
    print(f"{len(results)} transforms are in the scene {path}")


def main(words: list[str]) -> int:
    """Entry point; the exit code is 2 where torch is missing."""
    if str(MODULE_FOLDER) not in sys.path:
        sys.path.insert(0, str(MODULE_FOLDER))
    if importlib.util.find_spec("torch") is None:
        print("error: PyTorch is not installed; install it in Slicer by the PyTorch extension, then start again.", file=sys.stderr)
        return 2
    from MetaAffineRegCLI.console import run_command

    return run_command(parser(), register_batch, words)


def exit_code(words: list[str]) -> int:
    """That of ``main``, whatever happens: Slicer would stay open behind an exception."""
    try:
        return main(words)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    code = exit_code([word for place, word in enumerate(sys.argv[1:]) if place or word != "--"])
    if hasattr(slicer, "app"):
        slicer.util.exit(code)
    else:
        sys.exit(code)
