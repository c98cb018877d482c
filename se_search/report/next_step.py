"""The one next command after a search, with the time that it will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from se_search.analysis.power import fewest_replicates
from se_search.analysis.sequential import LOOKS
from se_search.report.confirmed import list_unconfirmed
from se_search.report.format import count, duration
from se_search.report.run_facts import RunFacts
from se_search.store.confirmations import Round
from se_search.surrogate.decision import MIN_REPLICATES
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

FEWEST_TRIALS = 36  # opens three replicates, the fewest with which a search can be settled
GREATEST_FACTOR = 2.0  # trials are at most doubled before somebody looks again
LEAST_FACTOR = 1.25
FEWEST_LADDER = 90  # trials of a ladder; see ``search.segments``


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next.

    Attributes:
        text: a sentence; with a command it ends in a colon.
        command: to paste into a shell; None: nothing more is to be done.
        seconds: wall time that the command will take; None: not known.
        trials: total number of trials to which the command goes on with the run; None: it does
            something else.
    """

    text: str
    command: str | None = None
    seconds: float | None = None
    trials: int | None = None


def choose_next_step(
    front: PosteriorFront, facts: RunFacts, confirmation: Round | None = None
) -> NextStep:
    """Return the next step after a search.

    A search that has been stopped goes on; one that is not settled gets more trials, or a
    confirmation if no candidate is left; what is settled is confirmed if SE goes in, and left at
    that if it stays out.

    Args:
        front: what the run's trials say of each candidate.
        facts: what else is known of the run.
        confirmation: the last one of the run; None: there is none.
    """
    left = facts.num_wanted - facts.num_spent
    if left > 0 and not facts.has_ended:
        return _go_on(front, facts, facts.num_wanted, f"{facts.name_budget(left)} to go")
    if not front.is_modelled and facts.num_failed > facts.num_trainings:
        return NextStep(
            f"More trials would fail, too: {facts.num_failed:,} of {facts.num_trials:,} have "
            "failed. report.html lists why, and worker.log has the errors; what is wrong with the "
            "network, the recipe or the images is to be mended first."
        )
    if front.is_modelled and front.unproven is not None and front.num_compared > 1:
        # Of what proves nothing, chance level is left, or one accuracy of all trainings.
        if len({each.summary.accuracy for each in front.candidates}) == 1:
            return NextStep(
                "Nothing more can be found out with these data: more validation images, or harder "
                "ones, could tell candidates apart."
            )
        return _train_longer(facts)
    if front.settled.is_settled and front.decision.kind == "put":
        if confirmation is None or confirmation.result is None:
            what = "confirm it in replicates that did not choose it"
            return _confirm(front.listed, facts, what, beside=_count_beside(front.listed))
        if missed := list_unconfirmed(confirmation, front):
            return _confirm(missed, facts, "confirm what the confirmation has missed", beside=0)
        return choose_next_look(confirmation, facts)
    if front.settled.is_settled and front.decision.kind == "leave":
        return NextStep("Nothing more is to be done.")
    if front.settled.is_settled:  # with the option it would end again before a training
        kept = tuple(word for word in facts.arguments if word != "--stop-when-settled")
        facts = replace(facts, arguments=kept)
    if facts.is_exhausted:
        what = "all candidates have been trained, and only fresh replicates can tell more"
        beside = _count_beside(front.credible_set)
        options = ("--candidates", "all-credible")
        return _confirm(front.credible_set, facts, what, *options, beside=beside)
    if facts.evidence is not None and not facts.num_trials:
        return _test_scores(facts)
    wanted = count_trials(front, facts.num_spent)
    more = facts.name_budget(wanted - facts.num_spent, more=True)
    return _go_on(front, facts, wanted, more)


def count_trials(front: PosteriorFront, num_trials: int) -> int:
    """Return how many trials in all may settle a search: twice as many as now at most.

    The width of an interval falls with the square root of the number of trainings.
    """
    settled, factor = front.settled, GREATEST_FACTOR
    if settled.gap is not None:
        factor = min(GREATEST_FACTOR, max(LEAST_FACTOR, (settled.gap / settled.tolerance) ** 2))
    return max(FEWEST_TRIALS, -(-round(factor * num_trials) // 10) * 10)


def _go_on(front: PosteriorFront, facts: RunFacts, wanted: int, what: str) -> NextStep:
    seconds = facts.time(wanted - facts.num_spent, facts.trial_seconds)
    has_few = front.num_compared < MIN_REPLICATES and _asks_for_few(facts.arguments)
    more = ["--replicates", str(MIN_REPLICATES)] if has_few else []
    better, promising = front.better_untrained, ""
    # Half of the tolerance is what the choice of a candidate takes as no difference.
    if better is not None and better.expected_rise >= front.settled.tolerance / 2:
        promising = (
            f"; {better.placement}, not trained so far, is expected to gain "
            f"{100 * better.expected_rise:.2f} points more than any trained one of its cost or less"
        )
    text = f"Next: {what}{_describe_time(seconds)}{promising}"
    command = facts.continue_command(wanted, *more)
    if command is None:
        return NextStep(f"{text}; the folder needs another name first, which --name takes.")
    return NextStep(f"{text}:", command, seconds, wanted)


def _test_scores(facts: RunFacts) -> NextStep:
    """Return the step from supernets alone to trainings, without which no gain is known."""
    text = "Next: train some of the candidates for themselves, by which the scores are tested"
    wanted = max(FEWEST_LADDER, 2 * facts.num_wanted)
    command = facts.continue_command(wanted, "--evaluator", "ladder")
    if command is None:
        return NextStep(f"{text}; the folder needs another name first, which --name takes.")
    return NextStep(f"{text}:", command, None, wanted)


def _asks_for_few(arguments: Sequence[str]) -> bool:
    """Tell whether a run was given fewer replicates than settling takes."""
    if "--replicates" not in arguments:
        return False
    return int(arguments[arguments.index("--replicates") + 1]) < MIN_REPLICATES


def _train_longer(facts: RunFacts) -> NextStep:
    epochs = 2 * facts.epochs
    seconds = facts.time(2 * facts.num_wanted, facts.trial_seconds)
    return NextStep(
        f"Next: a run of its own that trains longer{_describe_time(seconds)}:",
        facts.anew_command(f"{epochs}-epochs", facts.num_wanted, "--epochs", str(epochs)),
        seconds,
    )


def _confirm(
    candidates: Sequence[PosteriorCandidate], facts: RunFacts, what: str, *more: str, beside: int
) -> NextStep:
    """Return the step that confirms candidates, and ``beside`` others with them."""
    if not facts.has_test:
        return NextStep(
            "Nothing more can be done with these data: they have no test images (a part val or "
            "test), on which a confirmation judges."
        )
    seconds = facts.time(LOOKS[0] * (len(candidates) + beside), facts.full_seconds)
    return NextStep(
        f"Next: {what}{_describe_time(seconds)}:", facts.confirm_command(*more), seconds
    )


def _count_beside(candidates: Sequence[PosteriorCandidate]) -> int:
    """Count SE everywhere, and the plain network if it is none of the candidates."""
    return 2 - any(each.is_plain for each in candidates)


def choose_next_look(last: Round, facts: RunFacts) -> NextStep:
    """Return the next step after a confirmation: its next look, or nothing more.

    Args:
        last: the confirmation, which has a result.
        facts: what else is known of the run.
    """
    assert last.result is not None
    open_claims = last.result.open_claims
    plan = last.stated.plan
    if plan.looks[-1] < fewest_replicates():
        return NextStep(
            f"Next: more replicates, for {count(plan.looks[-1], 'replicate')} can decide nothing, "
            f"and {fewest_replicates()} are the fewest that can:",
            facts.confirm_command("--replicates", str(LOOKS[0])),
        )
    if not open_claims:
        return NextStep("Nothing more is to be confirmed.")
    reached = min(claim.num_replicates for claim in open_claims)
    look = plan.looks[plan.num_reached(reached)]
    have = {each.key: each.num_replicates for each in last.result.candidates}
    due = [claim for claim in open_claims if claim.num_replicates == reached]
    missing = sum(max(0, look - have[key]) for key in {k for c in due for k in (c.a, c.b)})
    seconds = facts.time(missing, facts.full_seconds) if missing else None
    return NextStep(
        f"Next: look at {count(len(open_claims), 'open claim')} in {look} replicates, "
        f"{count(missing, 'training')} more{_describe_time(seconds)}:",
        facts.confirm_command(),
        seconds,
    )


def _describe_time(seconds: float | None) -> str:
    return "" if seconds is None else f" (about {duration(seconds)})"
