"""The criterion of image pairs under affine maps, summed in one pass over the fixed grid; compiled for the GPU by Triton.

A program sums over a piece of the fixed grid for one candidate map: tile after tile of samples is read, interpolated and compared, and
every lane adds to sums of its own, so that no image of intermediate results is ever written.  ``add_pieces`` puts the pieces together.
Each sum has its fixed order, the same for a pair in any batch.  What is summed, the functions of ``triton_terms`` say.

Directions go in the order x, y (z), and so do sizes: columns, rows (planes).  What belongs to the samples of a tile is a tensor
``(TILE,)``; several of them are a list.

Arguments of the kernels: fixed ``(B, FIXED, samples)`` and words ``(B, padded samples, WORDS)``, the images as in ``fused_images``; maps
``(candidates, d, d + 1)`` in float64 and pairs ``(candidates,)``, the pair of each; TERM and constant, see ``triton_terms``; pieces, how
many for a candidate.
"""

import torch
import triton
import triton.language as tl

from . import triton_terms
from .triton_terms import dot

TILE = 128  # samples at a time, one a thread
TILES = 16  # in a piece
_NUMBERS = ("columns", "rows", "planes", "pieces")  # no kernel is compiled for one of them alone


def start(device: torch.device) -> None:
    """Compile and start kernels, on an image of 8 x 8 samples; raises whatever keeps Triton from it."""
    fixed, words = torch.ones(1, 2, 64, device=device), torch.zeros(1, 144, dtype=torch.int64, device=device)
    x = torch.eye(2, 3, dtype=torch.float64, device=device)[None]
    sums, totals = torch.empty(1, 1, 19, device=device), torch.empty(1, 19, dtype=torch.float64, device=device)
    terms = {"TERM": triton_terms.overlap_mean_squares, "CURVE": triton_terms.curve_overlap_mean_squares}
    sizes = {"FIXED": 2, "WORDS": 1, "BORDER": 2, "D": 2, "TILE": TILE, "TILES": TILES}
    with torch.cuda.device_of(sums):
        pair = torch.zeros(1, dtype=torch.int64, device=device)
        sum_curvatures[1,](fixed, words, x, pair, sums, 0.0, 8, 8, 1, 1, **terms, **sizes, num_warps=TILE // 32)
        add_pieces[1,](sums, totals, 1, NUMBERS=19, WIDTH=32, AT_ONCE=16)


@triton.jit(do_not_specialize=_NUMBERS)
def sum_costs(
    fixed, words, maps, pairs, sums, constant, columns, rows, planes, pieces,
    TERM: tl.constexpr, FIXED: tl.constexpr, WORDS: tl.constexpr, BORDER: tl.constexpr, D: tl.constexpr,
    TILE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """Cost and content, each followed by half its derivative by the map, to sums ``(candidates, pieces, 2, 1 + d (d + 1))``."""
    program, sizes = tl.program_id(0).to(tl.int64), [columns, rows, planes]
    fixed, words, x = _problem(fixed, words, maps, pairs, program // pieces, sizes, FIXED, WORDS, BORDER, D)
    places, matrix = _places(x, sizes, D), [[number.to(tl.float32) for number in row] for row in x]
    nothing = 0 * dot([dot(row, [1.0, 1.0, 1.0, 1.0], D + 1) for row in x], [1.0, 1.0, 1.0], D)  # not a number where x is none
    zero = tl.zeros((TILE,), tl.float32)
    cost, content = zero, zero
    by_cost = [[zero for j in (0, 1, 2, 3)[: D + 1]] for i in (0, 1, 2)[:D]]
    by_content = by_cost
    first = (program % pieces).to(tl.int32) * (TILE * TILES)
    for start in range(first, min(first + TILE * TILES, _samples(sizes, D)), TILE):
        shown, at, channels = _read(fixed, words, places, start, sizes, FIXED, WORDS, BORDER, D, TILE)
        values = [channel[0] for channel in channels]
        found = TERM(shown, values, matrix, constant, D)
        cost, content = cost + found[0], content + found[1]
        by_cost = _add_by_map(by_cost, found[2], found[4:5], channels, at, D)
        by_content = _add_by_map(by_content, found[3], found[5:6], channels, at, D)
    sums += program * (2 + 2 * D * (D + 1))
    _store(sums, tl.sum(cost) + nothing, by_cost, D)
    _store(sums + 1 + D * (D + 1), tl.sum(content), by_content, D)


@triton.jit(do_not_specialize=_NUMBERS)
def sum_curvatures(
    fixed, words, maps, pairs, sums, constant, columns, rows, planes, pieces,
    TERM: tl.constexpr, CURVE: tl.constexpr, FIXED: tl.constexpr, WORDS: tl.constexpr, BORDER: tl.constexpr, D: tl.constexpr,
    TILE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """Content, and what the Gauss-Newton matrix is made of, to sums ``(candidates, pieces, 1 + DIRECTIONS * MOMENTS)``: half the curvature
    by each two directions i <= j, times each two entries k <= m of (z, 1), the latter next to each other."""
    program, sizes = tl.program_id(0).to(tl.int64), [columns, rows, planes]
    fixed, words, x = _problem(fixed, words, maps, pairs, program // pieces, sizes, FIXED, WORDS, BORDER, D)
    places, matrix = _places(x, sizes, D), [[number.to(tl.float32) for number in row] for row in x]
    MOMENTS: tl.constexpr = (D + 1) * (D + 2) // 2
    DIRECTIONS: tl.constexpr = D * (D + 1) // 2
    content = tl.zeros((TILE,), tl.float32)
    totals = [[content for m in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)[:MOMENTS]] for p in (0, 1, 2, 3, 4, 5)[:DIRECTIONS]]
    first = (program % pieces).to(tl.int32) * (TILE * TILES)
    for start in range(first, min(first + TILE * TILES, _samples(sizes, D)), TILE):
        shown, at, channels = _read(fixed, words, places, start, sizes, FIXED, WORDS, BORDER, D, TILE)
        values = [channel[0] for channel in channels]
        content += TERM(shown, values, matrix, constant, D)[1]
        moments = _products(at, D + 1)
        weights, vectors = CURVE(shown, values, matrix, constant, D)
        for r in tl.static_range(len(weights)):
            curved = [weights[r] * product for product in _products(_slopes(vectors[r], channels, D), D)]
            totals = [
                [totals[p][m] + curved[p] * moments[m] for m in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)[:MOMENTS]]
                for p in (0, 1, 2, 3, 4, 5)[:DIRECTIONS]
            ]
    sums += program * (1 + DIRECTIONS * MOMENTS)
    tl.store(sums, tl.sum(content))
    for p in tl.static_range(DIRECTIONS):
        for m in tl.static_range(MOMENTS):
            tl.store(sums + 1 + p * MOMENTS + m, tl.sum(totals[p][m]))


@triton.jit(do_not_specialize=_NUMBERS)
def add_pieces(sums, totals, pieces, NUMBERS: tl.constexpr, WIDTH: tl.constexpr, AT_ONCE: tl.constexpr):
    """Add sums ``(candidates, pieces, NUMBERS)`` over the pieces to totals ``(candidates, NUMBERS)`` in float64; WIDTH: a power of two."""
    candidate = tl.program_id(0).to(tl.int64)
    piece, number = tl.arange(0, AT_ONCE)[:, None], tl.arange(0, WIDTH)[None, :]
    total = tl.zeros((AT_ONCE, WIDTH), tl.float64)
    for start in range(0, pieces, AT_ONCE):
        there = (start + piece < pieces) & (number < NUMBERS)
        total += tl.load(sums + (candidate * pieces + start + piece) * NUMBERS + number, mask=there, other=0.0).to(tl.float64)
    number = tl.arange(0, WIDTH)
    tl.store(totals + candidate * NUMBERS + number, tl.sum(total, 0), mask=number < NUMBERS)


@triton.jit
def _problem(fixed, words, maps, pairs, candidate, sizes, FIXED: tl.constexpr, WORDS: tl.constexpr, BORDER: tl.constexpr, D: tl.constexpr):
    """Where the images of a candidate's pair begin, and its map x ``(d, d + 1)`` in float64."""
    pair = tl.load(pairs + candidate)
    padded = [size + 2 * BORDER for size in sizes]
    x = [[tl.load(maps + (candidate * D + i) * (D + 1) + j) for j in (0, 1, 2, 3)[: D + 1]] for i in (0, 1, 2)[:D]]
    return fixed + pair * FIXED * _samples(sizes, D), words + pair * WORDS * _samples(padded, D), x


@triton.jit
def _samples(sizes, D: tl.constexpr):
    """How many."""
    count = sizes[0] * sizes[1]
    if D == 3:
        count *= sizes[2]
    return count


@triton.jit
def _places(x, sizes, D: tl.constexpr):
    """The map from (z, 1) to indices of the moving image, ``(d, d + 1)`` in float32."""
    halves = [0.5 * size for size in sizes]
    return [
        [(x[i][j] * halves[i]).to(tl.float32) for j in (0, 1, 2)[:D]] + [((x[i][D] + 1) * halves[i] - 0.5).to(tl.float32)]
        for i in (0, 1, 2)[:D]
    ]


@triton.jit
def _read(
    fixed, words, places, start, sizes, FIXED: tl.constexpr, WORDS: tl.constexpr, BORDER: tl.constexpr, D: tl.constexpr, TILE: tl.constexpr
):  # fmt: skip
    """Of the samples from ``start`` on: the channels of the fixed image; (z, 1); and of each channel of the moving image, zero where the
    map leaves it, the value and the derivatives by the coordinates of the place."""
    count = _samples(sizes, D)
    sample = start + tl.arange(0, TILE)
    here = sample < count
    line = sample // sizes[0]
    index = [sample % sizes[0], line % sizes[1], line // sizes[1]]
    at = [index[i] * (2.0 / sizes[i]) + (1.0 / sizes[i] - 1) for i in (0, 1, 2)[:D]] + [tl.zeros((TILE,), tl.float32) + 1]
    place = [dot(row, at, D + 1) for row in places]
    inside = here
    for i in tl.static_range(D):
        inside = inside & (place[i] > -1) & (place[i] < sizes[i])
    place = [tl.where(inside, along + BORDER, 0.0) for along in place]
    cell = [along.to(tl.int32) for along in place]
    share = [place[i] - cell[i] for i in (0, 1, 2)[:D]]
    across = sizes[0] + 2 * BORDER
    strides = [1, across, across * (sizes[1] + 2 * BORDER)]
    corner = words + dot(cell, strides, D) * WORDS
    shown = [tl.load(fixed + c * count.to(tl.int64) + sample, mask=here, other=0.0) for c in (0, 1, 2, 3)[:FIXED]]
    halves = [0.5 * size for size in sizes]
    channels = _channels(corner, inside, strides, share, halves, WORDS, D)
    if WORDS == 2:
        channels = channels + _channels(corner + 1, inside, strides, share, halves, WORDS, D)
    return shown, at, channels


@triton.jit
def _channels(corner, inside, strides, share, halves, WORDS: tl.constexpr, D: tl.constexpr):
    """The two channels of a word, interpolated between the pixels around, ``corner`` being the first of these."""
    pixels = [
        tl.load(corner + (c % 2 + c // 2 % 2 * strides[1] + c // 4 * strides[2]) * WORDS, mask=inside, other=0)
        for c in (0, 1, 2, 3, 4, 5, 6, 7)[: 2**D]
    ]
    first = [pixel.to(tl.int32).to(tl.float32, bitcast=True) for pixel in pixels]
    second = [(pixel >> 32).to(tl.int32).to(tl.float32, bitcast=True) for pixel in pixels]
    return [_interpolated(first, share, halves, D), _interpolated(second, share, halves, D)]


@triton.jit
def _interpolated(pixels, share, halves, D: tl.constexpr):
    """Value between the pixels around and its derivatives by the coordinates; halves: of the sizes, samples per unit."""
    value, along_x, along_y = _bilinear(pixels, share)
    found = [value, along_x * halves[0], along_y * halves[1]]
    if D == 3:
        far, far_x, far_y = _bilinear(pixels[4:], share)
        along_x += share[2] * (far_x - along_x)
        along_y += share[2] * (far_y - along_y)
        found = [value + share[2] * (far - value), along_x * halves[0], along_y * halves[1], (far - value) * halves[2]]
    return found


@triton.jit
def _bilinear(pixels, share):
    """Value between four pixels and its derivatives along x and y."""
    upper, lower = pixels[1] - pixels[0], pixels[3] - pixels[2]
    top, bottom = pixels[0] + share[0] * upper, pixels[2] + share[0] * lower
    return top + share[1] * (bottom - top), upper + share[1] * (lower - upper), bottom - top


@triton.jit
def _slopes(by_channel, channels, D: tl.constexpr):
    """Derivatives by the coordinates of the place from those by the channels."""
    slopes = [by_channel[0] * channels[0][1 + i] for i in (0, 1, 2)[:D]]
    for c in tl.static_range(1, len(by_channel)):
        slopes = [slopes[i] + by_channel[c] * channels[c][1 + i] for i in (0, 1, 2)[:D]]
    return slopes


@triton.jit
def _add_by_map(totals, by_channel, by_matrix, channels, at, D: tl.constexpr):
    """Totals ``(d, d + 1)`` and the derivatives of these samples by the map; by_matrix: one, how they depend on its
    matrix besides, or none."""
    slopes = _slopes(by_channel, channels, D)
    totals = [[totals[i][j] + slopes[i] * at[j] for j in (0, 1, 2, 3)[: D + 1]] for i in (0, 1, 2)[:D]]
    if len(by_matrix) == 1:
        totals = [[totals[i][j] + by_matrix[0][i][j] for j in (0, 1, 2)[:D]] + [totals[i][D]] for i in (0, 1, 2)[:D]]
    return totals


@triton.jit
def _products(numbers, N: tl.constexpr):
    """Of each two, i <= j."""
    products = [numbers[0] * other for other in numbers]
    for i in tl.static_range(1, N):
        products = products + [numbers[i] * other for other in numbers[i:]]
    return products


@triton.jit
def _store(sums, total, by_map, D: tl.constexpr):
    """A total, and the sums of its derivative by the map behind it."""
    tl.store(sums, total)
    for i in tl.static_range(D):
        for j in tl.static_range(D + 1):
            tl.store(sums + 1 + i * (D + 1) + j, tl.sum(by_map[i][j]))
