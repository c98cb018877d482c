"""Chooses the candidates and the replicates that a confirmation trains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count, islice

from se_search.analysis.confirmation import (
    CREDIBLE,
    EVERYWHERE,
    FRONT,
    NAMED,
    PLAIN,
    RECOMMENDED,
    Chosen,
)
from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import RunError
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

FIRST_SEED = 1_000_000  # plus the run's seed; a search counts up from the run's seed
ALL_FRONT, ALL_CREDIBLE = "front", "all-credible"
REDUCTION = 16  # of SE everywhere, the default of Hu et al. 2019, sec. 6.4


def choose_candidates(
    wanted: Sequence[str], backbone: Backbone, posterior: PosteriorFront
) -> list[Chosen]:
    """Return each candidate to be trained once, cheapest first, with the reasons for it.

    Args:
        wanted: ``front`` (the candidates of the front that tables list), ``all-credible``
            (candidates whose probability of being on the front is at least 0.05) or texts of
            candidates.
        backbone: the backbone of the candidates.
        posterior: the result of the search.

    Raises:
        CandidateError: a text is no candidate of the backbone.
        RunError: there is no front, or no credible set.
    """
    members = [c.summary.candidate for c in posterior.listed]
    if ALL_FRONT in wanted and not members:
        raise RunError("no full training has ended yet, so there is no front to confirm")
    if ALL_CREDIBLE in wanted and not posterior.credible_set:
        raise RunError(f"there is no credible set to confirm: {posterior.reason}")
    credible_set = posterior.credible_set if ALL_CREDIBLE in wanted else []
    lists = {
        FRONT: members if ALL_FRONT in wanted else [],
        CREDIBLE: [c.summary.candidate for c in credible_set],
        NAMED: [text for text in wanted if text not in (ALL_FRONT, ALL_CREDIBLE)],
        PLAIN: [str(Candidate.plain(backbone))],
        EVERYWHERE: [str(se_everywhere(backbone))],
    }
    roles: dict[Candidate, list[str]] = {}
    for role, texts in lists.items():
        for text in texts:
            roles.setdefault(Candidate.parse(text, backbone), []).append(role)
    # A listed or recommended candidate is said to be one, however it was asked for.
    recommended = [posterior.recommended.summary.candidate] if posterior.recommended else []
    for role, texts in ((RECOMMENDED, recommended), (FRONT, members)):
        for candidate in roles.keys() & {Candidate.parse(text, backbone) for text in texts}:
            roles[candidate] = list(dict.fromkeys([role, *roles[candidate]]))
    found = {c.summary.key: c for c in posterior.candidates}
    chosen = [
        _describe(candidate, tuple(why), found.get(candidate.key))
        for candidate, why in roles.items()
    ]
    return sorted(chosen, key=lambda c: (c.params, c.macs, c.key))


def se_everywhere(backbone: Backbone) -> Candidate:
    """Return SE with r = 16 at every site, in the position that ``usual_position`` returns."""
    settings = [
        f"{site.name}={usual_position(backbone, index)}:r{REDUCTION}"
        for index, site in enumerate(backbone.sites)
    ]
    return Candidate.parse("/".join([backbone.name, *settings]), backbone)


def usual_position(backbone: Backbone, index: int) -> str:
    """Return ``standard``, or the first position of a site that has no standard one."""
    positions = list(backbone.sites[index].feature_maps)
    return "standard" if "standard" in positions else positions[0]


def fresh_seeds(run_seed: int, used: Collection[int], number: int) -> tuple[int, ...]:
    """Return the first seeds from 1,000,000 plus the run's seed on that are not in use."""
    free = (seed for seed in count(FIRST_SEED + run_seed) if seed not in used)
    return tuple(islice(free, number))


def _describe(
    candidate: Candidate,
    roles: tuple[str, ...],
    found: PosteriorCandidate | None,
) -> Chosen:
    cost = count_cost(candidate)
    return Chosen(
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        roles=roles,
        params=cost.params,
        added_params=cost.added_params,
        added_params_pct=round(cost.added_params_pct, 4),
        macs=cost.macs,
        added_macs=cost.added_macs,
        search_accuracy=None if found is None else found.summary.accuracy,
        search_replicates=0 if found is None else found.summary.num_replicates,
        search_gain=None if found is None else found.gain,
        search_low=None if found is None else found.low,
        search_high=None if found is None else found.high,
    )
