"""Errors against a known truth, intervals, calibration, and the paper's figures as they were copied."""

import sys
from pathlib import Path

import numpy as np
import pytest

from core.made_files import write
from core.made_images import affine, apply, lattice, made, points_of
from MetaAffineRegCLI.transform_files import write_transform
from MetaAffineRegLib.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import paper
from scoring import KnownPair, calibration_error, errors, read_pairs, reliability, wilson

SQUARE = lattice((64, 64, 1), (1.5, 1.5, 1.5))
IMAGE = made(SQUARE)


def known(truth, geometry=SQUARE):
    image = IMAGE if geometry is SQUARE else made(geometry)
    return KnownPair("a", image, image, truth)


def test_errors_are_those_of_the_mapped_samples():
    """Over every sample of the fixed image: root mean square in samples, and the paper's unit, 4 x mean square in half widths."""
    truth, found = affine(20, (6, -9, 0)), affine(-15, (3, 5, 0), stretch=np.diag([1.1, 0.9, 1.0]))
    points = points_of(SQUARE)
    square = float(((apply(found, points) - apply(truth, points)) ** 2).sum(-1).mean())
    got = errors([known(truth)], [found])
    assert got.rms_px[0] == pytest.approx(np.sqrt(square) / 1.5, rel=1e-9)
    assert got.mse4[0] == pytest.approx(4 * square / 48**2, rel=1e-9)
    assert got.eps_a[0] == pytest.approx(np.linalg.norm(found[:2, :2] - truth[:2, :2]), rel=1e-9)
    assert got.eps_b[0] == pytest.approx(np.hypot(3, 14) / 48, rel=1e-9)


def test_right_is_below_one_pixel():
    pair = known(np.eye(4))
    got = errors([pair] * 2, [affine(shift=(1.49, 0, 0)), affine(shift=(0, 1.51, 0))])
    assert got.right.tolist() == [True, False]


def test_doing_nothing_scores_what_the_paper_s_deformations_amount_to():
    """Rotations of U[-60, 60] degrees and shifts of U[-0.5, 0.5]: 4 (E eps_A^2 / 3 + E eps_b^2) = 1.60."""
    random = np.random.default_rng(0)
    pairs = [known(affine(random.uniform(-60, 60), (*random.uniform(-24, 24, 2), 0))) for _ in range(800)]
    assert errors(pairs, [pair.start for pair in pairs]).mse4.mean() == pytest.approx(1.60, abs=0.1)


@pytest.mark.parametrize("degrees", [0, 37, -91, 180])
@pytest.mark.parametrize(("size", "axis"), [((64, 64, 1), (0, 0, 1)), ((20, 22, 24), (1, 2, -1))])
def test_rotation_is_read_from_the_truth(degrees, size, axis):
    truth = affine(degrees, (3, -2, 0), axis, stretch=np.diag([1.05, 1.05, 1.0]) if size[2] == 1 else 1.1 * np.eye(3))
    assert known(truth, lattice(size, (2, 2, 2))).rotation == pytest.approx(abs(degrees), abs=1e-4)


def test_wilson_interval_is_the_published_one():
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for successes, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(successes, count) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 7)[0] == 0 and wilson(7, 7)[1] == 1


def test_bins_of_stated_probabilities():
    stated = np.array([0.0, 0.05, 0.1, 0.95, 1.0])
    right = np.array([False, True, True, True, False])
    bins = reliability(stated, right)
    assert [(b.low, b.high, b.count, b.right) for b in bins] == [(0.0, 0.1, 2, 1), (0.1, 0.2, 1, 1), (0.9, 1.0, 2, 1)]
    assert [b.stated for b in bins] == pytest.approx([0.025, 0.1, 0.975])
    assert calibration_error(bins) == pytest.approx((2 * 0.475 + 0.9 + 2 * 0.475) / 5)


def test_honest_probabilities_have_a_small_calibration_error():
    random = np.random.default_rng(1)
    stated = random.uniform(size=20000)
    assert calibration_error(reliability(stated, random.uniform(size=20000) < stated)) < 0.015
    assert calibration_error(reliability(stated, random.uniform(size=20000) < stated / 2)) > 0.2


def test_pairs_are_read_with_their_truth(tmp_path):
    write(tmp_path / "f.nrrd", IMAGE)
    write(tmp_path / "m.nrrd", made(SQUARE, seed=1))
    truth = affine(20, (4, 5, 0))
    write_transform(tmp_path / "t.tfm", truth)
    (tmp_path / "pairs.csv").write_text("id,fixed,moving,truth,source\nx,f.nrrd,m.nrrd,t.tfm,\ny,m.nrrd,f.nrrd,t.tfm,\n")
    one, two = read_pairs(tmp_path)
    assert (one.id, two.id) == ("x", "y")
    np.testing.assert_array_equal(one.moving.array, two.fixed.array)
    np.testing.assert_allclose(one.truth, truth, atol=1e-12)
    assert [pair.id for pair in read_pairs(tmp_path, 1)] == ["x"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (None, "does not exist"),
        (b"", "no rows"),
        (b"id,fixed,moving,truth\n", "no rows"),
        (b"id,fixed,moving\na,b,c\n", "truth in every row"),
        (b"id,fixed,moving,truth\na,b,c,\n", "truth in every row"),
        (b"\xff\xfe\x00", "CSV"),
        (b"id,fixed,moving,truth\na,b.nrrd,c.nrrd,d.tfm\n", "b.nrrd does not exist"),
    ],
)
def test_unusable_table_is_refused_in_a_sentence(tmp_path, table, says):
    if table is not None:
        (tmp_path / "pairs.csv").write_bytes(table)
    with pytest.raises(InputError, match=says):
        read_pairs(tmp_path)


def test_copied_figures_agree_with_each_other():
    """The mse4 of a pair is 4 (eps_A^2 / 3 + eps_b^2): the maxima of Tables 1, 3 and 4 bound each other, up to their rounding."""
    for key, (_, _, largest) in paper.TABLE_1.items():
        eps_a, eps_b = paper.TABLE_3[key][2], paper.TABLE_4[key][2]
        assert 4 * eps_a**2 / 3 - 0.05 <= largest <= 4 * (eps_a**2 / 3 + eps_b**2) + 0.05


def test_copied_tables_are_whole():
    """Twelve columns in Tables 1, 3, 4, six in Table 2, nine in Tables 5 and 6, and no mean or median above its maximum."""
    tables = (paper.TABLE_1, paper.TABLE_2, paper.TABLE_3, paper.TABLE_4, paper.TABLE_5, paper.TABLE_6)
    assert [len(table) for table in tables] == [12, 6, 12, 12, 9, 9]
    for table in tables:
        for mean, median, largest in table.values():
            assert mean <= largest and (median is None or median <= largest)
    assert {key for key, figures in paper.TABLE_3.items() if figures[1] is None} == {
        (t, m) for t in paper.TASKS for m in ("FAIR", "elastix")
    }
