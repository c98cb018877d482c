"""Says what the trainings of a run ran on, what was mixed, and what they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from se_search.ground import Ground, list_differences
from se_search.record import RanOn, TrialRecord
from se_search.report.format import count
from se_search.store.confirmations import Round
from se_search.store.training_log import LogContents


def count_grounds(trainings: Iterable[TrialRecord | RanOn | None]) -> Counter[Ground]:
    """Return on what trainings ran, and how many on each; without those that do not tell it."""
    grounds = (None if training is None else training.ground for training in trainings)
    return Counter(ground for ground in grounds if ground is not None)


def count_all_grounds(
    records: Sequence[TrialRecord], fresh: LogContents | None
) -> tuple[Counter[Ground], Counter[Ground]]:
    """Return on what the trainings of a search ran, and on what those of its confirmations.

    Args:
        records: the trials of the search.
        fresh: the trainings of confirmations; None: there are none.
    """
    trainings = fresh.trainings if fresh is not None else ()
    return count_grounds(records), count_grounds(training.ran_on for training in trainings)


def describe_hardware(
    config: Mapping[str, Any], used: Counter[Ground], fresh: Counter[Ground]
) -> str | None:
    """Return the machine in a phrase, with what ran where if hardware or versions were mixed.

    Args:
        config: the run's ``config.yaml``; None is returned if it tells no hardware.
        used: on what the trainings of the search ran.
        fresh: on what those of confirmations ran.
    """
    hardware = config.get("hardware")
    if not hardware:
        return None
    text = (
        f"{hardware['name']} ({hardware['accelerator']}, {hardware['cores']} cores, "
        f"{count(hardware['devices'], 'device')}), {hardware['system']}"
    )
    mixed = list_mixed(used, fresh)
    return f"{text}; mixed: {', '.join(mixed)}" if mixed else text


def describe_unrepeatable(records: Sequence[TrialRecord], fresh: LogContents | None) -> str:
    """Name the operators that ran on CUDA without a repeatable version; empty: there were none.

    Args:
        records: the trials of the search.
        fresh: the trainings of confirmations; None: there are none.
    """
    ran_on = [training.ran_on for training in fresh.trainings if training.ran_on] if fresh else []
    texts = [one.unrepeatable for one in records] + [one.unrepeatable for one in ran_on]
    named = [text for text in texts if text]
    if not named:
        return ""
    operators = sorted({operator for text in named for operator in text.split(", ")})
    return (
        f". {count(len(named), 'training')} used operators of CUDA without a repeatable version, "
        f"and may have other numbers when made again: {', '.join(operators)}"
    )


def describe_time(
    records: Sequence[TrialRecord], rounds: Sequence[Round], fresh: LogContents | None
) -> str:
    """Say what trainings took: their own seconds, and the time of devices with all that was lost.

    Args:
        records: the trials of the search, of any state.
        rounds: the confirmations of the run, the oldest first.
        fresh: their trainings; None: there are none.
    """
    text = f"Search: {sum(r.seconds or 0.0 for r in records):,.0f} s of trainings, added up"
    if rounds:
        # A later round does not repeat the trainings of an earlier one, but counts them.
        text += f". Last confirmation: {rounds[-1].seconds:,.0f} s"
    text += ". Several trainings at a time take less wall time; the sampler's is not counted"
    searched = sum(record.device_seconds or 0.0 for record in records)
    if searched:
        num_more = sum((record.attempts or 1) - 1 for record in records)
        text += (
            f". Devices were taken for {searched / 3600:,.2f} h by the search, failed "
            f"trials and {count(num_more, 'repeated attempt')} included"
        )
    if fresh is None:
        return text
    efforts = [training.effort for training in fresh.trainings if training.effort is not None]
    total = sum(efforts, fresh.lost)
    num_lost = total.attempts - len(efforts)
    if not total.device_seconds:
        return text
    return (
        f"{text}. Confirmations took them for {total.device_seconds / 3600:,.2f} h, "
        f"{count(num_lost, 'failed or repeated attempt')} included"
    )


def describe_mixed(used: Counter[Ground], fresh: Counter[Ground]) -> str | None:
    """Return a sentence about the hardware and versions that trainings mix; None: they mix none.

    Args:
        used: on what the trainings of the search ran.
        fresh: on what those of confirmations ran.
    """
    mixed = list_mixed(used, fresh)
    if not mixed:
        return None
    return (
        f"Hardware or versions are mixed, and what they do is not told apart from noise: "
        f"{', '.join(mixed)}."
    )


def list_mixed(used: Counter[Ground], fresh: Counter[Ground]) -> list[str]:
    """Say how many trainings ran on what, a text a ground; empty if all ran on one."""
    differing = list_differences([*used, *fresh])
    if not differing:
        return []
    searched = [f"{count(n, 'training')} on {_name(one, differing)}" for one, n in used.items()]
    confirmed = [
        f"{count(n, 'training')} of confirmations on {_name(one, differing)}"
        for one, n in fresh.items()
    ]
    return searched + confirmed


def _name(ground: Ground, differing: Sequence[str]) -> str:
    facts = ground.facts()
    others = [f"{name} {facts[name]}" for name in differing if name != "device" and name in facts]
    return f"{ground.device} ({', '.join(others)})" if others else ground.device
