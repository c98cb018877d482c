"""How far the looks of a study have come, for its table of claims and in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

from se_search.analysis.claims import Claim
from se_search.report.format import count
from se_search.reproduction.judge import StudyReport


def say_progress(report: StudyReport) -> str | None:
    """Return in a sentence how far the looks have come; None: the plan is fixed or has no claim."""
    looks = report.setting.looks
    if looks is None or not (report.verdicts or report.unjudged):
        return None
    num_claims = len(report.verdicts) + len(report.unjudged)
    waiting: dict[int, list[Claim]] = {}
    for claim in open_claims(report):
        waiting.setdefault(next_look(report, claim), []).append(claim)
    if not waiting:
        return "All claims have ended."
    return " ".join(
        f"{_fewest_shared(report, claims)} of {look} replicates of the first look are trained; "
        f"nothing is decided before the first look."
        if look == looks.looks[0]
        else f"{len(claims)} of {count(num_claims, 'claim')} are open; "
        f"{_fewest_shared(report, claims)} of {look} replicates of their next look are trained."
        for look, claims in sorted(waiting.items())
    )


def open_claims(report: StudyReport) -> list[Claim]:
    """Return the claims that a later look may decide, with those that had no look yet."""
    ended = {verdict.claim for verdict in report.verdicts if verdict.ending != "open"}
    judged = [verdict.claim for verdict in report.verdicts if verdict.claim not in ended]
    return [*judged, *report.unjudged]


def next_look(report: StudyReport, claim: Claim) -> int:
    """Return the number of replicates of an open claim's next look."""
    looks = report.setting.looks
    assert looks is not None
    return looks.looks[looks.num_reached(num_shared(report, claim))]


def num_shared(report: StudyReport, claim: Claim) -> int:
    """Return in how many replicates both candidates of a claim have been trained."""
    own = {each.name: set(each.replicates) for each in report.candidates}
    return len(own[claim.a] & own[claim.b])


def _fewest_shared(report: StudyReport, claims: Iterable[Claim]) -> int:
    return min(num_shared(report, claim) for claim in claims)
