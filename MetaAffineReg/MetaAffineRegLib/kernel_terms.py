"""Which compiled kernels are those of a data term."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import data_terms, kernel_edges, kernel_intensities
from .data_terms import DataTerm
from .normalized_gradients import NormalizedGradients

_COMPARED: dict[type, Callable[[Any], Any]] = {
    data_terms.MeanSquares: lambda term: kernel_intensities.MeanSquares(),
    data_terms.OverlapMeanSquares: lambda term: kernel_intensities.OverlapMeanSquares(),
    data_terms.UnexplainedContent: lambda term: kernel_intensities.UnexplainedContent(False, np.float32(term.scale**-2)),
    NormalizedGradients: lambda term: kernel_edges.NormalizedGradients(False, np.float32(term.edge**2)),
}
_OF_SIDES: dict[type, Callable[[Any], Any]] = {
    data_terms.UnexplainedSide: lambda side: kernel_intensities.Shares(False, np.float32(side.scale**-2)),
}


def is_compared(data_term: DataTerm) -> bool:
    """Whether there are kernels for its value and derivatives."""
    return type(data_term) in _COMPARED


def kernel_term(data_term: DataTerm) -> Any:
    """What the kernels take for the data term; of one side's share that of both."""
    return (_COMPARED | _OF_SIDES)[type(data_term)](data_term)
