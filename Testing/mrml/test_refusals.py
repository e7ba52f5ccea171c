"""Nodes that can't be registered: one sentence that says what is wrong and what to do, before any voxel is read."""

import numpy as np
import pytest
import slicer
import vtk

from made_volumes import blobs, lattice, transform_node, volume_node
from MetaAffineRegLib.errors import InputError
from MetaAffineRegMRML.node_checks import check_nodes

SIZE = (8, 8, 8)


@pytest.fixture
def good(scene):
    return [volume_node(name, SIZE, lattice(SIZE, (4, 4, 4)), blobs, scene) for name in ("fixed", "moving")]


def of_class(scene, class_name, name="it"):
    return scene.AddNewNodeByClass(class_name, name)


def filled(scene, class_name, shape):
    node = of_class(scene, class_name)
    slicer.util.updateVolumeFromArray(node, np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))
    return node


def with_null_image(scene):
    node = of_class(scene, "vtkMRMLScalarVolumeNode")
    node.SetAndObserveImageData(vtk.vtkImageData())
    return node


def under_grid(scene):
    node = volume_node("it", SIZE, lattice(SIZE, (4, 4, 4)), blobs, scene)
    linear = transform_node(np.eye(4), scene, "linear", parent=non_linear(scene))
    node.SetAndObserveTransformNodeID(linear.GetID())
    return node


def non_linear(scene, name="grid"):
    transform = vtk.vtkThinPlateSplineTransform()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetAndObserveTransformToParent(transform)
    assert not node.IsLinear()
    return node


BAD_VOLUMES = {
    "none": (lambda scene: None, "^No {role} volume is chosen; choose one.$"),
    "no image": (lambda scene: of_class(scene, "vtkMRMLScalarVolumeNode"), "^it holds no image data; .*choose another volume.$"),
    "empty image": (with_null_image, "^it holds no image data; .*choose another volume.$"),
    "label map": (lambda scene: filled(scene, "vtkMRMLLabelMapVolumeNode", SIZE), "^it is a label map, .*; choose the volume"),
    "segmentation": (lambda scene: of_class(scene, "vtkMRMLSegmentationNode"), "^it is a segmentation, .*; choose the volume"),
    "sequence": (lambda scene: of_class(scene, "vtkMRMLSequenceNode"), "^it is a sequence of volumes; choose one of its frames"),
    "model": (lambda scene: of_class(scene, "vtkMRMLModelNode"), "^it is not a volume; choose a scalar volume.$"),
    "vectors": (
        lambda scene: filled(scene, "vtkMRMLVectorVolumeNode", (*SIZE, 2)),
        "^it has 2 values in each voxel; choose a volume with one",
    ),
    "many channels": (lambda scene: filled(scene, "vtkMRMLDiffusionWeightedVolumeNode", (*SIZE, 3)), "^it has 3 values in each voxel"),
    "non-linear": (under_grid, "^it is under the non-linear transform linear; harden that transform or take the volume out of it.$"),
    "one pixel": (lambda scene: filled(scene, "vtkMRMLScalarVolumeNode", (1, 1, 1)), "^it: The image has 1 x 1 x 1 samples;"),
    "one line": (lambda scene: filled(scene, "vtkMRMLScalarVolumeNode", (1, 8, 1)), "^it: The image has 1 x 8 x 1 samples;"),
    "a slice beside a volume": (
        lambda scene: filled(scene, "vtkMRMLScalarVolumeNode", (1, 8, 8)),
        "dimensions.*give two slices or two volumes",
    ),
}


@pytest.mark.parametrize("role", ["fixed", "moving"])
@pytest.mark.parametrize("case", BAD_VOLUMES)
def test_bad_volume_is_refused(scene, good, case, role):
    make, sentence = BAD_VOLUMES[case]
    nodes = dict(zip(("fixed", "moving"), good, strict=True))
    nodes[role] = make(scene)
    with pytest.raises(InputError, match=sentence.format(role=role)) as caught:
        check_nodes(**nodes)
    assert "\n" not in str(caught.value) and str(caught.value).endswith((".", ")"))


def test_flat_parent_is_refused(scene, good):
    """A transform that squeezes the volume into a plane can't be undone."""
    good[1].SetAndObserveTransformNodeID(transform_node(np.diag([1.0, 1, 0, 1]), scene).GetID())
    with pytest.raises(InputError, match="^moving: The image has no usable geometry"):
        check_nodes(*good)


def test_good_volumes_are_not_refused(good):
    check_nodes(*good)


def test_same_node_twice_is_refused(good):
    with pytest.raises(InputError, match=r"^fixed is chosen as fixed and as moving volume; choose two different volumes\.$"):
        check_nodes(good[0], good[0])


@pytest.mark.parametrize("role", ["output", "initial"])
def test_non_linear_transforms_are_refused(scene, good, role):
    with pytest.raises(InputError, match=f"^The {role} transform grid is non-linear; choose a linear transform.$"):
        check_nodes(*good, **{role: non_linear(scene)})
    below = transform_node(np.eye(4), scene, "below", parent=scene.GetFirstNodeByName("grid"))
    with pytest.raises(InputError, match=f"^The {role} transform below is under a non-linear transform; choose a linear transform.$"):
        check_nodes(*good, **{role: below})


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("steps", [1, 2])
def test_output_above_an_input_is_refused(scene, good, index, steps):
    output = transform_node(np.eye(4), scene, "output")
    above = output if steps == 1 else transform_node(np.eye(4), scene, "between", parent=output)
    good[index].SetAndObserveTransformNodeID(above.GetID())
    with pytest.raises(
        InputError, match=f"^{good[index].GetName()} is under the output transform output and would move with it; choose another"
    ):
        check_nodes(*good, output)


def test_output_above_moving_is_fine_where_it_is_its_earlier_result(scene, good):
    output = transform_node(np.eye(4), scene, "output")
    output.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole(), good[1].GetID())
    good[1].SetAndObserveTransformNodeID(output.GetID())
    check_nodes(*good, output)
