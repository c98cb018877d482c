"""What each stage or block, position and width contributes to accuracy, and what it costs.

The model, of a candidate i and its training with seed j:

    accuracy_ij = mean + main effects + interactions of two slots + candidate_i + seed_ij

Candidates deviate from what their levels add up to, and seeds from their candidate: two variance
components (``least_squares``). Intervals have a t distribution with as many degrees of freedom as
there are candidates beyond the coefficients. In simulations of unbalanced designs
(``tests/analysis/test_effects.py``: 60 to 150 candidates, a fifth with several seeds) 95 %
intervals hold the truth in 92 to 96 % of the cases, and without any effects 4 % of the searches
mark one (300 searches).

A gain is the difference to no SE in that slot with the rest as it is, on average, in the candidates
that were trained: each candidate counts once, however often it was trained. What the data can't
determine is None, never a number.

A search does not draw at random: it trains again what looked good, and leaves what looked bad on
its first seed. In simulated greedy searches of 120 trials (seeds move a training by 0.25 points)
that moves gains by 0.02 points at most on average, and 95 % intervals still hold the truth in
95 % of the cases, because every trial is in the model. The single best candidate looks better than
it is; effects do not. A search of another kind may bias effects more.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from se_search.analysis.effect_model import (
    UNTOLD,
    Term,
    choose_model,
    interaction_terms,
    main_terms,
)
from se_search.analysis.equal_cost import MatchedContrast, compare_places, compare_positions
from se_search.analysis.least_squares import Contrast, Floats, Means, fit
from se_search.analysis.places import Place, read_places
from se_search.analysis.statistics import holm, pooled_variance
from se_search.record import TrialRecord
from se_search.space.bound import BoundSpace

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """A contrast of accuracies, in points (per cent of the images).

    Attributes:
        kind: ``slot`` (any SE there), ``position``, ``width``, ``variant``, ``interaction``,
            ``place at equal cost`` or ``position at equal cost``.
        slot: a stage, a block, several that can't be told apart, or ``mean of slots``; for
            contrasts at equal cost what is compared.
        level: what is in the slot.
        reference: what it is compared with.
        gain: None: the data can't determine it; ``reason`` says why.
        low: lower end of the 95 % interval of the gain.
        high: upper end of the 95 % interval of the gain.
        p: two-sided p value of no effect.
        p_holm: ``p`` after Holm's correction within the effect's family.
        num_candidates: candidates that have the level; for contrasts at equal cost: that are
            compared.
        num_trainings: full trainings of these candidates.
        cost_pct: parameters that the level adds on average, in per cent of the backbone's.
        reason: why there is no gain.
    """

    kind: str
    slot: str
    level: str
    reference: str
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    num_candidates: int = 0
    num_trainings: int = 0
    cost_pct: float | None = None
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Tell whether it differs from 0 after Holm's correction at 5 %."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def gain_per_pct(self) -> float | None:
        """Points for each per cent of parameters added; None: not known, or they are free."""
        if self.gain is None or self.cost_pct is None or self.cost_pct <= 0:
            return None
        return self.gain / self.cost_pct


@dataclass(frozen=True, slots=True)
class Effects:
    """What the trials of a run say about the levels of its slots.

    Each of the three families has its own Holm correction.

    Attributes:
        main: gains against no SE in the slot (where all carry SE there: against their mean).
        interactions: SE in both of two slots, less the sum of the two gains. Empty: not modelled.
        matched: one slot instead of another, or one position instead of another, at equal cost.
        num_candidates: candidates with a full training.
        num_trainings: full trainings.
        num_short: shorter trainings, which are not used.
        freedom: degrees of freedom of the intervals.
        seed_sd: standard deviation of trainings of one candidate, in points; None: no candidate
            has two.
        candidate_sd: standard deviation of candidates from what their effects add up to, in
            points; None: it can't be told from the seeds'.
        notes: what was left out of the model, and why.
    """

    main: tuple[Effect, ...]
    interactions: tuple[Effect, ...]
    matched: tuple[Effect, ...]
    num_candidates: int
    num_trainings: int
    num_short: int
    freedom: int
    seed_sd: float | None
    candidate_sd: float | None
    notes: tuple[str, ...]


def analyze_effects(records: Sequence[TrialRecord], space: BoundSpace) -> Effects:
    """Estimate what each slot and level adds to accuracy, from a run's full trainings.

    Args:
        records: trials in any state.
        space: that the candidates are of.

    Raises:
        RunError: there are too few candidates.
        SpaceError: a candidate is not in the space.
    """
    data = _Data.collect(records)
    means = data.means
    places = read_places(space, data.texts)
    model, notes = choose_model(places, len(data.texts))
    found = fit(model.design, means)
    costs = _LevelCosts(places, data.cost_pct)
    main = [
        _make_effect(term, found.contrast(term.weights), UNTOLD, data, costs.of(term))
        for term in main_terms(model)
    ]
    pairs = [
        _make_effect(term, found.contrast(term.weights), UNTOLD, data)
        for term in interaction_terms(model)
    ]
    matched = [
        _make_effect(comparison, comparison.contrast, comparison.reason, data)
        for compare in (compare_places, compare_positions)
        for comparison in compare(places, means, data.added)
    ]
    return Effects(
        main=_correct(main),
        interactions=_correct(pairs),
        matched=_correct(matched),
        num_candidates=len(data.texts),
        num_trainings=int(means.counts.sum()),
        num_short=sum(r.state == "PRUNED" and r.accuracy is not None for r in records),
        freedom=found.freedom,
        seed_sd=None if means.seed_variance is None else math.sqrt(means.seed_variance),
        candidate_sd=None if found.between is None else math.sqrt(found.between),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Data:
    """Candidates with their full trainings.

    Attributes:
        texts: ``n`` candidates, sorted.
        means: of their accuracies, in points (0..100).
        cost_pct: ``(n,)`` parameters added, in per cent of the plain network's.
        added: ``(n,)`` parameters added.
    """

    texts: list[str]
    means: Means
    cost_pct: Floats
    added: Floats

    @classmethod
    def collect(cls, records: Sequence[TrialRecord]) -> _Data:
        groups: dict[str, list[float]] = defaultdict(list)
        known: dict[str, TrialRecord] = {}
        for record in records:
            if record.state == "COMPLETE" and record.accuracy is not None:
                groups[record.candidate].append(100 * record.accuracy)
                known[record.candidate] = record
        texts = sorted(groups)
        return cls(
            texts,
            Means(
                np.array([np.mean(groups[text]) for text in texts]),
                np.array([float(len(groups[text])) for text in texts]),
                pooled_variance(groups.values()),
            ),
            np.array([known[text].added_params_pct for text in texts]),
            np.array([float(known[text].added_params) for text in texts]),
        )


def _make_effect(
    what: Term | MatchedContrast,
    contrast: Contrast | None,
    reason: str,
    data: _Data,
    cost_pct: float | None = None,
) -> Effect:
    effect = Effect(
        what.kind,
        what.slot,
        what.level,
        what.reference,
        num_candidates=int(what.members.sum()),
        num_trainings=int(data.means.counts[what.members].sum()),
        cost_pct=cost_pct,
    )
    if contrast is None:
        return replace(effect, reason=reason)
    low, high = contrast.interval
    return replace(effect, gain=contrast.value, low=low, high=high, p=contrast.p)


def _correct(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Add Holm's p values: the family is all effects that could be estimated."""
    corrected = iter(holm([effect.p for effect in effects if effect.p is not None]))
    return tuple(
        effect if effect.p is None else replace(effect, p_holm=next(corrected))
        for effect in effects
    )


class _LevelCosts:
    """What the levels of places cost: added parameters add up over places, so they can be solved.

    Args:
        places: in which ``n`` candidates differ.
        cost_pct: ``(n,)`` parameters added, in per cent of the plain network's.
    """

    def __init__(self, places: Sequence[Place], cost_pct: Floats) -> None:
        self._places = places
        self._keys = [
            (number, level)
            for number, place in enumerate(places)
            for level in np.unique(place.levels[place.carries]).tolist()
        ]
        has = [places[number].levels == level for number, level in self._keys]
        design = np.column_stack([np.ones(len(cost_pct)), *np.array(has, np.float64)])
        inverse = np.linalg.pinv(design)
        self._values = inverse @ cost_pct
        self._row_space = inverse @ design

    def of(self, term: Term) -> float | None:
        """Return the mean over the places and candidates of a term; None: not determined."""
        weights = np.zeros(len(self._keys) + 1)
        for number in term.places:
            place = self._places[number]
            if not place.can_be_empty:
                return None
            own = place.attributes().get(term.kind, ())
            has = place.carries if not own else np.array(own) == term.level
            counts = Counter(place.levels[has & place.carries].tolist())
            for index, (where, level) in enumerate(self._keys, start=1):
                if where == number:
                    weights[index] += counts[level] / counts.total() / len(term.places)
        if not np.allclose(weights @ self._row_space, weights, atol=1e-6):
            return None
        return max(0.0, round(float(weights @ self._values), 9))
