"""``normalized_gradients.gradients`` for the compiled kernels on the CPU, compiled by numba: one plane after the other, so that what is
between an image and its gradients lies in the processor's cache."""

import numpy as np
from torch import Tensor

from .backends import BORDER
from .compiled_images import lay_pixels, room_for_words
from .compiling import compiled, fast, lean
from .large_tensors import room_for
from .threads import share_out

# What is kept of three neighbouring planes, one in each place: the means within a plane, and those over planes; and one plane more.
_MEANS, _SMOOTH, _LINES, _PLANES = 0, 3, 6, 7


def normals(images: Tensor, edge: float) -> Tensor:
    """Of float32 images ``(B, 2, *S)`` the channels n and the coverage of a fixed image, ``(B, d + 1, *S)``, but for rounding; ``edge``:
    the change that counts half as one."""
    sizes = images.shape[2:]
    found = room_for(len(images), len(sizes) + 1, *sizes)
    given, channels = (tensor.view(len(images), -1, *(1, *sizes)[-3:]).numpy() for tensor in (images.contiguous(), found))
    share_out(lambda first, last: lay_normals(given, np.float32(edge**2), channels, first, last), len(images), samples=images.numel())
    return found


def gradient_words(images: Tensor) -> Tensor:
    """Their gradients and coverage, as ``bordered_words``."""
    sizes = images.shape[2:]
    words = room_for_words(len(images), sizes, len(sizes) + 1)
    given = images.contiguous().view(len(images), 2, *(1, *sizes)[-3:]).numpy()
    share_out(lambda first, last: lay_gradients(given, words.pixels, first, last), len(images), samples=images.numel())
    return words.words


@compiled
def lay_normals(images, square, found, first, last):
    """Those of images ``(B, 2, planes, rows, columns)`` first .. last - 1, to found ``(B, d + 1, planes, rows, columns)``."""
    planes, rows = images.shape[2:4]
    kept = np.empty((2, _PLANES, rows, images.shape[4]), np.float32)
    for k in range(first, last):
        for step in range(planes + 2):
            _go_on(images[k], step, kept)
            if step >= 2:
                for row in range(rows):
                    _edges_of_row(kept, step - 2, planes, row, found[k, :, step - 2, row])
                    _normalize(found[k, :, step - 2, row], square)


@compiled
def lay_gradients(images, words, first, last):
    """Those of images ``(B, 2, planes, rows, columns)`` first .. last - 1 into the middle of words ``(B, .., 4)``."""
    planes, rows, deep = images.shape[2], images.shape[3], (words.shape[1] - images.shape[2]) // 2
    kept = np.empty((2, _PLANES, rows, images.shape[4]), np.float32)
    edges = np.empty((4 if deep else 3, images.shape[4]), np.float32)
    for k in range(first, last):
        words[k, :deep], words[k, deep + planes :] = 0, 0
        for step in range(planes + 2):
            _go_on(images[k], step, kept)
            if step >= 2:
                plane = words[k, step - 2 + deep]
                plane[:BORDER], plane[BORDER + rows :] = 0, 0
                for row in range(rows):
                    _edges_of_row(kept, step - 2, planes, row, edges)
                    lay_pixels(edges, plane[row + BORDER])


@lean
def _go_on(image, step, kept):
    """Keep the means within plane ``step`` of an image ``(2, planes, rows, columns)``, and those over the planes around the one before."""
    planes, rows = image.shape[1:3]
    if step < planes:
        means, least = kept[0, _MEANS + step % 3], kept[1, _MEANS + step % 3]
        for row in range(rows):
            _mean_along(image[0, step, row], kept[0, _LINES, row])
            _least_along(image[1, step, row], kept[1, _LINES, row])
        for row in range(rows):
            up, down = max(row - 1, 0), min(row + 1, rows - 1)
            _mean(kept[0, _LINES, up], kept[0, _LINES, row], kept[0, _LINES, down], means[row])
            _least(kept[1, _LINES, up], kept[1, _LINES, row], kept[1, _LINES, down], least[row])
    plane = step - 1
    if 0 <= plane < planes:
        before, here, after = _around(plane, planes, _MEANS)
        for row in range(rows):
            _mean(kept[0, before, row], kept[0, here, row], kept[0, after, row], kept[0, _SMOOTH + plane % 3, row])
            _least(kept[1, before, row], kept[1, here, row], kept[1, after, row], kept[1, _SMOOTH + plane % 3, row])
            _decide(kept[1, _SMOOTH + plane % 3, row])


@lean
def _around(plane, planes, first):
    """Where the plane before, the plane and the one after are kept, at a border the plane itself."""
    return first + max(plane - 1, 0) % 3, first + plane % 3, first + min(plane + 1, planes - 1) % 3


@lean
def _edges_of_row(kept, plane, planes, row, found):
    """Central differences along x, y (and z) where it is covered, and the coverage, ``(d + 1, columns)``."""
    before, here, after = _around(plane, planes, _SMOOTH)
    smooth, inside, d = kept[0, here], kept[1, here, row], len(found) - 1
    _difference_along(smooth[row], inside, found[0])
    _halved(smooth[max(row - 1, 0)], smooth[min(row + 1, len(smooth) - 1)], inside, found[1])
    if d == 3:
        _halved(kept[0, before, row], kept[0, after, row], inside, found[2])
    _copy(inside, found[d])


@fast
def _normalize(channels, square):
    """Divide vectors, all channels ``(d + 1, N)`` but the last, by the root of the sum of their square and another."""
    for i in range(channels.shape[1]):
        k = np.uint64(i)
        total = square + channels[0, k] * channels[0, k] + channels[1, k] * channels[1, k]
        if len(channels) == 4:
            total += channels[2, k] * channels[2, k]
        factor = np.float32(1) / np.sqrt(total)
        channels[0, k] *= factor
        channels[1, k] *= factor
        if len(channels) == 4:
            channels[2, k] *= factor


@fast
def _copy(values, out):
    for i in range(len(out)):
        out[i] = values[i]


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
