"""What the user chooses: kept in the scene, handed to the library, saved as presets."""

from enum import Enum
from typing import Annotated, Any

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

# The library's word and the user's for each choice; the first is the default.


class Freedom(Enum):
    AFFINE = "affine"
    SIMILARITY = "similarity"
    RIGID = "rigid"

    def label(self) -> str:
        return {
            Freedom.AFFINE: _("affine: turn, shift, scale and shear"),
            Freedom.SIMILARITY: _("similarity: turn, shift and scale"),
            Freedom.RIGID: _("rigid: turn and shift"),
        }[self]


class DataTerm(Enum):
    AUTO = "auto"
    INTENSITIES = "intensities"
    EDGES = "edges"
    CORRELATION = "correlation"
    LOCAL_CORRELATION = "local-correlation"
    MUTUAL_INFORMATION = "mutual-information"

    def label(self) -> str:
        return {
            DataTerm.AUTO: _("automatic: intensities or edges"),
            DataTerm.INTENSITIES: _("intensities (one contrast)"),
            DataTerm.EDGES: _("edges (different contrasts)"),
            DataTerm.CORRELATION: _("correlation (one contrast, other scale)"),
            DataTerm.LOCAL_CORRELATION: _("local correlation (uneven brightness)"),
            DataTerm.MUTUAL_INFORMATION: _("mutual information (different contrasts)"),
        }[self]


class Method(Enum):
    ROBUST = "robust"
    COMB = "comb"
    LEARN = "learn"
    PLAIN = "plain"

    def label(self) -> str:
        return {
            Method.ROBUST: _("robust: searches all rotations, judges itself"),
            Method.COMB: _("comb: one start, learned steps, then L-BFGS"),
            Method.LEARN: _("learn: one start, learned steps alone"),
            Method.PLAIN: _("plain: one start, L-BFGS alone"),
        }[self]


class Device(Enum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        return {Device.AUTO: _("automatic"), Device.CPU: _("CPU"), Device.CUDA: _("GPU (CUDA)")}[self]


class Backend(Enum):
    AUTO = "auto"
    TORCH = "torch"
    NUMBA = "numba"
    TRITON = "triton"

    def label(self) -> str:
        return {
            Backend.AUTO: _("automatic"),
            Backend.TORCH: "PyTorch",
            Backend.NUMBA: _("compiled by numba (CPU)"),
            Backend.TRITON: _("compiled by Triton (GPU)"),
        }[self]


@parameterNodeWrapper
class MetaAffineRegParameterNode:
    """What the user chose; kept in the scene."""

    fixedVolume: slicer.vtkMRMLScalarVolumeNode  # stays where it is
    movingVolume: slicer.vtkMRMLScalarVolumeNode  # is laid on the fixed one
    outputTransform: slicer.vtkMRMLTransformNode  # gets the result; none to have one made
    initialTransform: slicer.vtkMRMLTransformNode  # where the search sets out; none for the centres on each other
    sliceView: slicer.vtkMRMLSliceNode  # register the slices that it shows; none for the volumes
    freedom: Freedom = Freedom.AFFINE
    model: str = ""  # name of a shipped model or a file; empty for the one of the method
    method: Method = Method.ROBUST
    dataTerm: DataTerm = DataTerm.AUTO
    rotationRange: Annotated[float, WithinRange(0, 180)] = 180.0  # degrees around the start
    device: Device = Device.AUTO
    backend: Backend = Backend.AUTO
    applyToMoving: bool = True  # put the moving volume under the result


NODE_FIELDS = ("fixedVolume", "movingVolume", "outputTransform", "initialTransform", "sliceView")
# The choices that a preset holds; nodes are not among them.
_CHOICES: dict[str, type] = {
    "freedom": Freedom,
    "model": str,
    "method": Method,
    "dataTerm": DataTerm,
    "rotationRange": float,
    "device": Device,
    "backend": Backend,
}


def choicesOf(parameterNode: Any) -> dict[str, Any]:
    """The choices as plain data, to save."""
    values = {name: getattr(parameterNode, name) for name in _CHOICES}
    return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}


def applyChoices(parameterNode: Any, choices: dict[str, Any]) -> None:
    """Set saved choices; those that this version does not know keep what they are."""
    with slicer.util.NodeModify(parameterNode):
        for name, kind in _CHOICES.items():
            if name in choices:
                try:
                    setattr(parameterNode, name, kind(choices[name]))
                except (ValueError, TypeError):  # of another version, or out of range
                    continue


def librarySettings(parameterNode: Any) -> dict[str, Any]:
    """The choices under the names of Settings in MetaAffineRegLib.registration."""
    choices = choicesOf(parameterNode)
    choices["rotation_range"] = choices.pop("rotationRange")
    choices["data_term"] = choices.pop("dataTerm")
    choices["model"] = choices["model"] or None
    return choices
