"""Candidates: of each pair the best that lie in basins of their own, whatever the order they come in."""

import pytest
import torch

from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.candidates import Candidates


def candidates(*rows):
    """(pair, shift along x, value) each."""
    x = identity(len(rows), 2)
    x[:, 0, 2] = torch.tensor([shift for _, shift, _ in rows], dtype=torch.float64)
    return Candidates(x, torch.tensor([pair for pair, _, _ in rows]), torch.tensor([value for _, _, value in rows], dtype=torch.float64))


def told(found):
    return [
        (pair, round(shift, 3), value)
        for pair, shift, value in zip(found.pair.tolist(), found.x[:, 0, 2].tolist(), found.value.tolist(), strict=True)
    ]


MIXED = [(1, 0.5, 0.3), (0, 0.0, 0.2), (1, 0.9, 0.1), (0, 0.01, 0.1), (0, 0.6, 0.5), (1, 0.91, 0.2), (0, 0.3, 0.4)]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 0, 6, 2, 5, 1, 4]])
def test_best_of_each_pair_and_of_each_basin(order):
    """Maps 0.01 apart are one basin, of which the better one stays."""
    given = candidates(*(MIXED[k] for k in order))
    assert told(given.best(1)) == [(0, 0.01, 0.1), (1, 0.9, 0.1)]
    assert told(given.best(2)) == [(0, 0.01, 0.1), (0, 0.3, 0.4), (1, 0.9, 0.1), (1, 0.5, 0.3)]
    assert told(given.best(9)) == [(0, 0.01, 0.1), (0, 0.3, 0.4), (0, 0.6, 0.5), (1, 0.9, 0.1), (1, 0.5, 0.3)]


def test_margin_keeps_what_is_close_to_the_best_of_its_pair():
    assert told(candidates(*MIXED).best(9, 0.25)) == [(0, 0.01, 0.1), (1, 0.9, 0.1), (1, 0.5, 0.3)]
    assert told(candidates(*MIXED).best(9, 0.0)) == [(0, 0.01, 0.1), (1, 0.9, 0.1)]


def test_pair_without_a_sound_candidate_keeps_one_and_disturbs_none():
    inf = torch.inf
    given = candidates((0, 0.0, inf), (0, 0.5, inf), (1, 0.0, 0.2), (1, 0.5, 0.1), (2, 0.0, inf), (2, 0.3, 0.4))
    assert told(given.best(1)) == [(0, 0.0, inf), (1, 0.5, 0.1), (2, 0.3, 0.4)]
    assert told(given.best(2, 0.2))[-2:] == [(1, 0.0, 0.2), (2, 0.3, 0.4)]


def test_of_equals_the_first_stays():
    """So that the start, which comes first, is left only for something better."""
    assert told(candidates((0, 0.5, 0.3), (0, 0.0, 0.3)).best(1)) == [(0, 0.5, 0.3)]


def test_ranked_gives_infinity_where_there_are_fewer():
    best = candidates(*MIXED, (2, 0.7, 0.6)).best(3)
    x, value = best.ranked(0)
    assert x[:, 0, 2].tolist() == pytest.approx([0.01, 0.9, 0.7]) and value.tolist() == pytest.approx([0.1, 0.1, 0.6])
    x, value = best.ranked(1)
    assert x[:, 0, 2].tolist() == pytest.approx([0.3, 0.5, 0.7]) and value.tolist() == pytest.approx([0.4, 0.3, torch.inf])
    assert best.ranked(2)[1].tolist() == pytest.approx([0.5, torch.inf, torch.inf])


def test_joined_are_both():
    both = candidates(*MIXED[:3]).joined(candidates(*MIXED[3:]))
    assert told(both.best(9)) == told(candidates(*MIXED).best(9))
