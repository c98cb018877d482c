"""The values of a confirmation: candidates as the search found them, and after fresh trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from se_search.analysis.sequential import Outcome
from se_search.analysis.verdicts import Ending
from se_search.analysis.winner import Winner

# Why a candidate is trained again.
FRONT, CREDIBLE, NAMED, RECOMMENDED = "front", "credible", "named", "recommended"
PLAIN, EVERYWHERE = "plain backbone", "SE everywhere"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate that is to be trained again, as the search stood when it was chosen.

    Attributes:
        candidate: the text form.
        roles: why it was chosen, at least one of ``front`` (what tables list), ``recommended``,
            ``credible``, ``named``, ``plain backbone`` and ``SE everywhere``.
        search_accuracy: mean validation accuracy over the search's full trainings of it; None:
            the search has no full training of it.
        search_replicates: number of the search's full trainings of it.
        search_gain: gain over the plain network that the search expects, a share; None: the search
            has no full training of it.
        search_low: lower end of the gain's 95 % interval in the search; None: there is no model.
        search_high: upper end of the gain's 95 % interval in the search.
        latency: nanoseconds of a batch; None: the run has measured none.
        added_latency: nanoseconds of the SE blocks.
    """

    candidate: str
    key: str
    placement: str
    roles: tuple[str, ...]
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    added_macs: int
    search_accuracy: float | None
    search_replicates: int
    search_gain: float | None = None
    search_low: float | None = None
    search_high: float | None = None
    latency: int | None = None
    added_latency: int | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much a candidate is more accurate than the plain network, in shares (0..1).

    Attributes:
        mean: mean difference over the replicates that both have.
        num_replicates: number of these replicates.
        low: lower end of the mean's repeated 95 % interval on these images, by Student's paired t
            at the last look that the replicates have reached; None: they have reached none.
        high: upper end of the mean's repeated 95 % interval on these images.
        population_low: lower end of the mean's interval on new images of this kind; None: it is
            not known which images were right, or each replicate has others.
        population_high: upper end of the mean's interval on new images of this kind.
    """

    mean: float
    num_replicates: int
    low: float | None = None
    high: float | None = None
    population_low: float | None = None
    population_high: float | None = None


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim of a confirmation, judged on test images; differences are A less B, in shares.

    Attributes:
        text: the claim, with the candidates' keys as names.
        a: key of its A.
        b: key of its B.
        outcome: for the claim by itself.
        family_outcome: after Holm's correction over all claims of its kind in the confirmation.
        ending: whether it is decided, given up as futile, undecided at the last look, or open.
        num_replicates: number of pairs at the look that judged it; 0: no look was reached, and
            nothing below is known.
        look: number of that look, from 1.
        difference: mean over the pairs.
        low: lower end of the repeated 95 % interval.
        high: upper end of the repeated 95 % interval.
        p_support: two-sided sequential p-value of the hypothesis that the claim is false.
        p_refute: two-sided sequential p-value of the hypothesis that the claim is true.
    """

    text: str
    a: str
    b: str
    outcome: Outcome = "undecided"
    family_outcome: Outcome = "undecided"
    ending: Ending = "open"
    num_replicates: int = 0
    look: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_support: float = 1.0
    p_refute: float = 1.0

    @property
    def p(self) -> float:
        """The smaller p-value of both directions."""
        return min(self.p_support, self.p_refute)


@dataclass(frozen=True, slots=True)
class Confirmed(Chosen):
    """A candidate after its trainings in fresh replicates; accuracies are shares (0..1).

    Attributes:
        num_replicates: number of trainings that ended well; at 0 nothing below is known.
        accuracy: mean accuracy on validation images.
        test_accuracy: mean accuracy on test images.
        gain: over the plain network on validation images; None: the two share no replicate, or
            this is the plain network.
        test_gain: over the plain network on test images.
        too_good: the search's gain less the fresh one on validation images; None: one is not known.
        on_front: whether no other confirmed candidate dominates it, by gains on validation images.
        front_probability: probability that no other confirmed candidate dominates it, by gains
            over infinitely many replicates; None: there are too few trainings to tell.
        claim: that it beats the plain network; None: it is the plain network.
    """

    num_replicates: int = 0
    accuracy: float | None = None
    test_accuracy: float | None = None
    gain: Gain | None = None
    test_gain: Gain | None = None
    too_good: float | None = None
    on_front: bool = False
    front_probability: float | None = None
    claim: ClaimResult | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The fresh trainings of a search's candidates, summarised; accuracies are shares (0..1).

    Attributes:
        candidates: cheapest first.
        not_worse: claims that the recommended candidate is not worse than another confirmed one of
            no higher cost by more than the tolerance; together they say that it is not worse than
            the best of these. Empty: the search recommends none, or nothing is as cheap.
        winner: the candidate with the largest gain on test images, estimated on replicates that
            did not choose it; None: fewer than four replicates or two candidates with SE.
        replicate_sd: standard deviation of validation accuracy over replicates, pooled over the
            candidates; None: no candidate has two trainings.
        test_replicate_sd: standard deviation of test accuracy over replicates.
        num_trainings: number of trainings that the numbers rest on.
        num_saved: trainings of the whole plan that no open claim needs.
    """

    candidates: tuple[Confirmed, ...]
    not_worse: tuple[ClaimResult, ...]
    winner: Winner | None
    replicate_sd: float | None
    test_replicate_sd: float | None
    num_trainings: int
    num_saved: int

    @property
    def claims(self) -> list[ClaimResult]:
        """All claims: each candidate beats the plain network, then those of the recommended one."""
        own = [candidate.claim for candidate in self.candidates if candidate.claim is not None]
        return [*own, *self.not_worse]

    @property
    def open_claims(self) -> list[ClaimResult]:
        """The claims that a further look may decide."""
        return [claim for claim in self.claims if claim.ending == "open"]

    @property
    def members(self) -> list[Confirmed]:
        """The candidates of the search's list that have been trained again."""
        return [c for c in self.candidates if FRONT in c.roles and c.accuracy is not None]

    @property
    def recommended(self) -> Confirmed | None:
        """The candidate that the search recommends; None: it recommends none."""
        return next((c for c in self.candidates if RECOMMENDED in c.roles), None)

    @property
    def mean_too_good(self) -> float | None:
        """The mean ``too_good`` of the members with SE; None: it is known of none."""
        return _mean_or_none([c.too_good for c in self.members if c.too_good is not None])


def _mean_or_none(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
