"""The compiled kernels give the numbers of the torch formulas, for every data term, freedom and number of threads."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.made_images import affine, distance, lattice, made
from core.torch_threads import torch_threads
from MetaAffineRegLib import backends
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.backends import choose_backend
from MetaAffineRegLib.compiled_floors import floor_and_price
from MetaAffineRegLib.data_terms import mean_squares, overlap_mean_squares, unexplained_content, unexplained_detail, unexplained_sides
from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegLib.freedom import FREEDOMS, freedom
from MetaAffineRegLib.fused_images import FusedImages, rows_of
from MetaAffineRegLib.fused_objective import FusedObjective
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.kernel_interpolation import NEAR
from MetaAffineRegLib.lanes import ROWS
from MetaAffineRegLib.normalized_gradients import normalized_gradients
from MetaAffineRegLib.objective import Objective
from MetaAffineRegLib.pyramid import resample
from MetaAffineRegLib.registration import Settings, register
from MetaAffineRegLib.regularizer import Distortion

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
COMPARED = (mean_squares, overlap_mean_squares, unexplained_content, unexplained_detail, normalized_gradients)
TERMS = pytest.mark.parametrize("term", COMPARED)
SIZE = {2: 40, 3: 20}
LARGE = {2: 280, 3: 30}  # of several slabs, and of rows longer than a block
SHIFTS = {"inside": 0.05, "border": 0.9, "below the floor": 1.7, "outside": 2.5}


def images(d, count=4, size=None):
    """Different pairs ``(B, 2, *S)``, the moving image half as long as the fixed, so that it covers only a part."""
    n = size or SIZE[d]
    geometry = lattice((n, n, n if d == 3 else 1), (70 / n,) * 3)
    short = lattice((n // 2, n, n if d == 3 else 1), (70 / n,) * 3, center=(8, 0, 0))
    frame = pair_frame(geometry, geometry).fixed_to_lps
    truth = affine(8, (3, -2, 0))
    stacks = [
        torch.stack([resample(made(shape, moved, seed), frame, n, (0.0, 60.0)) for seed in range(count)])
        for shape, moved in ((geometry, None), (short, truth))
    ]
    return stacks[0], stacks[1]


def both(d, term, regularizer=None, count=4, size=None):
    fixed, moving = images(d, count, size)
    torch_formula = Objective(term.fixed_channels(fixed), term.moving_channels(moving), term, regularizer)
    return torch_formula, FusedObjective(FusedImages.of(fixed, moving, term), term, regularizer)


def at(d, shift, count=4, seed=3):
    x = identity(count, d) + 0.1 * torch.randn(count, d, d + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x[:, 0, d] += shift
    return x


def distortion(d, count=4):
    reference = identity(count, d)[..., :-1] + 0.2 * torch.randn(count, d, d, generator=torch.Generator().manual_seed(5)).double()
    return Distortion(reference, torch.linspace(0.0, 1.0, count))


def near(found, expected, share):
    scale = expected.abs().amax() if expected.ndim else expected.abs()
    assert float((found - expected).abs().max()) <= share * float(scale) + 1e-9


@DIMENSIONS
@TERMS
@pytest.mark.parametrize("place", SHIFTS)
@pytest.mark.parametrize("regularized", [False, True])
def test_numbers_are_those_of_the_formula(d, term, place, regularized):
    """The moving coordinates are rounded otherwise, so a sample on a grid line may get the other cell's slope: a few thousandths."""
    formula, fused = both(d, term, distortion(d) if regularized else None)
    x = at(d, SHIFTS[place])
    value, gradient, matrix = fused.value_gradient_curvature(x)
    near(value, formula.value(x), 2e-6)
    near(gradient, formula.value_and_gradient(x)[1], 5e-3)
    near(matrix, formula.curvature(x), 5e-3)
    torch.testing.assert_close(matrix, matrix.mT)
    again, same = fused.value_and_gradient(x)
    assert torch.equal(again, value) and torch.equal(same, gradient)
    near(fused.value(x), value, 5e-7)
    if place != "outside":
        assert float(gradient.abs().max()) > 1e-4


@DIMENSIONS
@TERMS
def test_numbers_of_maps_along_the_axes(d, term):
    """Whole rows lie inside or outside then."""
    straight = torch.zeros(4, d, d + 1, dtype=torch.float64)
    straight[:, range(d), range(d)] = 0.93
    straight[1:, 0, d], straight[3, 1, d] = torch.tensor([0.31, -1.1, 4.0]), 0.7
    turned = straight.clone()
    turned[:, 0, :2], turned[:, 1, :2] = torch.tensor([0.0, -0.93]), torch.tensor([0.93, 0.0])
    formula, fused = both(d, term)
    for x in (straight, turned):
        value, gradient = fused.value_and_gradient(x)
        expected, slope = formula.value_and_gradient(x)
        near(value, expected, 2e-6)
        near(gradient, slope, 5e-3)


@TERMS
def test_more_rows_than_are_placed_together(term):
    """Of a narrow grid, some of whose slabs have more."""
    fixed, moving = (torch.nn.functional.interpolate(side, (3 * ROWS + 5, 24), mode="bilinear") for side in images(2))
    fused = FusedObjective(FusedImages.of(fixed, moving, term), term)
    formula = Objective(term.fixed_channels(fixed), term.moving_channels(moving), term)
    value, gradient = fused.value_and_gradient(at(2, 0.05))
    expected, slope = formula.value_and_gradient(at(2, 0.05))
    near(value, expected, 2e-6)
    near(gradient, slope, 5e-3)


@TERMS
@pytest.mark.parametrize("columns", [9, 16, 31, 33, 47, 261])
def test_rows_of_any_length(term, columns):
    """Shorter than a vector of samples, longer by one, longer than a block."""
    fixed, moving = (torch.nn.functional.interpolate(side, (21, columns), mode="bilinear") for side in images(2))
    fused = FusedObjective(FusedImages.of(fixed, moving, term), term)
    formula = Objective(term.fixed_channels(fixed), term.moving_channels(moving), term)
    x = at(2, 0.05)
    value, gradient, matrix = fused.value_gradient_curvature(x)
    near(value, formula.value(x), 2e-6)
    near(gradient, formula.value_and_gradient(x)[1], 5e-3)
    near(matrix, formula.curvature(x), 5e-3)


@pytest.mark.parametrize(("term", "size"), [(normalized_gradients, 90), (mean_squares, 114)])
def test_volumes_whose_pixels_are_fetched_ahead(term, size):
    """They take more than a processor's cache; ahead of the last rows there is nothing to fetch."""
    fixed, moving = (torch.nn.functional.interpolate(side, (size,) * 3, mode="trilinear") for side in images(3, 1))
    images_of_term = FusedImages.of(fixed, moving, term)
    assert images_of_term.words.numel() > NEAR
    fused, formula = FusedObjective(images_of_term, term), Objective(term.fixed_channels(fixed), term.moving_channels(moving), term)
    x = at(3, 0.05, 1)
    value, gradient = fused.value_and_gradient(x)
    expected, slope = formula.value_and_gradient(x)
    near(value, expected, 2e-6)
    near(gradient, slope, 5e-3)


@pytest.mark.parametrize("threads", [1, 3])
def test_few_maps_and_many_of_a_large_grid(threads):
    """Threads share the slabs of few, and of many the maps; the numbers are the same."""
    _, fused = both(3, unexplained_content, size=LARGE[3])
    x = at(3, 0.1).repeat(6, 1, 1)
    many = fused.select(torch.arange(4).repeat(6))
    with torch_threads(threads):
        together = many.value_gradient_curvature(x)
        alone = [many.select(torch.tensor([k])).value_gradient_curvature(x[k : k + 1]) for k in range(4)]
    for whole, *parts in zip(together, *alone, strict=True):
        assert torch.equal(whole[:4], torch.cat(parts)) and torch.equal(whole[4:8], whole[:4])


@DIMENSIONS
@pytest.mark.parametrize("every", [1, 2, 3, 4])
@pytest.mark.parametrize("term", [*COMPARED, *unexplained_sides])
def test_floors_are_those_of_the_formula(d, every, term):
    """Of the rows that count, of one image that shows nothing too."""
    fixed = images(d, 3)[0]
    fixed[2] = 0
    channels = term.fixed_channels(fixed)
    floor, price = floor_and_price(channels.flatten(2, -2).numpy(), channels.shape[-2], term, every)
    expected, cost = term.floor_and_price(channels * rows_of(channels, every))
    if term is mean_squares:
        expected = rows_of(channels, every).expand_as(channels[0, 0]).double().sum().expand(3)
    torch.testing.assert_close(floor, expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(price[:2], cost[:2], rtol=1e-6, atol=1e-9)
    assert torch.isfinite(price).all()


def test_floors_are_the_same_by_any_number_of_threads():
    channels = normalized_gradients.fixed_channels(images(3, 1, 40)[0])
    found = []
    for threads in (1, 3):
        with torch_threads(threads):
            found.append(torch.cat(floor_and_price(channels.flatten(2, -2).numpy(), 40, normalized_gradients)))
    assert torch.equal(*found) and bool((found[0] > 0).all())


@DIMENSIONS
@TERMS
def test_gradient_against_central_differences(d, term):
    """Of its own value; float32 images leave a difference of so short a step some noise, and kinks of the interpolant."""
    _, fused = both(d, term, distortion(d))
    x, h = at(d, 0.1), 3e-4
    gradient = fused.value_and_gradient(x)[1]
    found = torch.empty_like(x)
    for row in range(d):
        for column in range(d + 1):
            step = torch.zeros_like(x)
            step[:, row, column] = h
            found[:, row, column] = (fused.value(x + step) - fused.value(x - step)) / (2 * h)
    near(gradient, found, 0.02)


@DIMENSIONS
@pytest.mark.parametrize("shift", [0.0, 0.4, 3.0])
def test_shares(d, shift):
    formula, fused = both(d, unexplained_content)
    torch.testing.assert_close(fused.shares(at(d, shift)), formula.shares(at(d, shift)), atol=1e-6, rtol=1e-5)


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
@pytest.mark.parametrize("curved", [True, False])
def test_minimum_is_that_of_the_torch_code(d, name, curved):
    formula, fused = both(d, overlap_mean_squares, distortion(d))
    start = freedom(name, at(d, 0.0) * 0.3 + 0.7 * identity(4, d))
    options = {"iterations": 60, "unit": 2 / SIZE[d], "curved": curved, "tolerance": 1e-6, "check": lambda: None}
    expected, found = formula.minimize(start, **options), fused.minimize(start, **options)
    first = formula.value(start.maps(start.origin))
    assert bool((found.value < 0.9 * first).all())
    assert float((found.value - expected.value).abs().max()) < 0.02 * float(first.max())
    torch.testing.assert_close(found.value, fused.value(start.maps(found.p)))
    assert bool((found.evaluations > 3).all()) and bool((found.evaluations < 150).all())


@DIMENSIONS
@pytest.mark.parametrize("name", FREEDOMS)
def test_first_steps_are_those_of_the_torch_code(d, name):
    """Before rounding has led them apart: the maps of the free parameters, their derivatives and the first step."""
    formula, fused = both(d, unexplained_content, distortion(d))
    start = freedom(name, at(d, 0.02) * 0.3 + 0.7 * identity(4, d))
    for curved in (True, False):
        options = {"iterations": 2, "unit": 2 / SIZE[d], "curved": curved, "tolerance": 0.0, "check": lambda: None}
        expected, found = formula.minimize(start, **options), fused.minimize(start, **options)
        assert float((expected.p - start.origin).abs().max()) > 1e-2
        near(found.p - start.origin, expected.p - start.origin, 2e-2)
        assert torch.equal(found.evaluations, expected.evaluations)


@DIMENSIONS
def test_nothing_depends_on_the_batch_or_on_the_threads(d):
    _, fused = both(d, unexplained_content, distortion(d))
    x = torch.cat([at(d, 0.1, seed=seed) for seed in range(12)])
    many = fused.select(torch.arange(4).repeat(12))
    options = {"iterations": 8, "unit": 2 / SIZE[d], "curved": True, "tolerance": 1e-4, "check": lambda: None}
    results = []
    for count in (1, 2, 3):
        with torch_threads(count):
            results.append((*many.value_and_gradient(x), many.minimize(freedom("rigid", x), **options).p))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
    row = torch.tensor([7])
    alone = many.select(row)
    assert torch.equal(alone.value_and_gradient(x[row])[1], results[0][1][row])
    assert torch.equal(alone.minimize(freedom("rigid", x[row]), **options).p, results[0][2][row])


@DIMENSIONS
def test_a_large_problem_is_shared_out_and_its_numbers_stay(d):
    """By slabs of rows; one thread sums the same slabs one after the other."""
    formula, fused = both(d, unexplained_content, distortion(d, 2), count=2, size=LARGE[d])
    x = at(d, 0.1, count=2)
    options = {"iterations": 6, "unit": 2 / LARGE[d], "curved": True, "tolerance": 1e-4, "check": lambda: None}
    calls, results = [], []
    for count in (1, 2, 3):
        with torch_threads(count):
            end = fused.minimize(freedom("affine", x), **options)
            results.append((*fused.value_gradient_curvature(x), end.p, end.value, end.evaluations))
    with torch_threads(3), pytest.raises(Cancelled):
        fused.minimize(freedom("affine", x), **options | {"check": lambda: cancel_at_the_third(calls)})
    assert len(calls) == 3
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
    near(results[0][0], formula.value(x), 2e-6)
    near(results[0][2], formula.curvature(x), 5e-3)


def cancel_at_the_third(calls):
    calls.append(1)
    if len(calls) == 3:
        raise Cancelled


@DIMENSIONS
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e200, 1e9, -1e5])
def test_absurd_maps_read_nothing_beyond_the_image(d, number):
    _, fused = both(d, unexplained_content)
    for entry in range(d * (d + 1)):
        x = identity(4, d)
        x.view(4, -1)[:, entry] = number
        value = fused.value(x)
        assert bool(torch.isnan(value).all() if not np.isfinite(number) else (value >= 0).all())


def test_work_ends_where_check_raises():
    _, fused = both(3, unexplained_content)
    x = torch.cat([at(3, 0.1, seed=seed) for seed in range(40)])
    many = fused.select(torch.arange(4).repeat(40))
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 1:
            raise Cancelled

    with torch_threads(2), pytest.raises(Cancelled):
        many.minimize(freedom("affine", x), iterations=10**6, unit=0.1, curved=False, tolerance=0.0, check=check)
    assert len(calls) == 2


def test_registration_is_the_same_by_either_backend():
    geometry = lattice((60, 60, 1), (1, 1, 1))
    truth = affine(70, (8, -5, 0))
    pair = (made(geometry, noise=1.0), made(geometry, truth, noise=1.0))
    maps = [register([pair], Settings(backend=backend))[0].fixed_to_moving_lps for backend in ("torch", "numba")]
    assert distance(maps[0], maps[1], geometry) < 0.02
    assert distance(maps[1], truth, geometry) < 0.3


class TestChoice:
    def test_kernels_where_they_can_be_had(self, monkeypatch):
        cpu = torch.device("cpu")
        assert choose_backend("auto", cpu, "float32") == choose_backend("numba", cpu, "float32") == "numba"
        assert choose_backend("torch", cpu, "float32") == choose_backend("auto", cpu, "float64") == "torch"
        monkeypatch.setattr(backends, "find_spec", lambda name: None)
        assert choose_backend("auto", cpu, "float32") == "torch"
        with pytest.raises(InputError, match="numba is not installed. Choose auto or torch"):
            choose_backend("numba", cpu, "float32")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"backend": "numba", "precision": "float64"}, "it computes in float32 and the precision is float64"),
            ({"backend": "triton", "device": "cpu"}, "it computes on an NVIDIA GPU and the device is cpu. Choose auto or torch."),
            ({"backend": "fortran"}, "There is no backend 'fortran'; choose auto, torch, numba, triton."),
        ],
    )
    def test_what_cannot_be_had_is_told_before_anything_is_computed(self, changes, words):
        image = made(lattice((20, 20, 1), (1, 1, 1)))
        with pytest.raises(InputError, match=words):
            register([(image, image)], replace(Settings(), **changes))

    @pytest.mark.parametrize("platform", ["linux", "win32"])
    @pytest.mark.parametrize("hindrance", [None, "there is no C compiler"])
    def test_triton_on_a_gpu_where_it_can_be_had(self, platform, hindrance, monkeypatch):
        cuda = torch.device("cuda")
        monkeypatch.setattr(backends, "_trial", lambda device: hindrance)
        monkeypatch.setattr(backends, "find_spec", lambda name: object())
        monkeypatch.setattr(backends.sys, "platform", platform)
        there = platform == "linux" and hindrance is None
        assert choose_backend("auto", cuda, "float32") == ("triton" if there else "torch")
        assert choose_backend("auto", cuda, "float64") == choose_backend("torch", cuda, "float32") == "torch"
        if there:
            assert choose_backend("triton", cuda, "float32") == "triton"
            monkeypatch.setattr(backends, "find_spec", lambda name: None)
            hindrance = "triton is not installed"
        with pytest.raises(InputError, match=hindrance if platform == "linux" else "it needs Linux"):
            choose_backend("triton", cuda, "float32")

    def test_gpu_that_triton_fails_on_is_told_in_one_sentence(self, monkeypatch):
        def fails(device):
            raise RuntimeError("Failed to find\n  C compiler.")

        monkeypatch.setitem(sys.modules, "MetaAffineRegLib.triton_kernels", SimpleNamespace(start=fails))
        backends._trial.cache_clear()
        try:
            assert backends._trial(torch.device("cuda")) == "Triton can't compile for this GPU (Failed to find C compiler)"
        finally:
            backends._trial.cache_clear()

    def test_library_does_without_numba_and_triton(self):
        """In a Python where they can't be imported, as in Slicer before someone installs them."""
        program = """
import sys
sys.modules["numba"] = sys.modules["triton"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("numba", "triton") else find(name, *rest)
import numpy as np
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.registration import register
array = np.zeros((1, 32, 32)); array[0, 8:20, 10:26] = 1
image = Image.checked(array, ImageGeometry((32, 32, 1), np.eye(4)), "a")
print(register([(image, image)])[0].status, {"numba", "triton"} & {name for name, module in sys.modules.items() if module} != set())
"""
        paths = {"PYTHONPATH": str(backends.__file__.rsplit("MetaAffineRegLib", 1)[0])}
        done = subprocess.run([sys.executable, "-c", program], env=paths, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-1] == "False"
