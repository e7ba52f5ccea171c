"""What the user chooses for a training: kept in the scene, handed to the library."""

from enum import Enum
from typing import Annotated, Any

from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from MetaAffineRegTrainingLib.settings import TrainingSettings
from MetaAffineRegWidgets.parameters import Device

VOLUME_ROLE = "trainingVolume"  # of the references to the checked volumes
_SHIPPED = {"slices": "general-2d", "blocks": "general-3d"}  # the model to start from


class Kind(Enum):
    SLICES = "slices"
    BLOCKS = "blocks"

    def label(self) -> str:
        return {Kind.SLICES: _("slices"), Kind.BLOCKS: _("blocks in 3D")}[self]


class Orientation(Enum):
    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    def label(self) -> str:
        return {Orientation.AXIAL: _("axial"), Orientation.CORONAL: _("coronal"), Orientation.SAGITTAL: _("sagittal")}[self]


class Network(Enum):
    MULTI_LEVEL = "multi-level"
    ONE_LEVEL = "one-level"

    def label(self) -> str:
        return {Network.MULTI_LEVEL: _("multi-level"), Network.ONE_LEVEL: _("one-level")}[self]


class Start(Enum):
    SHIPPED = "shipped"
    NOTHING = "nothing"

    def label(self) -> str:
        return {Start.SHIPPED: _("the shipped model"), Start.NOTHING: _("nothing")}[self]


@parameterNodeWrapper
class MetaAffineRegTrainingParameterNode:
    """What the user chose; shares are percentages here.  The checked volumes are node references, see ``VOLUME_ROLE``."""

    kind: Kind = Kind.SLICES
    orientation: Orientation = Orientation.AXIAL
    first: Annotated[float, WithinRange(0, 100)] = 0.0
    last: Annotated[float, WithinRange(0, 100)] = 100.0
    block: Annotated[float, WithinRange(25, 100)] = 100.0
    heldOut: Annotated[float, WithinRange(5, 50)] = 25.0
    skipEmpty: bool = True
    rotation: Annotated[float, WithinRange(0, 180)] = 60.0
    translation: Annotated[float, WithinRange(0, 50)] = 25.0
    scale: Annotated[float, WithinRange(0, 100)] = 10.0
    shear: Annotated[float, WithinRange(0, 50)] = 0.0
    noise: Annotated[float, WithinRange(0, 100)] = 5.0
    contrast: Annotated[float, WithinRange(0, 2)] = 0.0
    bias: Annotated[float, WithinRange(0, 100)] = 0.0
    crop: Annotated[float, WithinRange(0, 100)] = 0.0
    modelName: str = "my model"
    minutes: Annotated[float, WithinRange(0.1, 10000)] = 5.0
    start: Start = Start.SHIPPED
    network: Network = Network.MULTI_LEVEL
    seed: Annotated[float, WithinRange(0, 1000000)] = 0.0
    device: Device = Device.AUTO
    namesInCard: bool = False


def settingsOf(parameterNode: Any) -> TrainingSettings:
    """The choices as the library takes them; raises InputError where they make no sense together."""
    p = parameterNode
    kind = p.kind.value
    return TrainingSettings(
        kind=kind,
        orientation=p.orientation.value,
        first=p.first / 100,
        last=p.last / 100,
        skip_empty=p.skipEmpty,
        block=p.block / 100,
        rotation=p.rotation,
        translation=p.translation / 50,  # the library's 1 is half of the image
        scale=p.scale / 100,
        shear=p.shear / 100,
        noise=p.noise / 100,
        contrast=p.contrast,
        bias=p.bias / 100,
        crop=p.crop / 100,
        held_out=p.heldOut / 100,
        network=p.network.value,
        start=_SHIPPED[kind] if p.start is Start.SHIPPED else "",
        minutes=p.minutes,
        seed=int(p.seed),
        device=p.device.value,
        names_in_card=p.namesInCard,
        name=p.modelName,
    )
