"""Which compiled kernels are those of a data term."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import data_terms, kernel_edges, kernel_intensities, kernel_squares
from .data_terms import DataTerm
from .normalized_gradients import NormalizedGradients

_KERNEL_TERMS: dict[type, Callable[[Any], Any]] = {
    data_terms.MeanSquares: lambda term: kernel_squares.MeanSquares(),
    data_terms.OverlapMeanSquares: lambda term: kernel_intensities.OverlapMeanSquares(),
    data_terms.UnexplainedContent: lambda term: kernel_intensities.UnexplainedContent(False, np.float32(term.scale**-2)),
    data_terms.UnexplainedSide: lambda side: kernel_intensities.Shares(False, np.float32(side.scale**-2)),
    NormalizedGradients: lambda term: kernel_edges.NormalizedGradients(False, np.float32(term.edge**2)),
}


def has_kernels(data_term: DataTerm) -> bool:
    """Whether there are kernels for its value and derivatives; of one image's share there are none for derivatives."""
    return type(data_term) in _KERNEL_TERMS and not isinstance(data_term, data_terms.UnexplainedSide)


def kernel_term(data_term: DataTerm) -> Any:
    """What the kernels take for a data term; for one image's share it stands for those of both."""
    return _KERNEL_TERMS[type(data_term)](data_term)
