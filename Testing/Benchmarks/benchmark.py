"""``benchmark``: run one of the benchmarks and write its section of the results."""

import argparse
import sys
from pathlib import Path
from types import ModuleType

import ablation
import acquisitions
import calibration
import capture_range
import contrasts
import landmarks
import networks
import own_images
import panel_latency
import real_pairs
import rivals
import speed
import subjects
import tables
import terms

from MetaAffineRegCLI.console import run_command
from MetaAffineRegCLI.options import check_folder
from MetaAffineRegLib.files import written_together

RESULTS = Path(__file__).with_name("RESULTS.md")
BENCHMARKS: dict[str, tuple[ModuleType, str]] = {
    "tables": (tables, "all methods on all tasks, beside the figures that the paper prints"),
    "contrasts": (contrasts, "three dimensions and other contrasts"),
    "terms": (terms, "every data term on the same pairs, and which one is picked"),
    "networks": (networks, "the learned steps of several networks, by what is compared"),
    "real": (real_pairs, "real volumes with a known transform, from random poses"),
    "acquisitions": (acquisitions, "thick slices, oblique directions, other voxels and fields of view, other organs, from random poses"),
    "subjects": (subjects, "heads of different people, by loops and by overlap of tissues"),
    "landmarks": (landmarks, "histological sections and hands, by landmarks"),
    "speed": (speed, "evaluations, pairs, batches, memory and start-up, against the limit of the machine"),
    "own-images": (own_images, "a model trained on a few images of one kind, against the shipped ones"),
    "panel": (panel_latency, "whether the panel of the Slicer module stays live, and how soon Cancel takes effect"),
    "rivals": (rivals, "other programs on the same pairs"),
    "ablation": (ablation, "what each part of the method is worth"),
    "range": (capture_range, "how far apart two images may be turned"),
    "calibrate": (calibration, "how likely results are right, on validation pairs; sets the weights of the confidence"),
}


def parser() -> argparse.ArgumentParser:
    """The options of ``benchmark``: one word a benchmark, each with those of its module and ``--results``."""
    p = argparse.ArgumentParser(
        prog="run.py benchmark",
        description="Measure on pairs with a known truth and write a section of Testing/Benchmarks/RESULTS.md, "
        "which says how the pairs are made.",
    )
    words = p.add_subparsers(dest="benchmark", required=True)
    for name, (module, says) in BENCHMARKS.items():
        word = words.add_parser(name, help=says, description=f"Measure {says}.")
        module.add_arguments(word)
        word.add_argument("--section", default=name, metavar="NAME", help=f"name of the section that is replaced (default: {name})")
        word.add_argument(
            "--results",
            type=Path,
            default=RESULTS,
            metavar="FILE",
            help="file whose section is replaced, plots go to Pictures beside it (default: Testing/Benchmarks/RESULTS.md)",
        )
    return p


def benchmark(arguments: argparse.Namespace) -> int:
    """Run one benchmark and replace its section of the results; raises InputError for what can't be used."""
    check_folder(arguments.results, "--results")
    module, _ = BENCHMARKS[arguments.benchmark]
    write_section(arguments.results, arguments.section, module.run(arguments))
    return 0


def write_section(path: Path, name: str, lines: list[str]) -> None:
    """Replace what stands between the marks of a section of a Markdown file, or append the section."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    section = "\n".join((begin, "", *lines, "", end))
    if begin in text and end in text:
        text = text[: text.index(begin)] + section + text[text.index(end) + len(end) :]
    else:
        text = f"{text}\n{section}\n"
    with written_together(path) as (part,):
        part.write_text(text, encoding="utf-8")


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), benchmark, words)


if __name__ == "__main__":
    sys.exit(main())
