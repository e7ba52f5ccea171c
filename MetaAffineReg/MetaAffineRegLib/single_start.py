"""The methods of the paper's section 3, each from one start.

plain   L-BFGS from the start, 30 iterations on each of 4 levels
learn   the learned initializer alone
comb    L-BFGS from the learned initializer's end, 15 iterations on each level

The paper fills what lies beyond the moving image with zeros.  That keeps the coarse levels from leaving the image, but it
pulls the optimum away from the truth wherever the field of view cuts the object off; so the two finest levels compare the
images on their overlap, unless zeros are asked for throughout.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .data_terms import mean_squares, overlap_mean_squares
from .freedom import FreedomName, freedom
from .grids import PairGrids
from .initializer import Initializer
from .objective import Criterion
from .outcome import Outcome

_ITERATIONS = {"plain": 30, "comb": 15}


def single_start(
    grids: PairGrids,
    levels: tuple[int, ...],
    start: Tensor,
    method: str,
    network: Initializer | None,
    freedom_name: FreedomName,
    outside: str,
    report: Callable[[str, float], None],
) -> Outcome:
    """Register a batch from start ``(B, d, d + 1)``.

    ``report`` is called with a stage and the share that is done, and may raise to end the work.
    """

    def objective(size: int) -> Criterion:
        overlap = outside == "overlap" and size in levels[-2:]
        return grids.objective(size, overlap_mean_squares if overlap else mean_squares)

    before = objective(levels[-1]).value(start)
    evaluations = torch.zeros(len(start), dtype=torch.float64, device=start.device)
    x = start
    if network is not None:
        report("learned steps", 0.1)
        term = network.config.data_terms[0]
        x = network({size: grids.objective(size, term) for size in set(network.config.levels)}, x)[-1]
        evaluations += sum(network.config.steps * network.config.evaluations * grids.cost(size) for size in network.config.levels)
    parameters = freedom(freedom_name, x)
    x = parameters.maps(parameters.origin)
    for position, size in enumerate(levels if method != "learn" else ()):
        report(f"refinement on a grid of {size}", 0.2 + 0.8 * position / len(levels))
        parameters = freedom(freedom_name, x)
        end = objective(size).minimize(
            parameters,
            iterations=_ITERATIONS[method],
            unit=2 / size,
            curved=False,
            tolerance=1e-3 * 2 / size,
            check=partial(report, "", 0.2 + 0.8 * position / len(levels)),
        )
        evaluations += end.evaluations * grids.cost(size)
        x = parameters.maps(end.p)
    return Outcome(x, before, objective(levels[-1]).value(x), evaluations)
