"""Registration from nodes to nodes against known truth: slices in their planes, oblique volumes, parents, runs that stop."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer

from made_volumes import TURN, apply, blobs, lattice, rotation, to_world, transform_node, translation, volume_node
from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegLib.registration import Confidence, Settings
from MetaAffineRegMRML.registration_nodes import register_nodes

PLAIN = Settings(method="plain")
SIZE, SPACING = (72, 60, 1), (1.2, 1.5, 3.0)
# Places inside the object in the plane z = 0 of the truth.
POINTS = np.array([[-14.0, 9.0, 0.0], [12.0, 14.0, 0.0], [4.0, -16.0, 0.0], [0.0, 0.0, 0.0]])
AXIAL = np.eye(4)
SAGITTAL = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # i to A, j to S, k to R
OBLIQUE = rotation(35, (2, -1, 3))


def picture(truth):
    """Brightness of a volume whose own RAS point ``truth @ p`` shows what the plane z = 0 shows at p."""

    def brightness(points):
        own = apply(np.linalg.inv(truth), points.reshape(-1, 3))
        own[:, 2] = 0
        return blobs(own).reshape(points.shape[:-1])

    return brightness


def slice_node(name, truth, scene, axes=AXIAL, size=SIZE, spacing=SPACING):
    """A slice along ``axes`` (columns: directions of i, j, k), with its middle where ``truth`` puts the origin's plane."""
    center = apply(axes, np.zeros((1, 3)))[0]
    return volume_node(name, size, lattice(size, spacing, axes, center), picture(truth), scene)


def assert_lies_on_fixed(result, fixed_truth, fixed, moving_truth, moving, atol=0.1):
    """The moving volume, put directly under the result, shows each place where the fixed volume shows it (mm)."""
    moving.SetAndObserveTransformNodeID(result.transform_id)
    np.testing.assert_allclose(to_world(moving, apply(moving_truth, POINTS)), to_world(fixed, apply(fixed_truth, POINTS)), atol=atol)


@pytest.mark.parametrize("axes", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"])
def test_slices_register_in_their_plane(scene, axes):
    fixed_truth, moving_truth = axes, axes @ TURN
    fixed, moving = slice_node("fixed", fixed_truth, scene, axes), slice_node("moving", moving_truth, scene, axes)
    result = register_nodes(fixed, moving, None, PLAIN)
    assert_lies_on_fixed(result, fixed_truth, fixed, moving_truth, moving)
    normal = slicer.util.arrayFromTransformMatrix(scene.GetNodeByID(result.transform_id))[:3, :3] @ axes[:3, 2]
    np.testing.assert_allclose(normal, axes[:3, 2], atol=1e-9)


def test_slices_may_be_flat_along_the_first_index(scene):
    size, spacing = (1, 60, 72), (3.0, 1.5, 1.2)
    axes = SAGITTAL @ rotation(90, (0, 1, 0)) @ rotation(90, (1, 0, 0))
    assert abs(axes[0, 0]) > 0.99  # the flat index runs along R
    fixed = slice_node("fixed", SAGITTAL, scene, axes, size, spacing)
    moving = slice_node("moving", SAGITTAL @ TURN, scene, axes, size, spacing)
    assert_lies_on_fixed(register_nodes(fixed, moving, None, PLAIN), SAGITTAL, fixed, SAGITTAL @ TURN, moving)


def test_slices_of_two_positions_and_pixel_sizes(scene):
    """The moving slice lies 25 mm higher and has other pixels; the result brings it into the fixed plane."""
    moving_truth = translation(0, 0, 25) @ TURN
    fixed = slice_node("fixed", AXIAL, scene)
    moving = slice_node("moving", moving_truth, scene, translation(0, 0, 25), (96, 80, 1), (0.9, 1.1, 5.0))
    assert_lies_on_fixed(register_nodes(fixed, moving, None, PLAIN), AXIAL, fixed, moving_truth, moving)


def test_slices_of_two_planes(scene):
    """An axial fixed and a sagittal moving slice: the planes are turned onto each other by the smallest rotation."""
    moving_truth = rotation(90, (0, 1, 0)) @ TURN
    fixed, moving = slice_node("fixed", AXIAL, scene), slice_node("moving", moving_truth, scene, SAGITTAL)
    assert_lies_on_fixed(register_nodes(fixed, moving, None, PLAIN), AXIAL, fixed, moving_truth, moving)


def test_oblique_anisotropic_volumes_with_parents(scene):
    """Three dimensions, everything at once: own lattices, a parent above each input and above the output."""
    truth = translation(3, -4, 2) @ rotation(9, (1, 2, 2))
    fixed = volume_node("fixed", (40, 36, 20), lattice((40, 36, 20), (2.2, 2.4, 4.5), rotation(15, (1, 0, 1))), blobs, scene)
    moving = volume_node(
        "moving", (34, 44, 26), lattice((34, 44, 26), (2.6, 2.0, 3.6), rotation(-12, (0, 1, 1))),
        lambda points: blobs(apply(np.linalg.inv(truth), points)), scene,
    )  # fmt: skip
    for node, matrix in ((fixed, translation(60, 0, -20) @ rotation(20)), (moving, translation(55, 5, -20) @ rotation(25))):
        node.SetAndObserveTransformNodeID(transform_node(matrix, scene).GetID())
    output = transform_node(np.eye(4), scene, "output", parent=transform_node(rotation(80, (1, 1, 0)), scene))
    result = register_nodes(fixed, moving, output, PLAIN)
    assert result.transform_id == output.GetID()
    moving.SetAndObserveTransformNodeID(output.GetID())
    places = np.array([[-14.0, 9.0, 6.0], [12.0, 14.0, -9.0], [4.0, -16.0, 3.0], [17.0, -5.0, 10.0]])
    np.testing.assert_allclose(to_world(moving, apply(truth, places)), to_world(fixed, places), atol=0.3)


def test_second_run_gives_the_same_transform(scene):
    """The moving volume hangs under the first result by then; it is taken as it lay before."""
    fixed, moving = slice_node("fixed", AXIAL, scene), slice_node("moving", TURN, scene)
    output = scene.GetNodeByID(register_nodes(fixed, moving, None, PLAIN).transform_id)
    first = slicer.util.arrayFromTransformMatrix(output)
    moving.SetAndObserveTransformNodeID(output.GetID())
    register_nodes(fixed, moving, output, PLAIN)
    np.testing.assert_array_equal(slicer.util.arrayFromTransformMatrix(output), first)
    assert np.abs(first - np.eye(4)).max() > 1


def test_initial_transform_is_where_registration_sets_out(scene):
    """Half a turn is far beyond what is found without help; with the initial transform it is found."""
    far = rotation(170)
    fixed, moving = slice_node("fixed", AXIAL, scene), slice_node("moving", far, scene)
    initial = transform_node(np.linalg.inv(rotation(165)), scene, "initial")
    assert_lies_on_fixed(register_nodes(fixed, moving, None, PLAIN, initial), AXIAL, fixed, far, moving)


def test_far_turn_is_found_by_default_and_said_to_be_right(scene):
    """Half a turn, without an initial transform; the confidence comes with the result."""
    far = translation(5, -3, 0) @ rotation(170)
    fixed, moving = slice_node("fixed", AXIAL, scene), slice_node("moving", far, scene)
    result = register_nodes(fixed, moving, None, Settings())
    assert_lies_on_fixed(result, AXIAL, fixed, far, moving)
    assert (result.method, result.status) == ("robust", "ok")
    assert result.probability > 0.9 and result.confidence.overlap > 0.5 and result.confidence.consistency_mm < 0.2
    assert re.fullmatch(r"It is 9\d % likely to be right\.", result.judgement)


@pytest.mark.parametrize(
    ("status", "probability", "sentence"),
    [
        ("ok", 1.0, "It is 99 % likely to be right."),
        ("ambiguous", 0.476, "It is ambiguous (48 % likely to be right): another alignment may be the right one; check it by eye."),
        ("failed", 0.0, "Do not trust it (1 % likely to be right); check it by eye."),
    ],
)
def test_judgement_says_in_words_how_sure_the_result_is(scene, status, probability, sentence):
    """Nothing is told as certain."""
    result = register_nodes(slice_node("fixed", AXIAL, scene), slice_node("moving", TURN, scene), None, PLAIN)
    assert result.judgement == ""  # this method does not judge itself
    confidence = Confidence(status, probability, 0.9, 0.01, 0.5, np.eye(4))
    assert dataclasses.replace(result, confidence=confidence).judgement == sentence


def test_new_transform_is_named_after_the_volumes(scene):
    fixed, moving = slice_node("before", AXIAL, scene), slice_node("after", TURN, scene)
    result = register_nodes(fixed, moving, None, PLAIN)
    node = scene.GetNodeByID(result.transform_id)
    assert node.GetName() == "after to before"
    assert node.GetClassName() == "vtkMRMLLinearTransformNode"


def test_color_is_told(scene):
    fixed = slice_node("fixed", AXIAL, scene)
    photo = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    gray = slicer.util.arrayFromVolume(slice_node("gray", TURN, scene))
    slicer.util.updateVolumeFromArray(photo, np.repeat(gray[..., None], 3, axis=-1))
    photo.CopyOrientation(fixed)
    result = register_nodes(fixed, photo, None, PLAIN)
    assert "photo is a color image; its brightness was registered." in result.notes
    assert_lies_on_fixed(result, AXIAL, fixed, TURN, photo)


def scene_state(scene):
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    matrices = {node.GetID(): slicer.util.arrayFromTransformMatrix(node).tolist() for node in nodes if node.IsA("vtkMRMLTransformNode")}
    return len(nodes), matrices


@pytest.mark.parametrize("with_output", [False, True])
def test_cancelled_registration_changes_nothing(scene, with_output):
    fixed, moving = slice_node("fixed", AXIAL, scene), slice_node("moving", TURN, scene)
    output = transform_node(rotation(3), scene, "output") if with_output else None
    before = scene_state(scene)
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        register_nodes(fixed, moving, output, PLAIN, cancelled=cancelled)
    assert scene_state(scene) == before
    if output:
        assert output.GetNodeReferenceID(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole()) is None


@pytest.mark.parametrize("lost", ["fixed", "moving", "output"])
def test_node_removed_in_the_middle_stops_it(scene, lost):
    nodes = {
        "fixed": slice_node("fixed", AXIAL, scene),
        "moving": slice_node("moving", TURN, scene),
        "output": transform_node(np.eye(4), scene, "output"),
    }

    def progress(_stage, _fraction):
        if nodes[lost].GetScene() is not None:
            scene.RemoveNode(nodes[lost])

    with pytest.raises(Cancelled):
        register_nodes(nodes["fixed"], nodes["moving"], nodes["output"], PLAIN, progress=progress)
    np.testing.assert_array_equal(slicer.util.arrayFromTransformMatrix(nodes["output"]), np.eye(4))


def test_bad_voxels_change_nothing(scene):
    fixed, moving = slice_node("fixed", AXIAL, scene), slice_node("moving", TURN, scene)
    slicer.util.arrayFromVolume(moving)[0, 5, 5] = np.nan
    before = scene_state(scene)
    with pytest.raises(InputError, match="moving holds samples that are not a number"):
        register_nodes(fixed, moving, None, PLAIN)
    assert scene_state(scene) == before


def test_nodes_need_neither_qt_nor_the_application():
    """In a fresh interpreter, since another ring may have completed slicer in this one."""
    code = "import sys, MetaAffineRegMRML.registration_nodes, slicer; assert not hasattr(slicer, 'app') and 'qt' not in sys.modules"
    if hasattr(slicer, "app") and "host" not in sys.modules:
        pytest.skip("inside Slicer the application is always there")
    package = Path(__file__).resolve().parents[2] / "MetaAffineReg"
    ran = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
