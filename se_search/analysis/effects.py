"""What each stage or block, position and width adds to accuracy, and what it costs: the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.effect_contrasts import EffectContrast
from se_search.analysis.max_t import Floats, max_t_p_values
from se_search.analysis.statistics import median_and_interval

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean difference between candidates, in points (per cent of the images).

    Attributes:
        kind: ``slot`` (any SE there), ``position``, ``width``, ``variant``, ``interaction``,
            ``place at equal cost`` or ``position at equal cost``.
        slot: a stage, a block, or ``mean of slots``; for contrasts at equal cost what is compared.
        level: what is in the slot.
        reference: what it is compared with.
        gain: posterior mean; None: the trainings say nothing of it, and ``reason`` says why.
        low: lower end of the gain's 95 % interval.
        high: upper end of the gain's 95 % interval.
        p: two-sided p value of no effect, of all effects of its family at once.
        num_candidates: trained candidates that have the level; for contrasts at equal cost: that
            have one of the two sides alone.
        num_trainings: full trainings of these candidates.
        cost_pct: what the level adds to the cost on average, in per cent of the plain network's.
        holds: whether it differs from 0 with all effects of its family allowed for: ``p`` is at
            most 0.05, the interval leaves 0 out, and the run is not ``unproven``.
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
    num_candidates: int = 0
    num_trainings: int = 0
    cost_pct: float | None = None
    holds: bool = False
    reason: str = ""

    @property
    def gain_per_pct(self) -> float | None:
        """Points for each per cent of cost added; None: not known, or it is free."""
        if self.gain is None or self.cost_pct is None or self.cost_pct <= 0:
            return None
        return self.gain / self.cost_pct


@dataclass(frozen=True, slots=True)
class Effects:
    """What the trainings of a run say about the levels of its slots, for replicates yet to come.

    Attributes:
        main: gains over no SE in the slot; where all candidates carry SE there, over their mean.
        interactions: SE in both of two slots, less the sum of the two gains.
        matched: one slot instead of another, or one position instead of another, at equal cost.
        cost: of which ``cost_pct`` is a per cent: ``params`` or ``macs``.
        num_candidates: different candidates with a full training.
        num_trainings: full trainings.
        num_short: shorter trainings, which the model takes into account as well.
        num_replicates: replicates of the full trainings.
        unproven: why no effect may be said to hold; None: one may.
        notes: which effects were not computed, and why.
    """

    main: tuple[Effect, ...]
    interactions: tuple[Effect, ...]
    matched: tuple[Effect, ...]
    cost: str
    num_candidates: int
    num_trainings: int
    num_short: int
    num_replicates: int
    unproven: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes equal effects."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Effects:
        """Return the effects that ``to_json`` made plain data of.

        Raises:
            KeyError: a field is missing.
            TypeError: a field has another name.
        """
        families = {
            name: tuple(Effect(**row) for row in data[name])
            for name in ("main", "interactions", "matched")
        }
        rest = {field.name: data[field.name] for field in fields(cls)}
        return cls(**rest | families | {"notes": tuple(data["notes"])})


def estimate_effects(
    questions: Sequence[EffectContrast],
    draws: Floats,
    unshrunken: Floats,
    counts: NDArray[np.int64],
    *,
    may_hold: bool,
) -> tuple[Effect, ...]:
    """Return the effects of a family.

    Args:
        questions: of the family; ``n`` candidates have been trained.
        draws: ``(draws, k)``, joint draws of the effects of those questions that have no reason to
            stay unanswered, in points.
        unshrunken: ``(draws, k)``, the like without a prior that draws effects towards 0.
        counts: ``(n,)`` full trainings of each candidate.
        may_hold: whether an effect may be said to differ from 0.
    """
    means = draws.mean(axis=0)
    _, low, high = median_and_interval(draws)
    p_values = max_t_p_values(unshrunken)
    holds = (p_values <= ALPHA) & ((low > 0) | (high < 0)) & may_hold
    columns = iter(range(draws.shape[1]))
    effects = []
    for asked in questions:
        effect = Effect(
            asked.kind,
            asked.slot,
            asked.level,
            asked.reference,
            num_candidates=int(asked.members.sum()),
            num_trainings=int(counts[asked.members].sum()),
            cost_pct=asked.cost_pct,
            reason=asked.reason,
        )
        if not asked.reason:
            at = next(columns)
            effect = replace(
                effect,
                gain=float(means[at]),
                low=float(low[at]),
                high=float(high[at]),
                p=float(p_values[at]),
                holds=bool(holds[at]),
            )
        effects.append(effect)
    return tuple(effects)
