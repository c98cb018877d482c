"""Reads what a command's ``--candidate`` asks for: by name, by a word, or by what it may cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.errors import CandidateError, RunError, suggest_nearest
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

FRONT, ALL_CREDIBLE, RECOMMENDED, BEST = "front", "all-credible", "recommended", "best"
WORDS = (RECOMMENDED, BEST, FRONT, ALL_CREDIBLE)
ALLOWED = (
    f"allowed are {', '.join(WORDS)}, a bound as 'params <= 3 %' or 'macs <= 40M', and a candidate "
    "as 's2:4 s3:8'"
)
BOUND = re.compile(r"\s*(\w+)\s*(<=?)\s*(\d+(?:\.\d+)?)\s*(%|[kMG]?)\s*")
COSTS = ("params", "macs")
UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def select_candidates(
    text: str,
    backbone: Backbone,
    read_posterior: Callable[[], PosteriorFront],
    find_recommended: Callable[[], str],
) -> list[Candidate]:
    """Return the candidates that a text asks for, cheapest first.

    Args:
        text: ``recommended``; ``best``: the largest expected gain at any cost; ``front``: those
            that tables list; ``all-credible``: those whose probability of being on the front is at
            least 0.05; a bound as ``params <= 3 %`` (of the plain network's, added by SE) or
            ``macs <= 40M`` (in all): the largest expected gain within it; or a candidate's long or
            short text.
        backbone: of the candidates.
        read_posterior: returns what the trials say of each candidate; a candidate that is named
            needs it not.
        find_recommended: returns the text of the recommended candidate, or raises a RunError that
            says why there is none.

    Raises:
        CandidateError: the text is none of these.
        RunError: it asks for something that the run does not have.
    """
    if text == RECOMMENDED:
        return [Candidate.parse(find_recommended(), backbone)]
    bound = BOUND.fullmatch(text)
    if bound is None and text not in WORDS:
        return [_parse(text, backbone)]
    posterior = read_posterior()
    if bound is not None:
        found = [_find_within(text, bound, posterior.candidates)]
    elif text == FRONT:
        found = posterior.listed
        if not found:
            raise RunError("no full training has ended yet, so there is no front")
    elif text == ALL_CREDIBLE:
        found = posterior.credible_set
        if not found:
            raise RunError(f"there is no credible set: {posterior.reason}")
    else:
        found = [_find_best(posterior.candidates, "no full training has ended yet")]
    return [Candidate.parse(each.summary.candidate, backbone) for each in found]


def _find_best(candidates: Sequence[PosteriorCandidate], lacking: str) -> PosteriorCandidate:
    """Return the largest expected gain, of equal ones the cheapest; a RunError if there is none."""
    if not candidates:
        raise RunError(lacking)
    return min(candidates, key=lambda c: (-c.gain, c.summary.params, c.summary.macs))


def _find_within(
    text: str, bound: re.Match[str], candidates: Sequence[PosteriorCandidate]
) -> PosteriorCandidate:
    name, sign, number, unit = bound.groups()
    if name not in COSTS:
        hint = suggest_nearest(name, COSTS)
        raise CandidateError(f"{text!r}: {name!r}{hint} is not one of {', '.join(COSTS)}")
    costs = {c.summary.key: _find_cost(c, name, unit) for c in candidates}
    limit = float(number) * UNITS.get(unit, 1.0)
    within = [
        c
        for c in candidates
        if costs[c.summary.key] < limit or (sign == "<=" and costs[c.summary.key] == limit)
    ]
    least = min(costs.values(), default=None)
    cheapest = "" if least is None else f"; the cheapest one has {least:,.6g}{' %' * (unit == '%')}"
    return _find_best(within, f"no trained candidate has {text}{cheapest}")


def _find_cost(candidate: PosteriorCandidate, name: str, unit: str) -> float:
    """Return what a candidate costs: in per cent of the plain network's, or in all."""
    summary = candidate.summary
    cost, added = getattr(summary, name), getattr(summary, f"added_{name}")
    return 100 * added / (cost - added) if unit == "%" else float(cost)


def _parse(text: str, backbone: Backbone) -> Candidate:
    if re.search("[<>]", text):
        raise CandidateError(
            f"{text!r} is no bound: it must be one of {', '.join(COSTS)}, then < or <=, then a "
            "number of 0 or more, in % of the plain network's or with k, M or G; "
            f"{ALLOWED}"
        )
    try:
        return Candidate.parse(text, backbone)
    except CandidateError as error:
        hint = suggest_nearest(text, WORDS)
        raise CandidateError(f"{error}{hint}; {ALLOWED}") from error
