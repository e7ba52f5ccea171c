"""Rings of tests inside a real Slicer: ``Slicer --testing --python-script Testing/in_slicer.py panel mrml``; CTest starts it so.

Needs pytest in Slicer's Python (``PythonSlicer -m pip install pytest``).  Exit code: that of pytest, or 77, which CTest takes for skipped,
where pytest is missing.
"""

import sys
from pathlib import Path

import slicer.util

SKIPPED = 77


def run(rings: list[str]) -> int:
    """Run the rings that are named, all that Slicer can run where none is; returns the exit code."""
    try:
        import pytest
    except ModuleNotFoundError:
        print("The tests need pytest in Slicer's Python: PythonSlicer -m pip install pytest", file=sys.stderr)
        return SKIPPED
    root = Path(__file__).resolve().parents[1]
    folders = [str(root / "Testing" / ring) for ring in rings or ("panel", "mrml")]
    return int(pytest.main(["-q", "--rootdir", str(root), "-c", str(root / "pyproject.toml"), "-p", "no:cacheprovider", *folders]))


slicer.util.exit(run(sys.argv[1:]))
