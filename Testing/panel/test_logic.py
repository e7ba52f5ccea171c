"""What the Python console calls."""

import dataclasses

import numpy as np
import pytest
import slicer
import slicer.util

from made_volumes import rotation, transform_node


def found(result):
    return slicer.util.arrayFromTransformMatrix(slicer.mrmlScene.GetNodeByID(result.transform_id))


def test_settings_reach_the_library(panel, two_slices):
    matrix = found(panel.logic.process(*two_slices, freedom="rigid", method="plain"))
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])), -10, atol=0.2)


def test_range_of_rotations_reaches_the_library(panel, two_slices):
    """A volume that hangs under a turn by 150 degrees is found by default, and not within 30 degrees."""
    two_slices[1].SetAndObserveTransformNodeID(transform_node(rotation(150), slicer.mrmlScene).GetID())

    def turned(**settings):
        matrix = found(panel.logic.process(*two_slices, freedom="rigid", **settings))
        return np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))

    np.testing.assert_allclose(turned(), -10, atol=0.2)
    assert abs(turned(rotation_range=30) + 10) > 60


def test_result_judges_itself(panel, two_slices):
    result = panel.logic.process(*two_slices)
    assert (result.method, result.status) == ("robust", "ok")
    assert result.judgement.endswith("likely to be right.")


def test_result_is_plain_data(panel, two_slices):
    result = panel.logic.process(*two_slices, method="plain")
    fields = dataclasses.asdict(result)
    assert fields["method"] == "plain"
    assert fields["criterion_after"] < 0.01 * fields["criterion_before"]
    kinds = (np.ndarray, str, float, int, tuple, dict, type(None))  # a dict for a part of the result
    assert [name for name, value in fields.items() if not isinstance(value, kinds)] == []


def test_progress_runs_from_start_to_end(panel, two_slices):
    told = []
    panel.logic.process(*two_slices, progress=lambda stage, fraction: told.append((stage, fraction)), method="plain")
    fractions = [fraction for _stage, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.2 and fractions[-1] == 1.0
    assert all(stage for stage, _fraction in told)


def test_unknown_setting_is_an_error(panel, two_slices):
    with pytest.raises(TypeError, match="speed"):
        panel.logic.process(*two_slices, speed=11)


def test_moving_volume_is_not_put_under_the_transform(panel, two_slices):
    """That is the panel's choice; a script may want the transform alone."""
    panel.logic.process(*two_slices, method="plain")
    assert two_slices[1].GetParentTransformNode() is None
