"""Source images of a training: one square or cubic grid each, intensities of spread one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.intensity import window
from MetaAffineRegLib.pyramid import resample


def source_stack(images: Sequence[Image], size: int, *, device: torch.device | str = "cpu") -> Tensor:
    """Images of one dimension as ``(N, 1, *S)``, each centred on a grid of ``size`` that holds the whole of it."""
    dimensions = {image.geometry.dimension for image in images}
    if len(dimensions) != 1:
        raise InputError("The training images mix slices and volumes; train on one kind at a time.")
    stack = []
    for image in images:
        frame = pair_frame(image.geometry, image.geometry).fixed_to_lps
        stack.append(resample(image, frame, size, window(image.array), device=device))
    return torch.stack(stack)[:, :1]
