"""The options that ``register`` and ``batch`` share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from MetaAffineRegLib.errors import InputError

if TYPE_CHECKING:
    from MetaAffineRegLib.registration import Settings

RUNNER_UP = "-runner-up"  # what its name has behind that of the transform


def add_registration_options(parser: argparse.ArgumentParser) -> None:
    """Model, method, range of rotations, freedom, start, device."""
    parser.add_argument(
        "--model", help="name of a shipped model or a checkpoint file (default: the one for the method and the images' dimension)"
    )
    parser.add_argument(
        "--method",
        choices=["robust", "comb", "learn", "plain"],
        default="robust",
        help="search of all rotations that judges its own result; or from one start: learned steps and L-BFGS, "
        "learned steps alone, or L-BFGS alone (default: robust)",
    )
    parser.add_argument(
        "--rotation-range",
        type=float,
        default=180.0,
        metavar="DEGREES",
        help="how far from the start robust searches, 0 to 180 (default: 180, all rotations)",
    )
    parser.add_argument(
        "--data-term",
        choices=["auto", "intensities", "edges", "correlation", "local-correlation", "mutual-information"],
        default="auto",
        help="what robust compares: intensities as they are, edges (for images of different contrast), intensities up to a gain and "
        "an offset (correlation), these window by window (local-correlation), or up to any curve (mutual-information); auto: intensities "
        "and, where these differ or leave doubt, edges (default: auto)",
    )
    parser.add_argument(
        "--freedom", choices=["affine", "similarity", "rigid"], default="affine", help="what the transform may do (default: affine)"
    )
    parser.add_argument(
        "--initial", type=Path, help="transform to set out from, fixed point -> moving point (default: centres on each other)"
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute (default: the GPU where there is one)"
    )
    parser.add_argument(
        "--backend",
        choices=["auto", "torch", "numba", "triton"],
        default="auto",
        help="what computes the criterion: torch, or kernels compiled by numba for the CPU or by Triton for an NVIDIA GPU, where these are "
        "installed (default: the kernels)",
    )
    parser.add_argument(
        "--outside",
        choices=["overlap", "zero"],
        default="overlap",
        help="what the finest levels of comb and plain do where one image is missing: leave it out, or take it for zero "
        "as the paper does (default: overlap)",
    )


def settings_of(arguments: argparse.Namespace) -> "Settings":
    """The library's settings of the parsed options."""
    from MetaAffineRegLib.registration import Settings

    return Settings(
        method=arguments.method,
        freedom=arguments.freedom,
        model=arguments.model,
        rotation_range=arguments.rotation_range,
        data_term=arguments.data_term,
        device=arguments.device,
        outside=arguments.outside,
        backend=arguments.backend,
    )


def runner_up_path(output: Path) -> Path:
    """Where the second best transform goes that belongs to the one in ``output``."""
    return output.with_name(f"{output.stem}{RUNNER_UP}.tfm")


def check_folder(path: Path, option: str) -> None:
    """Raise InputError where the folder that a file is to be written to does not exist."""
    if not path.parent.is_dir():
        raise InputError(f"The folder of {option} {path} does not exist; create it or choose another.")
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder; give the name of a file.")
