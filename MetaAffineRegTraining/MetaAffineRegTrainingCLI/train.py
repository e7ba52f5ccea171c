"""``train``: train an initializer on the images of a task and write its checkpoint."""

import argparse
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MetaAffineRegCLI.console import run_command
from MetaAffineRegLib.errors import InputError

from .tasks import Chosen, hold_out, licences, task_files

if TYPE_CHECKING:
    from MetaAffineRegLib.initializer import InitializerConfig
    from MetaAffineRegTrainingLib.pairs import PairMaker, Starts
    from MetaAffineRegTrainingLib.trainer import Trainer


def positive(word: str) -> int:
    """A whole number above zero, for argparse."""
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above zero")
    return number


def positive_number(word: str) -> float:
    """A number above zero, for argparse."""
    number = float(word)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{word} is not above zero")
    return number


def parser() -> argparse.ArgumentParser:
    """The options of ``train``."""
    p = argparse.ArgumentParser(prog="run.py train", description="Train an initializer and write its checkpoint.")
    p.add_argument("--task", required=True, help="folder of images below --data: hands, brain, mri, volumes")
    p.add_argument(
        "--data", required=True, type=Path, help="folder that holds the task folders; rows 'train' of splits.csv where there is one"
    )
    p.add_argument(
        "--output",
        required=True,
        type=Path,
        help="checkpoint to write; the log (.log.jsonl) and the state to resume from (.resume.pt) lie beside it",
    )
    p.add_argument("--datasets", nargs="+", help="take only these data sets (column 'dataset' of splits.csv)")
    p.add_argument(
        "--licences", nargs="+", help="take only images under these (column 'licence' of splits.csv, what stands before a bracket)"
    )
    p.add_argument("--made-images", type=int, default=0, help="images of random shapes, made by code, to train on besides the files")
    _add_network_options(p)
    _add_deformation_options(p)
    _add_appearance_options(p)
    _add_course_options(p)
    return p


def _add_network_options(p: argparse.ArgumentParser) -> None:
    """The shape of a network that starts from nothing."""
    p.add_argument("--levels", type=int, nargs="+", default=[16, 32], help="grid sizes, coarse to fine; one: the paper's one-level network")
    p.add_argument("--lstm-steps", type=positive, default=5, help="K, steps a level")
    p.add_argument(
        "--gradient-input",
        choices=["raw", "direction", "newton"],
        default="direction",
        help="what the network sees: the gradient, its direction and norm, or those of the Gauss-Newton step too",
    )
    p.add_argument(
        "--data-term",
        choices=["mean_squares", "unexplained_content", "normalized_gradients", "content_and_gradients"],
        default="mean_squares",
        help="the criterion whose gradients the network reads; content_and_gradients: the two before it, in turn",
    )


def _add_deformation_options(p: argparse.ArgumentParser) -> None:
    """How the images of a pair are moved, and where the steps set out."""
    p.add_argument("--rotation", type=float, default=60.0, help="largest rotation in degrees")
    p.add_argument("--translation", type=float, default=0.5, help="largest shift, normalised: 0.5 is a quarter of the image")
    p.add_argument("--stretch", type=float, default=0.0, help="0.15: the full affine deformations of the paper's Table 5")
    p.add_argument("--distortion", type=float, default=0.0, help="largest standard deviation of noise on the entries of A")
    p.add_argument("--scale", type=float, default=0.0, help="0.1: each axis is stretched by up to 10 %% either way")
    p.add_argument("--shear", type=float, default=0.0, help="largest shear")
    p.add_argument("--starts", type=positive, default=1, help="starts of a pair (default: 1)")
    p.add_argument(
        "--start-rotation",
        type=float,
        help="starts are turned by up to so many degrees away from the truth; default: the start is the identity",
    )
    p.add_argument("--start-translation", type=float, default=0.2, help="and shifted by up to so much, normalised")
    p.add_argument("--start-distortion", type=float, default=0.1, help="and distorted, as by --distortion")


def _add_appearance_options(p: argparse.ArgumentParser) -> None:
    """What keeps the images of a pair from being alike."""
    p.add_argument("--noise", type=float, default=0.05, help="standard deviation of the noise on the fixed image")
    p.add_argument("--noise-on-moving", type=float, default=0.0, help="share of the pairs whose moving image is noisy too")
    p.add_argument("--crop", type=float, default=0.0, help="share of the pairs whose moving image lost a slab of 10 to 35 %%")
    p.add_argument("--contrast", type=float, default=0.0, help="0.7: moving intensities to a power of 1/2 to 2")
    p.add_argument("--bias", type=float, default=0.0, help="0.2: standard deviation of uneven brightness on the moving image")
    p.add_argument(
        "--curve",
        type=float,
        default=0.0,
        help="share of the pairs whose moving intensities go through a random monotone curve, where normalised gradients are read",
    )


def _add_course_options(p: argparse.ArgumentParser) -> None:
    """How long and in which way is trained."""
    p.add_argument("--steps", type=positive, default=4000, help="steps of Adam")
    p.add_argument("--minutes", type=positive_number, help="train for so long, whatever the number of steps")
    p.add_argument("--batch", type=positive, default=128, help="pairs a step, of all processes together")
    p.add_argument("--from-model", help="start from this model, a name or a file, whose network is taken; default: from nothing")
    p.add_argument("--learning-rate", type=float, default=0.005)
    p.add_argument("--loss", choices=["mse", "rms"], default="rms", help="equation (8), or its root")
    p.add_argument(
        "--schedule", choices=["successive", "joint"], default="successive", help="LSTM steps one after the other, or all at once"
    )
    p.add_argument("--emphasis", type=float, default=0.0, help="weight of the loss after LSTM step k is k ** EMPHASIS: 0 weighs all alike")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    p.add_argument("--save-every", type=positive, default=250, help="Adam steps between two states to resume from")
    p.add_argument("--resume", action="store_true", help="take up the state beside --output")


def train(arguments: argparse.Namespace) -> int:
    """Run the training that the options describe."""
    output: Path = arguments.output
    if not output.parent.is_dir() or output.suffix != ".pt":
        raise InputError(f"--output {output} must be a .pt file in a folder that exists; create the folder or choose another.")
    state, log_file = output.with_suffix(".resume.pt"), output.with_suffix(".log.jsonl")
    if arguments.resume and not state.is_file():
        raise InputError(f"There is nothing to resume: {state} does not exist; leave --resume out to start anew.")
    files, held_out = hold_out(task_files(arguments.data, arguments.task, _chosen(arguments)), arguments.seed)
    trainer = _trainer(arguments, files, held_out)
    try:
        _run(trainer, arguments, _card(arguments, len(files), len(held_out)), state, log_file)
    finally:
        trainer.ranks.close()
    return 1 if trainer.failed else 0


def _run(trainer: "Trainer", arguments: argparse.Namespace, card: dict[str, Any], state: Path, log_file: Path) -> None:
    """Train; the first of several processes tells and writes."""
    from MetaAffineRegTrainingLib.trainer import json_line

    leads = trainer.ranks.leads
    if arguments.resume:
        trainer.resume(state)
    elif leads:
        log_file.unlink(missing_ok=True)
    validation: dict[str, float] = {}

    def checkpoint(loss: float) -> None:
        validation.update(trainer.validate())
        line = json_line({"step": trainer.step, "loss": loss, **validation, "seconds": trainer.seconds})
        print(line, flush=True)
        with log_file.open("a") as f:
            f.write(line + "\n")
        trainer.save(state, card, resumable=True)

    loss = 0.0
    for loss in trainer.steps():
        if leads and trainer.step % arguments.save_every == 0:
            checkpoint(loss)
    if not leads:
        return
    if trainer.failed:
        print(f"{trainer.failed} {state} holds the last good state, where there is one.", file=sys.stderr)
        return
    if trainer.step % arguments.save_every:
        checkpoint(loss)
    for note in trainer.notes:
        print(f"note: {note}", file=sys.stderr)
    trainer.save(arguments.output, {**card, "figures": validation or trainer.validate()}, resumable=False)
    state.unlink(missing_ok=True)
    print(f"{arguments.output}: {os.path.getsize(arguments.output) / 1024:.0f} kB, {trainer.step / max(trainer.seconds, 1e-3):.1f} steps/s")


def _trainer(arguments: argparse.Namespace, files: list[Path], held_out: list[Path]) -> "Trainer":
    """The trainer of these options, its images read; raises InputError for settings that make no network."""
    from MetaAffineRegCLI.image_files import read_image
    from MetaAffineRegLib.checkpoint import load
    from MetaAffineRegLib.devices import choose_device
    from MetaAffineRegTrainingLib.deformations import DeformationDistribution
    from MetaAffineRegTrainingLib.distributed import Ranks
    from MetaAffineRegTrainingLib.made_images import joined_by_made_images
    from MetaAffineRegTrainingLib.pairs import Starts
    from MetaAffineRegTrainingLib.sources import source_stack
    from MetaAffineRegTrainingLib.trainer import Trainer, TrainingConfig

    device = choose_device(arguments.device)
    ranks = Ranks.of_environment(device)
    dimension = read_image(files[0]).image.geometry.dimension
    initial = load(arguments.from_model).network if arguments.from_model else None
    config = initial.config if initial is not None else _network(arguments, dimension)
    if config.dimension != dimension:
        raise InputError(
            f"{arguments.from_model} is for {config.dimension} dimensions and these images have {dimension}; take another model."
        )
    # Pairs are warped at twice the finest level: what is averaged away costs nothing.
    work_size = 2 * max(config.levels)
    if any(work_size % level for level in config.levels):
        raise InputError(f"--levels {' '.join(map(str, config.levels))}: each must divide the finest; take powers of two.")
    near = None
    if arguments.start_rotation is not None:
        near = DeformationDistribution(arguments.start_rotation, arguments.start_translation, distortion=arguments.start_distortion)
    own, others = (source_stack([read_image(path).image for path in paths], work_size, device=device) for paths in (files, held_out))
    own = joined_by_made_images(own, arguments.made_images, arguments.seed)
    names = ("batch", "learning_rate", "loss", "schedule", "emphasis", "seed")
    length: dict[str, Any] = {"steps": None, "seconds": 60 * arguments.minutes} if arguments.minutes else {"steps": arguments.steps}
    training = TrainingConfig(**{name: getattr(arguments, name) for name in names}, **length)
    trained_on = _makers(arguments, config, own, Starts(near, arguments.starts))
    return Trainer(config, training, trained_on, _makers(arguments, config, others, Starts(near)), device, ranks, initial)


def _makers(arguments: argparse.Namespace, config: "InitializerConfig", sources: Any, starts: "Starts") -> "list[PairMaker]":
    """Of pairs of the sources, a tensor ``(N, 1, *S)``, one for each data term that the network reads."""
    from MetaAffineRegLib.normalized_gradients import NormalizedGradients
    from MetaAffineRegTrainingLib.appearance import Disturbances
    from MetaAffineRegTrainingLib.deformations import DeformationDistribution
    from MetaAffineRegTrainingLib.pairs import PairMaker

    a = arguments
    deformations = DeformationDistribution(a.rotation, a.translation, a.stretch, a.distortion, a.scale, a.shear)
    found = []
    for term in config.data_terms:
        curve = a.curve if isinstance(term, NormalizedGradients) else 0.0
        disturbances = Disturbances(a.noise, a.noise_on_moving, a.crop, a.contrast, a.bias, curve)
        found.append(PairMaker(sources, config.levels, deformations, disturbances, term, starts))
    return found


def _chosen(arguments: argparse.Namespace) -> Chosen:
    return Chosen(arguments.datasets, arguments.licences)


def _network(arguments: argparse.Namespace, dimension: int) -> "InitializerConfig":
    """A network of these options."""
    from MetaAffineRegLib.initializer import InitializerConfig

    options = {"gradient_input": arguments.gradient_input, "data_term": arguments.data_term}
    try:
        return InitializerConfig(dimension, tuple(arguments.levels), arguments.lstm_steps, **options)
    except ValueError as error:
        raise InputError(f"These settings make no network: {error}.") from error


def _card(arguments: argparse.Namespace, trained_on: int, held_out: int) -> dict[str, Any]:
    """The model card, but for the figures."""
    from MetaAffineRegLib import __version__

    near = (
        ""
        if arguments.start_rotation is None
        else (
            f"; starts turned by up to {arguments.start_rotation:g} degrees, shifted by {arguments.start_translation:g} normalised, "
            f"distorted by {arguments.start_distortion:g}"
        )
    )
    made = f" and {arguments.made_images} images made by code" if arguments.made_images else ""
    return {
        "task": arguments.task,
        "trained_on": f"{trained_on} images of '{arguments.task}'{made}, {held_out} held out for validation",
        "data_licence": licences(arguments.data, arguments.task, _chosen(arguments)),
        "command": "run.py train " + shlex.join(_without_paths(arguments)),
        "deformations": f"rotation +-{arguments.rotation:g} degrees, translation +-{arguments.translation:g} normalised, "
        f"stretch {arguments.stretch:g}, distortion {arguments.distortion:g}, scale {arguments.scale:g}, shear {arguments.shear:g}; "
        f"cropped {arguments.crop:g}, contrast {arguments.contrast:g}, curve {arguments.curve:g}, bias {arguments.bias:g}{near}",
        "version": __version__,
        "python": platform.python_version(),
    }


def _without_paths(arguments: argparse.Namespace) -> list[str]:
    """The options that shaped the weights, as words."""
    without = {"data", "output", "device", "save_every", "resume"}
    if arguments.from_model:
        without |= {"levels", "lstm_steps", "gradient_input", "data_term"}  # that model's count
    words = []
    for name, value in vars(arguments).items():
        if name not in without and value is not None:
            words += [f"--{name.replace('_', '-')}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return words


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), train, words)


if __name__ == "__main__":
    sys.exit(main())
