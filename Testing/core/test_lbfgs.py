"""L-BFGS for a batch of problems: known minima, each problem as if alone, no work for those that are done."""

import pytest
import torch

from MetaAffineRegLib.lbfgs import minimize


class Spy:
    """A batch of functions that keeps account of which problems were evaluated where; nothing here is shared between rows."""

    def __init__(self, f, rows, log=None):
        self._f, self.rows, self.log = f, rows, [] if log is None else log

    def value_and_gradient(self, p):
        values, gradients = [], []
        for row, point in zip(self.rows.tolist(), p, strict=True):
            with torch.enable_grad():
                point = point.clone().requires_grad_()
                value = self._f(row, point)
                (gradient,) = torch.autograd.grad(value, point)
            values.append(value.detach())
            gradients.append(gradient)
            self.log.append((row, value.item(), point.detach()))
        return torch.stack(values), torch.stack(gradients)

    def select(self, rows):
        return Spy(self._f, self.rows[rows], self.log)

    def evaluations(self, row):
        return [value for logged, value, _ in self.log if logged == row]


def solved(f, start, **options):
    spy = Spy(f, torch.arange(len(start)))
    return minimize(spy, start, **{"iterations": 100, "unit": 0.1, "tolerance": 1e-9, **options}), spy


def quadratic(row, p):
    """Condition 50, its axes turned; the minimum lies at (1, 2, .., n) / n * (row + 1) / 4."""
    n = len(p)
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(row), dtype=torch.float64))
    target = torch.arange(1, n + 1, dtype=torch.float64) / n * (row + 1) / 4
    scale = torch.logspace(0, 1.7, n, dtype=torch.float64)
    return 0.5 * (scale * (q.T @ (p - target)).square()).sum() - 3


def rosenbrock(row, p):
    return (100 * (p[1:] - p[:-1].square()).square() + (1 - p[:-1]).square()).sum()


def zeros(count, n):
    return torch.zeros(count, n, dtype=torch.float64)


@pytest.mark.parametrize("n", [6, 12])
def test_quadratic_functions_end_at_their_minima(n):
    end, _ = solved(quadratic, zeros(4, n))
    expected = torch.arange(1, n + 1, dtype=torch.float64) / n * torch.arange(1, 5, dtype=torch.float64)[:, None] / 4
    torch.testing.assert_close(end.p, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(end.value, torch.full((4,), -3.0, dtype=torch.float64))


def test_rosenbrock_from_the_classical_start():
    start = torch.tensor([[-1.2, 1.0], [0.0, 0.0], [2.0, 2.0]], dtype=torch.float64)
    end, spy = solved(rosenbrock, start)
    torch.testing.assert_close(end.p, torch.ones(3, 2, dtype=torch.float64), atol=1e-5, rtol=0)
    assert len(spy.evaluations(0)) < 150  # steepest descent takes thousands


def mixed(row, p):
    """Easy, hard, flat and bounded-from-nowhere problems side by side."""
    kinds = (quadratic, rosenbrock, lambda row, p: p.sum() * 0 + 2, lambda row, p: p.cos().sum() + 0.1 * p.square().sum())
    return kinds[row % 4](row, p)


def test_batch_has_the_bits_of_each_problem_alone():
    start = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together, _ = solved(mixed, start, iterations=25)
    for row in range(8):
        alone = minimize(Spy(mixed, torch.tensor([row])), start[row : row + 1], iterations=25, unit=0.1, tolerance=1e-9)
        assert torch.equal(alone.p[0], together.p[row])
        assert torch.equal(alone.value[0], together.value[row])
        assert torch.equal(alone.evaluations[0], together.evaluations[row])


def test_order_of_problems_does_not_matter():
    start = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    order = torch.tensor([5, 2, 7, 0, 1, 6, 3, 4])
    one, _ = solved(mixed, start, iterations=25)
    other = minimize(Spy(mixed, order), start[order], iterations=25, unit=0.1, tolerance=1e-9)
    assert torch.equal(other.p, one.p[order])


def test_problem_that_is_done_is_not_evaluated_again():
    """Row 1 starts at its minimum and costs one evaluation, row 0 runs on."""
    end, spy = solved(lambda row, p: quadratic(0, p) if row == 0 else p.square().sum(), torch.zeros(2, 6, dtype=torch.float64))
    assert len(spy.evaluations(1)) == 1
    assert len(spy.evaluations(0)) > 10
    assert end.evaluations.tolist() == [len(spy.evaluations(0)), 1]


def test_reported_evaluations_are_those_that_were_made():
    start = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    end, spy = solved(mixed, start)
    assert end.evaluations.tolist() == [len(spy.evaluations(row)) for row in range(8)]
    assert len(set(end.evaluations.tolist())) > 3  # they do differ


def test_value_never_rises_from_iterate_to_iterate():
    """What is returned is the best of all that was evaluated: Armijo refuses every step up."""
    start = torch.randn(8, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 2
    end, spy = solved(mixed, start)
    for row in range(8):
        values = spy.evaluations(row)
        assert float(end.value[row]) == min(values)
        assert float(end.value[row]) <= values[0]


def test_sufficient_decrease_is_demanded():
    """Along -gradient f falls by less than 1e-4 of what the slope promises for all but short steps: they are halved."""
    slope_kept = 0.5e-4

    def kink(row, p):  # slope 1 up to 0.01, then hardly any
        return -torch.where(p[0] < 0.01, p[0], 0.01 + slope_kept * (p[0] - 0.01))

    end, spy = solved(kink, zeros(1, 1), unit=1e4, iterations=1)
    assert len(spy.evaluations(0)) > 3
    assert float(end.value) <= -1e-4 * float(end.p)


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_iterations_are_limited(iterations):
    end, spy = solved(quadratic, zeros(1, 6), iterations=iterations, unit=1e-3)
    accepted = 0
    best = spy.evaluations(0)[0]
    for value in spy.evaluations(0)[1:]:
        accepted += value < best
        best = min(best, value)
    assert accepted == iterations
    assert float(end.value) == best


def test_first_step_is_of_the_given_length_against_the_gradient():
    _, spy = solved(quadratic, zeros(1, 6), iterations=1, unit=0.05)
    first, second = (point for _, _, point in spy.log[:2])
    assert float((second - first).norm()) == pytest.approx(0.05)
    _, gradient = Spy(quadratic, torch.tensor([0])).value_and_gradient(zeros(1, 6))
    torch.testing.assert_close((second - first) / 0.05, -gradient[0] / gradient[0].norm())


def test_memory_makes_the_difference():
    """Five remembered pairs need far fewer evaluations than one; with as many as parameters a quadratic is soon done."""
    counts = {memory: int(solved(quadratic, zeros(1, 12), memory=memory, iterations=300)[0].evaluations) for memory in (1, 5, 12)}
    assert counts[12] <= counts[5] < counts[1]


def test_step_that_moves_nothing_by_the_tolerance_ends_it():
    coarse, _ = solved(quadratic, zeros(1, 6), tolerance=1e-2)
    fine, _ = solved(quadratic, zeros(1, 6), tolerance=1e-10)
    assert int(coarse.evaluations) < int(fine.evaluations)
    assert float(fine.value) <= float(coarse.value) < -2.95


def test_problem_that_is_not_finite_stays_where_it_is():
    start = torch.tensor([[1.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    end, spy = solved(lambda row, p: p.sum() * float("nan") if row == 0 else p.square().sum(), start)
    assert torch.equal(end.p[0], start[0]) and len(spy.evaluations(0)) == 1
    torch.testing.assert_close(end.p[1], torch.zeros(2, dtype=torch.float64), atol=1e-7, rtol=0)


def test_step_to_where_nothing_is_finite_is_refused():
    end, _ = solved(lambda row, p: (p[0] - 1).square() + 0 * (1.5 - p[0]).log(), zeros(1, 1), unit=4.0)
    assert float(end.p) == pytest.approx(1, abs=1e-6)


def test_check_is_asked_before_each_round_and_may_end_it():
    asked = []

    def check():
        asked.append(1)
        if len(asked) == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        solved(rosenbrock, zeros(1, 2), check=check)
    assert len(asked) == 4


def hessian_of(row, n, condition):
    """Axes turned for row 1 and after, those of the parameters for row 0."""
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(row), dtype=torch.float64))
    q = q if row else torch.eye(n, dtype=torch.float64)
    return q @ torch.diag(torch.logspace(0, condition, n, dtype=torch.float64)) @ q.T


def ill_conditioned(condition):
    """Quadratic functions of condition 10^condition, the minimum at (1, 2, .., n) / 10."""

    def function(row, p):
        step = p - target(len(p))
        return 0.5 * (hessian_of(row, len(p), condition) @ step) @ step

    return function


def target(n):
    return torch.arange(1, n + 1, dtype=torch.float64) / 10


@pytest.mark.parametrize("n", [6, 12])
def test_curvature_makes_an_ill_conditioned_problem_easy(n):
    """Parameters on scales a thousand apart, as angles and shifts are: done at once.  Turned axes: the damping costs some steps."""
    curvature = torch.stack([hessian_of(row, n, 3) for row in range(3)])
    ends = []
    for given in (None, curvature):
        end, spy = solved(ill_conditioned(3), zeros(3, n), iterations=1000, unit=10.0, tolerance=1e-7, curvature=given)
        torch.testing.assert_close(end.p, target(n).expand(3, n), atol=1e-5, rtol=0)
        assert end.evaluations.tolist() == [len(spy.evaluations(row)) for row in range(3)]
        ends.append(end.evaluations)
    without, with_it = ends
    assert int(with_it[0]) <= 8
    assert bool((3 * with_it < without).all())


def test_curvature_of_each_problem_is_its_own():
    """Rows of one batch have the results of each alone, also after another has left."""
    curvature = torch.stack([hessian_of(row, 6, 2) for row in range(4)])
    start = zeros(4, 6)
    start[1] = target(6)  # done at once
    together, _ = solved(ill_conditioned(2), start, unit=10.0, curvature=curvature)
    for row in range(4):
        alone = minimize(
            Spy(ill_conditioned(2), torch.tensor([row])),
            start[row : row + 1],
            iterations=100,
            unit=10.0,
            tolerance=1e-9,
            curvature=curvature[row : row + 1],
        )
        torch.testing.assert_close(alone.p[0], together.p[row])
        assert torch.equal(alone.evaluations[0], together.evaluations[row])


@pytest.mark.parametrize("of", [0.0, 1e-12, 1e12], ids=["nothing", "far too small", "far too large"])
def test_curvature_that_tells_nothing_or_wrong_does_no_harm(of):
    """Images without content have none; the minimum is found or the value does not rise."""
    curvature = of * torch.eye(6, dtype=torch.float64).expand(2, 6, 6)
    start = zeros(2, 6)
    before = Spy(quadratic, torch.arange(2)).value_and_gradient(start)[0]
    end, _ = solved(quadratic, start, curvature=curvature)
    assert bool(torch.isfinite(end.p).all()) and bool((end.value <= before).all())


@pytest.mark.parametrize("curvature", [None, 1e-9], ids=["without", "with curvature"])
def test_no_step_is_longer_than_two_units(curvature):
    """Far from the minimum the quadratic model promises a step of the whole way."""
    given = None if curvature is None else curvature * torch.eye(6, dtype=torch.float64)[None]
    end, spy = solved(quadratic, zeros(1, 6), unit=0.01, curvature=given, iterations=12)
    points = torch.stack([point for _, _, point in spy.log])
    accepted, longest = points[0], 0.0
    best = spy.log[0][1]
    for _, value, point in spy.log[1:]:
        longest = max(longest, float((point - accepted).norm()))
        if value < best:
            accepted, best = point, value
    assert longest <= 0.02 + 1e-12
    assert float(end.value) == best
