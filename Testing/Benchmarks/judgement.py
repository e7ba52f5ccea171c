"""What ``robust`` says of its own results: status and probability against the truth."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pictures
from measuring import Outcome, header, row, share
from scoring import Bin, Errors, calibration_error, reliability

STATUS = ("ok", "ambiguous", "failed")


def flags(outcomes: dict[str, Outcome], starts: dict[str, Errors]) -> Iterator[str]:
    """Lines of Markdown: task by task and over all, each status among right and wrong results, and who is worse than its start.

    ``starts`` are the errors of doing nothing.
    """
    yield from header(
        *("task", *(f"{status}: {whose}" for status in STATUS for whose in ("right", "wrong"))),
        *("wrong results flagged (95 % interval)", "right results flagged (95 % interval)"),
        *("worse than identity", "of these flagged", "criterion above that of the start"),
    )
    rows = np.array([counts(outcome, starts[task]) for task, outcome in outcomes.items()])
    for name, numbers in [*zip(outcomes, rows, strict=True), ("all", rows.sum(0))]:
        statuses = numbers[:6].reshape(3, 2)
        (right, wrong), (right_flagged, wrong_flagged) = statuses.sum(0), statuses[1:].sum(0)
        yield row(name, *numbers[:6], share(int(wrong_flagged), int(wrong)), share(int(right_flagged), int(right)), *numbers[6:])


def counts(outcome: Outcome, start: Errors) -> list[int]:
    """Numbers of results: right and wrong of each status; worse than the start by the truth, flagged of these; worse by the criterion."""
    right = outcome.errors.right
    status = np.array([result.status for result in outcome.results])
    of_status = [int((whose & (status == name)).sum()) for name in STATUS for whose in (right, ~right)]
    worse = outcome.errors.rms_px > start.rms_px
    above = sum(result.criterion_after > result.criterion_before for result in outcome.results)
    return [*of_status, int(worse.sum()), int((worse & (status != "ok")).sum()), above]


def probabilities(folder: Path, groups: dict[str, list[Outcome]]) -> Iterator[str]:
    """Lines of Markdown: stated probability against the share of right results, group by group; the plot goes to ``folder``."""
    found = {name: bins for name, outcomes in groups.items() if (bins := stated(outcomes))}
    for name, bins in found.items():
        yield f"- {name}: calibration error {calibration_error(bins):.3f}, {sum(b.count for b in bins)} results with a probability"
    yield ""
    yield from header("pairs", "probability", "count", "mean probability", "below 1 px (95 % interval)")
    for name, bins in found.items():
        for b in bins:
            yield row(name, f"{b.low:.1f} .. {b.high:.1f}", b.count, f"{b.stated:.3f}", share(b.right, b.count))
    pictures.draw_reliability(folder / "reliability.png", found)
    yield from ("", "![Share of results below 1 px against the stated probability](Pictures/reliability.png)")


def stated(outcomes: Sequence[Outcome]) -> list[Bin]:
    """Bins of the results that have a probability."""
    judged = [
        (result.probability, right)
        for outcome in outcomes
        for result, right in zip(outcome.results, outcome.errors.right, strict=True)
        if result.probability is not None
    ]
    return reliability(np.array([p for p, _ in judged]), np.array([right for _, right in judged], dtype=bool))
