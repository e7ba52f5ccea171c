"""The offline sample: always the same, and its truth is the truth."""

import numpy as np
import slicer.util

from made_volumes import apply
from MetaAffineRegMRML.sample_volumes import make_sample, truth_ras
from MetaAffineRegMRML.volume_nodes import index_to_world_ras


def test_sample_is_always_the_same(scene):
    first, second = make_sample(scene), make_sample(scene)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(one), slicer.util.arrayFromVolume(other))


def test_truth_maps_what_the_fixed_volume_shows_to_what_the_moving_one_shows(scene):
    fixed, moving = make_sample(scene)
    values = [slicer.util.arrayFromVolume(node).astype(float) for node in (fixed, moving)]
    k, j, i = np.mgrid[10:86:3, 10:98:3, 10:86:3]
    points = apply(index_to_world_ras(fixed), np.stack([i, j, k], axis=-1).reshape(-1, 3).astype(float))
    index = np.round(apply(np.linalg.inv(index_to_world_ras(moving)) @ truth_ras(), points)).astype(int)
    shown = ((index >= 0) & (index < np.array(moving.GetImageData().GetDimensions()))).all(1)
    there = values[1][index[shown, 2], index[shown, 1], index[shown, 0]]
    here = values[0][k, j, i].ravel()[shown]
    assert shown.mean() > 0.9
    assert np.corrcoef(here, there)[0, 1] > 0.93
