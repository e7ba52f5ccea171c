"""``benchmark``: run a benchmark and write its table to the results."""

import argparse
import sys
from pathlib import Path

import tables

from MetaAffineRegCLI.console import run_command
from MetaAffineRegLib.files import written_together

RESULTS = Path(__file__).with_name("RESULTS.md")


def parser() -> argparse.ArgumentParser:
    """The options of ``benchmark``."""
    p = argparse.ArgumentParser(
        prog="run.py benchmark", description="Measure on pairs with a known truth and write the table to Testing/Benchmarks/RESULTS.md."
    )
    benchmarks = p.add_subparsers(dest="benchmark", required=True)
    tables.add_arguments(benchmarks.add_parser("tables", help="plain, learn and comb beside the paper's printed figures"))
    return p


def benchmark(arguments: argparse.Namespace) -> int:
    """Run one benchmark and replace its section of the results."""
    write_section(arguments.benchmark, tables.run(arguments))
    return 0


def write_section(name: str, lines: list[str]) -> None:
    """Replace what stands between the marks of a section, or append the section."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = RESULTS.read_text() if RESULTS.exists() else ""
    section = "\n".join((begin, "", *lines, "", end))
    if begin in text and end in text:
        text = text[: text.index(begin)] + section + text[text.index(end) + len(end) :]
    else:
        text = f"{text}\n{section}\n"
    with written_together(RESULTS) as (part,):
        part.write_text(text)


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    return run_command(parser(), benchmark, words)


if __name__ == "__main__":
    sys.exit(main())
