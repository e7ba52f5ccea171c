"""Where images are covered, so that compiled kernels pass over everything else."""

import numpy as np
import numpy.typing as npt

from .compiling import compiled


def spans_of(coverage: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Of each row of fixed coverages ``(B, *S)`` the first covered column and the last + 1, ``(B, rows, 2)``; both zero where there is
    none."""
    planes = coverage.reshape(len(coverage), -1, *coverage.shape[-2:])
    spans = np.zeros((*planes.shape[:3], 2), np.int32)
    for image, found in zip(planes, spans, strict=True):
        _find_spans(image, found)
    return spans.reshape(len(spans), -1, 2)


def boxes_of(coverage: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Of moving coverages ``(B, *S)`` the boxes ``(B, d, 2)`` beyond which a sample touches nothing that is covered: what lies between the
    two numbers, in samples along x, y (and z)."""
    sizes = coverage.shape[1:]
    boxes = np.zeros((len(coverage), 3, 2))
    _find_boxes(spans_of(coverage), sizes[-2], boxes)
    return boxes[:, : len(sizes)]


def everywhere(count: int, sizes: tuple[int, ...]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Spans and boxes of pairs whose images count as covered wherever they are sampled."""
    spans = np.zeros((count, int(np.prod(sizes[:-1])), 2), np.int32)
    spans[..., 1] = sizes[-1]
    return spans, np.array([[(-1.0, size) for size in reversed(sizes)]] * count)


@compiled
def _find_spans(coverage, spans):
    for plane in range(coverage.shape[0]):
        for row in range(coverage.shape[1]):
            line = coverage[plane, row]
            first, last = 0, len(line)
            while first < last and not line[first] > 0:
                first += 1
            while last > first and not line[last - 1] > 0:
                last -= 1
            if first < last:
                spans[plane, row, 0], spans[plane, row, 1] = first, last


@compiled
def _find_boxes(spans, rows_of_plane, boxes):
    for k in range(spans.shape[0]):
        for index in range(spans.shape[1]):
            first, last = np.int64(spans[k, index, 0]), np.int64(spans[k, index, 1])
            if first == last:
                continue
            row, plane = index % rows_of_plane, index // rows_of_plane
            new = boxes[k, 0, 1] == 0
            for axis in range(3):
                low, high = ((first, last), (row, row + 1), (plane, plane + 1))[axis]
                boxes[k, axis, 0] = low - 1 if new else min(low - 1, boxes[k, axis, 0])
                boxes[k, axis, 1] = max(high, boxes[k, axis, 1])
