"""``register``: one pair of image files, one transform file."""

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from MetaAffineRegLib.errors import InputError

from .console import run_command
from .options import add_registration_options, check_folder, runner_up_path, settings_of

if TYPE_CHECKING:
    from MetaAffineRegLib.geometry import Matrix
    from MetaAffineRegLib.registration import Result

    from .image_files import ImageFile


def parser() -> argparse.ArgumentParser:
    """The options of ``register``."""
    p = argparse.ArgumentParser(
        prog="run.py register",
        description="Align the moving image with the fixed image. Writes an ITK affine transform, fixed point -> moving point, LPS mm. "
        "A result that is ambiguous or failed has its runner-up beside it, NAME-runner-up.tfm.",
    )
    p.add_argument("fixed", type=Path, help="image file or DICOM folder")
    p.add_argument("moving", type=Path, help="image file or DICOM folder")
    p.add_argument("--output", type=Path, required=True, help="transform to write (.tfm)")
    add_registration_options(p)
    p.add_argument("--warped", type=Path, help="write the moving image resampled onto the fixed image")
    p.add_argument("--report", type=Path, help="write the figures as JSON")
    p.add_argument("--picture", type=Path, help="write a picture (PNG): before, after, checkerboard, difference")
    return p


def register_files(arguments: argparse.Namespace) -> int:
    """Run the registration that the options describe; 0 when it is done, 1 when the result says of itself that it failed."""
    _check_names(arguments)
    from MetaAffineRegLib.geometry import pair_frame
    from MetaAffineRegLib.registration import register

    from .image_files import check_image_name, read_image
    from .report import caution, summary
    from .transform_files import read_transform

    fixed, moving = read_image(arguments.fixed), read_image(arguments.moving)
    if arguments.warped:
        check_image_name(arguments.warped, fixed.dimension)
    for remark in (*fixed.remarks, *moving.remarks):
        print(f"note: {remark}", file=sys.stderr)
    initial = read_transform(arguments.initial) if arguments.initial else None
    (result,) = register([(fixed.image, moving.image)], settings_of(arguments), [initial])
    frame = pair_frame(fixed.image.geometry, moving.image.geometry, initial)
    second = _write(arguments, fixed, moving, result, frame.to_lps(frame.start))
    print(summary(result, fixed.image.geometry))
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    if warning := caution(result.status, str(second) if second else None):
        print(f"{result.status}: {warning}", file=sys.stderr)
    return 1 if result.status == "failed" else 0


def _check_names(arguments: argparse.Namespace) -> None:
    """Refuse names that can't be written before anything is computed."""
    outputs = {f"--{name}": getattr(arguments, name) for name in ("output", "warped", "report", "picture") if getattr(arguments, name)}
    for option, path in outputs.items():
        check_folder(path, option)
    if arguments.output.suffix not in (".tfm", ".txt", ".h5"):
        raise InputError(f"--output {arguments.output} is not a name for a transform; end it in .tfm.")
    second = runner_up_path(arguments.output)
    check_folder(second, "the runner-up of --output")
    if len({path.resolve() for path in (*outputs.values(), second)}) <= len(outputs):
        raise InputError(f"Two outputs have the same name; give each a name of its own, and none that of the runner-up, {second.name}.")
    inputs = {arguments.fixed.resolve(), arguments.moving.resolve()}
    if second.resolve() in inputs or (arguments.initial and second.resolve() == arguments.initial.resolve()):
        raise InputError(f"{second} is an input, and it is the name of the runner-up of --output {arguments.output}; choose another name.")
    for option, path in outputs.items():
        if path.resolve() in inputs:
            raise InputError(f"{option} {path} is an input and would be overwritten; choose another name.")
    if arguments.picture and arguments.picture.suffix.lower() != ".png":
        raise InputError(f"--picture {arguments.picture} is not a name for a picture; end it in .png.")


def _write(arguments: argparse.Namespace, fixed: "ImageFile", moving: "ImageFile", result: "Result", start: "Matrix") -> Path | None:
    """All outputs, or none; returns the name of the runner-up's file where there is one, and leaves none of an earlier run."""
    from MetaAffineRegLib.files import written_together
    from MetaAffineRegLib.image import Image

    from .image_files import resample, write_image
    from .report import document, runner_up, summary
    from .transform_files import write_transform

    other, second = runner_up(result), runner_up_path(arguments.output)
    kept = None if other is None else second
    names = [arguments.output, *(path for path in (kept, arguments.warped, arguments.report, arguments.picture) if path)]
    with ExitStack() as stack:
        parts = dict(zip(names, stack.enter_context(written_together(*names)), strict=True))
        write_transform(parts[arguments.output], result.fixed_to_moving_lps)
        if other is not None:
            write_transform(parts[second], other)
        if arguments.report:
            remarks = (*fixed.remarks, *moving.remarks)
            report = document(result, fixed.image.geometry, remarks, kept.name if kept else None)
            parts[arguments.report].write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
        if arguments.warped:
            after = resample(moving.image, fixed.image, result.fixed_to_moving_lps)
            write_image(parts[arguments.warped], Image(after, fixed.image.geometry, "warped"), fixed.dimension)
        if arguments.picture:
            from .picture import draw

            caption = summary(result, fixed.image.geometry)
            draw(parts[arguments.picture], fixed.image, moving.image, start, result.fixed_to_moving_lps, caption)
        if kept is None:
            second.unlink(missing_ok=True)
    return kept


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), register_files, words)


if __name__ == "__main__":
    sys.exit(main())
