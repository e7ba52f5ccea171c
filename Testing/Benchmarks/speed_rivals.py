"""The time of other programs over ours, on the same made pairs in one run, by the machinery of ``benchmark rivals``."""

import argparse
from pathlib import Path

import rivals
from scoring import COLUMNS, KnownPair
from speed_sizes import Size, made_pairs

from MetaAffineRegCLI.image_files import write_image
from MetaAffineRegCLI.transform_files import write_transform


def lines(sizes: list[Size], count: dict[int, int], threads: int, output: Path) -> list[str]:
    """Markdown of ``benchmark rivals`` on made pairs; a sentence where the environment of the tools is not there."""
    if not rivals.is_set_up():
        return ["The environment of the other programs is not there; `python3 run.py benchmark rivals` makes it."]
    for size in sizes:
        write_pairs(list(made_pairs(size, count[size.dimension])), output / "pairs" / str(size), size.dimension)
    return rivals.run(
        argparse.Namespace(
            data=output / "pairs",
            tasks=[str(size) for size in sizes],
            tools=list(rivals.PROGRAMS),
            first=None,
            ours_first=None,
            threads=threads,
            output_dir=output / "rivals",
        )
    )


def write_pairs(pairs: list[KnownPair], folder: Path, dimension: int) -> None:
    """A folder of a task, see ``scoring.read_table``."""
    folder.mkdir(parents=True, exist_ok=True)
    table = [",".join(COLUMNS)]
    for pair in pairs:
        names = [f"{pair.id}-{what}" for what in ("fixed.nrrd", "moving.nrrd", "truth.tfm")]
        write_image(folder / names[0], pair.fixed, dimension)
        write_image(folder / names[1], pair.moving, dimension)
        write_transform(folder / names[2], pair.truth)
        table.append(",".join((pair.id, *names)))
    (folder / "pairs.csv").write_text("\n".join(table) + "\n")
