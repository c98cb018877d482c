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
from se_search.latency.sums import LatencySums
from se_search.report.selection import ALL_CREDIBLE, select_candidates
from se_search.report.selection import FRONT as FRONT_WORD
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

FIRST_SEED = 1_000_000  # plus the run's seed; a search counts up from the run's seed
REDUCTION = 16  # of SE everywhere, the default of Hu et al. 2019, sec. 6.4


def choose_candidates(
    wanted: Sequence[str],
    backbone: Backbone,
    posterior: PosteriorFront,
    taken: str | None = None,
    latency: LatencySums | None = None,
) -> list[Chosen]:
    """Return each candidate to be trained once, cheapest first, with the reasons for it.

    Args:
        wanted: each a word, a bound on a cost, or a candidate; see ``select_candidates``.
        backbone: the backbone of the candidates.
        posterior: the result of the search.
        taken: text of the candidate that the answer takes; None: there is none.
        latency: what latencies are summed from; None: the run has measured none.

    Raises:
        CandidateError: a text is none of these.
        RunError: there is no front, no credible set, or nothing is recommended.
    """
    members = [c.summary.candidate for c in posterior.listed]

    def find_recommended() -> str:
        if taken is None:
            raise RunError("the run recommends no candidate; name one")
        return taken

    roles: dict[Candidate, list[str]] = {}
    for text in wanted:
        role = {FRONT_WORD: FRONT, ALL_CREDIBLE: CREDIBLE}.get(text, NAMED)
        for candidate in select_candidates(text, backbone, lambda: posterior, find_recommended):
            roles.setdefault(candidate, []).append(role)
    for role, candidate in (
        (PLAIN, Candidate.plain(backbone)),
        (EVERYWHERE, se_everywhere(backbone)),
    ):
        roles.setdefault(candidate, []).append(role)
    # A listed or recommended candidate is said to be one, however it was asked for.
    recommended = [posterior.recommended.summary.candidate] if posterior.recommended else []
    for role, texts in ((RECOMMENDED, recommended), (FRONT, members)):
        for candidate in roles.keys() & {Candidate.parse(text, backbone) for text in texts}:
            roles[candidate] = list(dict.fromkeys([role, *roles[candidate]]))
    found = {c.summary.key: c for c in posterior.candidates}
    chosen = [
        _describe(candidate, tuple(why), found.get(candidate.key), latency)
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
    latency: LatencySums | None,
) -> Chosen:
    cost = count_cost(candidate)
    added = None if latency is None else latency.add_up(candidate)
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
        latency=None if latency is None or added is None else latency.plain + added,
        added_latency=added,
    )
