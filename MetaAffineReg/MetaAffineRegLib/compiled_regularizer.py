"""The regularizer's value, derivative and Gauss-Newton matrix, compiled for the CPU by numba; ``regularizer`` has the formulas."""

import math

import numpy as np

from .compiling import compiled, lean
from .regularizer import SMALLEST


@lean
def _eigen(matrix, vectors):
    """Eigenvectors ``(d, d)`` in columns of a symmetric matrix, which becomes diagonal (cyclic Jacobi)."""
    d = len(matrix)
    for i in range(d):
        for j in range(d):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(12):
        for i in range(d):
            for j in range(i + 1, d):
                if abs(matrix[i, j]) <= 1e-300:
                    continue
                theta = (matrix[j, j] - matrix[i, i]) / (2 * matrix[i, j])
                tangent = (1.0 if theta >= 0 else -1.0) / (abs(theta) + math.sqrt(theta * theta + 1))
                cosine = 1 / math.sqrt(tangent * tangent + 1)
                sine = tangent * cosine
                for k in range(d):
                    a, b = matrix[k, i], matrix[k, j]
                    matrix[k, i], matrix[k, j] = cosine * a - sine * b, sine * a + cosine * b
                for k in range(d):
                    a, b = matrix[i, k], matrix[j, k]
                    matrix[i, k], matrix[j, k] = cosine * a - sine * b, sine * a + cosine * b
                for k in range(d):
                    a, b = vectors[k, i], vectors[k, j]
                    vectors[k, i], vectors[k, j] = cosine * a - sine * b, sine * a + cosine * b


@lean
def _polar(x, inverse, small):
    """With M = A inverse, of singular vectors V and values s: M V log(s) / s^2 V' to the first of small ``(5, d, d)``, the rotation of the
    polar decomposition to the second; the sum of log^2 s is returned."""
    d = len(inverse)
    scaled, rotation, stretched, squared, vectors = small[0], small[1], small[2], small[3], small[4]
    scaled[:], rotation[:], squared[:] = 0, 0, 0
    for i in range(d):
        for j in range(d):
            stretched[i, j] = 0
            for k in range(d):
                stretched[i, j] += x[i, k] * inverse[k, j]
    for i in range(d):
        for j in range(d):
            for k in range(d):
                squared[i, j] += stretched[k, i] * stretched[k, j]
    _eigen(squared, vectors)
    total = 0.0
    for e in range(d):
        singular = max(math.sqrt(max(squared[e, e], 0.0)), SMALLEST)
        logarithm = math.log(singular)
        total += logarithm * logarithm
        for i in range(d):
            along = 0.0
            for k in range(d):
                along += stretched[i, k] * vectors[k, e]
            for j in range(d):
                scaled[i, j] += along * vectors[j, e] * logarithm / (singular * singular)
                rotation[i, j] += along * vectors[j, e] / singular
    return total


@lean
def add_distortion(x, inverse, weight, gradient, small):
    """Value of the regularizer; its derivative is added to gradient ``(d (d + 1),)``; small ``(5, 3, 3)``: scratch."""
    d = len(inverse)
    total, scaled = _polar(x, inverse, small[:, :d, :d]), small[0]
    for i in range(d):
        for j in range(d):
            slope = 0.0
            for k in range(d):
                slope += scaled[i, k] * inverse[j, k]
            gradient[i * (d + 1) + j] += 2 * weight / d * slope
    return weight * total / d


@compiled
def add_stretch(x, inverse, weight, matrix):
    """The regularizer's Gauss-Newton matrix as in ``Distortion.curvature``, added to ``(n, n)``."""
    d = len(inverse)
    n, small = d * (d + 1), np.empty((5, d, d))
    _polar(x, inverse, small)
    rotation = small[1]
    stretch = np.zeros((n, d, d))
    for row in range(d):
        for column in range(d):  # the change of the entry (row, column) of A: symmetric part of rotation' e inverse
            for i in range(d):
                for j in range(d):
                    half = rotation[row, i] * inverse[column, j] / 2
                    stretch[row * (d + 1) + column, i, j] += half
                    stretch[row * (d + 1) + column, j, i] += half
    for a in range(n):
        for b in range(n):
            total = 0.0
            for i in range(d):
                for j in range(d):
                    total += stretch[a, i, j] * stretch[b, i, j]
            matrix[a, b] += 2 * weight / d * total
