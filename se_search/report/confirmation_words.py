"""Says in words what the answer of a confirmation rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from se_search.analysis.confirmation import Confirmation, Confirmed
from se_search.report.format import count, interval, points
from se_search.store.confirmations import Round, count_readings

VISIBLE = 0.00005  # half of the last digit of a gain, as a share


def confirmation_sentences(rounds: Sequence[Round]) -> list[str]:
    """Return what the last confirmation has found beside what to do, the most important first."""
    last = rounds[-1]
    assert last.result is not None
    result = last.result
    return [
        *_say_recommended(result),
        *_say_winner(result),
        _say_looks(last, result),
        *_say_too_good(result),
        *_say_front(result),
        _say_test(rounds),
        *_say_failures(last),
    ]


def _say_recommended(result: Confirmation) -> list[str]:
    """Say whether the recommended candidate is worse than one that costs no more."""
    chosen, claims = result.recommended, result.not_worse
    if chosen is None or not claims:
        return []
    margin = claims[0].text.rpartition(" ")[2]
    outcomes = [claim.outcome for claim in claims]
    what = f"than any confirmed candidate of its cost or less by more than {margin} points"
    if all(outcome == "supported" for outcome in outcomes):
        return [f"The recommended {_name(chosen)} is not worse {what}."]
    if "refuted" in outcomes:
        names = {c.key: _name(c) for c in result.candidates}
        better = ", ".join(names[c.b] for c in claims if c.outcome == "refuted")
        return [
            f"The recommended {_name(chosen)} is worse by more than {margin} points than {better}."
        ]
    left = sum(outcome == "undecided" for outcome in outcomes)
    return [
        f"Whether the recommended {_name(chosen)} is worse {what} is undecided for {left} of "
        f"{len(claims)}."
    ]


def _say_winner(result: Confirmation) -> list[str]:
    """Name the best candidate, with its gain on replicates that did not choose it."""
    winner = result.winner
    if winner is None:
        return []
    name = next(_name(c) for c in result.candidates if c.key == winner.key)
    luck = winner.mean - winner.gain
    chosen = (
        f"; its plain mean of {points(winner.mean)} is too good, for it was chosen by it"
        if luck >= VISIBLE
        else ""
    )
    return [
        f"Largest mean gain: {name}. In replicates that had no part in choosing it, the best one "
        f"gains {points(winner.gain)} points ({interval(100 * winner.low, 100 * winner.high)}; "
        f"halves of {count(winner.num_replicates, 'replicate')} chose, the others judged){chosen}."
    ]


def _say_looks(last: Round, result: Confirmation) -> str:
    plan = last.stated.plan
    endings = [claim.ending for claim in result.claims]
    words = {
        "decided": "decided",
        "futile": "given up, as a later decision had become unlikely",
        "spent": "undecided at the last look",
        "open": "open",
    }
    found = ", ".join(
        f"{endings.count(key)} {word}" for key, word in words.items() if key in endings
    )
    family = sum(
        c.claim is not None and c.claim.family_outcome == "supported" for c in result.candidates
    )
    saved = (
        f" Looking saves {count(result.num_saved, 'training')} of the whole plan."
        if result.num_saved
        else ""
    )
    return (
        f"{count(len(endings), 'claim')}, judged on test images in {plan} stated beforehand: "
        f"{found}. Each has a chance of at most {100 * plan.alpha:g} % to be supported falsely, "
        f"however often it was looked at; after Holm's correction over all, {family} "
        f"{'is' if family == 1 else 'are'} supported to beat the plain network.{saved}"
    )


def _say_too_good(result: Confirmation) -> list[str]:
    mean = result.mean_too_good
    if mean is None:
        return []
    checked = [held for c in result.members if (held := _is_held(c)) is not None]
    covered = (
        f"; its 95 % intervals hold {sum(checked)} of {len(checked)} of them, the fresh gains' own "
        "error allowed for"
        if checked
        else ""
    )
    word = "too good" if mean >= 0 else "too low"
    return [
        f"The search's gains were {100 * abs(mean):.2f} points {word}, on average over what it "
        f"lists, against fresh gains on validation images{covered}."
    ]


def _is_held(candidate: Confirmed) -> bool | None:
    """Tell whether the search's interval holds the fresh gain; None: one is not known."""
    low, high, gain = candidate.search_low, candidate.search_high, candidate.gain
    if candidate.too_good is None or low is None or high is None:
        return None
    if gain is None or gain.low is None or gain.high is None:
        return None
    reach = math.hypot((high - low) / 2, (gain.high - gain.low) / 2)
    return abs(candidate.too_good) <= reach


def _say_front(result: Confirmation) -> list[str]:
    members = result.members
    if not members:
        return []
    there = sum(member.on_front for member in members)
    sure = sum((member.front_probability or 0.0) >= 0.5 for member in members)
    lost = [member.placement for member in members if not member.on_front]
    gone = f"; no longer there: {', '.join(lost)}" if lost else ""
    be = "is" if sure == 1 else "are"
    likely = (
        ""
        if all(member.front_probability is None for member in members)
        else f" Allowing for the noise that is left, {sure} of them {be} there more likely than "
        "not."
    )
    return [
        f"{there} of {count(len(members), 'confirmed member')} of the search's list "
        f"{'is' if there == 1 else 'are'} on the front of the fresh gains{gone}.{likely}"
    ]


def _say_test(rounds: Sequence[Round]) -> str:
    readings = count_readings(rounds)
    num_test = f"{rounds[-1].num_images[1]:,} test images"
    if readings <= 1:
        return (
            f"The {num_test} were read by this confirmation for the first time, after the last "
            "epoch of each training."
        )
    return (
        f"The {num_test} have been read by {readings} confirmations of this run: whoever chooses "
        "between candidates by them has used them up, and needs other images to report."
    )


def _say_failures(last: Round) -> list[str]:
    if not last.failures:
        return []
    return [
        f"{count(len(last.failures), 'training')} failed: {last.failures[-1]}; the same command "
        "makes them again."
    ]


def _name(candidate: Confirmed) -> str:
    return candidate.placement
