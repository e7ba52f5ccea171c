"""The learned initializer: near the identity when fresh, fed with gradients alone, a cell of its own for each step."""

import pytest
import torch

from core.made_images import affine, lattice, made
from MetaAffineRegLib.affine import compose, identity
from MetaAffineRegLib.data_terms import unexplained_content
from MetaAffineRegLib.geometry import pair_frame
from MetaAffineRegLib.grids import PairGrids
from MetaAffineRegLib.initializer import Initializer, InitializerConfig
from MetaAffineRegLib.starts import rotations

DIMENSIONS = pytest.mark.parametrize("d", [2, 3])
INPUTS = pytest.mark.parametrize("gradient_input", ["raw", "direction"])


class Gradients:
    """An objective with gradients made up; ``values`` stand for the images, which the network must not see."""

    def __init__(self, d, values=0.0, seed=0):
        self._d, self._values, self._generator = d, values, torch.Generator().manual_seed(seed)
        self.seen = []

    def value_and_gradient(self, x):
        self.seen.append(x)
        gradient = torch.randn(len(x), self._d, self._d + 1, generator=self._generator, dtype=torch.float64)
        return torch.full((len(x),), self._values, dtype=torch.float64), gradient

    def curvature(self, x):
        n = self._d * (self._d + 1)
        return torch.diag(torch.arange(1.0, n + 1, dtype=torch.float64)).expand(len(x), n, n)


def network(d, levels=(16, 32), steps=3, seed=0, **options):
    torch.manual_seed(seed)
    return Initializer(InitializerConfig(d, levels, steps, **options))


def trained(net, scale=0.3):
    """A network whose output layer is no longer near zero."""
    torch.nn.init.normal_(net.L_out.weight, std=scale)
    return net


def objectives(net, **options):
    return {size: Gradients(net.config.dimension, seed=size, **options) for size in net.config.levels}


@DIMENSIONS
@INPUTS
def test_fresh_network_hardly_moves_its_start(d, gradient_input):
    net = network(d, gradient_input=gradient_input)
    start = identity(4, d)
    for x in net(objectives(net), start):
        assert 0 < float((x - start).detach().abs().max()) < 0.05


@DIMENSIONS
@INPUTS
def test_same_gradients_give_the_same_maps_whatever_the_images(d, gradient_input):
    """Neither values of the criterion nor anything else of the images enters."""
    net = trained(network(d, gradient_input=gradient_input))
    one, other = (net(objectives(net, values=value), identity(2, d))[-1] for value in (0.0, 1e6))
    assert torch.equal(one, other)


@DIMENSIONS
@INPUTS
def test_other_gradients_give_other_maps(d, gradient_input):
    net = trained(network(d, gradient_input=gradient_input))
    one = net({size: Gradients(d, seed=1) for size in (16, 32)}, identity(2, d))[-1]
    other = net({size: Gradients(d, seed=2) for size in (16, 32)}, identity(2, d))[-1]
    assert float((one - other).detach().abs().max()) > 1e-3


class Places(Gradients):
    """Gradients that depend on the map alone."""

    def value_and_gradient(self, x):
        return x.new_zeros(len(x)), (3 * x).sin()


class Turned(Gradients):
    """The gradients and curvatures with respect to u that ``Gradients`` has, told with respect to x = start o u."""

    def __init__(self, d, start, seed=0):
        super().__init__(d, seed=seed)
        self._start = start

    def value_and_gradient(self, x):
        value, gradient = super().value_and_gradient(x)
        return value, torch.linalg.inv(self._start[..., :-1]).mT @ gradient

    def curvature(self, x):
        back = torch.kron(torch.linalg.inv(self._start[..., :-1]).contiguous(), torch.eye(self._d + 1, dtype=torch.float64))
        return back.mT @ super().curvature(x) @ back


@DIMENSIONS
@INPUTS
def test_steps_are_taken_in_the_frame_of_the_start(d, gradient_input):
    """The same gradients in the frame of another start, turned, stretched and shifted: the same steps after it."""
    net = trained(network(d, gradient_input=gradient_input))
    start = torch.cat((rotations(d, 5)[3:] * 1.2, torch.full((2, d, 1), 0.3, dtype=torch.float64)), -1)
    start[1, 0, 1] += 0.2
    turned = {size: Turned(d, start, seed=size) for size in net.config.levels}
    for one, other in zip(net(objectives(net), identity(2, d)), net(turned, start), strict=True):
        torch.testing.assert_close(other, compose(start, one))


@DIMENSIONS
@INPUTS
def test_what_was_learned_of_one_start_holds_for_every_other(d, gradient_input):
    """From S T on (fixed, moving) as from T on (fixed, moving o S), S a quarter turn, under which a grid keeps its samples.

    T, a little of everything, keeps the points off the samples, where the interpolant has kinks and its derivative two sides.
    """
    n = 64 if d == 2 else 24
    geometry = lattice((n, n, n if d == 3 else 1), (96 / n,) * 3)
    turn = affine(90)
    pairs = [(made(geometry), made(geometry, other)) for other in (turn @ affine(20, (5, -4, 0)), affine(20, (5, -4, 0)))]
    frames = [pair_frame(geometry, geometry)] * 2
    net = trained(network(d, (8, 16), 3, gradient_input=gradient_input, data_term="unexplained_content"), 0.05)
    grids = PairGrids.of(pairs, frames, (8, 16), dtype=torch.float64, device=torch.device("cpu"))
    around = identity(1, d)
    around[0, :, :d] = torch.from_numpy(turn[:d, :d])
    little = identity(1, d) + 0.03 * torch.randn(1, d, d + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = torch.cat((compose(around, little), little))
    end = net({size: grids.objective(size, unexplained_content) for size in (8, 16)}, start)[-1].detach()
    assert float((end[1] - start[1]).abs().max()) > 0.02
    torch.testing.assert_close(end[0], compose(around, end[1:])[0], atol=1e-6, rtol=0)


@DIMENSIONS
@INPUTS
def test_level_by_level_and_only_some_starts_is_the_same_as_all_at_once(d, gradient_input):
    net = trained(network(d, gradient_input=gradient_input))
    start = torch.cat((rotations(d, 5)[:3], torch.zeros(3, d, 1, dtype=torch.float64)), -1)
    asked, rows = {size: Places(d) for size in net.config.levels}, torch.tensor([2, 0])
    at_once = net(asked, start)
    first = net.level(net.begin(start), asked[16], 0)
    torch.testing.assert_close(first.x, at_once[2], rtol=0, atol=0)
    torch.testing.assert_close(net.level(first.select(rows), asked[32], 1).x, at_once[-1][rows], rtol=0, atol=1e-12)


@DIMENSIONS
def test_every_step_of_every_level_asks_its_own_grid(d):
    net = trained(network(d))
    asked = objectives(net)
    iterates = net(asked, identity(1, d))
    assert [len(asked[size].seen) for size in (16, 32)] == [3, 3]
    assert len(iterates) == 6
    # gradients are taken where the iterate before has ended
    for seen, x in zip([*asked[16].seen, *asked[32].seen][1:], iterates, strict=False):
        assert torch.equal(seen, x)


@DIMENSIONS
def test_each_step_has_a_cell_of_its_own(d):
    """Changing one cell changes the iterates from its step on and none before."""
    net = trained(network(d))
    before = net(objectives(net), identity(1, d))
    with torch.no_grad():
        net.cells[3].weight_ih.mul_(2)
    after = net(objectives(net), identity(1, d))
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True] * 3 + [False] * 3


@DIMENSIONS
@INPUTS
def test_first_and_last_layer_are_shared(d, gradient_input):
    """n = d (d + 1) parameters, i inputs, width w = 4 n: L_in i w + w, L_out w n + n, each cell 4 (2 w^2 + 2 w)."""
    n = d * (d + 1)
    inputs = {"raw": n, "direction": n + 1}[gradient_input]
    width = 4 * n
    for levels, steps in (((16,), 5), ((16, 32), 5), ((16,), 1)):
        net = network(d, levels, steps, gradient_input=gradient_input)
        count = sum(p.numel() for p in net.parameters())
        cells = steps * len(levels) * 4 * (2 * width**2 + 2 * width)
        assert count == net.config.weights == (inputs * width + width) + (width * n + n) + cells


@DIMENSIONS
def test_first_iterates_do_not_depend_on_how_many_are_asked_for(d):
    net = trained(network(d))
    all_of_them, some = net(objectives(net), identity(1, d)), net(objectives(net), identity(1, d), 2)
    assert len(some) == 2 and all(torch.equal(a, b) for a, b in zip(all_of_them, some, strict=False))


@DIMENSIONS
def test_direction_of_the_gradient_counts_and_its_length_enters_as_a_logarithm(d):
    """Gradients a thousand times as long move the map by about as much; raw input would saturate the cells."""

    class Scaled(Gradients):
        scale = 1.0

        def value_and_gradient(self, x):
            value, gradient = super().value_and_gradient(x)
            return value, gradient * self.scale

    class Longer(Scaled):
        scale = 1e3

    net = trained(network(d, (16,), 1, gradient_input="direction"))
    short, long = (net({16: kind(d)}, identity(1, d))[-1] - identity(1, d) for kind in (Scaled, Longer))
    difference = float((long - short).detach().norm() / short.detach().norm())
    assert 0 < difference < 2
    zero = type("Zero", (Scaled,), {"scale": 0.0})
    assert bool(torch.isfinite(net({16: zero(d)}, identity(1, d))[-1]).all())


@DIMENSIONS
def test_training_needs_no_derivative_of_the_gradient(d):
    """The gradient enters detached; the weights of all steps get one through the sum of the updates."""
    net = trained(network(d))
    iterates = net(objectives(net), identity(2, d))
    iterates[-1].square().sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or float(p.grad.abs().max()) == 0]
    assert without == ["cells.0.weight_hh"]  # the first hidden state is zero


@pytest.mark.parametrize(
    "options",
    [
        {"dimension": 4}, {"dimension": 2.0}, {"levels": ()}, {"levels": (32, 16)}, {"levels": (2,)}, {"levels": (1024,)},
        {"levels": (16,) * 9}, {"levels": (16.0,)}, {"steps": 0}, {"steps": 51}, {"steps": True}, {"expansion": 0}, {"expansion": 17},
        {"gradient_input": "image"}, {"data_term": "overlap"},
    ],
)  # fmt: skip
def test_impossible_networks_are_refused(options):
    with pytest.raises(ValueError, match="^a network"):
        InitializerConfig(**{"dimension": 2, "levels": (16,), **options})


def test_config_survives_as_plain_data():
    config = InitializerConfig(3, [12, 24], 4, 2, "direction", "unexplained_content")
    assert InitializerConfig(**config.to_dict()) == config
    assert config.levels == (12, 24) and config.parameters == 12
