"""Train a model on volumes without any window.

In Slicer:          Slicer --no-splash --no-main-window --python-script train_batch.py -- VOLUME ... --output MODEL.pt
Without Slicer:     python3 run.py slicer-train VOLUME ... --output MODEL.pt

Slicer runs this file inside its own main module and stays open until it is told to exit.
"""

import argparse
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
import slicer.util

if TYPE_CHECKING:
    from MetaAffineRegLib.image import Image

MODULE_FOLDER = Path(__file__).resolve().parent.parent
FOLDERS = (MODULE_FOLDER, MODULE_FOLDER.parent / "MetaAffineReg")  # of a clone; installed, both are one


def parser() -> argparse.ArgumentParser:
    """The options of ``slicer-train``."""
    from MetaAffineRegTrainingCLI.setting_options import add_setting_options

    p = argparse.ArgumentParser(
        prog="slicer-train",
        description="Train a model on volumes: files, folders of files, DICOM folders, or the volumes of scenes (.mrb, .mrml). Writes the "
        "model with its card and says whether it is better than the shipped one. "
        "Exit code: 0 done, 1 failed, 2 input that can't be used.",
    )
    p.add_argument("volumes", type=Path, nargs="+", help="image files, folders or scenes")
    p.add_argument("--output", type=Path, help="model to write, .pt (default: the user's models, by --name)")
    p.add_argument("--resume", action="store_true", help="take up the state that an ended run left beside the output, .resume.pt")
    add_setting_options(p)
    return p


def train_batch(arguments: argparse.Namespace) -> int:
    """Read, train, write."""
    from MetaAffineRegLib.errors import InputError
    from MetaAffineRegLib.user_models import model_path
    from MetaAffineRegTrainingCLI.setting_options import settings_of

    settings = settings_of(arguments)
    output: Path = arguments.output or model_path(settings.name)
    if output.suffix != ".pt":
        raise InputError(f"--output {output} is not a name for a model; end it in .pt.")
    state = output.with_suffix(".resume.pt")
    if arguments.resume and not state.is_file():
        raise InputError(f"There is nothing to resume: {state} does not exist; leave --resume out to start anew.")
    images = [image for path in arguments.volumes for image in read(path)]
    from MetaAffineRegTrainingLib.session import Session

    Session(images, settings, output, state, tell).run(arguments.resume)
    return 0


def read(path: Path) -> "Iterator[Image]":
    """The volumes of a file, a folder or a scene; raises InputError for what can't be used."""
    from MetaAffineRegCLI.image_files import read_image
    from MetaAffineRegMRML.scene_files import SUFFIXES, nodes_of_class, read_scene
    from MetaAffineRegMRML.volume_nodes import image_from_volume_node
    from MetaAffineRegTrainingCLI.volume_files import image_files

    if path.suffix in SUFFIXES:
        scene = slicer.vtkMRMLScene()
        read_scene(scene, path)
        nodes = nodes_of_class(scene, "vtkMRMLScalarVolumeNode")
        yield from (image_from_volume_node(node) for node in nodes if not node.IsA("vtkMRMLLabelMapVolumeNode"))
    else:
        yield from (read_image(file).image for file in image_files(path))


def tell(event: dict[str, Any]) -> None:
    """One line for a person."""
    kind = event["event"]
    if kind == "progress":
        print(f"step {event['step']}, loss {event['loss']:.4f}, {event['left']:.0f} s left, {event['rate']:.1f} steps/s", flush=True)
    elif kind == "evaluation":
        shown = ", ".join(f"{method} {f['success']:.0%} {f['mse4']:.2g}" for method, f in event["figures"].items())
        print(f"step {event['step']}, held-out pairs, success and median mse4: {shown}", flush=True)
    elif kind == "note":
        print(f"note: {event['text']}", file=sys.stderr)
    elif kind == "done":
        print(f"{event['model']}: {event['verdict']}")


def main(words: list[str]) -> int:
    """Entry point; the exit code is 2 where torch is missing."""
    sys.path[:0] = [str(folder) for folder in FOLDERS if str(folder) not in sys.path]
    if importlib.util.find_spec("torch") is None:
        print("error: PyTorch is not installed; install it in Slicer by the PyTorch extension, then start again.", file=sys.stderr)
        return 2
    from MetaAffineRegCLI.console import run_command

    return run_command(parser(), train_batch, words)


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
