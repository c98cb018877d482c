"""What each stage or block, position and width contributes to accuracy, and what it costs.

The model, of a candidate i and its training with seed j:

    accuracy_ij = mean + main effects + interactions of two slots + candidate_i + seed_ij

Candidates deviate from what their levels add up to, and seeds from their candidate: two variance
components. The one of seeds is pooled over the candidates that have several; the other is found
by the method of Paule and Mandel (1982). Effects are generalised least squares over candidates'
means, with the errors of Knapp and Hartung (2003, Statistics in Medicine 22) and a t distribution
of as many degrees of freedom as there are candidates beyond the coefficients. In simulations of
unbalanced designs (``tests/test_effects.py``: 60 to 150 candidates, a fifth with several seeds)
95 % intervals hold the truth in 92 to 96 % of the cases, and without any effects 4 % of the
studies mark one (300 studies).

All columns are centred on the candidates that were trained, so a gain is the difference to no SE
in that slot with the rest as it is, on average, in these candidates: each counts once, however
often it was trained. What the data can't determine is None, never a number.

A search does not draw at random: it trains again what looked good, and leaves what looked bad on
its first seed. In simulated greedy searches of 120 trials (seeds move a training by 0.25 points)
that moves gains by 0.02 points at most on average, and 95 % intervals still hold the truth in
95 % of the cases, because every trial is in the model. It is the single best candidate that looks
better than it is, not the effects; but a search of another kind may be less kind.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.statistics import holm, pooled_variance
from se_search.errors import RunError
from se_search.record import TrialRecord

Floats = NDArray[np.float64]
MIN_FREEDOM = 5
NUM_HALVINGS = 40
MIN_MATCHED = 3  # candidates on each side of a matched-cost contrast
CONFIDENCE = 0.95
ALPHA = 0.05
ANY_SE = "any SE"
MEAN_SLOT = "mean of slots"
WIDEST = "widest"
WHERE = re.compile(r"stage(\d+)(?:\.block(\d+)(?:-(\d+))?)?")
BLOCK = re.compile(r"([a-z_]+):(?:(\d+)|([a-z]+))((?:\+[a-z_]+)*)")
UNTOLD = "not to be told from other effects by these candidates"


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
        low: of the 95 % interval.
        high: of the same.
        p: two-sided, of no effect.
        p_holm: the same after Holm's correction within its family.
        num_candidates: that have the level; for contrasts at equal cost: that are compared.
        num_trainings: of them.
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
    """What the trials of a study say about the levels of its slots.

    Each of the three families has its own Holm correction.

    Attributes:
        main: gains against no SE in the slot (where all carry SE there: against their mean).
        interactions: SE in both of two slots, less the sum of the two gains. Empty: not modelled.
        matched: one slot instead of another, or one position instead of another, at equal cost.
        num_candidates: with a full training.
        num_trainings: full ones.
        num_short: shorter trainings, which are not used.
        freedom: degrees of freedom of the intervals.
        seed_sd: of trainings of one candidate, in points; None: no candidate has two.
        candidate_sd: by which candidates deviate from what effects add up to, in points; None: it
            can't be told from the seeds'.
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


def analyze_effects(records: Sequence[TrialRecord]) -> Effects:
    """Estimate what each slot and level adds to accuracy, from a study's full trainings.

    Raises:
        RunError: a candidate's text is no SE placement, or there are too few candidates.
    """
    data = _Data.collect(records)
    slots = read_slots(data.texts)
    model, notes = _choose_model(slots, data)
    fit = _fit(model.design, data.means, data.counts, data.seed_variance)
    costs = _SlotCosts(slots, data.cost_pct)
    main = [_estimate(fit, term, data, costs) for term in _main_terms(model)]
    pairs = [_estimate(fit, term, data, None) for term in _interaction_terms(model)]
    matched = [*_match_places(slots, data), *_match_positions(slots, data)]
    seed_sd = None if data.seed_variance is None else math.sqrt(data.seed_variance)
    return Effects(
        main=_correct(main),
        interactions=_correct(pairs),
        matched=_correct(matched),
        num_candidates=len(data.texts),
        num_trainings=int(data.counts.sum()),
        num_short=sum(r.state == "PRUNED" and r.accuracy is not None for r in records),
        freedom=fit.freedom,
        seed_sd=seed_sd,
        candidate_sd=None if fit.between is None else math.sqrt(fit.between),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class Slot:
    """A place that tells candidates apart, and what each candidate carries there.

    Attributes:
        name: ``stage3``, ``stage3.block1``, or several, joined by ``+``.
        carries: ``(n,)``: whether there is SE.
        positions: for each candidate; empty where there is none.
        widths: the same.
        variants: the same; ``se`` for the usual block.
        levels: the whole text.
    """

    name: str
    carries: NDArray[np.bool_]
    positions: tuple[str, ...]
    widths: tuple[str, ...]
    variants: tuple[str, ...]
    levels: tuple[str, ...]

    @property
    def can_be_empty(self) -> bool:
        """Tell whether there are candidates without SE here."""
        return not bool(self.carries.all())

    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Return the attributes by which what is carried here differs."""
        named = {"position": self.positions, "width": self.widths, "variant": self.variants}
        return {kind: own for kind, own in named.items() if len(set(own) - {""}) > 1}


def read_slots(texts: Sequence[str]) -> list[Slot]:
    """Read from candidates' texts the slots in which they differ.

    A slot is a stage, or a block where candidates name blocks. Slots that carry SE in the same
    candidates, where one's level tells the other's, are one: no data could tell them apart.

    Args:
        texts: of different candidates, as ``str(candidate)`` gives them.

    Raises:
        RunError: a text is no SE placement.
    """
    carried = [_parse(text) for text in texts]
    columns: dict[str, list[str]] = {}
    for with_rest in (False, True):
        columns = _list_columns(carried, with_rest)
        if len(set(zip(*columns.values(), strict=True))) == len(set(texts)):
            break
    groups: list[list[str]] = []
    for name, column in columns.items():
        if len(set(column)) < 2:
            continue
        for group in groups:
            rows = list(zip(*(columns[member] for member in group), strict=True))
            if _is_one_slot(rows, column):
                group.append(name)
                break
        else:
            groups.append([name])
    return [_make_slot(group, columns) for group in groups]


@dataclass(frozen=True)
class _Data:
    """Candidates with their full trainings; accuracies in points, so 0..100."""

    texts: list[str]
    means: Floats
    counts: Floats
    cost_pct: Floats
    added: Floats
    seed_variance: float | None

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
            np.array([np.mean(groups[text]) for text in texts]),
            np.array([float(len(groups[text])) for text in texts]),
            np.array([known[text].added_params_pct for text in texts]),
            np.array([float(known[text].added_params) for text in texts]),
            pooled_variance(groups.values()),
        )


def _parse(text: str) -> dict[tuple[int, int | None], str]:
    found: dict[tuple[int, int | None], str] = {}
    for setting in text.split("/")[1:]:
        where, _, what = setting.partition("=")
        place = WHERE.fullmatch(where)
        if place is None or BLOCK.fullmatch(what) is None:
            raise RunError(
                f"candidate {text!r}: {setting!r} is not SITE=BLOCK, as stage2=standard:16; "
                "effects are of SE placements only"
            )
        stage, first, last = place.groups()
        blocks = range(int(first), int(last or first) + 1) if first else [None]
        found |= {(int(stage), block): what for block in blocks}
    return found


def _list_columns(
    carried: Sequence[Mapping[tuple[int, int | None], str]], with_rest: bool
) -> dict[str, list[str]]:
    """Return what each candidate carries, by stage or block.

    With ``with_rest`` a stage that is named in parts has a place for blocks that no candidate
    names by themselves.
    """
    named: dict[int, set[int]] = defaultdict(set)
    for stage, block in (place for one in carried for place in one):
        named[stage].update(() if block is None else (block,))
    columns = {}
    for stage, blocks in sorted(named.items()):
        for block in sorted(blocks):
            columns[f"stage{stage}.block{block}"] = [
                one.get((stage, block)) or one.get((stage, None), "") for one in carried
            ]
        if with_rest or not blocks:
            name = f"stage{stage}.rest" if blocks else f"stage{stage}"
            columns[name] = [one.get((stage, None), "") for one in carried]
    return columns


def _is_one_slot(rows: Sequence[tuple[str, ...]], column: Sequence[str]) -> bool:
    if any(any(row) != bool(what) for row, what in zip(rows, column, strict=True)):
        return False
    num_pairs = len(set(zip(rows, column, strict=True)))
    return num_pairs in (len(set(rows)), len(set(column)))


def _make_slot(group: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Slot:
    rows = list(zip(*(columns[name] for name in group), strict=True))
    read = [[_read_block(text) for text in row if text] for row in rows]
    return Slot(
        name=_name_slot(group, columns),
        carries=np.array([bool(row) for row in read]),
        positions=tuple("/".join(dict.fromkeys(b[0] for b in row)) for row in read),
        widths=_name_widths(read),
        variants=tuple("/".join(dict.fromkeys(b[2] for b in row)) for row in read),
        levels=tuple("/".join(row) if any(row) else "" for row in rows),
    )


def _name_slot(group: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
    """Name a slot by its stages where it has all of their parts, else by its blocks."""
    stages = list(dict.fromkeys(name.partition(".")[0] for name in group))
    names = []
    for stage in stages:
        own = [name for name in group if name.partition(".")[0] == stage]
        parts = [name for name in columns if name.partition(".")[0] == stage]
        names += [stage] if own == parts else own
    return "+".join(names)


def _read_block(text: str) -> tuple[str, int, str]:
    """Return position, width (0: it has none) and variant."""
    match = BLOCK.fullmatch(text)
    assert match is not None
    position, width, kind, rest = match.groups()
    return position, int(width or 0), f"{kind or 'se'}{rest}"


def _name_widths(rows: Sequence[Sequence[tuple[str, int, str]]]) -> tuple[str, ...]:
    """Name each candidate's width: by its number, or by its share of the widest.

    One reduction ratio is another width at another position. Where the positions have different
    widths, not just fewer of the same, a width is named by its share of the widest that any
    candidate has at that position: channels, and so the ratio itself, are not in the texts.
    """
    absolute = [tuple(block[1] for block in row) for row in rows]
    by_position: dict[tuple[str, ...], set[tuple[int, ...]]] = defaultdict(set)
    for row, widths in zip(rows, absolute, strict=True):
        if any(widths):
            by_position[tuple(block[0] for block in row)].add(widths)
    if set().union(*by_position.values()) in by_position.values():
        return tuple(
            ("width " + "/".join(str(w) for w in dict.fromkeys(widths)) if any(widths) else "none")
            if row
            else ""
            for row, widths in zip(rows, absolute, strict=True)
        )
    names = []
    for row in rows:
        if not row or not any(block[1] for block in row):
            names.append("none" if row else "")
            continue
        widest = by_position[tuple(block[0] for block in row)]
        logs = [
            math.log2(max(widths[place] for widths in widest) / block[1])
            for place, block in enumerate(row)
            if block[1]
        ]
        share = 2 ** round(float(np.mean(logs)), 2)
        names.append(WIDEST if share == 1 else f"1/{share:.3g} of {WIDEST}")
    return tuple(names)


@dataclass(frozen=True)
class _Column:
    """A column of the design: a slot's presence, a level of an attribute, or a pair of slots."""

    slots: tuple[int, ...]
    kind: str
    level: str


@dataclass(frozen=True)
class _Model:
    slots: Sequence[Slot]
    columns: Sequence[_Column]
    design: Floats

    def unit(self, column: _Column) -> Floats:
        return np.array([float(own == column) for own in self.columns])


def _choose_model(slots: Sequence[Slot], data: _Data) -> tuple[_Model, list[str]]:
    """Return the richest model that the candidates can carry, and what it leaves out.

    Interactions are in it if half of the candidates are beyond its coefficients; fewer make the
    intervals of all other effects wider than what is left out would move them.
    """
    count = len(data.texts)
    if not slots:
        raise RunError(
            f"{count} candidates have a full training, and none differs in a stage or block: "
            "effects need candidates with and without SE in a place"
        )
    full = _build_model(slots, levels=True, pairs=True)
    levels = _build_model(slots, levels=True, pairs=False)
    needed = 2 * _rank(full.design)
    if count >= needed:
        return full, []
    notes = []
    if len(full.columns) > len(levels.columns):
        notes.append(
            f"Interactions are not modelled: they need {needed} candidates with a full training, "
            f"and there are {count}. Where slots interact, gains may be off."
        )
    if count - _rank(levels.design) >= MIN_FREEDOM:
        return levels, notes
    slots_only = _build_model(slots, levels=False, pairs=False)
    if slots_only.columns[1:] and count - _rank(slots_only.design) >= MIN_FREEDOM:
        notes.append(
            "Positions and widths are not told apart: they need "
            f"{_rank(levels.design) + MIN_FREEDOM} candidates with a full training."
        )
        return slots_only, notes
    smallest = slots_only if slots_only.columns[1:] else levels
    least = len(smallest.columns) + MIN_FREEDOM
    raise RunError(
        f"{count} candidates have a full training; the effects of {len(slots)} slots "
        f"({', '.join(slot.name for slot in slots)}) need {least} or more: raise --trials"
    )


def _rank(design: Floats) -> int:
    return int(np.linalg.matrix_rank(design))


def _build_model(slots: Sequence[Slot], *, levels: bool, pairs: bool) -> _Model:
    """Build the design; its columns are centred so that coefficients are averages."""
    columns = [_Column((), "mean", "")]
    values: list[Floats] = [np.ones(len(slots[0].carries))]
    for number, slot in enumerate(slots):
        if slot.can_be_empty:
            columns.append(_Column((number,), "slot", ANY_SE))
            values.append(slot.carries.astype(np.float64))
        for kind, own in slot.attributes().items() if levels else ():
            for level, share in _shares(own).items():
                columns.append(_Column((number,), kind, level))
                has = np.array([what == level for what in own])
                values.append(np.where(slot.carries, has - share, 0.0))
    for one, other in combinations(range(len(slots)), 2) if pairs else ():
        if not (slots[one].can_be_empty and slots[other].can_be_empty):
            continue
        columns.append(_Column((one, other), "interaction", "both"))
        left, right = slots[one].carries, slots[other].carries
        values.append((left - left.mean()) * (right - right.mean()))
    return _Model(slots, columns, np.column_stack(values))


def _shares(own: Sequence[str]) -> dict[str, float]:
    counts = Counter(what for what in own if what)
    total = sum(counts.values())
    return {level: counts[level] / total for level in sorted(counts, key=_in_order)}


def _in_order(level: str) -> tuple[object, ...]:
    """Return what sorts names by the numbers in them, the widest first."""
    if level == WIDEST:
        return ()
    parts = re.split(r"(\d+(?:\.\d+)?)", level)
    return tuple(float(part) if part[:1].isdigit() else part for part in parts)


@dataclass(frozen=True)
class _Term:
    """An effect to be estimated: a contrast of coefficients, and who has the level."""

    effect: Effect
    contrast: Floats
    members: NDArray[np.bool_]
    slots: tuple[int, ...] = ()


def _main_terms(model: _Model) -> list[_Term]:
    terms = []
    for number, slot in enumerate(model.slots):
        reference = "no SE" if slot.can_be_empty else "mean"
        for column in model.columns:
            if column.slots != (number,):
                continue
            own = slot.attributes().get(column.kind, ())
            members = slot.carries if column.kind == "slot" else np.array(own) == column.level
            effect = Effect(column.kind, slot.name, column.level, reference)
            terms.append(_Term(effect, _contrast(model, column), members, (number,)))
    return terms + _mean_terms(model, terms)


def _contrast(model: _Model, column: _Column) -> Floats:
    """Return the gain of a level against none, other attributes being as they are on average."""
    (number,) = column.slots
    slot = model.slots[number]
    contrast = np.zeros(len(model.columns))
    if slot.can_be_empty:
        contrast += model.unit(_Column((number,), "slot", ANY_SE))
    if column.kind != "slot":
        contrast += model.unit(column)
        for level, share in _shares(slot.attributes()[column.kind]).items():
            contrast -= share * model.unit(_Column((number,), column.kind, level))
    return contrast


def _mean_terms(model: _Model, terms: Sequence[_Term]) -> list[_Term]:
    """Return the means over the slots of what several of them can carry."""
    groups: dict[tuple[str, str], list[_Term]] = defaultdict(list)
    for term in terms:
        if model.slots[term.slots[0]].can_be_empty:
            groups[term.effect.kind, term.effect.level].append(term)
    order = {"slot": 0, "position": 1, "width": 2, "variant": 3}
    return [
        _Term(
            Effect(kind, MEAN_SLOT, level, "no SE"),
            np.mean([term.contrast for term in group], axis=0),
            np.any([term.members for term in group], axis=0),
            tuple(term.slots[0] for term in group),
        )
        for (kind, level), group in sorted(groups.items(), key=lambda entry: order[entry[0][0]])
        if len(group) > 1
    ]


def _interaction_terms(model: _Model) -> list[_Term]:
    terms = []
    for column in model.columns:
        if column.kind != "interaction":
            continue
        one, other = (model.slots[number] for number in column.slots)
        effect = Effect("interaction", f"{one.name} x {other.name}", "SE in both", "sum of gains")
        terms.append(_Term(effect, model.unit(column), one.carries & other.carries))
    return terms


@dataclass(frozen=True)
class _Fit:
    """Coefficients by least squares: their covariance, and which contrasts are determined."""

    coefficients: Floats
    covariance: Floats
    row_space: Floats
    freedom: int
    between: float | None


def _fit(design: Floats, means: Floats, counts: Floats, seed_variance: float | None) -> _Fit:
    """Fit candidates' means by generalised least squares with two variance components.

    Where all candidates have as many seeds it is ordinary least squares, and exact.
    """
    freedom = len(means) - _rank(design)
    noise = np.ones_like(means)
    between: float | None = None
    if seed_variance is not None and seed_variance > 0:
        noise = seed_variance / counts
        between = _find_between(design, means, noise)
    roots = 1 / np.sqrt(noise + (between or 0.0))
    inverse = np.asarray(np.linalg.pinv(design * roots[:, None]), np.float64)
    coefficients = inverse @ (means * roots)
    residuals = (means - design @ coefficients) * roots
    squares = float(residuals @ residuals)
    covariance = inverse @ inverse.T * (squares / freedom)
    row_space = np.linalg.pinv(design) @ design
    return _Fit(coefficients, covariance, row_space, freedom, between)


def _find_between(design: Floats, means: Floats, noise: Floats) -> float:
    """Return the variance between candidates at which the residuals are as large as expected."""
    rank = _rank(design)
    basis = np.linalg.svd(design, full_matrices=False)[0][:, :rank]

    def excess(between: float) -> float:
        weights = 1 / (noise + between)
        weighted = basis * weights[:, None]
        fitted = basis @ np.linalg.solve(weighted.T @ basis, weighted.T @ means)
        return float(weights @ (means - fitted) ** 2) - (len(means) - rank)

    if excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, float(np.var(means)) * len(means)
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def _estimate(fit: _Fit, term: _Term, data: _Data, costs: _SlotCosts | None) -> Effect:
    counted = replace(
        term.effect,
        num_candidates=int(term.members.sum()),
        num_trainings=int(data.counts[term.members].sum()),
        cost_pct=None if costs is None else costs.of(term),
    )
    if not np.allclose(term.contrast @ fit.row_space, term.contrast, atol=1e-6):
        return replace(counted, reason=UNTOLD)
    gain = float(term.contrast @ fit.coefficients)
    error = math.sqrt(max(0.0, float(term.contrast @ fit.covariance @ term.contrast)))
    # Here and not above: this module is loaded where its numbers may not be asked for.
    from scipy.special import stdtr, stdtrit

    reach = float(stdtrit(fit.freedom, (1 + CONFIDENCE) / 2)) * error
    # Without any residual (a table of made-up numbers) what is not 0 is certain.
    p = float(2 * stdtr(fit.freedom, -abs(gain) / error)) if error > 0 else float(gain == 0)
    return replace(counted, gain=gain, low=gain - reach, high=gain + reach, p=p)


def _correct(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Add Holm's p-values: the family is all effects that could be estimated."""
    tested = [index for index, effect in enumerate(effects) if effect.p is not None]
    adjusted = holm([effect.p for effect in effects if effect.p is not None])
    corrected = list(effects)
    for index, p in zip(tested, adjusted, strict=True):
        corrected[index] = replace(corrected[index], p_holm=p)
    return tuple(corrected)


class _SlotCosts:
    """What the levels of slots cost: added parameters add up over slots, so they can be solved."""

    def __init__(self, slots: Sequence[Slot], cost_pct: Floats) -> None:
        self._keys = [
            (number, level)
            for number, slot in enumerate(slots)
            for level in sorted(set(slot.levels) - ({""} if slot.can_be_empty else set()))
        ]
        self._slots = slots
        has = [[what == level for what in slots[number].levels] for number, level in self._keys]
        design = np.column_stack([np.ones(len(cost_pct)), *np.array(has, np.float64)])
        inverse = np.linalg.pinv(design)
        self._values = inverse @ cost_pct
        self._row_space = inverse @ design

    def of(self, term: _Term) -> float | None:
        """Return the mean over the slots and candidates of a term; None: not determined."""
        weights = np.zeros(len(self._keys) + 1)
        for number in term.slots:
            slot = self._slots[number]
            if not slot.can_be_empty:
                return None
            own = slot.attributes().get(term.effect.kind, ())
            has = slot.carries if not own else np.array(own) == term.effect.level
            counts = Counter(np.array(slot.levels)[has & slot.carries].tolist())
            for index, (where, level) in enumerate(self._keys, start=1):
                if where == number:
                    weights[index] += counts[level] / counts.total() / len(term.slots)
        if not np.allclose(weights @ self._row_space, weights, atol=1e-6):
            return None
        return max(0.0, round(float(weights @ self._values), 9))


def _match_places(slots: Sequence[Slot], data: _Data) -> list[Effect]:
    """Compare each two slots among candidates that carry SE in just one of them.

    Only candidates are compared whose added parameters lie in the range that both sides have, and
    the model holds the logarithm of the added parameters and what else is carried fixed.
    """
    found = []
    for one, other in combinations([slot for slot in slots if slot.can_be_empty], 2):
        sides = one.carries & ~other.carries, other.carries & ~one.carries
        effect = Effect("place at equal cost", one.name, f"SE in {one.name}", f"in {other.name}")
        rest = [s.carries for s in slots if s.can_be_empty and s not in (one, other)]
        column = sides[0].astype(np.float64)
        found.append(_match(effect, sides, column, [r.astype(np.float64) for r in rest], data))
    return found


def _match_positions(slots: Sequence[Slot], data: _Data) -> list[Effect]:
    """Compare each two positions among candidates all of whose SE has one of the two."""
    names = sorted({p for slot in slots for p in slot.positions if p})
    used = [
        {slot.positions[i] for slot in slots if slot.positions[i]} for i in range(len(data.texts))
    ]
    found = []
    for one, other in combinations(names, 2):
        sides = tuple(np.array([own == {name} for own in used]) for name in (one, other))
        effect = Effect("position at equal cost", "all slots", one, other)
        rest = [slot.carries.astype(np.float64) for slot in slots if slot.can_be_empty]
        found.append(_match(effect, (sides[0], sides[1]), sides[0].astype(np.float64), rest, data))
    return found


def _match(
    effect: Effect,
    sides: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    column: Floats,
    rest: Sequence[Floats],
    data: _Data,
) -> Effect:
    paid = data.added > 0
    left, right = sides[0] & paid, sides[1] & paid
    if not (left.any() and right.any()):
        return replace(effect, reason="no candidates with one and without the other")
    low = max(data.added[left].min(), data.added[right].min())
    high = min(data.added[left].max(), data.added[right].max())
    in_band = (data.added >= low) & (data.added <= high)
    members = (left | right) & in_band
    counted = replace(
        effect,
        num_candidates=int(members.sum()),
        num_trainings=int(data.counts[members].sum()),
    )
    if min((left & in_band).sum(), (right & in_band).sum()) < MIN_MATCHED:
        return replace(
            counted, reason=f"fewer than {MIN_MATCHED} candidates on a side cost about as much"
        )
    logs = np.log2(data.added[members])
    columns = [np.ones(len(logs)), column[members], logs - logs.mean(), *(r[members] for r in rest)]
    design = np.column_stack(columns)
    if len(design) - _rank(design) < MIN_FREEDOM:
        return replace(counted, reason="too few candidates of about the same cost")
    fit = _fit(design, data.means[members], data.counts[members], data.seed_variance)
    contrast = np.zeros(design.shape[1])
    contrast[1] = 1.0
    return _estimate(fit, _Term(effect, contrast, members), data, None)
