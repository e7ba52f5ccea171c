"""Where images are covered, so that compiled kernels pass over everything else."""

import numpy as np
import numpy.typing as npt

from .compiling import compiled


def spans_of(coverage: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Of each row of fixed coverages ``(B, *S)`` the first covered column and the last + 1, ``(B, rows, 2)``; both zero where there is
    none."""
    rows = coverage.reshape(len(coverage), -1, coverage.shape[-1])
    spans = np.zeros((*rows.shape[:2], 2), np.int32)
    _find_spans(np.ascontiguousarray(rows), spans)
    return spans


def boxes_of(coverage: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Of moving coverages ``(B, *S)`` the boxes ``(B, d, 2)`` beyond which a sample touches nothing that is covered: what lies between the
    two numbers, in samples along x, y (and z)."""
    sizes, spans = coverage.shape[1:], spans_of(coverage)
    boxes = np.zeros((len(coverage), len(sizes), 2))
    for box, of_rows in zip(boxes, spans, strict=True):
        covered = np.flatnonzero(of_rows[:, 1])
        if not len(covered):
            continue
        along = (*np.unravel_index(covered, sizes[:-1]),)[::-1]
        box[0] = of_rows[covered, 0].min() - 1, of_rows[covered, 1].max()
        box[1:] = [(rows.min() - 1, rows.max() + 1) for rows in along]
    return boxes


def everywhere(count: int, sizes: tuple[int, ...]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Spans and boxes of pairs whose images count as covered wherever they are sampled."""
    spans = np.zeros((count, int(np.prod(sizes[:-1])), 2), np.int32)
    spans[..., 1] = sizes[-1]
    return spans, np.array([[(-1.0, size) for size in reversed(sizes)]] * count)


@compiled
def _find_spans(coverage, spans):
    for k in range(coverage.shape[0]):
        for row in range(coverage.shape[1]):
            line = coverage[k, row]
            first, last = 0, len(line)
            while first < last and not line[first] > 0:
                first += 1
            while last > first and not line[last - 1] > 0:
                last -= 1
            if first < last:
                spans[k, row, 0], spans[k, row, 1] = first, last
