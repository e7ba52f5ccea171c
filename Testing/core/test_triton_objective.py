"""The kernels of Triton give the numbers of the torch formulas, on the GPU where there is one and otherwise in Triton's interpreter.

The interpreter takes long for each call and little for each sample, so images are small, tiles large and maps few.
"""

import os
import subprocess
import sys

import pytest
import torch

from core.test_fused_objective import DIMENSIONS, SHIFTS, TERMS, at, distortion, images, near

pytest.importorskip("triton", reason="triton is not installed")

from MetaAffineRegLib import triton_kernels
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.correlation import correlation
from MetaAffineRegLib.data_terms import overlap_mean_squares, unexplained_content
from MetaAffineRegLib.freedom import freedom
from MetaAffineRegLib.fused_images import FusedImages
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.initializer import Initializer, InitializerConfig
from MetaAffineRegLib.objective import AcrossDevices, Objective
from MetaAffineRegLib.triton_objective import TritonObjective

DEVICE = torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")
SIZE = {2: 20, 3: 9}
pytestmark = [
    pytest.mark.skipif(DEVICE.type == "cuda" and not torch.cuda.is_available(), reason="torch is no build for this GPU"),
    pytest.mark.usefixtures("large_tiles"),
]


@pytest.fixture
def large_tiles(monkeypatch):
    """So that an image in the plane is two tiles, and one in space two pieces of two tiles and of one."""
    if DEVICE.type == "cpu":
        monkeypatch.setattr(triton_kernels, "TILE", 256)
        monkeypatch.setattr(triton_kernels, "TILES", 2)


def both(d, term, regularizer=None):
    fixed, moving = (side.to(DEVICE) for side in images(d, size=SIZE[d]))
    torch_formula = Objective(term.fixed_channels(fixed), term.moving_channels(moving), term, regularizer)
    return torch_formula, TritonObjective(FusedImages.of(fixed, moving, term), term, regularizer)


def at_all_places(d):
    """A map for each pair, one for each of ``SHIFTS``, ``(4, d, d + 1)``."""
    return torch.cat([at(d, shift)[[row]] for row, shift in enumerate(SHIFTS.values())]).to(DEVICE)


def regularizer_of(d):
    made = distortion(d)
    made.inverse, made.weight = made.inverse.to(DEVICE), made.weight.to(DEVICE)
    return made


@DIMENSIONS
@TERMS
def test_numbers_are_those_of_the_formula(d, term):
    """As with ``FusedObjective``, a sample on a grid line may get the other cell's slope."""
    formula, fused = both(d, term, regularizer_of(d))
    x = at_all_places(d)
    value, gradient, matrix = fused.value_gradient_curvature(x)
    expected_value, expected_gradient, expected_matrix = formula.value_gradient_curvature(x)
    assert value.dtype == gradient.dtype == matrix.dtype == torch.float64
    for row in range(len(x)):
        near(value[row], expected_value[row], 2e-6)
        near(gradient[row], expected_gradient[row], 5e-3)
        near(matrix[row], expected_matrix[row], 5e-3)
    torch.testing.assert_close(matrix, matrix.mT)
    assert bool((gradient[:3].abs().amax((1, 2)) > 1e-4).all())


@DIMENSIONS
def test_shares(d):
    formula, fused = both(d, unexplained_content)
    x = at_all_places(d)
    torch.testing.assert_close(fused.shares(x), formula.shares(x), atol=1e-6, rtol=1e-5)


@DIMENSIONS
def test_candidates_share_the_images_of_their_pair_and_do_not_depend_on_the_batch(d):
    formula, fused = both(d, unexplained_content)
    pairs = torch.tensor([2, 0, 2, 3], device=DEVICE)
    x = at_all_places(d)
    many, formula = fused.select(pairs), formula.select(pairs)
    value, gradient, matrix = many.value_gradient_curvature(x)
    near(value, formula.value(x), 2e-6)
    row = torch.tensor([2], device=DEVICE)
    alone = many.select(row)
    assert (len(many), len(alone)) == (4, 1)
    found = alone.value_gradient_curvature(x[row])
    assert all(torch.equal(one, every[row]) for one, every in zip(found, (value, gradient, matrix), strict=True))


@DIMENSIONS
@pytest.mark.parametrize("place", ["first", "offset"])
def test_absurd_maps_read_nothing_beyond_the_image(d, place):
    fused = both(d, unexplained_content)[1]
    numbers = torch.tensor([float("nan"), float("inf"), 1e200, 1e9, -1e5], dtype=torch.float64, device=DEVICE)
    x = identity(len(numbers), d).to(DEVICE)
    x[:, 0, 0 if place == "first" else d] = numbers
    value = fused.select(torch.zeros(len(numbers), dtype=torch.int64, device=DEVICE)).value(x)
    assert torch.equal(torch.isnan(value), ~torch.isfinite(numbers))
    assert bool((value[2:] >= 0).all())


def test_minimum_is_that_of_the_torch_formula():
    formula, fused = both(2, overlap_mean_squares, regularizer_of(2))
    start = freedom("rigid", (at(2, 0.0) * 0.3 + 0.7 * identity(4, 2)).to(DEVICE))
    checks = []
    options = {"iterations": 4, "unit": 2 / SIZE[2], "curved": True, "tolerance": 1e-2 / SIZE[2]}
    expected = formula.minimize(start, **options, check=lambda: None)
    found = fused.minimize(start, **options, check=lambda: checks.append(None))
    assert float((expected.p - start.origin).abs().max()) > 1e-2
    near(found.p - start.origin, expected.p - start.origin, 1e-2)
    near(found.value, expected.value, 1e-3)
    assert len(checks) == int(found.evaluations.max()) - 1


@pytest.mark.parametrize("gradient_input", ["direction", "newton"])
@torch.no_grad()
def test_learned_steps_are_those_on_the_torch_formula(gradient_input):
    formula, fused = both(2, unexplained_content)
    torch.manual_seed(2)
    network = Initializer(InitializerConfig(2, (SIZE[2],), 2, 2, gradient_input)).to(DEVICE)
    torch.nn.init.normal_(network.L_out.weight, std=0.2)
    begin = network.begin(at(2, 0.05).to(DEVICE))
    expected, found = (network.level(begin, objective, 0).x - begin.x for objective in (formula, fused))
    assert float(expected.abs().max()) > 0.05
    near(found, expected, 2e-2)


def test_grids_give_it_for_the_terms_it_serves():
    fixed, moving = (side.to(DEVICE) for side in images(2, size=SIZE[2]))
    grids = PairGrids({SIZE[2]: fixed}, {SIZE[2]: moving}, "triton")
    for each in (grids, grids.swapped(), grids.select(torch.tensor([1, 0], device=DEVICE))):
        assert isinstance(_of_images(each.objective(SIZE[2], unexplained_content)), TritonObjective)
        assert isinstance(_of_images(each.objective(SIZE[2], correlation)), Objective)


def _of_images(criterion):
    """The criterion that a GPU computes."""
    return criterion._images if isinstance(criterion, AcrossDevices) else criterion


COMPILATION = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from MetaAffineRegLib import triton_kernels, triton_terms

POINTERS = {"fixed": "*fp32", "words": "*i64", "maps": "*fp64", "pairs": "*i64", "sums": "*fp32", "totals": "*fp64"}
TERMS = [name for name in vars(triton_terms) if f"curve_{name}" in vars(triton_terms)]


def compile(kernel, term, d):
    edges = term == "normalized_gradients"
    constants = {
        "TERM": getattr(triton_terms, term),
        "CURVE": getattr(triton_terms, f"curve_{term}"),
        **{"FIXED": 1 + d * (d + 1) // 2 if edges else 2, "WORDS": 2 if edges else 1, "BORDER": 2, "D": d},
        **{"TILE": triton_kernels.TILE, "TILES": triton_kernels.TILES, "NUMBERS": 14, "WIDTH": 16, "AT_ONCE": 16},
    }
    names = kernel.arg_names
    types = {name: "constexpr" if name in constants else POINTERS.get(name, "fp32" if name == "constant" else "i32") for name in names}
    given = {(place,): constants[name] for place, name in enumerate(names) if name in constants}
    compiled = triton.compile(ASTSource(kernel, types, given), target=GPUTarget("cuda", 80, 32))
    assert len(compiled.asm["cubin"]) > 1000


compile(triton_kernels.add_pieces, "mean_squares", 2)
compile(triton_kernels.sum_costs, "normalized_gradients", 3)
for term in TERMS:
    compile(triton_kernels.sum_curvatures, term, 2)
print(len(TERMS))
"""


def test_kernels_compile_for_a_gpu(tmp_path):
    """Which the interpreter does not tell, as it takes what the compiler refuses.  No GPU is needed for it."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", COMPILATION], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 6
