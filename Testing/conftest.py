"""Import roots for every ring, as Slicer sets them up, and few threads: the tests are small and run side by side."""

import os
import sys
from pathlib import Path

if not Path("/proc/driver/nvidia").exists():  # no GPU: Triton interprets its kernels; it looks when it is imported
    os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

_ROOT = Path(__file__).resolve().parent.parent
for _folder in ("MetaAffineReg", "MetaAffineRegTraining", "Testing"):
    sys.path.insert(0, str(_ROOT / _folder))
