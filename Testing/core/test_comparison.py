"""The verdict: by volume, honest about few of them."""

import math

import pytest
import torch

from MetaAffineRegTrainingLib.comparison import verdict
from MetaAffineRegTrainingLib.evaluation import Errors


def errors(mse4, robust=1.0):
    mse4 = torch.as_tensor(mse4, dtype=torch.float64)
    samples = torch.where(torch.arange(len(mse4)) < robust * len(mse4), 0.1, 9.0)
    return {"learn": Errors(mse4, mse4.sqrt()), "robust": Errors(mse4, samples)}


def judged(ratios, pairs=4, **robust):
    """A new model whose error is the shipped one's times a ratio by volume."""
    volume = torch.arange(len(ratios)).repeat_interleave(pairs)
    shipped = torch.logspace(-4, -2, len(volume), dtype=torch.float64)
    new = shipped * torch.as_tensor(ratios, dtype=torch.float64)[volume]
    return verdict(errors(new, robust.get("new", 1.0)), errors(shipped, robust.get("shipped", 1.0)), volume, "general-2d")


def test_better_on_every_volume_is_better_and_the_ratio_is_the_geometric_mean():
    found = judged([0.1, 0.2, 0.4, 0.2])
    assert found.better and found.text.startswith("Better than the shipped model")
    assert found.ratio == pytest.approx(math.exp(sum(map(math.log, (0.1, 0.2, 0.4, 0.2))) / 4))
    assert found.low < found.ratio < found.high < 1 and found.volumes == 4


def test_interval_is_students_t_over_volumes():
    """Logarithms 0, 1, 2: mean 1, standard deviation 1, t(2) = 4.303."""
    found = judged([math.exp(k) for k in (0, 1, 2)])
    assert math.log(found.high) == pytest.approx(1 + 4.303 / math.sqrt(3)) and math.log(found.low) == pytest.approx(
        1 - 4.303 / math.sqrt(3)
    )


def test_more_pairs_of_the_same_volumes_make_it_no_surer():
    few, many = judged([0.2, 1.5, 0.6], pairs=2), judged([0.2, 1.5, 0.6], pairs=200)
    assert few.high == pytest.approx(many.high) and not many.better


@pytest.mark.parametrize("ratios", [[0.1], [0.1, 3.0], [2.0, 3.0, 2.5], [1.0, 1.0, 1.0]])
def test_doubt_keeps_the_default(ratios):
    found = judged(ratios)
    assert not found.better and "keep the default" in found.text


def test_words_tell_worse_from_unsure_and_one_volume_from_several():
    assert judged([2.0, 3.0, 2.5]).text.startswith("Not better: keep the default")
    assert judged([0.1, 3.0]).text.startswith("Not better for sure")
    assert judged([0.1]).text.startswith("Not shown to be better, one held-out volume can't tell")


def test_learned_steps_that_are_better_do_not_excuse_a_robust_that_is_worse():
    assert judged([0.1, 0.2, 0.1, 0.2], new=1.0, shipped=0.75).better
    found = judged([0.1, 0.2, 0.1, 0.2], new=0.5, shipped=1.0)
    assert not found.better and "robust succeeds on 50% of the pairs, with general-2d on 100%" in found.text
