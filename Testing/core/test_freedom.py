"""Freedoms: every map of a group freedom lies in its group, and the chain rule to its parameters is exact."""

import pytest
import torch

from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.freedom import FREEDOMS, freedom

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
COUNTS = {("affine", 2): 6, ("affine", 3): 12, ("similarity", 2): 4, ("similarity", 3): 7, ("rigid", 2): 3, ("rigid", 3): 6}


def starts(count: int, d: int) -> torch.Tensor:
    noise = torch.randn(count, d, d + 1, generator=torch.Generator().manual_seed(d), dtype=torch.float64)
    return identity(count, d) + 0.4 * noise


def parameters(origin: torch.Tensor, seed: int = 5) -> torch.Tensor:
    return origin + torch.randn(origin.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
def test_number_of_parameters_is_that_of_the_group(name, d):
    assert freedom(name, starts(1, d)).origin.shape == (1, COUNTS[name, d])


@DIMENSIONS
@pytest.mark.parametrize("name", ["rigid", "similarity"])
def test_maps_stay_in_the_group_however_far_the_parameters_go(name, d):
    free = freedom(name, starts(8, d))
    matrix = free.maps(parameters(free.origin) * 3)[:, :, :d]
    product = matrix @ matrix.mT
    scale = product.diagonal(dim1=1, dim2=2).mean(1)
    if name == "rigid":
        torch.testing.assert_close(scale, torch.ones_like(scale))
    torch.testing.assert_close(product, scale[:, None, None] * torch.eye(d, dtype=torch.float64))
    assert bool((torch.linalg.det(matrix) > 0).all())


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
def test_origin_gives_the_start_where_it_lies_in_the_group(name, d):
    """A rotation by a large angle and a translation lie in all three groups."""
    start = freedom("rigid", starts(4, d))
    start = start.maps(parameters(start.origin))
    free = freedom(name, start)
    torch.testing.assert_close(free.maps(free.origin), start)


@DIMENSIONS
def test_similarity_keeps_the_volume_of_its_start(d):
    start = starts(6, d)
    free = freedom("similarity", start)
    found = torch.linalg.det(free.maps(free.origin)[:, :, :d])
    torch.testing.assert_close(found, torch.linalg.det(start[:, :, :d]).abs())


@DIMENSIONS
def test_affine_reaches_every_map(d):
    free = freedom("affine", starts(2, d))
    torch.testing.assert_close(free.maps(parameters(free.origin)).flatten(1), parameters(free.origin))


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
def test_jacobian_is_the_chain_rule(name, d):
    free = freedom(name, starts(5, d))
    p = parameters(free.origin).requires_grad_()
    cotangent = torch.randn(5, d, d + 1, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    (expected,) = torch.autograd.grad((free.maps(p) * cotangent).sum(), p)
    found = (cotangent.flatten(1)[:, None] @ free.jacobian(p.detach()))[:, 0]
    torch.testing.assert_close(found, expected)


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
@pytest.mark.parametrize("far", [0.0, 1.0], ids=["at the start", "far from it"])
def test_jacobian_against_central_differences(name, d, far):
    free = freedom(name, starts(4, d))
    p = torch.lerp(free.origin, parameters(free.origin), far)
    h = 1e-6
    found = free.jacobian(p)
    assert found.shape == (4, d * (d + 1), COUNTS[name, d])
    for column in range(p.shape[1]):
        step = torch.zeros_like(p)
        step[:, column] = h
        expected = (free.maps(p + step) - free.maps(p - step)) / (2 * h)
        torch.testing.assert_close(found[:, :, column], expected.flatten(1), atol=1e-8, rtol=1e-6)


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
def test_selected_rows_are_those_rows(name, d):
    free, rows = freedom(name, starts(5, d)), torch.tensor([3, 0])
    p = parameters(free.origin)
    part = free.select(rows)
    assert torch.equal(part.origin, free.origin[rows])
    torch.testing.assert_close(part.maps(p[rows]), free.maps(p)[rows])
    torch.testing.assert_close(part.jacobian(p[rows]), free.jacobian(p)[rows])
