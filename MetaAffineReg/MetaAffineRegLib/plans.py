"""How much is tried: the plans of a search, by what is compared and by dimension."""

from dataclasses import dataclass, replace
from typing import Literal

from .correlation import correlation, local_correlation
from .correlation_features import INTENSITY_WAVES, EdgeTensors, Features
from .data_terms import DataTerm, unexplained_content, unexplained_detail
from .freedom import FreedomName
from .mutual_information import mutual_information
from .normalized_gradients import faint_gradients, normalized_gradients
from .starts import Translations

Look = Literal["intensities", "edges", "faint-edges", "correlation", "local-correlation", "mutual-information"]


@dataclass(frozen=True)
class Plan:
    """How much is tried.  The defaults were chosen on validation pairs; the ablation shows what each part is worth.

    rotations: over the full range; search: the level on which translations are searched; each, translations: how many and which for
    a rotation; centred: so many rotations besides, once with the centres of mass and once with those of the images on each other;
    polished: how many of them are refined on that level; starts: how many of these go on; learned, unlearned: the branches they take,
    unlearned being the freedom of its maps (None leaves it out) and unlearned_starts how many take it, sifted: chosen of so many after
    some iterations (None: without); led: a network that reads what is compared takes the place of both branches, from all starts, and of
    each pair so many go on after its first level; sieved: of so many basins some iterations on the third level tell which are the best
    (None: the values on the second do); basins: how many stay for the third and for the fourth level; margins: of the starts and
    of these basins only such whose value is that close to the best; features: of the search; coarse, fine: data terms of the first two
    and of the last two levels; gamma: weight of the regularizer; curvature: whether the Gauss-Newton matrix is the initial Hessian of
    L-BFGS; witness: data term whose values at the result tell how sure it is, None for those of fine; reads_all: whether
    learned steps see what is compared even if they learned from something else, and lead where there is led; looks_again: whether the
    evidence is to tell where the coarse term would have the result, and where a quarter of the rows; every: on the finest grid one row in
    so many counts; corrects: whether intensities, once corrected, may settle it there; else_nothing: whether what they do not settle is
    left at that, without evidence.
    """

    rotations: int = 20
    search: int = 0
    each: int = 1
    translations: Translations = "search"
    centred: int = 0
    polished: int = 16
    starts: int = 20
    sifted: int | None = None
    learned: bool = True
    led: int | None = None
    unlearned: FreedomName | None = "rigid"
    unlearned_starts: int = 8
    sieved: int | None = 8
    basins: tuple[int, int] = (3, 2)
    margins: tuple[float, float, float] = (0.05, 0.1, 0.04)
    features: Features = INTENSITY_WAVES
    coarse: DataTerm = unexplained_content
    fine: DataTerm = unexplained_detail
    gamma: float = 1.0
    curvature: bool = True
    witness: DataTerm | None = None
    reads_all: bool = False
    looks_again: bool = False
    every: int = 1
    corrects: bool = False
    else_nothing: bool = False


CALIBRATED: tuple[Look, ...] = ("intensities", "edges", "faint-edges")  # what the weights of the confidence are fitted to
_EDGES = Plan(
    polished=120,
    margins=(0.08, 0.1, 0.04),
    features=EdgeTensors(normalized_gradients),
    coarse=normalized_gradients,
    fine=normalized_gradients,
    learned=False,
    corrects=True,
)
_EDGES_2D = replace(_EDGES, rotations=36, search=1, starts=40, unlearned_starts=40, sieved=48, basins=(6, 3), margins=(0.2, 0.2, 0.1))
_FAINT_EDGES_2D = replace(_EDGES_2D, fine=faint_gradients, looks_again=True)
# In space centres on each other do better than a search of translations where something fills the field of view.
_SPACE = Plan(
    rotations=12,
    centred=30,
    polished=200,
    starts=24,
    sifted=24,
    unlearned_starts=6,
    led=16,
    sieved=None,
    basins=(4, 2),
    margins=(0.2, 0.1, 0.04),
)
_EDGES_3D = replace(
    _SPACE,
    rotations=6,
    learned=False,
    sieved=12,
    basins=(2, 2),
    features=_EDGES.features,
    coarse=_EDGES.coarse,
    fine=faint_gradients,
    every=2,
    corrects=True,
)
_TERMS: dict[Look, DataTerm] = {
    "correlation": correlation,
    "local-correlation": local_correlation,
    "mutual-information": mutual_information,
}
# What is tried first, by what is compared and by dimension; edges need a finer grid to be told apart in the plane.  Those of
# ``_TERMS`` refine what a search by edges finds, and choose of it; edges tell how sure the result is.  Faint edges too are, on the fine
# grids, nearer to the truth where the contrasts differ, and miss it more often where something is cropped.
PLANS: dict[tuple[Look, int], Plan] = {
    ("intensities", 2): Plan(),
    ("intensities", 3): _SPACE,
    ("edges", 2): _EDGES_2D,
    ("faint-edges", 2): _FAINT_EDGES_2D,
    ("edges", 3): _EDGES_3D,
    **{(look, 2): replace(_EDGES_2D, fine=term, witness=_EDGES_2D.fine, corrects=False) for look, term in _TERMS.items()},
    **{(look, 3): replace(_EDGES_3D, fine=term, witness=_EDGES_3D.fine, every=1, corrects=False) for look, term in _TERMS.items()},
}
_LESS_2D = replace(_EDGES_2D, rotations=18, search=0, polished=18, starts=8, unlearned_starts=8)
# A second search by edges, by dimension: it has what the first has found besides, and needs less in the plane.
SECOND: dict[int, Plan] = {2: replace(_LESS_2D, sieved=8, basins=(2, 2)), 3: PLANS["edges", 3]}
# Slices that corrected intensities can settle are mostly found by little; of the others nothing stays.
QUICK = replace(_LESS_2D, fine=_FAINT_EDGES_2D.fine, sieved=6, basins=(2, 1), else_nothing=True)
# More of everything; by intensities in space it would take a minute.
THOROUGH: dict[tuple[Look, int], Plan] = {
    ("intensities", 2): Plan(
        rotations=64, each=3, polished=192, starts=60, unlearned_starts=60, sieved=24, basins=(10, 4), margins=(0.2, 0.2, 0.08)
    ),
    ("edges", 2): replace(
        PLANS["edges", 2],
        rotations=72,
        each=3,
        polished=400,
        starts=160,
        unlearned_starts=160,
        sieved=100,
        basins=(16, 6),
        margins=(1.0, 0.3, 0.15),
    ),
    ("edges", 3): replace(
        PLANS["edges", 3],
        rotations=12,
        centred=120,
        polished=300,
        starts=120,
        sifted=120,
        unlearned_starts=30,
        led=120,
        sieved=120,
        basins=(8, 4),
        margins=(0.5, 0.1, 0.06),
    ),
}
THOROUGH["faint-edges", 2] = replace(THOROUGH["edges", 2], fine=PLANS["faint-edges", 2].fine, looks_again=True)
