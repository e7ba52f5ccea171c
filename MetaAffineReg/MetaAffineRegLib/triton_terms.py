"""The data terms at single samples, for the kernels of ``triton_kernels``; the formulas are those of ``data_terms`` and
``normalized_gradients``.

Each term has two functions of the channels ``fixed`` and ``moving`` of a sample, in the order of ``kernel_intensities`` and
``kernel_edges``, of the matrix of the map, of the term's constant (the inverse square of a scale, or the square of an edge) and of the
dimension D:

- cost, content, half the derivatives of both by the moving channels, and half those by the matrix where there are any;
- the weights w and the vectors r over the channels of ``curve_..``: the Gauss-Newton curvature of the cost is 2 sum w (r . moving')^2.
"""

import triton
import triton.language as tl


@triton.jit
def mean_squares(fixed, moving, matrix, constant, D: tl.constexpr):
    residual, zero = moving[0] - fixed[0], tl.zeros_like(fixed[0])
    return residual * residual, zero, [residual, zero], [zero, zero]


@triton.jit
def curve_mean_squares(fixed, moving, matrix, constant, D: tl.constexpr):
    zero = tl.zeros_like(fixed[0])
    return [zero + 1], [[zero + 1, zero]]


@triton.jit
def overlap_mean_squares(fixed, moving, matrix, constant, D: tl.constexpr):
    f, c, v, m = fixed[0], fixed[1], moving[0], moving[1]
    residual, weight = c * v - m * f, c * m
    zero = tl.zeros_like(f)
    return residual * residual, weight * weight, [residual * c, -residual * f], [zero, weight * c]


@triton.jit
def curve_overlap_mean_squares(fixed, moving, matrix, constant, D: tl.constexpr):
    return [tl.zeros_like(fixed[0]) + 1], [[fixed[1], -fixed[0]]]


@triton.jit
def unexplained_content(fixed, moving, matrix, constant, D: tl.constexpr):
    f, c, v, m = fixed[0], fixed[1], moving[0], moving[1]
    shown_moving, shown_fixed = c * v, m * f
    residual = shown_moving - shown_fixed
    square, square_moving, square_fixed = residual * residual, shown_moving * shown_moving, shown_fixed * shown_fixed
    share = 1 / (1 + square * constant)
    share_moving, share_fixed = 1 / (1 + square_moving * constant), 1 / (1 + square_fixed * constant)
    slope = share * share * residual
    by_content = [share_moving * share_moving * shown_moving * c, share_fixed * share_fixed * shown_fixed * f]
    return square * share, square_moving * share_moving + square_fixed * share_fixed, [slope * c, -slope * f], by_content


@triton.jit
def curve_unexplained_content(fixed, moving, matrix, constant, D: tl.constexpr):
    residual = fixed[1] * moving[0] - moving[1] * fixed[0]
    share = 1 / (1 + residual * residual * constant)
    return [share * share], [[fixed[1], -fixed[0]]]


@triton.jit
def unexplained_of_fixed(fixed, moving, matrix, constant, D: tl.constexpr):
    side = moving[1] * fixed[0]
    cost, content, slope, by_side, by_content = _unexplained(fixed, moving, side, fixed[0], constant)
    return cost, content, [slope * fixed[1], by_side - slope * fixed[0]], [tl.zeros_like(side), by_content]


@triton.jit
def unexplained_of_moving(fixed, moving, matrix, constant, D: tl.constexpr):
    side = fixed[1] * moving[0]
    cost, content, slope, by_side, by_content = _unexplained(fixed, moving, side, fixed[1], constant)
    return cost, content, [slope * fixed[1] + by_side, -slope * fixed[0]], [by_content, tl.zeros_like(side)]


@triton.jit
def curve_unexplained_of_fixed(fixed, moving, matrix, constant, D: tl.constexpr):
    return _curve_unexplained(fixed, moving, moving[1] * fixed[0], constant)


@triton.jit
def curve_unexplained_of_moving(fixed, moving, matrix, constant, D: tl.constexpr):
    return _curve_unexplained(fixed, moving, fixed[1] * moving[0], constant)


@triton.jit
def _unexplained(fixed, moving, side, by_channel, constant):
    """Of the ``side`` shown, ``by_channel`` being its derivative by a moving channel: cost, content, half the cost's derivative by the
    residual, and half those of cost and content by that channel through the side."""
    residual = fixed[1] * moving[0] - moving[1] * fixed[0]
    square, square_side = residual * residual, side * side
    share, share_side = 1 / (1 + square * constant), 1 / (1 + square_side * constant)
    content = square_side * share_side
    part, by_content = content * constant, share_side * share_side * side * by_channel
    return square * share * part, content, share * share * residual * part, square * share * constant * by_content, by_content


@triton.jit
def _curve_unexplained(fixed, moving, side, constant):
    residual = fixed[1] * moving[0] - moving[1] * fixed[0]
    share = 1 / (1 + residual * residual * constant)
    part = side * side * constant
    return [share * share * part / (1 + part)], [[fixed[1], -fixed[0]]]


@triton.jit
def normalized_gradients(fixed, moving, matrix, constant, D: tl.constexpr):
    cover = fixed[D]
    common = cover * moving[D]
    u = [dot([matrix[i][j] for i in (0, 1, 2)[:D]], moving, D) for j in (0, 1, 2)[:D]]
    square = dot(u, u, D)
    inverse = 1 / (square + constant)
    share = square * inverse
    along, strength = dot(fixed, u, D), dot(fixed, fixed, D)
    agreement = along * along * inverse
    content = 0.5 * (share * share + strength * strength)
    by_u = common * share * inverse * (1 - share)
    content_by_u = [by_u * u[i] for i in (0, 1, 2)[:D]]
    cost_by_u = [content_by_u[i] - common * inverse * (along * fixed[i] - agreement * u[i]) for i in (0, 1, 2)[:D]]
    by_cost = [dot(row, cost_by_u, D) for row in matrix] + [0.5 * cover * (content - agreement)]
    by_content = [dot(row, content_by_u, D) for row in matrix] + [0.5 * cover * content]
    cost_by_matrix = [[moving[i] * by for by in cost_by_u] for i in (0, 1, 2)[:D]]
    content_by_matrix = [[moving[i] * by for by in content_by_u] for i in (0, 1, 2)[:D]]
    return common * (content - agreement), common * content, by_cost, by_content, cost_by_matrix, content_by_matrix


@triton.jit
def curve_normalized_gradients(fixed, moving, matrix, constant, D: tl.constexpr):
    """Half the curvature of a sample's cost by u is alpha |du|^2 + beta (u . du)^2: a vector for each entry of u, and one for both."""
    u = [dot([matrix[i][j] for i in (0, 1, 2)[:D]], moving, D) for j in (0, 1, 2)[:D]]
    zero = tl.zeros_like(u[0])
    square = dot(u, u, D)
    inverse = 1 / (square + constant)
    share, along = square * inverse, dot(fixed, u, D)
    cosine = along * along * inverse / tl.maximum(share * dot(fixed, fixed, D), 1e-12)  # LEAST_EDGES
    weight = fixed[D] * moving[D] * inverse * inverse * tl.maximum((D * cosine - 1) / (D - 1), 0.0)
    alpha, beta = weight * square, weight * (1 - share * (4 - 2 * share))
    weights = [alpha for j in (0, 1, 2)[:D]] + [beta]
    across = [[zero + matrix[i][j] for i in (0, 1, 2)[:D]] + [zero] for j in (0, 1, 2)[:D]]
    along = [[dot(row, u, D) for row in matrix] + [zero]]
    return weights, across + along


@triton.jit
def dot(a, b, D: tl.constexpr):
    """Of the first D entries."""
    total = a[0] * b[0]
    for i in tl.static_range(1, D):
        total += a[i] * b[i]
    return total
