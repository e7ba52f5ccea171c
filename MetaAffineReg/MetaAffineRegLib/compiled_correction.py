"""``correction_formulas``, sample by sample or row by row; compiled for the CPU by numba."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .compiling import compiled, fast, inlined, lean
from .correction_formulas import COVERED, LEAST_TOLERATED, NODES, NOTHING, OBJECT, TOLERATED, Correction, powers
from .lanes import BLOCK, STRIDE
from .sampling import axis_coordinates
from .threads import share_out


class _Samples(NamedTuple):
    """The samples of a pair that both images cover.

    met: the fixed intensity, weight: how much it counts, node and share: which node of the splines the moving intensity lies behind and
    how far, ``(N,)``; monomials of place ``(M, N)``; slopes of the smooth image ``(d, N)``; order ``(N,)``: by nodes.
    """

    met: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    node: npt.NDArray[np.int32]
    share: npt.NDArray[np.float32]
    monomials: npt.NDArray[np.float32]
    slopes: npt.NDArray[np.float32]
    order: npt.NDArray[np.int32]


def equations(fixed: Tensor, smooth: Tensor, moving: Tensor, back: Tensor, fits: Sequence[Correction], step: int) -> tuple[Tensor, Tensor]:
    """As ``correction_formulas.equations``; in float64."""
    batch, d = back.shape[:2]
    coefficients = torch.stack([fit.coefficients for fit in fits]).double().numpy()
    ranges, maps = np.array([(fit.lowest, fit.highest) for fit in fits]), np.ascontiguousarray(back.double().numpy())
    count = d * (d + 1) + coefficients[0].size
    normal, right = np.zeros((batch, count, count)), np.zeros((batch, count))
    images = [_in_space(side) for side in (fixed, smooth, moving)]
    share_out(
        lambda first, last: add_equations(d, *images, maps, coefficients, ranges, step, first, last, normal, right),
        batch,
        samples=batch * count * (moving.shape[-1] // step) ** d,
    )
    return torch.from_numpy(normal), torch.from_numpy(right)


def _in_space(images: Tensor) -> npt.NDArray[np.float32]:
    """Images ``(B, 2, planes, rows, columns)``, those of slices in one plane."""
    found: npt.NDArray[np.float32] = (images[:, :, None] if images.ndim == 4 else images).contiguous().numpy()
    return found


@compiled
def add_equations(d, fixed, smooth, moving, maps, coefficients, ranges, step, first, last, normal, right):
    """Those of the pairs first .. last - 1, to zeros ``(B, K, K)`` and ``(B, K)``."""
    most, monomials = len(range(step // 2, moving.shape[-1], step)) ** d, coefficients.shape[2]
    samples = _Samples(
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.int32),
        np.empty(most, np.float32),
        np.empty((monomials, most), np.float32),
        np.empty((d, most), np.float32),
        np.empty(most, np.int32),
    )
    columns = np.empty((2, d * (d + 1) + 2 * monomials + 1, STRIDE), np.float32)
    starts = np.empty(NODES, np.int64)
    for pair in range(first, last):
        count = _gather(d, fixed[pair], smooth[pair, 0], moving[pair], maps[pair], ranges[pair], step, samples)
        if coefficients[pair].any():
            _weigh(coefficients[pair], count, samples)
        _sort(count, samples, starts)
        for node in range(NODES - 1):
            for begin in range(starts[node], starts[node + 1], BLOCK):
                _add_block(d, samples, begin, min(begin + BLOCK, starts[node + 1]), node, columns, normal[pair], right[pair])
        for i in range(normal.shape[1]):
            for j in range(i):
                normal[pair, i, j] = normal[pair, j, i]


@lean
def _gather(d, fixed, smooth, moving, back, ends, step, samples):
    """Lay down the samples that both images cover; how many they are."""
    size, count, scale = moving.shape[-1], 0, (NODES - 1) / (ends[1] - ends[0])
    for k in range(step // 2 if d == 3 else 0, moving.shape[1], step):
        for j in range(step // 2, size, step):
            for i in range(step // 2, size, step):
                if not moving[1, k, j, i] > COVERED:
                    continue
                y = ((2 * i + 1) / size - 1, (2 * j + 1) / size - 1, (2 * k + 1) / size - 1)
                z = _mapped(d, back, y)
                if not _between(d, fixed[1], z)[0] > COVERED:
                    continue
                place = min(max((moving[0, k, j, i] - ends[0]) * scale, 0.0), NODES - 1.0)
                node = min(int(place), NODES - 2)
                samples.node[count], samples.share[count] = node, place - node
                samples.met[count], samples.weight[count] = _between(d, fixed[0], z)[0], 1
                slopes = _between(d, smooth, z)
                samples.monomials[0, count], at = 1, 1 + d
                for a in range(d):
                    samples.slopes[a, count] = slopes[1 + a]
                    samples.monomials[1 + a, count] = y[a]
                    for b in range(a, d):
                        samples.monomials[at, count] = y[a] * y[b]
                        at += 1
                count += 1
    return count


@inlined
def _mapped(d, x, y):
    if d == 2:
        return x[0, 0] * y[0] + x[0, 1] * y[1] + x[0, 2], x[1, 0] * y[0] + x[1, 1] * y[1] + x[1, 2], 0.0
    return (
        x[0, 0] * y[0] + x[0, 1] * y[1] + x[0, 2] * y[2] + x[0, 3],
        x[1, 0] * y[0] + x[1, 1] * y[1] + x[1, 2] * y[2] + x[1, 3],
        x[2, 0] * y[0] + x[2, 1] * y[1] + x[2, 2] * y[2] + x[2, 3],
    )


@inlined
def _between(d, image, z):
    """Value of an image ``(planes, rows, columns)``, zero outside, at normalised z, and its derivatives by x, y and z."""
    half = image.shape[2] / 2
    if not max(abs(z[0]), abs(z[1]), abs(z[2])) < 2:
        return 0.0, 0.0, 0.0, 0.0
    x, y = (z[0] + 1) * half - 0.5, (z[1] + 1) * half - 0.5
    i, j = math.floor(x), math.floor(y)
    if d == 2:
        value, across, down = _bilinear(image[0], i, j, x - i, y - j)
        return value, across * half, down * half, 0.0
    deep = (z[2] + 1) * half - 0.5
    k = math.floor(deep)
    share = deep - k
    near, far = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    if 0 <= k < image.shape[0]:
        near = _bilinear(image[k], i, j, x - i, y - j)
    if 0 <= k + 1 < image.shape[0]:
        far = _bilinear(image[k + 1], i, j, x - i, y - j)
    return (
        near[0] + share * (far[0] - near[0]),
        (near[1] + share * (far[1] - near[1])) * half,
        (near[2] + share * (far[2] - near[2])) * half,
        (far[0] - near[0]) * half,
    )


@inlined
def _bilinear(plane, i, j, across, down):
    """Value between the pixels of columns i, i + 1 and rows j, j + 1, zero outside, and its derivatives by samples."""
    a, b, c, e = _pixel(plane, i, j), _pixel(plane, i + 1, j), _pixel(plane, i, j + 1), _pixel(plane, i + 1, j + 1)
    upper, lower = a + across * (b - a), c + across * (e - c)
    return upper + down * (lower - upper), (b - a) + down * ((e - c) - (b - a)), lower - upper


@inlined
def _pixel(plane, i, j):
    return float(plane[j, i]) if 0 <= i < plane.shape[1] and 0 <= j < plane.shape[0] else 0.0


@lean
def _weigh(coefficients, count, samples):
    """Let samples count for less that the fit so far leaves unexplained by far."""
    total, residuals = 0.0, samples.weight  # which they give way to
    for n in range(count):
        here, node = 0.0, samples.node[n]
        for k in range(coefficients.shape[1]):
            before, after = coefficients[node, k], coefficients[node + 1, k]
            here += (before + samples.share[n] * (after - before)) * samples.monomials[k, n]
        residuals[n] = samples.met[n] - here
        total += abs(residuals[n])
    inverse = 1 / max(TOLERATED * total / max(count, 1), LEAST_TOLERATED)
    for n in range(count):
        share = 1 / (1 + (residuals[n] * inverse) ** 2)
        samples.weight[n] = share * share


@lean
def _sort(count, samples, starts):
    """Put the samples in the order of their nodes; where those of each start, to starts ``(NODES,)``."""
    starts[:] = 0
    for n in range(count):
        starts[samples.node[n] + 1] += 1
    for node in range(1, NODES):
        starts[node] += starts[node - 1]
    for n in range(count):
        node = samples.node[n]
        samples.order[starts[node]] = n
        starts[node] += 1
    for node in range(NODES - 1, 0, -1):
        starts[node] = starts[node - 1]
    starts[0] = 0


@lean
def _add_block(d, samples, first, last, node, columns, normal, right):
    """Add what the samples first .. last - 1 of the order give, which lie behind one node; columns ``(2, K, STRIDE)``: scratch."""
    entries, monomials, count = d * (d + 1), len(samples.monomials), last - first
    plain, weighted, begin = columns[0], columns[1], entries + node * monomials
    used = entries + 2 * monomials
    for n in range(count):
        at = samples.order[first + n]
        share, weight = samples.share[at], samples.weight[at]
        for a in range(d):
            slope = samples.slopes[a, at]
            for b in range(d):
                plain[a * (d + 1) + b, n] = slope * samples.monomials[1 + b, at]
            plain[a * (d + 1) + d, n] = slope
        for k in range(monomials):
            monomial = samples.monomials[k, at]
            plain[entries + k, n] = (share - 1) * monomial
            plain[entries + monomials + k, n] = -share * monomial
        plain[used, n] = samples.met[at]
        for k in range(used):
            weighted[k, n] = weight * plain[k, n]
    for a in range(used):
        row, one = a if a < entries else begin + a - entries, weighted[a, :count]
        right[row] -= _product(one, plain[used, :count])
        for b in range(a, used):
            normal[row, b if b < entries else begin + b - entries] += _product(one, plain[b, :count])


@fast
def _product(one, other):
    total = np.float32(0)
    for n in range(len(one)):
        total += one[np.uint64(n)] * other[np.uint64(n)]
    return total


def apply(fits: Sequence[Correction], moving: Tensor, out: Tensor) -> None:
    """Correct images ``(B, 2, *S)``, values and coverage, to out, which lies in one piece."""
    rows, columns, d = moving.shape[-2], moving.shape[-1], moving.ndim - 2
    given, found = (images.contiguous().view(len(images), 2, -1, columns).numpy() for images in (moving, out))

    def some(first: int, last: int) -> None:
        for row in range(first, last):
            fit = fits[row]
            correct(fit.coefficients.numpy(), np.float32(fit.lowest), np.float32(fit.highest), d, rows, given[row], found[row])

    share_out(some, len(fits), samples=moving.numel())


@compiled
def correct(coefficients, lowest, highest, d, rows, images, out):
    """coefficients ``(nodes, monomials)``; images and out ``(2, planes and rows, columns)``."""
    nodes, count, columns = len(coefficients), images.shape[1], images.shape[2]
    line, scale = np.empty((3, nodes), np.float32), np.float32(nodes - 1) / (highest - lowest)
    for index in range(count):
        y = np.float32((2 * (index % rows) + 1) / rows - 1)
        z = np.float32((2 * (index // rows) + 1) / (count // rows) - 1)
        for k in range(nodes):
            c = coefficients[k]
            if d == 2:  # one, x, y, xx, xy, yy
                line[0, k], line[1, k], line[2, k] = c[0] + y * (c[2] + y * c[5]), c[1] + y * c[4], c[3]
            else:  # one, x, y, z, xx, xy, xz, yy, yz, zz
                line[0, k] = c[0] + y * (c[2] + y * c[7] + z * c[8]) + z * (c[3] + z * c[9])
                line[1, k], line[2, k] = c[1] + y * c[5] + z * c[6], c[4]
        _correct_row(line, lowest, scale, np.float32(1 / columns), images[0, index], images[1, index], out[0, index], out[1, index])


@fast
def _correct_row(line, lowest, scale, half, values, coverage, out, out_coverage):
    """line ``(3, nodes)``: coefficients of one, x and xx along the row; half: of the way from one column to the next."""
    zero, last = np.float32(0), np.float32(line.shape[1] - 1)
    for i in range(len(values)):
        at = np.uint64(i)
        x = (np.float32(2) * np.float32(np.int32(i)) + np.float32(1)) * half - np.float32(1)
        place = min(max((values[at] - lowest) * scale, zero), last)
        node = np.uint64(min(np.int32(place), np.int32(line.shape[1] - 2)))
        share, after = place - np.float32(np.int32(node)), node + np.uint64(1)
        here = line[0, node] + x * (line[1, node] + x * line[2, node])
        there = line[0, after] + x * (line[1, after] + x * line[2, after])
        out[at] = (here + share * (there - here)) * coverage[at]
        out_coverage[at] = coverage[at]


def neighbour_products(fixed: Tensor, warped: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """As ``correction_formulas.neighbour_products``."""
    batch, d = len(fixed), fixed.ndim - 2
    line = axis_coordinates(fixed.shape[-1], dtype=torch.float64)[step // 2 :: step].numpy()
    depths = np.ascontiguousarray(line) if d == 3 else np.zeros(1)
    images = _in_space(fixed), _in_space(warped), depths
    places = np.array([(*power, 0)[:3] for power in powers(d)])
    normal, right = np.zeros((batch, len(places), len(places))), np.zeros((batch, len(places)))
    share_out(lambda first, last: add_moments(places, *images, first, last, normal, right), batch, samples=fixed.numel())
    coefficients = torch.linalg.solve(torch.from_numpy(normal) + NOTHING * torch.eye(len(places)), torch.from_numpy(right)).numpy()
    products = np.zeros((2, batch))
    share_out(lambda first, last: add_products(places, coefficients, *images, first, last, *products), batch, samples=fixed.numel())
    left, shown = torch.from_numpy(products)
    return left, shown


@compiled
def add_moments(places, fixed, warped, depths, first, last, normal, right):
    """Of the pairs first .. last - 1 the normal equations of the fixed intensities by monomials of place, where there is an object in the
    overlap; places ``(M, 3)``: powers of x, y and z; images ``(B, 2, planes, rows, columns)``, planes at depths."""
    _, _, planes, rows, _ = fixed.shape
    y, z = np.ones(5), np.ones(5)
    for pair in range(first, last):
        for k in range(planes):
            for j in range(rows):
                sums, values = _row_moments(fixed[pair, 0, k, j], fixed[pair, 1, k, j], warped[pair, 0, k, j], warped[pair, 1, k, j])
                if sums[0] == 0:
                    continue
                for n in range(1, 5):
                    y[n], z[n] = y[n - 1] * ((2 * j + 1) / rows - 1), z[n - 1] * depths[k]
                for a in range(len(places)):
                    right[pair, a] += values[places[a, 0]] * y[places[a, 1]] * z[places[a, 2]]
                    for b in range(len(places)):
                        across, down, deep = places[a, 0] + places[b, 0], places[a, 1] + places[b, 1], places[a, 2] + places[b, 2]
                        normal[pair, a, b] += sums[across] * y[down] * z[deep]


@fast
def _row_moments(fixed, coverage, warped, warped_coverage):
    """Sums of the powers of x up to the fourth, and of the intensities times those up to the second, where there is an object."""
    zero, half = np.float32(0), np.float32(1 / len(fixed))
    s0, s1, s2, s3, s4, v0, v1, v2 = zero, zero, zero, zero, zero, zero, zero, zero
    for i in range(len(fixed)):
        n = np.uint64(i)
        weight = _there(fixed[n], coverage[n], warped[n], warped_coverage[n])
        x = (np.float32(2) * np.float32(np.int32(i)) + np.float32(1)) * half - np.float32(1)
        w1, value = weight * x, weight * fixed[n]
        w2 = w1 * x
        s0 += weight
        s1 += w1
        s2 += w2
        s3 += w2 * x
        s4 += w2 * x * x
        v0 += value
        v1 += value * x
        v2 += value * x * x
    return (s0, s1, s2, s3, s4), (v0, v1, v2)


@fast
def _there(fixed, coverage, warped, warped_coverage):
    """One where there is an object in the overlap, else zero."""
    covered = (coverage > np.float32(COVERED)) & (warped_coverage > np.float32(COVERED))
    return np.float32(1) if covered & ((abs(fixed) > np.float32(OBJECT)) | (abs(warped) > np.float32(OBJECT))) else np.float32(0)


@compiled
def add_products(places, coefficients, fixed, warped, depths, first, last, left, shown):
    """Of the pairs first .. last - 1 the sums over neighbours: of what is left to left, and of the fixed intensities less the polynomials
    of coefficients ``(B, M)`` to shown."""
    _, _, planes, rows, columns = fixed.shape
    residuals, values, line = np.zeros((2, columns), np.float32), np.zeros((2, columns), np.float32), np.zeros(3)
    for pair in range(first, last):
        for k in range(planes):
            residuals[1], values[1] = 0, 0
            for j in range(rows):
                y, here, above = (2 * j + 1) / rows - 1, j % 2, (j + 1) % 2
                line[:] = 0
                for a in range(len(places)):
                    line[places[a, 0]] += coefficients[pair, a] * y ** places[a, 1] * depths[k] ** places[a, 2]
                images = fixed[pair, 0, k, j], fixed[pair, 1, k, j], warped[pair, 0, k, j], warped[pair, 1, k, j]
                _lay_left_and_shown(*images, np.float32(line[0]), np.float32(line[1]), np.float32(line[2]), residuals[here], values[here])
                left[pair] += _with_neighbours(residuals[here], residuals[above])
                shown[pair] += _with_neighbours(values[here], values[above])


@fast
def _lay_left_and_shown(fixed, coverage, warped, warped_coverage, one, x_share, xx_share, residuals, values):
    half = np.float32(1 / len(fixed))
    for i in range(len(fixed)):
        n = np.uint64(i)
        weight = _there(fixed[n], coverage[n], warped[n], warped_coverage[n])
        x = (np.float32(2) * np.float32(np.int32(i)) + np.float32(1)) * half - np.float32(1)
        residuals[n] = weight * (warped[n] - fixed[n])
        values[n] = weight * (fixed[n] - (one + x * (x_share + x * xx_share)))


@fast
def _with_neighbours(row, above):
    """Sum of the products with the neighbours to the left and above."""
    total = row[0] * above[0]
    for i in range(1, len(row)):
        n = np.uint64(i)
        total += row[n] * (row[n - np.uint64(1)] + above[n])
    return total
