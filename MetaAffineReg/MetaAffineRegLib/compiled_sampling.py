"""``sampling.sample_mapped``, compiled for the CPU by numba: what lies outside the images is not even looked at."""

import numpy as np
from torch import Tensor

from .backends import BORDER
from .compiling import compiled, fast, inlined, lean
from .kernel_rows import place_lines, place_rows
from .lanes import ROWS
from .large_tensors import room_for
from .threads import share_out


def sample_mapped(images: Tensor, x: Tensor, shape: tuple[int, ...], out: Tensor | None = None) -> Tensor:
    """Values of images ``(B, C, *S)`` under maps x ``(B, M, d, d + 1)`` on a grid of ``shape``, ``(B, M, C, *shape)``; in float32, and in
    ``out`` where that is given."""
    sizes, (batch, channels) = tuple(images.shape[2:]), images.shape[:2]
    room = room_for(batch, channels, *(size + 2 * BORDER for size in sizes)).zero_()
    room[:, :, *[slice(BORDER, -BORDER)] * len(sizes)] = images
    bordered = room.flatten(2).numpy()
    maps = np.ascontiguousarray(x.double().numpy())
    rows = int(np.prod(shape[:-1]))
    found = room_for(batch, maps.shape[1], channels, *shape) if out is None else out
    samples = found.view(batch, maps.shape[1], channels, rows, shape[-1]).numpy()
    share_out(
        lambda first, last: sample_rows(bordered, sizes, shape, maps, first, last, samples),
        batch * maps.shape[1] * rows,
        samples=found.numel(),
    )
    return found


@compiled
def sample_rows(images, sizes, grid, x, first, last, samples):
    """The rows first .. last - 1 of all maps' samples ``(B, M, C, rows, columns)``, one after the other; bordered images
    ``(B, C, padded samples)``."""
    columns, begins, spans = np.empty((2, ROWS), np.int32), np.zeros((3, ROWS)), np.zeros((ROWS, 2), np.int32)
    spans[:, 1] = samples.shape[4]
    _sample_rows(images, sizes, grid, x, first, last, samples, spans, columns, begins, np.zeros((3, 5)), np.full((len(sizes), 2), -1.0))


@lean
def _sample_rows(images, sizes, grid, x, first, last, samples, spans, columns, begins, lines, box):
    """spans ``(ROWS, 2)``: whole rows; columns ``(2, ROWS)``, begins ``(3, ROWS)``, lines ``(3, 5)``: scratch; see ``kernel_rows``."""
    d, (maps, rows) = len(sizes), (samples.shape[1], samples.shape[3])
    for direction in range(d):
        box[direction, 1] = sizes[d - 1 - direction]
    while first < last:
        n, row = first // rows, first % rows % grid[d - 2]
        b, m = n // maps, n % maps
        done = row % ROWS  # of the rows that are placed together, always the same ones, whoever samples them
        count = min(grid[d - 2] - row + done, ROWS)
        columns[0], columns[1] = 0, 0
        if place_lines(grid, sizes, x[b, m], lines):
            place_rows(lines, box, spans, row - done, count, first % rows // grid[d - 2], columns, begins)
        for k in range(done, min(count, done + last - first)):
            _sample_row(images[b], sizes, lines, columns[:, k], begins[:, k], first % rows - done + k, samples[b, m])
        first += count - done


@inlined
def _sample_row(images, sizes, lines, columns, begin, row, samples):
    """A row of the samples ``(C, rows, columns)`` of images ``(C, padded samples)``."""
    d, start, end = len(sizes), columns[0], columns[1]
    if start >= end:
        start, end = 0, 0
    across = np.int32(sizes[d - 1] + 2 * BORDER)
    area = np.int32(across * (sizes[d - 2] + 2 * BORDER))
    x, y, z = _first(0, start, lines, begin), _first(1, start, lines, begin), _first(2, start, lines, begin)
    for channel in range(len(images)):
        found = samples[channel, row]
        found[:start], found[end:] = 0, 0
        if d == 2:
            _interpolate_row(images[channel], across, x, y, lines, found[start:end])
        else:
            _interpolate_deep_row(images[channel], across, area, x, y, z, lines, found[start:end])


@inlined
def _first(direction, start, lines, begin):
    return np.float32(begin[direction] + start * lines[direction, 1] + BORDER)


@fast
def _interpolate_row(image, across, x, y, lines, out):
    right, down = np.uint64(1), np.uint64(across)
    dx, dy = np.float32(lines[0, 1]), np.float32(lines[1, 1])
    for i in range(len(out)):
        px, py = x + np.float32(i) * dx, y + np.float32(i) * dy
        ix, iy = np.int32(px), np.int32(py)
        at = np.uint64(iy * across + ix)
        wx, wy = px - np.float32(ix), py - np.float32(iy)
        out[i] = _bilinear(image[at], image[at + right], image[at + down], image[at + down + right], wx, wy)


@fast
def _interpolate_deep_row(image, across, area, x, y, z, lines, out):
    right, down, deep = np.uint64(1), np.uint64(across), np.uint64(area)
    dx, dy, dz = np.float32(lines[0, 1]), np.float32(lines[1, 1]), np.float32(lines[2, 1])
    for i in range(len(out)):
        px, py, pz = x + np.float32(i) * dx, y + np.float32(i) * dy, z + np.float32(i) * dz
        ix, iy, iz = np.int32(px), np.int32(py), np.int32(pz)
        at = np.uint64(iz * area + iy * across + ix)
        wx, wy, wz = px - np.float32(ix), py - np.float32(iy), pz - np.float32(iz)
        near = _bilinear(image[at], image[at + right], image[at + down], image[at + down + right], wx, wy)
        at += deep
        far = _bilinear(image[at], image[at + right], image[at + down], image[at + down + right], wx, wy)
        out[i] = near + wz * (far - near)


@fast
def _bilinear(a, b, c, d, wx, wy):
    """Value between four pixels."""
    top, bottom = a + wx * (b - a), c + wx * (d - c)
    return top + wy * (bottom - top)
