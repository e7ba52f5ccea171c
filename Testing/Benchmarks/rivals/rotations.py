"""Rotations spread evenly over all there are: what many starts set out from."""

import numpy as np

_GOLDEN = (1 + np.sqrt(5)) / 2
_GENERATORS = {24: (((0, 0, 1), 90), ((1, 0, 0), 90)), 60: (((0, 1, _GOLDEN), 72), ((1, 1, 1), 120))}  # axes and degrees


def rotations(count: int, d: int) -> np.ndarray:
    """(count, d, d): in the plane equal steps; in space those of a cube, 24, or of an icosahedron, 60.

    From any rotation of space the nearest of them is less than 62.8 or 44.5 degrees away.
    """
    if d == 2:
        angles = 2 * np.pi * np.arange(count) / count
        return np.moveaxis(np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), -1, 0)
    generators = [_about(np.array(axis, float), np.radians(degrees)) for axis, degrees in _GENERATORS[count]]
    found = [np.eye(3)]
    for one in found:  # grows until all products are in it
        for generator in generators:
            product = one @ generator
            if not any(np.allclose(product, other, atol=1e-6) for other in found):
                found.append(product)
    return np.array(found)


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    """About an axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
