"""``train``: train an initializer on the images of a task and write its checkpoint."""

import argparse
import csv
import os
import platform
import random
import shlex
import sys
import time
from pathlib import Path

from MetaAffineRegCLI.console import run_command

_HELD_OUT = 0.1  # share of the training subjects kept for validation
_SUFFIXES = (".png", ".jpg", ".jpeg", ".nrrd", ".nii", ".nii.gz", ".mha")
_LICENCES = {
    "hands": "LGPL-3 images of the FAIR toolbox",
    "brain": "images of unclear licence (web collection)",
    "mri": "CC0, CC BY, CC BY-NC and CC BY-NC-SA images, some without a stated licence",
}


def parser() -> argparse.ArgumentParser:
    """The options of ``train``."""
    p = argparse.ArgumentParser(prog="run.py train", description="Train an initializer and write its checkpoint.")
    p.add_argument("--task", required=True, help="folder of images below --data: hands, brain, mri")
    p.add_argument(
        "--data", required=True, type=Path, help="folder that holds the task folders; rows 'train' of splits.csv where there is one"
    )
    p.add_argument(
        "--output",
        required=True,
        type=Path,
        help="checkpoint to write; the log (.log.jsonl) and the state to resume from (.resume.pt) lie beside it",
    )
    p.add_argument("--levels", type=int, nargs="+", default=[16, 32], help="grid sizes, coarse to fine; one: the paper's one-level network")
    p.add_argument("--lstm-steps", type=int, default=5, help="K, steps a level")
    p.add_argument(
        "--gradient-input",
        choices=["raw", "direction"],
        default="direction",
        help="what the network sees: the gradient, or its direction and norm",
    )
    p.add_argument("--rotation", type=float, default=60.0, help="largest rotation in degrees")
    p.add_argument("--translation", type=float, default=0.5, help="largest shift, normalised: 0.5 is a quarter of the image")
    p.add_argument("--stretch", type=float, default=0.0, help="0.15: the full affine deformations of the paper's Table 5")
    p.add_argument("--noise", type=float, default=0.05, help="standard deviation of the noise on the fixed image")
    p.add_argument("--steps", type=int, default=4000, help="steps of Adam")
    p.add_argument("--batch", type=int, default=128, help="pairs a step")
    p.add_argument("--learning-rate", type=float, default=0.005)
    p.add_argument("--loss", choices=["mse", "rms"], default="rms", help="equation (8), or its root")
    p.add_argument(
        "--schedule", choices=["successive", "joint"], default="successive", help="LSTM steps one after the other, or all at once"
    )
    p.add_argument("--emphasis", type=float, default=0.0, help="weight of the loss after LSTM step k is k ** EMPHASIS: 0 weighs all alike")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    p.add_argument("--save-every", type=int, default=250, help="Adam steps between two states to resume from")
    p.add_argument("--resume", action="store_true", help="take up the state beside --output")
    return p


def task_files(data: Path, task: str) -> list[tuple[str, Path]]:
    """(subject, file) of the images a task may be trained on."""
    from MetaAffineRegLib.errors import InputError

    folder = data / task
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; --data names the folder that holds the task's images in '{task}'.")
    table = folder / "splits.csv"
    if table.is_file():
        with table.open(newline="") as f:
            reader = csv.DictReader(f)
            rows = list(reader)
        if not {"file", "split"} <= set(reader.fieldnames or ()):
            raise InputError(f"{table} lacks the columns file and split; name the images and the split each belongs to.")
        files = [(row.get("subject") or row["file"], folder / row["file"]) for row in rows if row["split"] == "train"]
    else:
        files = [(path.name, path) for path in sorted(folder.iterdir()) if path.name.lower().endswith(_SUFFIXES)]
    if not files:
        raise InputError(f"{folder} holds no image to train on; put images there, or a splits.csv with rows 'train'.")
    return files


def hold_out(files: list[tuple[str, Path]], seed: int) -> tuple[list[Path], list[Path]]:
    """Files for training and for validation, apart by subject; with fewer than five subjects both are all."""
    subjects = sorted({subject for subject, _ in files})
    if len(subjects) < 5:
        return [path for _, path in files], [path for _, path in files]
    kept = set(random.Random(seed).sample(subjects, max(1, round(_HELD_OUT * len(subjects)))))
    return [path for subject, path in files if subject not in kept], [path for subject, path in files if subject in kept]


def train(arguments: argparse.Namespace) -> int:
    """Run the training that the options describe."""
    from MetaAffineRegCLI.image_files import read_image
    from MetaAffineRegLib import __version__
    from MetaAffineRegLib.devices import choose_device
    from MetaAffineRegLib.errors import InputError
    from MetaAffineRegLib.initializer import InitializerConfig
    from MetaAffineRegTrainingLib.deformations import DeformationDistribution
    from MetaAffineRegTrainingLib.pairs import PairMaker
    from MetaAffineRegTrainingLib.sources import source_stack
    from MetaAffineRegTrainingLib.trainer import Trainer, TrainingConfig, json_line

    output: Path = arguments.output
    if not output.parent.is_dir() or output.suffix != ".pt":
        raise InputError(f"--output {output} must be a .pt file in a folder that exists; create the folder or choose another.")
    state, log_file = output.with_suffix(".resume.pt"), output.with_suffix(".log.jsonl")
    if arguments.resume and not state.is_file():
        raise InputError(f"There is nothing to resume: {state} does not exist; leave --resume out to start anew.")
    device = choose_device(arguments.device)
    files, held_out = hold_out(task_files(arguments.data, arguments.task), arguments.seed)
    dimension = read_image(files[0]).image.geometry.dimension
    try:
        config = InitializerConfig(
            dimension,
            tuple(arguments.levels),
            arguments.lstm_steps,
            gradient_input=arguments.gradient_input,
        )
    except ValueError as error:
        raise InputError(f"These settings make no network: {error}.") from error
    # Pairs are warped at twice the finest level: what is averaged away costs nothing.
    work_size = 2 * max(config.levels)
    if any(work_size % level for level in config.levels):
        raise InputError(f"--levels {' '.join(map(str, config.levels))}: each must divide the finest; take powers of two.")
    deformations = DeformationDistribution(arguments.rotation, arguments.translation, arguments.stretch)

    def maker(paths: list[Path]) -> PairMaker:
        return PairMaker(
            source_stack([read_image(path).image for path in paths], work_size, device=device), config.levels, deformations, arguments.noise
        )

    training = TrainingConfig(
        **{name: getattr(arguments, name) for name in ("steps", "batch", "learning_rate", "loss", "schedule", "emphasis", "seed")}
    )
    trainer = Trainer(config, training, maker(files), maker(held_out), device)
    if arguments.resume:
        trainer.resume(state)
    card = {
        "task": arguments.task,
        "trained_on": f"{len(files)} images of '{arguments.task}', {len(held_out)} held out for validation",
        "data_licence": _LICENCES.get(arguments.task, "not stated"),
        "command": "run.py train " + shlex.join(_without_paths(arguments)),
        "deformations": f"rotation +-{arguments.rotation:g} degrees, translation +-{arguments.translation:g} normalised, "
        f"stretch {arguments.stretch:g}",
        "version": __version__,
        "python": platform.python_version(),
    }
    started = time.monotonic()
    validation: dict[str, float] = {}

    def log(figures: dict[str, float]) -> None:
        validation.update(figures)
        line = json_line({**figures, "seconds": time.monotonic() - started})
        print(line, flush=True)
        with log_file.open("a") as f:
            f.write(line + "\n")

    if not arguments.resume:
        log_file.unlink(missing_ok=True)
    trainer.run(log, arguments.save_every, lambda: trainer.save(state, card, resumable=True))
    figures = {name: value for name, value in validation.items() if name.startswith("validation")}
    trainer.save(output, {**card, "figures": figures}, resumable=False)
    state.unlink(missing_ok=True)
    print(f"{output}: {os.path.getsize(output) / 1024:.0f} kB")
    return 0


def _without_paths(arguments: argparse.Namespace) -> list[str]:
    """The options that shaped the weights, as words."""
    words = []
    for name, value in vars(arguments).items():
        if name not in ("data", "output", "device", "save_every", "resume"):
            words += [f"--{name.replace('_', '-')}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return words


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), train, words)


if __name__ == "__main__":
    sys.exit(main())
