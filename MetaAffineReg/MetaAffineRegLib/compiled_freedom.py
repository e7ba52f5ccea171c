"""The maps of ``freedom`` and their derivatives, compiled for the CPU by numba."""

import math

from .compiling import lean

AFFINE, RIGID, SIMILARITY = range(3)


@lean
def _turn(w, rotation, left):
    """exp of the cross product with w, three numbers (Rodrigues), and the left Jacobian of the group (Sola, arXiv 1812.01537, 145)."""
    angle = math.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    if angle < 1e-4:  # to the order of the angle to the fourth
        sine, cosine, rest = 1 - angle * angle / 6, 0.5 - angle * angle / 24, 1 / 6 - angle * angle / 120
    else:
        sine, cosine, rest = math.sin(angle) / angle, (1 - math.cos(angle)) / angle**2, (angle - math.sin(angle)) / angle**3
    cross = ((0.0, -w[2], w[1]), (w[2], 0.0, -w[0]), (-w[1], w[0], 0.0))
    for i in range(3):
        for j in range(3):
            one = 1.0 if i == j else 0.0
            square = w[i] * w[j] - one * angle * angle
            rotation[i, j] = one + sine * cross[i][j] + cosine * square
            left[i, j] = one + cosine * cross[i][j] + rest * square


@lean
def map_and_jacobian(freedom, d, base, p, x, jacobian, small):
    """The map x ``(d, d + 1)`` of parameters p and dx/dp ``(d (d + 1), n)``; base ``(d, d)``: the matrix that a group starts from; small
    ``(2, 3, 3)``: scratch."""
    if freedom == AFFINE:
        jacobian[:] = 0
        for i in range(d * (d + 1)):
            x[i // (d + 1), i % (d + 1)] = p[i]
            jacobian[i, i] = 1
        return
    count = d * (d - 1) // 2
    generators = count + (freedom == SIMILARITY)
    scale = math.exp(p[count]) if freedom == SIMILARITY else 1.0
    rotation, left = small[0], small[1]
    _turn((0.0, 0.0, p[0]) if d == 2 else (p[2], -p[1], p[0]), rotation, left)
    jacobian[:] = 0
    for i in range(d):
        for j in range(d):
            total = 0.0
            for k in range(d):
                total += rotation[i, k] * base[k, j]
            x[i, j] = total * scale
        x[i, d] = p[generators + i]
        jacobian[i * (d + 1) + d, generators + i] = 1
    for g in range(count):
        # the axis about which the generator g turns in the end
        axis, sign = (2, 1.0) if d == 2 else ((2, 1.0), (1, -1.0), (0, 1.0))[g]
        u = sign * left[0, axis], sign * left[1, axis], sign * left[2, axis]
        for j in range(d):
            a, b, c = x[0, j], x[1, j], x[2, j] if d == 3 else 0.0
            jacobian[j, g] = u[1] * c - u[2] * b
            jacobian[d + 1 + j, g] = u[2] * a - u[0] * c
            if d == 3:
                jacobian[2 * (d + 1) + j, g] = u[0] * b - u[1] * a
    if freedom == SIMILARITY:
        for i in range(d):
            for j in range(d):
                jacobian[i * (d + 1) + j, count] = x[i, j]
