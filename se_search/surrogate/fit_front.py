"""Fits the accuracy model to a run's trials, and reads front and decision off it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.pareto import (
    CandidateSummary,
    front_probability,
    hypervolume,
    mark_front,
    summarize,
)
from se_search.analysis.statistics import median_and_interval
from se_search.candidate import Candidate
from se_search.record import TrialRecord
from se_search.space.bound import BoundSpace
from se_search.surrogate.coded_trainings import (
    Encoder,
    Question,
    code_scores,
    code_trainings,
    is_full,
    list_ended,
)
from se_search.surrogate.decision import (
    MIN_REPLICATES,
    Decision,
    Settled,
    choose,
    decide,
    judge_settled,
    mark_better,
)
from se_search.surrogate.posterior_front import (
    LISTED,
    MedianInterval,
    PosteriorCandidate,
    PosteriorFront,
    Step,
)

Array = NDArray[np.float64]

MIN_TRAININGS = 8


def fit_front(
    records: Iterable[TrialRecord], space: BoundSpace, question: Question
) -> PosteriorFront:
    """Return the front of a run's trials.

    The order of the records does not matter. With fewer than eight trainings, or just one
    candidate, there is no model: gains are plain means, without intervals.

    Args:
        records: trials in any state.
        space: that the candidates are of, but for the plain network.
        question: what is asked.

    Raises:
        SpaceError: a candidate is not in the space.
    """
    ended = list_ended(records, question)
    full = [record for record in ended if is_full(record, question)]
    summaries = summarize(full, question.objectives, question.floors)
    if len(ended) < MIN_TRAININGS:
        return _front_of_means(
            full, summaries, space, question, f"fewer than {MIN_TRAININGS} trainings have ended"
        )
    if len(summaries) < 2:
        return _front_of_means(
            full, summaries, space, question, "fewer than two candidates have a full training"
        )
    return _front_of_model(ended, full, summaries, space, question)


def _front_of_model(
    ended: Sequence[TrialRecord],
    full: Sequence[TrialRecord],
    summaries: Sequence[CandidateSummary],
    space: BoundSpace,
    question: Question,
) -> PosteriorFront:
    # SciPy takes a third of a second to import, and a front is mostly read, not fitted.
    from se_search.surrogate.effects import compute_effects
    from se_search.surrogate.fitted_model import FittedModel
    from se_search.surrogate.rung_estimates import estimate_rungs
    from se_search.surrogate.untrained import find_better_untrained

    encode = Encoder(space)
    trainings, budgets = code_trainings(ended, encode)
    scores = code_scores(question.scores, encode.factors, encode)
    model = FittedModel.fit(
        *(encode.factors, trainings, budgets), least_noise=question.least_noise, scores=scores
    )
    codes = encode([summary.candidate for summary in summaries])
    accuracies = model.draw(np.vstack([model.plain, codes]))
    plain = accuracies[:, 0]
    draws = accuracies[:, 1:] - plain[:, None]
    draws[:, (codes == model.plain).all(axis=1)] = 0.0  # the plain network's, but for rounding
    costs = np.array([[getattr(s, name) for name in question.costs] for s in summaries], np.float64)
    gains = draws.mean(axis=0)
    plain_text = str(Candidate.plain(space.backbone))
    compared = _list_compared(full, plain_text)
    unproven = _find_unproven(full, compared, question)
    decision = decide(draws, len(compared))
    settled = judge_settled(gains, draws, costs, len(compared), question.tolerance)
    if unproven is not None:
        decision = Decision("nothing", decision.gain_limit, unproven)
        settled = replace(settled, missing=(unproven, *settled.missing))
    recommended = choose(gains, draws, costs, question.tolerance)
    if decision.kind == "leave":
        recommended = _find_plain(summaries, space, recommended)
    return PosteriorFront(
        candidates=_describe_candidates(
            *(summaries, draws, costs, question.floors, recommended, space),
            may_star=unproven is None and len(compared) >= MIN_REPLICATES,
        ),
        reason=None,
        unproven=unproven,
        noise=model.measure_noise(accuracies[:, 1:]),
        num_replicates=model.num_replicates,
        num_compared=len(compared),
        plain_accuracy=float(plain.mean()),
        decision=decision,
        settled=settled,
        recommended_key=summaries[recommended].key,
        better_untrained=find_better_untrained(model, space, question.price, codes, gains, costs),
        hypervolume=_hypervolume(costs, draws),
        attainment={
            name: _attain(costs[:, column], draws) for column, name in enumerate(question.costs)
        },
        effects=compute_effects(
            *(model, space, ended, question.objectives, question.full_epochs, unproven),
            encode=encode,
            latency=question.latency,
        ),
        kernels=tuple(tuple(kernel.values.tolist()) for kernel in model.kernels),
        rungs=estimate_rungs(model, scores),
    )


def _list_compared(full: Sequence[TrialRecord], plain: str) -> list[int]:
    """Return the seeds of the replicates in which SE can be compared with the plain network.

    Where that has no full training at all, they are those of the networks with SE.
    """
    own = {record.seed for record in full if record.candidate == plain}
    others = {record.seed for record in full if record.candidate != plain}
    return sorted(others & own if own else others)


def _find_unproven(
    full: Sequence[TrialRecord], compared: Sequence[int], question: Question
) -> str | None:
    """Return why nothing of these full trainings may be starred or settled; None: it may."""
    if len({record.seed for record in full}) == 1:
        return (
            f"all trainings are of one replicate (seed {full[0].seed}), and what another one does "
            "is not known"
        )
    if len(compared) < 2:
        where = f"one replicate alone (seed {compared[0]})" if compared else "no replicate"
        return (
            f"SE can be compared with the plain network in {where}, and what another one does is "
            "not known"
        )
    mean = float(np.mean([record.accuracy for record in full if record.accuracy is not None]))
    chance = question.chance
    error = math.sqrt(chance * (1 - chance) / question.num_validation)
    if chance and mean <= chance + 2 * error:
        return (
            f"accuracies are at chance level: {100 * mean:.1f} % on average, where a constant "
            f"answer has {100 * chance:.1f} %"
        )
    if len({record.accuracy for record in full}) == 1:
        return (
            f"all full trainings have one accuracy, {100 * mean:.1f} %, so that these "
            f"{question.num_validation:,} validation images tell no candidates apart"
        )
    if len({(record.seed, record.accuracy) for record in full}) == len({r.seed for r in full}):
        return (
            "in each replicate all full trainings have one accuracy, so that its "
            f"{question.num_validation:,} validation images tell no candidates apart"
        )
    return None


def _find_plain(summaries: Sequence[CandidateSummary], space: BoundSpace, otherwise: int) -> int:
    plain = str(Candidate.plain(space.backbone))
    found = [row for row, summary in enumerate(summaries) if summary.candidate == plain]
    return found[0] if found else otherwise


def _describe_candidates(
    summaries: Sequence[CandidateSummary],
    draws: Array,
    costs: Array,
    floors: Sequence[float],
    recommended: int,
    space: BoundSpace,
    *,
    may_star: bool,
) -> tuple[PosteriorCandidate, ...]:
    gains = draws.mean(axis=0)
    on_front = mark_front(gains, costs, floors)
    probabilities = front_probability(costs, draws, floors)
    _, low, high = median_and_interval(draws)
    better = (draws > 0).mean(axis=0)
    is_better = mark_better(draws) & may_star
    plain = str(Candidate.plain(space.backbone))
    return tuple(
        PosteriorCandidate(
            summary,
            float(gains[row]),
            float(draws[:, row].std()),
            float(low[row]),
            float(high[row]),
            None if summary.candidate == plain else float(better[row]),
            bool(is_better[row]),
            float(probabilities[row]),
            bool(on_front[row]),
            bool(row == recommended or (on_front[row] and probabilities[row] >= LISTED)),
            summary.candidate == plain,
        )
        for row, summary in enumerate(summaries)
    )


def _front_of_means(
    full: Sequence[TrialRecord],
    summaries: Sequence[CandidateSummary],
    space: BoundSpace,
    question: Question,
    reason: str,
) -> PosteriorFront:
    """Return the front of plain means: gains are differences to the controls of the replicates."""
    plain = str(Candidate.plain(space.backbone))
    controls = {
        record.seed: record.accuracy
        for record in full
        if record.candidate == plain and record.accuracy is not None
    }
    mean = float(np.mean(list(controls.values()))) if controls else math.nan
    candidates = []
    if not controls:  # there is nothing to compare with
        summaries = []
    for summary in summaries:
        own = [
            record.accuracy - controls.get(record.seed, mean)
            for record in full
            if record.key == summary.key and record.accuracy is not None
        ]
        candidates.append(
            PosteriorCandidate(
                summary,
                float(np.mean(own)),
                *(None, None, None, None, False, None),
                summary.on_front,
                summary.on_front,
                summary.candidate == plain,
            )
        )
    missing = f"there is no model of the trainings, as {reason}"
    return PosteriorFront(
        candidates=tuple(candidates),
        reason=reason,
        unproven=reason,
        noise=None,
        num_replicates=len({record.seed for record in full}),
        num_compared=len(_list_compared(full, plain)),
        plain_accuracy=mean if controls else None,
        decision=Decision("nothing", None, reason),
        settled=Settled(None, None, question.tolerance, (missing,)),
        recommended_key=None,
        better_untrained=None,
        hypervolume=None,
        attainment={},
        effects=None,
    )


def _hypervolume(costs: Array, draws: Array) -> MedianInterval | None:
    """Return the best gain at a cost or less, averaged over the logarithm of each cost."""
    if not (np.ptp(costs, axis=0) > 0).all():
        return None
    logs = np.log(costs)
    low, high = logs.min(axis=0), logs.max(axis=0)
    scaled = (logs - low) / (high - low)
    if scaled.shape[1] == 1:
        areas = np.array([hypervolume(scaled[:, 0], draw, (1.0, 0.0)) for draw in draws])
    else:
        import moocore

        measure = moocore.Hypervolume(ref=[*np.ones(scaled.shape[1]), 0.0])
        areas = np.array([measure(np.column_stack([scaled, -draw])) for draw in draws])
    return MedianInterval(*median_and_interval(areas).tolist())


def _attain(costs: Array, draws: Array) -> tuple[Step, ...]:
    """Return the best gain at each cost or less, where it can change."""
    order = np.argsort(costs, kind="stable")
    best = np.maximum.accumulate(draws[:, order], axis=1)
    last = np.append(np.flatnonzero(np.diff(costs[order])), len(costs) - 1)
    found = median_and_interval(best[:, last])
    return tuple(
        Step(float(cost), *map(float, ends))
        for cost, *ends in zip(costs[order][last], *found, strict=True)
    )
