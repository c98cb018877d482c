"""What is fixed of a run's supernets: what they score, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from se_search.candidate import Candidate
from se_search.commands.options import SearchOptions
from se_search.cost import count_cost
from se_search.run_config import RunConfig
from se_search.score import SupernetSettings, count_share, count_worth
from se_search.search.offers import MOST_CHOSEN
from se_search.search.probes import Spread
from se_search.search.segments import Evaluator, Worth, count_probes, refuse_small_budget
from se_search.space.allowed import AllowedCandidates
from se_search.store.supernets import SupernetFiles, Supernets, read_supernets

FEWEST_SCORED = 64  # candidates that each supernet scores, where the space has as many
MOST_LISTED = 10_000  # candidates of a space that may be scored whole
# Candidates drawn from a larger space: the accuracy model takes 1,000 scores, and a fifth of these
# is left to candidates that are trained or chosen later.
MOST_DRAWN = 800


@dataclass(frozen=True, slots=True)
class Setting:
    """What is fixed of a run's supernets before its next segment.

    Attributes:
        settings: how supernets are trained and score.
        drawn: candidates that each supernet scores, the plain network not among them.
        worth: of a supernet that scores what is drawn and the probes.
        spread: of the candidates.
        supernets: those that the run has, and its probes.
    """

    settings: SupernetSettings
    drawn: tuple[Candidate, ...]
    worth: Worth
    spread: Spread
    supernets: Supernets = Supernets()  # noqa: RUF009  # frozen

    @classmethod
    def of(cls, run: RunConfig, allowed: AllowedCandidates) -> Setting:
        """Return the setting of a run without supernets.

        A supernet scores all candidates where that takes no longer than to train it. Otherwise it
        scores as many as that, spread over the space, but 64 at least.
        """
        spread = Spread(allowed.space, allowed, lambda one: [count_cost(one).params], run.seed)
        is_small = spread.size <= MOST_LISTED
        drawn = spread.list_all() if is_small else spread.choose(MOST_DRAWN, "scored")
        worth = find_worth(run, drawn)
        while worth.scoring > worth.training and len(drawn) > FEWEST_SCORED:
            fewer = int(len(drawn) * worth.training / worth.scoring)
            number = max(FEWEST_SCORED, min(fewer, len(drawn) - 1))
            drawn = spread.choose(number, "scored")
            worth = find_worth(run, drawn)
        return cls(SupernetSettings(), tuple(drawn), worth, spread)

    @property
    def most_chosen(self) -> int:
        """How many candidates of a segment the accuracy model may choose to have scored."""
        return 0 if len(self.drawn) == self.spread.size else MOST_CHOSEN

    def planned(self, files: SupernetFiles, run: RunConfig, options: SearchOptions) -> Setting:
        """Return the setting with the run's supernets; a ladder that begins is given its probes.

        A supernet scores the probes, too.

        Raises:
            RunError: the budget is too small for a run that begins.
        """
        supernets = read_supernets(files)
        evaluator, budget = cast(Evaluator, options.evaluator), options.trials
        num_probes = 0
        if evaluator == "ladder" and not (supernets.probes and supernets.segments):
            counts = count_probes(budget, self.spread.size)
            supernets = replace(supernets, probes=self.spread.choose_probes(counts))
            num_probes = counts.num_trainings
        texts = dict.fromkeys(probe.candidate for probe in supernets.probes)
        probes = [Candidate.parse(text, run.backbone) for text in texts]
        worth = find_worth(run, [*self.drawn, *probes])
        if not supernets.supernets and not supernets.segments:
            refuse_small_budget(evaluator, budget, worth, num_probes)
        return replace(self, supernets=supernets, worth=worth)


def find_worth(run: RunConfig, candidates: Sequence[Candidate]) -> Worth:
    """Return what a supernet of a run costs that scores candidates and the plain network."""
    scored = list(dict.fromkeys([Candidate.plain(run.backbone), *candidates]))
    return Worth(*_count_worth(run, scored))


def price_scores(run: RunConfig, candidates: Sequence[Candidate]) -> float:
    """Return what it costs to score some candidates by one supernet, in full trainings."""
    return _count_worth(run, candidates)[1]


def _count_worth(run: RunConfig, scored: Sequence[Candidate]) -> tuple[float, float]:
    images = run.data["train"], run.data["validation"]
    known = len(scored), count_share(scored), *images, run.epochs, run.epochs
    return count_worth(SupernetSettings(), *known)
