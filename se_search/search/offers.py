"""Makes offers of further supernets: what all supernets would score then, and what it costs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from se_search.candidate import Candidate
from se_search.record import TrialRecord
from se_search.search.probes import list_scored
from se_search.search.segments import Offer, Worth
from se_search.space.bound import BoundSpace
from se_search.store.supernets import Segment, Supernets

# Chosen candidates of a segment: as many as three or four further segments of trainings would take,
# and half of the fewest that are drawn, which tell what each level of a slot does to scores.
MOST_CHOSEN = 32

Price = Callable[[Sequence[Candidate]], float]
"""Returns what it costs to score some candidates by one supernet, in full trainings."""

Choose = Callable[[Sequence[Candidate], int], Sequence[Candidate]]
"""Returns further candidates to score, best first, given those scored and how many at most."""


@dataclass(frozen=True, slots=True)
class Offers:
    """Makes offers of further supernets.

    Attributes:
        space: of the candidates.
        drawn: candidates that every supernet scores.
        price: of scoring.
        training: what it costs to train a supernet, in full trainings.
        most_chosen: of a segment; 0 where all candidates are drawn.
    """

    space: BoundSpace
    drawn: Sequence[Candidate]
    price: Price
    training: float
    most_chosen: int = MOST_CHOSEN

    def list_scored(
        self, supernets: Supernets, records: Sequence[TrialRecord], segment: Segment
    ) -> list[Candidate]:
        """Return the candidates that each supernet has scored at the end of a segment.

        Args:
            supernets: of the run, before the segment.
            records: all trials; those begun before the segment was decided count.
            segment: of supernets.
        """
        earlier = [one for one in supernets.segments if one.kind == "supernets"]
        segments = [*earlier, segment]
        return list_scored(self.drawn, records, segments, supernets.probes, self.space)

    def make(
        self,
        supernets: Supernets,
        records: Sequence[TrialRecord],
        have: Mapping[int, Collection[str]],
        chosen: Sequence[Candidate] = (),
    ) -> Offer:
        """Return an offer of supernets that score some chosen candidates, too.

        Args:
            supernets: of the run.
            records: all trials.
            have: by seed of a supernet, the texts of the candidates that it has scored.
            chosen: candidates, none of which is scored otherwise.
        """
        begun = len(records)
        segment = Segment("supernets", begun, begun, (), tuple(map(str, chosen)))
        every = self.list_scored(supernets, records, segment)
        catching_up: dict[int, float] = {}
        joining: dict[Candidate, None] = {}
        for record in supernets.supernets:
            own = have.get(record.seed, ())
            lacking = [candidate for candidate in every if str(candidate) not in own]
            if lacking and record.state != "FAIL":
                catching_up[record.seed] = self.price(lacking)
                joining |= dict.fromkeys(lacking)
        each = Worth(self.training, self.price(every))
        return Offer(each, catching_up, tuple(every), tuple(joining), tuple(chosen))

    def extend(
        self,
        supernets: Supernets,
        records: Sequence[TrialRecord],
        have: Mapping[int, Collection[str]],
        number: int,
        left: float,
        choose: Choose,
    ) -> Offer:
        """Return an offer with candidates that the accuracy model would have scored.

        To score them by all supernets costs no more than to train one, and no more than is left.

        Args:
            supernets: of the run.
            records: all trials.
            have: by seed of a supernet, the texts of the candidates that it has scored.
            number: of new supernets.
            left: of the budget, in full trainings.
            choose: asked for candidates, the best of which are taken.
        """
        without = self.make(supernets, records, have)
        if not self.most_chosen:
            return without
        most = min(without.total(number) + self.training, left) + 1e-9
        ranked = choose(without.scored, self.most_chosen)

        def take(count: int) -> Offer:
            return self.make(supernets, records, have, ranked[:count])

        counts = range(1, len(ranked) + 1)
        count = bisect_right(counts, most, key=lambda count: take(count).total(number))
        return take(count)
