"""What every command does with its words: parse, run, and say what is wrong in one sentence."""

import argparse
import sys
from collections.abc import Callable

from MetaAffineRegLib.errors import InputError


def run_command(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], words: list[str] | None) -> int:
    """Exit code of a command: its own, 2 for bad input (as argparse's), 130 when interrupted."""
    arguments = parser.parse_args(words)
    try:
        return command(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that must not be written to, a name that is too long
        print(
            f"error: {error.filename or 'A file'} can't be used ({error.strerror or error}); make room or choose another place.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing half-done was kept", file=sys.stderr)
        return 130
