"""Judges claims about two candidates: superiority, non-inferiority, equivalence.

A claim says in which interval the true difference A - B lies; the verdict is about that interval
and about what is outside of it. A direction is established when two tests agree at half of alpha:
the sign-flip permutation test and Student's paired t. One-sided at alpha / 2 is two-sided at
alpha, so a claim is supported when the 95 % interval lies inside of it and refuted when it lies
outside, as far as the permutation test agrees. All p values here are doubled one-sided ones, the
larger of the two tests', to be compared with alpha.

Why both tests: each has the right level under other conditions. t's is right for normal
differences, but for 3 pairs with a skew of 1 it claims wrongly twice as often as it should; the
permutation test's is right for all symmetric differences. Why alpha / 2 for equivalence too,
where alpha is the custom (TOST; Schuirmann 1987): with a skew of 1 (between two trainings it is
smaller, as the skews of both sides partly cancel) false verdicts in one direction reach 8 % at
alpha and 5 % at alpha / 2; for symmetric differences they stay below 2.5 %. The price: with fewer
than 6 pairs (:func:`fewest_seeds`) nothing is ever decided at 0.05.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.comparison import (
    DECIMALS,
    MAX_EXACT,
    POWER,
    Comparison,
    Floats,
    Runs,
    compare,
    paired_differences,
    paired_t_p,
    sign_flip_p,
)
from se_search.analysis.statistics import holm
from se_search.errors import RunError

Kind = Literal["beats", "is not worse than", "equals"]
Word = Literal["supported", "refuted", "undecided"]

ALPHA = 0.05
MAX_SEEDS = 10_000
MAX_SIMULATED = 10  # up to here the permutation test is coarser than t, and power is simulated
NUM_SIMULATED = 4_000
NUM_SDS = 400

NAME = r"[A-Za-z0-9_.-]+"
NUMBER = r"\d+(?:\.\d+)?|\.\d+"
FORM = re.compile(
    rf"(?P<a>{NAME}) (?:"
    rf"(?P<beats>beats) (?P<b1>{NAME})(?: by (?P<m1>{NUMBER}))?"
    rf"|(?P<holds>is not worse than) (?P<b2>{NAME}) by more than (?P<m2>{NUMBER})"
    rf"|(?P<equals>equals) (?P<b3>{NAME}) within (?P<m3>{NUMBER})"
    r")(?: in top-(?P<top>[15]))?"
)
ALLOWED = (
    "'A beats B', 'A beats B by 0.2', 'A is not worse than B by more than 0.1' or 'A equals B "
    "within 0.1', in points of accuracy, and ' in top-5' at the end for that measure; names are "
    "of letters, digits, '_', '.' and '-'"
)


class Region(NamedTuple):
    """An open interval of true differences, in shares."""

    low: float
    high: float

    def holds(self, difference: float) -> bool:
        """Tell whether a difference lies in it, by more than rounding."""
        return round(difference - self.low, DECIMALS) > 0 > round(difference - self.high, DECIMALS)


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says of two candidates.

    Attributes:
        a: name of the candidate that the claim is about.
        kind: ``beats`` is superiority, ``is not worse than`` non-inferiority, ``equals``
            equivalence.
        b: name of the one that it is compared with.
        margin: in points of accuracy (0.2 is 0.2 %): beats by more than that, is not worse by
            more than that, is equal within that.
        top: 1 for top-1 accuracy, 5 for top-5.

    Raises:
        RunError: a name, margin or measure that is not allowed.
    """

    a: str
    kind: Kind
    b: str
    margin: float = 0.0
    top: int = 1

    def __post_init__(self) -> None:
        for name in (self.a, self.b):
            if not re.fullmatch(NAME, name):
                raise RunError(f"{name!r} is no name of a candidate; allowed is {ALLOWED}")
        if self.a == self.b:
            raise RunError(f"claim {str(self)!r} compares {self.a} with itself; name two")
        if self.top not in (1, 5):
            raise RunError(f"claim {str(self)!r} is about top-{self.top}; allowed are top-1, top-5")
        if not 0 <= self.margin < 100:
            raise RunError(f"claim {str(self)!r}: its margin is not from 0 to below 100 points")
        if self.margin == 0 and self.kind != "beats":
            raise RunError(
                f"claim {str(self)!r}: a margin of 0 leaves nothing to show; say more than 0"
                + (f", or '{self.a} beats {self.b}'" if self.kind != "equals" else "")
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a claim, as ``A beats B by 0.2 in top-5``.

        Raises:
            RunError: the text has none of the forms.
        """
        found = FORM.fullmatch(" ".join(text.split()))
        if not found:
            raise RunError(f"claim {text!r} can't be read; allowed is {ALLOWED}")
        kind: Kind = "equals"
        if found["beats"]:
            kind = "beats"
        elif found["holds"]:
            kind = "is not worse than"
        b = found["b1"] or found["b2"] or found["b3"]
        margin = found["m1"] or found["m2"] or found["m3"] or "0"
        return cls(found["a"], kind, b, float(margin), int(found["top"] or 1))

    def __str__(self) -> str:
        margin = np.format_float_positional(self.margin, trim="-")
        ending = "" if self.top == 1 else f" in top-{self.top}"
        if self.kind == "beats":
            return f"{self.a} beats {self.b}" + (f" by {margin}" if self.margin else "") + ending
        join = "within" if self.kind == "equals" else "by more than"
        return f"{self.a} {self.kind} {self.b} {join} {margin}{ending}"

    @property
    def region(self) -> Region:
        """Where the true difference A - B lies if the claim is true."""
        margin = self.margin / 100
        if self.kind == "beats":
            return Region(margin, math.inf)
        return Region(-margin, margin if self.kind == "equals" else math.inf)

    @property
    def outside(self) -> tuple[Region, ...]:
        """Where it lies if the claim is false: one stretch, or two for ``equals``."""
        low, high = self.region
        below = Region(-math.inf, low)
        return (below, Region(high, math.inf)) if high < math.inf else (below,)


@dataclass(frozen=True)
class Verdict:
    """What the trainings say of a claim.

    Attributes:
        word: at the claim's own level alpha.
        p_support: of the hypothesis that the claim is false; at most alpha supports it.
        p_refute: of the hypothesis that the claim is true; at most alpha refutes it.
        seeds_needed: for undecided claims: with how many pairs in all, at the difference and sd
            observed, the verdict to which they tend falls in 80 % of the cases; above
            ``MAX_SEEDS`` it stands for more than that. Both are estimates, from few pairs poor
            ones. None: decided, or the difference lies at the margin, where no number would do.
        alpha: the level.
        words: one sentence, in the terms of the kind of test.
        num_claims: in the family that it was judged with.
        p_support_family: ``p_support`` after Holm's correction over the family's.
        p_refute_family: ``p_refute`` likewise.
    """

    claim: Claim
    comparison: Comparison
    word: Word
    p_support: float
    p_refute: float
    seeds_needed: int | None
    alpha: float
    words: str
    num_claims: int
    p_support_family: float
    p_refute_family: float

    @property
    def word_family(self) -> Word:
        """The word after Holm's correction over the family.

        Alpha bounds the chance of any false 'supported' in the family, and that of any false
        'refuted'.
        """
        return _word(self.p_support_family, self.p_refute_family, self.alpha)


def judge(claim: Claim, a: Runs, b: Runs, alpha: float = ALPHA) -> Verdict:
    """Judge one claim on the trainings of its two candidates.

    Raises:
        RunError: fewer than two seeds in common, or the two know of different images.
    """
    return judge_all([(claim, a, b)], alpha)[0]


def judge_all(
    claims_with_runs: Iterable[tuple[Claim, Runs, Runs]], alpha: float = ALPHA
) -> list[Verdict]:
    """Judge the claims of one study, each by itself and as a family (Holm 1979).

    Args:
        claims_with_runs: each claim with the trainings of its A and of its B.
        alpha: chance of a false verdict, for each claim in each of both directions.

    Raises:
        RunError: as of :func:`judge`; a level that is none.
    """
    if not 0 < alpha < 1:
        raise RunError(f"alpha {alpha} is not between 0 and 1")
    judged = [_weigh_runs(claim, a, b, alpha) for claim, a, b in claims_with_runs]
    supports = holm([weight.p_support for _, _, weight in judged])
    refutes = holm([weight.p_refute for _, _, weight in judged])
    return [
        _verdict(claim, comparison, weight, alpha, len(judged), support, refute)
        for (claim, comparison, weight), support, refute in zip(
            judged, supports, refutes, strict=True
        )
    ]


class Weight(NamedTuple):
    """The two p values of a claim: below alpha the first supports it, the second refutes it."""

    p_support: float
    p_refute: float


def weigh(claim: Claim, differences: Floats) -> Weight:
    """Weigh a claim by the differences A - B of its pairs, ``(n,)`` shares."""
    return Weight(
        _p_inside(claim.region, differences),
        min(_p_inside(region, differences) for region in claim.outside),
    )


def fewest_seeds(num_claims: int = 1, alpha: float = ALPHA) -> int:
    """Return how many pairs it takes at least to decide any claim of a family.

    The sign-flip test's smallest p is 2 / 2^n, and Holm's first step multiplies by the number of
    claims: 6 pairs for one claim at 0.05, 7 for two, 9 for ten.
    """
    return math.ceil(math.log2(2 * num_claims / alpha) - 1e-9)


def power(region: Region, difference: float, sd: float, n: int, alpha: float = ALPHA) -> float:
    """Return the chance that ``n`` pairs establish a region, for normal differences.

    Args:
        region: where the difference is to be established to lie.
        difference: the true one, in shares.
        sd: of the pairs' differences, in shares.
        n: pairs.
        alpha: the level.

    Returns:
        Up to 10 pairs both tests on simulated differences, to within 0.015; above that of the t
        test, at the level that so many sign flips can have: within 0.02 of both tests.
    """
    if n < fewest_seeds(1, alpha):
        return 0.0
    if sd == 0:
        return float(region.holds(difference))
    if n <= MAX_SIMULATED:
        return _simulated_power(region, difference, sd, n, alpha)
    return _t_power(region, difference, sd, n, alpha)


def _p_inside(region: Region, differences: Floats) -> float:
    """P of the hypothesis that the true difference is outside of a region."""
    p = 0.0
    if region.low > -math.inf:
        above = np.round(differences - region.low, DECIMALS)
        p = max(p, sign_flip_p(above, "greater"), paired_t_p(above, "greater"))
    if region.high < math.inf:
        below = np.round(differences - region.high, DECIMALS)
        p = max(p, sign_flip_p(below, "less"), paired_t_p(below, "less"))
    return min(1.0, 2 * p)


def _weigh_runs(claim: Claim, a: Runs, b: Runs, alpha: float) -> tuple[Claim, Comparison, Weight]:
    try:
        comparison = compare(a, b, confidence=1 - alpha)
    except RunError as error:
        raise RunError(f"claim {str(claim)!r}: {error}") from error
    return claim, comparison, weigh(claim, paired_differences(a, b))


def _verdict(
    claim: Claim,
    comparison: Comparison,
    weight: Weight,
    alpha: float,
    num_claims: int,
    p_support_family: float,
    p_refute_family: float,
) -> Verdict:
    word = _word(weight.p_support, weight.p_refute, alpha)
    needed = _seeds_needed(claim, comparison, alpha) if word == "undecided" else None
    return Verdict(
        claim=claim,
        comparison=comparison,
        word=word,
        p_support=weight.p_support,
        p_refute=weight.p_refute,
        seeds_needed=needed,
        alpha=alpha,
        words=_sentence(claim, comparison, weight, alpha, needed),
        num_claims=num_claims,
        p_support_family=p_support_family,
        p_refute_family=p_refute_family,
    )


def _word(p_support: float, p_refute: float, alpha: float) -> Word:
    if p_support <= alpha:
        return "supported"
    return "refuted" if p_refute <= alpha else "undecided"


def _seeds_needed(claim: Claim, comparison: Comparison, alpha: float) -> int | None:
    difference, sd = comparison.difference, comparison.sd
    regions = [r for r in (claim.region, *claim.outside) if r.holds(difference)]
    if not regions:
        return None

    def suffice(n: int) -> bool:
        return power(regions[0], difference, sd, n, alpha) >= POWER

    low = max(comparison.n, fewest_seeds(1, alpha) - 1)
    high = low + 1
    while not suffice(high):
        if high > MAX_SEEDS:
            return MAX_SEEDS + 1
        low, high = high, min(2 * high, MAX_SEEDS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffice(middle) else (middle, high)
    return high


def _simulated_power(region: Region, difference: float, sd: float, n: int, alpha: float) -> float:
    rng = np.random.default_rng(n)
    differences = difference + sd * rng.standard_normal((NUM_SIMULATED, n))
    established = np.ones(NUM_SIMULATED, bool)
    if region.low > -math.inf:
        established &= _are_above(differences - region.low, alpha)
    if region.high < math.inf:
        established &= _are_above(region.high - differences, alpha)
    return float(established.mean())


def _are_above(differences: Floats, alpha: float) -> NDArray[np.bool_]:
    """Mark the rows of ``(rows, n)`` whose mean both tests find above 0."""
    from scipy.special import stdtrit  # half a second that reading a study does not need

    n = differences.shape[1]
    # The first sign stays: flipping all of them turns a sum into its negative.
    signs = 1.0 - 2 * (np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1)
    sums = differences @ np.column_stack([signs[:, -1], signs[:, :-1]]).T
    observed = differences.sum(axis=1, keepdims=True)
    reached = (sums >= observed - 1e-12).sum(axis=1) + (-sums >= observed - 1e-12).sum(axis=1)
    t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(n))
    is_t = t >= stdtrit(n - 1, 1 - alpha / 2)
    return np.asarray(is_t & (reached <= alpha / 2 * 2**n))


def _t_power(region: Region, difference: float, sd: float, n: int, alpha: float) -> float:
    """Power of one or two one-sided t tests: the mean over sd's distribution (Phillips 1990)."""
    from scipy.special import chdtri, ndtr, stdtrit

    level = alpha / 2
    if n <= MAX_EXACT:
        level = math.floor(level * 2**n) / 2**n
    shares = (np.arange(NUM_SDS) + 0.5) / NUM_SDS
    sds = np.sqrt(chdtri(n - 1, shares) / (n - 1))
    reach = stdtrit(n - 1, 1 - level) * sds
    error = sd / math.sqrt(n)
    chances = ndtr((region.high - difference) / error - reach) - ndtr(
        (region.low - difference) / error + reach
    )
    return float(np.maximum(chances, 0).mean())


def _sentence(
    claim: Claim, comparison: Comparison, weight: Weight, alpha: float, needed: int | None
) -> str:
    word = _word(weight.p_support, weight.p_refute, alpha)
    low, high = (100 * limit for limit in comparison.interval)
    measured = (
        f"the difference in top-{claim.top} is {100 * comparison.difference:+.2f} points "
        f"({100 * comparison.confidence:g} % interval {low:+.2f} to {high:+.2f}, "
        f"{comparison.n} paired seeds"
    )
    if word == "undecided":
        return f"Undecided {_question(claim)}: {measured}); {_advice(comparison, alpha, needed)}."
    p = weight.p_support if word == "supported" else weight.p_refute
    said = _supported(claim) if word == "supported" else _refuted(claim, comparison.difference)
    return f"{said}: {measured}, p = {p:.2g})."


def _question(claim: Claim) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        return f"whether {claim.a} beats {claim.b}" + (f" by {margin}" if claim.margin else "")
    if claim.kind == "equals":
        return f"whether {claim.a} and {claim.b} are equivalent within {margin}"
    return f"whether {claim.a} is non-inferior to {claim.b} with a margin of {margin}"


def _supported(claim: Claim) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        extra = f" by more than {margin}" if claim.margin else ""
        return f"{claim.a} is superior to {claim.b}{extra}"
    if claim.kind == "equals":
        return f"{claim.a} and {claim.b} are equivalent within {margin}"
    return f"{claim.a} is non-inferior to {claim.b}, not worse by more than {margin}"


def _refuted(claim: Claim, difference: float) -> str:
    margin = f"{claim.margin:g} points"
    if claim.kind == "beats":
        if not claim.margin:
            return f"{claim.a} does not beat {claim.b}, it is worse"
        return f"{claim.a} does not beat {claim.b} by {margin}"
    if claim.kind == "equals":
        side = "better" if difference > 0 else "worse"
        return (
            f"{claim.a} and {claim.b} are not equivalent within {margin}: {claim.a} is {side} "
            "by more than that"
        )
    return f"{claim.a} is inferior to {claim.b}, worse by more than {margin}"


def _advice(comparison: Comparison, alpha: float, needed: int | None) -> str:
    if needed is None:
        return "it lies at the margin, where no number of seeds would decide"
    number = f"more than {MAX_SEEDS:,}" if needed > MAX_SEEDS else f"about {needed:,}"
    advice = f"if that is the true difference, {number} paired seeds decide with 80 % power"
    fewest = fewest_seeds(1, alpha)
    if comparison.n < fewest:
        advice += f"; fewer than {fewest} never can"
    return advice
