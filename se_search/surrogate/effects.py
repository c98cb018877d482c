"""What each stage or block, position and width adds to accuracy, from the accuracy model.

An effect is a sum of accuracies of candidates, with weights, so the model's posterior gives its
distribution: in replicates yet to come, as neither the level of a replicate nor what a replicate
makes of a candidate is part of it. Gains and their intervals are the posterior's. Whether an effect
differs from 0 is judged without the prior that draws effects towards 0 and towards each other: the
levels of a slot are estimated freely, with the variances of the posterior for all the rest, as in a
mixed model with replicates and replicate x level as random terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.effect_contrasts import (
    MAX_PAIRS,
    Codes,
    EffectContrast,
    Ground,
    Mask,
    ask_interactions,
    ask_main,
    ask_places,
    ask_positions,
    assemble,
)
from se_search.analysis.effects import Effect, Effects, estimate_effects
from se_search.analysis.slot_levels import read_slot_levels
from se_search.candidate import Candidate
from se_search.cost import count_cost, find_allowed
from se_search.errors import RunError
from se_search.latency.sums import LatencySums
from se_search.record import ENDED_WELL, TrialRecord
from se_search.space.allowed import AllowedCandidates
from se_search.space.bound import BoundSpace
from se_search.space.texts import encode_texts

POOL = 2_048  # candidates from which backgrounds are taken
MAX_LISTED = 10_000  # candidates of a space that are listed, not drawn


class DrawsContrasts(Protocol):
    """A model that draws sums of accuracies, as ``FittedModel`` does."""

    def unshrunken(self) -> DrawsContrasts:
        """Return the model without a prior that draws what levels add towards 0."""

    def draw_contrasts(self, codes: Codes, weights: NDArray[np.float64]) -> NDArray[Any]:
        """Return joint draws ``(draws, k)`` of ``k`` sums with weights ``(k, m)`` of ``m`` f's."""


def compute_effects(
    model: DrawsContrasts,
    space: BoundSpace,
    records: Sequence[TrialRecord],
    objectives: Sequence[str],
    full_epochs: int,
    unproven: str | None = None,
    encode: Callable[[Sequence[str]], Codes] | None = None,
    latency: LatencySums | None = None,
) -> Effects:
    """Return the effects of a run's trainings.

    Args:
        model: fitted to the trainings.
        space: that the candidates are of, or of which the plain network is no member.
        records: trials in any state.
        objectives: of the run; the first cost is set beside the gains.
        full_epochs: of a full training.
        unproven: why no effect may be said to hold; None: one may.
        encode: returns the codes of candidates' texts, ``(n, num_slots)``; None: each is parsed.
        latency: what latencies are summed from; None: none have been measured.

    Raises:
        RunError: there is no full training.
        SpaceError: a candidate is not in the space.
    """
    ended = [r for r in records if r.state in ENDED_WELL and r.accuracy is not None]
    full = [r for r in ended if r.state == "COMPLETE" and r.epochs == full_epochs]
    if not full:
        raise RunError("no candidate has a full training: there are no effects yet")
    plain = Candidate.plain(space.backbone)
    # Where all candidates carry SE, the plain network is trained as the control, and is none.
    texts = [r.candidate for r in full if plain in space or r.candidate != str(plain)]
    codes = encode_texts(space, texts) if encode is None else encode(texts)
    trained, own = np.unique(codes, axis=0, return_inverse=True)
    counts = np.bincount(own.ravel(), minlength=len(trained))
    cost = next(name for name in objectives if name != "accuracy")
    ground = _survey(space, cost, trained, latency)
    notes = []
    families: list[list[EffectContrast]] = [ask_main(ground), [], []]
    num_pairs = len(ground.optional) * (len(ground.optional) - 1) // 2
    if num_pairs > MAX_PAIRS:
        notes.append(
            f"{len(ground.optional)} slots make {num_pairs:,} pairs, too many to be told apart: "
            "their interactions and places at equal cost are not computed."
        )
    else:
        families[1] = ask_interactions(ground)
        families[2] = ask_places(ground)
    families[2] += ask_positions(ground)

    free = model.unshrunken()

    def answer(questions: Sequence[EffectContrast]) -> tuple[Effect, ...]:
        asked = [question for question in questions if not question.reason]
        draws = free_draws = np.zeros((1, 0))
        if asked:
            codes, weights = assemble(asked, len(space.slots))
            draws = 100 * model.draw_contrasts(codes, weights)
            free_draws = 100 * free.draw_contrasts(codes, weights)
        return estimate_effects(questions, draws, free_draws, counts, may_hold=unproven is None)

    main, interactions, matched = (answer(questions) for questions in families)
    return Effects(
        main,
        interactions,
        matched,
        cost,
        num_candidates=len({record.candidate for record in full}),
        num_trainings=len(full),
        num_short=len(ended) - len(full),
        num_replicates=len({record.seed for record in full}),
        unproven=unproven,
        notes=tuple(notes),
    )


def _survey(space: BoundSpace, cost: str, trained: Codes, latency: LatencySums | None) -> Ground:
    count = count_cost if latency is None else latency.count_cost
    allowed = find_allowed(space)
    # The first tells which levels are of equal cost, the second is set beside the gains.
    prices = space.price_levels(lambda one: [count(one).params, getattr(count(one), cost)])
    whole = prices.plain[1]

    def keep(codes: Codes) -> Mask:
        return space.has_codes(codes) & allowed.keep(codes)

    return Ground(
        read_slot_levels(space),
        _draw_pool(allowed),
        keep,
        [own[:, 0] for own in prices.added],
        [100 * own[:, 1] / whole for own in prices.added],
        trained,
    )


def _draw_pool(allowed: AllowedCandidates) -> Codes:
    """Return allowed candidates in random order: all, if they are few."""
    rng = np.random.default_rng(0)
    listed = allowed.list_codes(MAX_LISTED)
    if listed is None:
        return allowed.draw_codes(POOL, rng)
    return listed[rng.permutation(len(listed))[:POOL]]
