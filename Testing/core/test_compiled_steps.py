"""The compiled learned steps go where those of torch go."""

from functools import partial

import pytest
import torch

from core.test_fused_objective import SIZE, at, images
from MetaAffineRegLib.affine import identity
from MetaAffineRegLib.compiled_steps import follow_level
from MetaAffineRegLib.data_terms import unexplained_content
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.initializer import Initializer, InitializerConfig
from MetaAffineRegLib.pyramid import pyramid

STEP = 0.05  # standard deviation of the weights that give a step


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("gradient_input", ["raw", "direction", "newton"])
@torch.no_grad()
def test_steps_of_all_levels_are_those_of_torch(d, gradient_input):
    """Two levels of two steps, from starts that are turned, each pair twice."""
    sizes = SIZE[d] // 2, SIZE[d]
    torch.manual_seed(2)
    network = Initializer(InitializerConfig(d, sizes, 2, 2, gradient_input))
    torch.nn.init.normal_(network.L_out.weight, std=STEP)
    fixed, moving = (pyramid(side, sizes) for side in images(d, 2))
    rows = torch.tensor([1, 0, 1, 0])
    start = at(d, 0.05)
    ends = []
    for backend in ("torch", "numba"):
        grids, trajectory = PairGrids(fixed, moving, backend), network.begin(start)
        for number, size in enumerate(sizes):
            objective = grids.objective(size, unexplained_content).select(rows)
            level = network.level if backend == "torch" else partial(follow_level, network)
            trajectory = level(trajectory, objective, number)
        ends.append(trajectory.x)
    moved = float((ends[0] - start).abs().max())
    assert moved > STEP and float((ends[0] - ends[1]).abs().max()) < 0.02 * moved
    assert not torch.allclose(ends[0][0], ends[0][2]) and not torch.allclose(ends[0], identity(4, d))


@torch.no_grad()
def test_weights_that_change_are_seen():
    """What is kept of a network is made anew once it was trained on or loaded again."""
    network = Initializer(InitializerConfig(2, (SIZE[2],), 2, 2))
    torch.nn.init.normal_(network.L_out.weight, std=STEP)
    fixed, moving = (pyramid(side, (SIZE[2],)) for side in images(2, 2))
    objective, start = PairGrids(fixed, moving, "numba").objective(SIZE[2], unexplained_content), at(2, 0.05, 2)
    first = follow_level(network, network.begin(start), objective, 0).x
    assert torch.equal(follow_level(network, network.begin(start), objective, 0).x, first)
    for weight in (network.L_in.weight, network.cells[1].weight_hh, network.L_out.bias):
        before = weight.clone()
        weight.mul_(1.5).add_(0.01)
        assert not torch.equal(follow_level(network, network.begin(start), objective, 0).x, first)
        weight.copy_(before)
        assert torch.equal(follow_level(network, network.begin(start), objective, 0).x, first)
