"""How images are prepared for the compiled kernels on the CPU, compiled by numba: their gradients, and their channels side by side."""

import math

import numpy as np
import torch
from torch import Tensor

from .backends import BORDER
from .compiling import compiled, fast, lean
from .threads import share_out


def edges(images: Tensor, edge: float = math.inf) -> Tensor:
    """Of float32 images ``(B, 2, *S)`` the ``normalized_gradients.gradients`` and the coverage behind them, ``(B, d + 1, *S)``, but for
    rounding; their normals, where ``edge`` is the change that counts half as one."""
    sizes = images.shape[2:]
    planes, square = (1, *sizes)[-3:], np.float32(edge**2)
    found = _room(len(images), len(sizes) + 1, *sizes)
    given, channels = (tensor.view(len(images), -1, *planes).numpy() for tensor in (images.contiguous(), found))

    def work(first: int, last: int) -> None:
        scratch = np.empty((3, *planes), np.float32)
        for k in range(first, last):
            gradient, covered = channels[k, :-1], channels[k, -1]
            smooth_along_axes(*given[k], scratch[0], covered, *scratch[1:])
            difference(scratch[0], covered, gradient)
            if math.isfinite(edge):
                normalize(gradient.reshape(len(sizes), -1), square)

    share_out(work, len(images), samples=images.numel())
    return found


def bordered_words(images: Tensor) -> Tensor:
    """Channels of images ``(B, C, *S)`` in float32, bordered by zeros, two of a sample in one int64, ``(B, padded samples, W)``."""
    (batch, channels), sizes = images.shape[:2], images.shape[2:]
    padded = [size + 2 * BORDER for size in sizes]
    words = _room(batch, *padded, channels + channels % 2)
    share_out(
        lambda first, last: lay_side_by_side(
            images.reshape(batch, channels, *(1, *sizes)[-3:]).contiguous().numpy(),
            words.view(batch, *(1, *padded)[-3:], -1).numpy(),
            first,
            last,
        ),
        batch,
        samples=images.numel(),
    )
    return words.flatten(1, -2).view(torch.int64)


def _room(*shape: int) -> Tensor:
    """A float32 tensor of any values; numpy asks the system for large pages, which take a tenth of the time until they are there."""
    return torch.from_numpy(np.empty(shape, np.float32))


@compiled
def lay_side_by_side(images, words, first, last):
    """Images ``(B, C, planes, rows, columns)`` first .. last - 1 into the middle of words ``(B, .., C)``, zeros around them and in a channel
    too many; slices have no plane more."""
    planes, rows, deep = images.shape[2], images.shape[3], (words.shape[1] - images.shape[2]) // 2
    for k in range(first, last):
        for index in range(words.shape[1] * words.shape[2]):
            plane, row = index // words.shape[2] - deep, index % words.shape[2] - BORDER
            pixels = words[k, plane + deep, row + BORDER]
            if 0 <= plane < planes and 0 <= row < rows:
                pixels[:BORDER], pixels[len(pixels) - BORDER :] = 0, 0
                for channel in range(images.shape[1]):
                    _lay_row(images[k, channel, plane, row], channel, pixels)
                pixels[:, images.shape[1] :] = 0
            else:
                pixels[:] = 0


@fast
def _lay_row(values, channel, pixels):
    for i in range(len(values)):
        pixels[np.uint64(i + BORDER), channel] = values[np.uint64(i)]


@lean
def smooth_along_axes(values, coverage, smooth, covered, spare, other):
    """The means of three neighbours along each axis of values ``(planes, rows, columns)``, to smooth; covered: one where the samples all
    around are covered, else zero; two more for scratch."""
    planes, rows, _ = values.shape
    for plane in range(planes):
        for row in range(rows):
            _mean_along(values[plane, row], smooth[plane, row])
            _least_along(coverage[plane, row], covered[plane, row])
    for plane in range(planes):
        for row in range(rows):
            up, down = max(row - 1, 0), min(row + 1, rows - 1)
            _mean(smooth[plane, up], smooth[plane, row], smooth[plane, down], spare[plane, row])
            _least(covered[plane, up], covered[plane, row], covered[plane, down], other[plane, row])
    for plane in range(planes):
        up, down = max(plane - 1, 0), min(plane + 1, planes - 1)
        for row in range(rows):
            _mean(spare[up, row], spare[plane, row], spare[down, row], smooth[plane, row])
            _least(other[up, row], other[plane, row], other[down, row], covered[plane, row])
            _decide(covered[plane, row])


@lean
def difference(values, covered, found):
    """Central differences along x, y (and z), ``(d, planes, rows, columns)``, where it is covered."""
    planes, rows, _ = values.shape
    for plane in range(planes):
        for row in range(rows):
            inside = covered[plane, row]
            _difference_along(values[plane, row], inside, found[0, plane, row])
            _halved(values[plane, max(row - 1, 0)], values[plane, min(row + 1, rows - 1)], inside, found[1, plane, row])
            if len(found) == 3:
                _halved(values[max(plane - 1, 0), row], values[min(plane + 1, planes - 1), row], inside, found[2, plane, row])


@fast
def normalize(vectors, square):
    """Divide vectors ``(d, N)`` by the root of the sum of their square and another."""
    for i in range(vectors.shape[1]):
        k = np.uint64(i)
        total = square + vectors[0, k] * vectors[0, k] + vectors[1, k] * vectors[1, k]
        if len(vectors) == 3:
            total += vectors[2, k] * vectors[2, k]
        factor = np.float32(1) / np.sqrt(total)
        vectors[0, k] *= factor
        vectors[1, k] *= factor
        if len(vectors) == 3:
            vectors[2, k] *= factor


@fast
def _mean(a, b, c, out):
    third = np.float32(1 / 3)
    for i in range(len(out)):
        out[i] = (a[i] + b[i] + c[i]) * third


@fast
def _least(a, b, c, out):
    for i in range(len(out)):
        out[i] = min(a[i], b[i], c[i])


@fast
def _mean_along(values, out):
    third, last = np.float32(1 / 3), len(out) - 1
    for i in range(1, last):
        out[np.uint64(i)] = (values[np.uint64(i - 1)] + values[np.uint64(i)] + values[np.uint64(i + 1)]) * third
    out[0] = (values[0] + values[0] + values[min(1, last)]) * third
    out[last] = (values[max(last - 1, 0)] + values[last] + values[last]) * third


@fast
def _least_along(values, out):
    last = len(out) - 1
    for i in range(1, last):
        out[np.uint64(i)] = min(values[np.uint64(i - 1)], values[np.uint64(i)], values[np.uint64(i + 1)])
    out[0] = min(values[0], values[min(1, last)])
    out[last] = min(values[max(last - 1, 0)], values[last])


@fast
def _decide(values):
    for i in range(len(values)):
        values[i] = np.float32(1) if values[i] > np.float32(0.999) else np.float32(0)


@fast
def _halved(before, after, inside, out):
    half = np.float32(0.5)
    for i in range(len(out)):
        out[i] = (after[i] - before[i]) * half * inside[i]


@fast
def _difference_along(values, inside, out):
    half, last = np.float32(0.5), len(out) - 1
    for i in range(1, last):
        out[np.uint64(i)] = (values[np.uint64(i + 1)] - values[np.uint64(i - 1)]) * half * inside[np.uint64(i)]
    out[0] = (values[min(1, last)] - values[0]) * half * inside[0]
    out[last] = (values[last] - values[max(last - 1, 0)]) * half * inside[last]
