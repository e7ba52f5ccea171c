"""How images are laid out for the compiled kernels on the CPU, compiled by numba: their channels, or two rows, side by side."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .backends import BORDER
from .compiling import lean
from .large_tensors import room_for
from .threads import share_out


class Words(NamedTuple):
    """Room for the channels of images, bordered, an even number of them side by side: words ``(B, padded samples, W)`` in int64, and the
    same as pixels ``(B, planes, rows, columns, 2 W)`` in float32."""

    words: Tensor
    pixels: npt.NDArray[np.float32]


def room_for_words(count: int, sizes: Sequence[int], channels: int) -> Words:
    """For so many channels of images of ``sizes``; slices have one plane, without a border."""
    padded = [size + 2 * BORDER for size in sizes]
    room = room_for(count, *padded, channels + channels % 2)
    return Words(room.flatten(1, -2).view(torch.int64), room.view(count, *(1, *padded)[-3:], -1).numpy())


def bordered_words(images: Tensor) -> Tensor:
    """Channels of images ``(B, C, *S)`` in float32, bordered by zeros, two of a sample in one int64, ``(B, padded samples, W)``."""
    (batch, channels), sizes = images.shape[:2], images.shape[2:]
    words, given = room_for_words(batch, sizes, channels), images.reshape(batch, channels, *(1, *sizes)[-3:]).contiguous().numpy()
    _share_planes(lay_side_by_side, given, words.pixels)
    return words.words


def bordered_rows(images: Tensor) -> Tensor:
    """Images ``(B, *S)`` in float32, bordered by zeros, the value of a sample and that of the row below in one int64, ``(B, padded
    samples, 1)``."""
    words = room_for_words(len(images), images.shape[1:], 2)
    given = images.reshape(len(images), 1, *(1, *images.shape[1:])[-3:]).contiguous().numpy()
    _share_planes(lay_rows_of_two, given, words.pixels)
    return words.words


def _share_planes(lay: Callable[..., None], images: npt.NDArray[np.float32], words: npt.NDArray[np.float32]) -> None:
    """Share out the planes of all words ``(B, planes, ..)`` over threads."""
    share_out(lambda first, last: lay(images, words, first, last), words.shape[0] * words.shape[1], samples=words.size)


@lean
def lay_rows_of_two(images, words, first, last):
    """``lay_side_by_side`` of one channel, the next row's for the second one."""
    lay_side_by_side(images, words, first, last)
    for item in range(first, last):
        pixels = words[item // words.shape[1], item % words.shape[1]]
        for row in range(words.shape[2] - 1):
            for i in range(words.shape[3]):
                pixels[row, np.uint64(i), 1] = pixels[row + 1, np.uint64(i), 0]


@lean
def lay_side_by_side(images, words, first, last):
    """Images ``(B, C, planes, rows, columns)`` into the middle of words ``(B, .., C)``, zeros around them and in a channel too many; of
    these the planes first .. last - 1, one image's after the other's."""
    planes, rows, deep = images.shape[2], images.shape[3], (words.shape[1] - images.shape[2]) // 2
    for item in range(first, last):
        k, plane = item // words.shape[1], item % words.shape[1] - deep
        lines = words[k, plane + deep]
        if 0 <= plane < planes:
            lines[:BORDER], lines[BORDER + rows :] = 0, 0
            for row in range(rows):
                lay_pixels(images[k, :, plane, row], lines[row + BORDER])
        else:
            lines[:] = 0


@lean
def lay_pixels(channels, pixels):
    """Channels ``(C, columns)`` of a row into the middle of pixels ``(padded columns, C or one more)``."""
    count, columns = channels.shape
    pixels[:BORDER], pixels[BORDER + columns :], pixels[:, count:] = 0, 0, 0
    for channel in range(count):
        for i in range(columns):
            pixels[np.uint64(i + BORDER), np.uint64(channel)] = channels[np.uint64(channel), np.uint64(i)]
