"""What a study's plan can find out: the difference that it detects, and which claims it decides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from se_search.analysis.claims import Claim
from se_search.analysis.comparison import POWER
from se_search.analysis.paired_tests import sd_of
from se_search.analysis.plan_power import detectable_difference, expected_sd, plan_power
from se_search.analysis.power import fewest_replicates, replicates_needed
from se_search.analysis.replicates import Replicates, paired_differences, shared_replicates
from se_search.analysis.sequential import LookPlan
from se_search.report.format import count
from se_search.reproduction.study_file import PaperFigures, StudyFile

# Shares of the test images that a training has wrong, by top-1 and top-5: of Fashion-MNIST as at
# desk scale, of ImageNet as the plain network of Hu et al., table 10.
ERRORS = {"fashion_mnist": {1: 0.1, 5: 0.002}, "imagenet": {1: 0.233, 5: 0.0655}}
USUAL_ERRORS = {1: 0.1, 5: 0.01}  # of data that nothing is known of


@dataclass(frozen=True, slots=True)
class Noise:
    """By how much the difference of two candidates varies from replicate to replicate.

    Attributes:
        sd: standard deviation in shares.
        source: where it comes from, as part of a sentence.
    """

    sd: float
    source: str


@dataclass(frozen=True, slots=True)
class Prospect:
    """Whether a plan decides a claim.

    Attributes:
        difference: what is taken for the true difference A - B, in shares: the paper's, else 0 for
            a claim with a margin to 0; None: nothing is known of it.
        power: chance that the plan decides the claim if so; None: nothing is known of it.
        needed: replicates that would decide it with 80 % power, all trained before the only look;
            None: the plan does, nothing is known of it, or the difference lies at the margin.
    """

    claim: Claim
    difference: float | None
    power: float | None
    needed: int | None

    @property
    def is_hopeless(self) -> bool:
        """Whether the claim is likely to stay undecided."""
        return self.power is not None and self.power < POWER


@dataclass(frozen=True, slots=True)
class StudyProspects:
    """What a study's plan can find out.

    Attributes:
        looks: at how many replicates its claims are looked at.
        noise: by 1 for top-1, and 5 for top-5 accuracy.
        prospects: one a claim.
    """

    looks: LookPlan
    noise: Mapping[int, Noise]
    prospects: tuple[Prospect, ...]

    @property
    def detectable(self) -> float:
        """Smallest true difference in top-1, in shares, that is found with 80 % power."""
        return detectable_difference(self.looks) * self.noise[1].sd

    @property
    def hopeless(self) -> tuple[Prospect, ...]:
        """The claims that are likely to stay undecided."""
        return tuple(prospect for prospect in self.prospects if prospect.is_hopeless)

    @property
    def decides_nothing(self) -> bool:
        """Whether no claim of the study is likely to be decided, whatever its true size."""
        if self.looks.looks[-1] < fewest_replicates(1, self.looks.alpha):
            return True
        return bool(self.prospects) and len(self.hopeless) == len(self.prospects)


def foresee(
    study: StudyFile, claims: Sequence[Claim], looks: LookPlan, noise: Mapping[int, Noise]
) -> StudyProspects:
    """Tell what a study's plan can find out.

    Args:
        study: gives the paper's figures.
        claims: the study's claims.
        looks: the plan.
        noise: of differences in top-1 (key 1) and top-5 accuracy (key 5).
    """
    found = tuple(
        _foresee_claim(claim, suppose_difference(claim, study.figures), looks, noise)
        for claim in claims
    )
    return StudyProspects(looks, noise, found)


def suppose_difference(claim: Claim, figures: Mapping[str, PaperFigures]) -> float | None:
    """Return what is taken for the true difference A - B of a claim; see ``Prospect``."""
    errors = [
        (figures[name].top1_error if claim.top == 1 else figures[name].top5_error)
        if name in figures
        else None
        for name in (claim.a, claim.b)
    ]
    if errors[0] is not None and errors[1] is not None:
        return round((errors[1] - errors[0]) / 100, 6)
    return None if claim.kind == "beats" else 0.0


def measure_noise(
    pairs: Iterable[tuple[str, str]], by_top: Mapping[int, Mapping[str, Replicates]]
) -> dict[int, Noise]:
    """Return the noise of top-1 and top-5 accuracy where finished trainings tell of it.

    The root mean square over the pairs that share as many replicates as any test needs.

    Args:
        pairs: names of two candidates each.
        by_top: the trainings by top-1 (key 1) and top-5 accuracy (key 5), by name.
    """
    different = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    found = {}
    for top, by_name in by_top.items():
        known = [(by_name[a], by_name[b]) for a, b in different if a in by_name and b in by_name]
        differences = [
            paired_differences(a, b)
            for a, b in known
            if len(shared_replicates(a, b)) >= fewest_replicates()
        ]
        if differences:
            sd = math.sqrt(float(np.mean([sd_of(each) ** 2 for each in differences])))
            found[top] = Noise(
                sd,
                f"measured on {count(len(differences), 'pair')} of networks in up to "
                f"{max(map(len, differences))} replicates",
            )
    return found


def assume_noise(kind: str, num_test: int) -> dict[int, Noise]:
    """Return the noise that is expected of trainings of which none has been made.

    Args:
        kind: of the data, as ``fashion_mnist``.
        num_test: number of test images.
    """
    return {
        top: Noise(
            expected_sd(error, num_test),
            f"assumed: independent trainings of which {100 * error:g} % of the {num_test:,} test "
            "images are wrong; Jordan 2024, arXiv 2304.01910",
        )
        for top, error in ERRORS.get(kind, USUAL_ERRORS).items()
    }


def _foresee_claim(
    claim: Claim, difference: float | None, looks: LookPlan, noise: Mapping[int, Noise]
) -> Prospect:
    if difference is None:
        return Prospect(claim, None, None, None)
    regions, sd = (claim.region, *claim.outside), noise[claim.top].sd
    chance = max(
        (
            plan_power(region, difference, sd, looks)
            for region in regions
            if region.holds(difference)
        ),
        default=0.0,
    )
    if chance >= POWER:
        return Prospect(claim, difference, chance, None)
    needed = replicates_needed(regions, difference, sd, looks.looks[-1])
    return Prospect(claim, difference, chance, needed)
