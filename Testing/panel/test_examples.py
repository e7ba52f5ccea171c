"""The examples of the documentation, run as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util

from MetaAffineRegMRML.sample_volumes import truth_ras

ROOT = Path(__file__).resolve().parents[2]


def examples(name):
    return re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def names(panel):
    return {"slicer": slicer, "__name__": "__main__"}


def test_examples_of_the_console_run_in_order(names, capsys):
    parts = examples("Docs/python-console.md")
    assert len(parts) >= 8
    for number, part in enumerate(parts):
        exec(compile(part, f"example {number + 1}", "exec"), names)
    told = capsys.readouterr().out
    assert re.search(r"^It is 9\d % likely to be right\.$", told, re.MULTILINE)
    assert "\ncancelled\n" in told
    assert "Phantom fixed is chosen as fixed and as moving volume" in told
    assert re.search(r"^100 %", told, re.MULTILINE)
    found = slicer.util.arrayFromTransformMatrix(names["transformNode"]) @ truth_ras()
    np.testing.assert_allclose(found, np.eye(4), atol=0.5)


@pytest.mark.parametrize("name", ["README.md", "Docs/when-to-trust-a-result.md"])
def test_other_examples_of_the_console_run(names, name):
    from MetaAffineRegMRML.sample_volumes import make_sample

    names["fixedNode"], names["movingNode"] = make_sample(slicer.mrmlScene)
    for part in examples(name):
        if "MetaAffineRegLogic" in part:
            exec(compile(part, name, "exec"), names)
            assert names["result"].status
