"""What trainings of studies would take and could find out, told before any of them is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from se_search.analysis.comparison import POWER
from se_search.analysis.power import MAX_REPLICATES, fewest_replicates
from se_search.analysis.sequential import LOOKS
from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.execution.missing import id_of
from se_search.record import Assignment
from se_search.report.format import FEWEST_HOURS, count, significant
from se_search.reproduction.judge import group_trainings, measure_replicates
from se_search.reproduction.looks import list_wanted
from se_search.reproduction.plan import Plan
from se_search.reproduction.prospects import (
    Noise,
    Prospect,
    StudyProspects,
    assume_noise,
    foresee,
    measure_noise,
)
from se_search.reproduction.workload import Speed, list_speeds
from se_search.store.training_log import Training


@dataclass(frozen=True, slots=True)
class Workload:
    """The hours of trainings that are missing, on one device of a kind.

    Attributes:
        next_look: hours until the next look.
        whole_plan: hours if every claim stays open to the last look.
    """

    speed: Speed
    next_look: float
    whole_plan: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the trainings of studies that share a log would take and could find out.

    Attributes:
        num_networks: different networks among the candidates.
        num_done: trainings of the whole plan that are there.
        num_next: trainings that are missing for the next look.
        num_whole: trainings that are missing if every claim stays open to the last look.
        workloads: one a kind of device.
        studies: what each study can find out, by its name.
    """

    scale: str
    num_networks: int
    num_done: int
    num_next: int
    num_whole: int
    workloads: tuple[Workload, ...]
    studies: Mapping[str, StudyProspects]


def make_forecast(
    plans: Sequence[Plan], trainings: Sequence[Training], accelerator: str
) -> Forecast:
    """Tell what the missing trainings of plans that share a log would take and could find out.

    Args:
        plans: the plans.
        trainings: what their log has; hours are told of the rest.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """
    first = plans[0]
    done = {training.id for training in trainings}
    planned = {id_of(each): each for plan in plans for each in plan.assignments}
    whole = [each for name, each in planned.items() if name not in done]
    wanted = [each for each in list_wanted(plans, trainings) if id_of(each) not in done]

    def hours(speed: Speed, missing: Iterable[Assignment[Candidate]]) -> float:
        return speed.hours(missing, first.info.num_used, first.recipe.batch_size)

    noise = _find_noise(plans, trainings)
    return Forecast(
        scale=first.scale_name,
        num_networks=len({each.candidate.key for each in planned.values()}),
        num_done=len(planned) - len(whole),
        num_next=len(wanted),
        num_whole=len(whole),
        workloads=tuple(
            Workload(speed, hours(speed, wanted), hours(speed, whole))
            for speed in list_speeds(accelerator)
        ),
        studies={plan.name: foresee(plan.study, plan.claims, plan.looks, noise) for plan in plans},
    )


def describe_forecast(forecast: Forecast) -> list[str]:
    """Return a forecast as lines for people."""
    looks = dict.fromkeys(str(prospects.looks) for prospects in forecast.studies.values())
    lines = [
        f"{', '.join(forecast.studies)} at scale {forecast.scale}: "
        f"{count(forecast.num_networks, 'network')}, {'; or '.join(looks)}",
        f"Trainings: {_say_span(f'{forecast.num_next:,}', f'{forecast.num_whole:,}')}; "
        f"{forecast.num_done:,} are there",
    ]
    lines += [f"{_say_work(load)}, if {load.speed.assumption}" for load in forecast.workloads]
    lines += dict.fromkeys(map(_say_detectable, forecast.studies.values()))
    hopeless = [
        f"  {name}: {_say_hopeless(prospect)}"
        for name, prospects in forecast.studies.items()
        for prospect in prospects.hopeless
    ]
    if hopeless:
        num_claims = sum(len(prospects.prospects) for prospects in forecast.studies.values())
        lines += [
            f"Decided in less than {100 * POWER:.0f} % of cases, if the paper's differences are "
            f"the true ones (0 where it has none): {len(hopeless)} of {count(num_claims, 'claim')}",
            *hopeless,
        ]
    return lines


def forecast_event(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as plain data; differences are shares (0..1) of the images."""
    return {
        "event": "forecast",
        "scale": forecast.scale,
        "networks": forecast.num_networks,
        "trainings": {
            "done": forecast.num_done,
            "next_look": forecast.num_next,
            "whole_plan": forecast.num_whole,
        },
        "hours": [
            {
                "unit": f"{load.speed.device}-hours",
                "next_look": load.next_look,
                "whole_plan": load.whole_plan,
                "assumption": load.speed.assumption,
            }
            for load in forecast.workloads
        ],
        "studies": [
            {
                "name": name,
                "looks": list(prospects.looks.looks),
                "sd": prospects.noise[1].sd,
                "sd_source": prospects.noise[1].source,
                "detectable": _finite(prospects.detectable),
                "claims": [
                    {
                        "claim": str(each.claim),
                        "supposed": each.difference,
                        "power": each.power,
                        "replicates_needed": each.needed,
                    }
                    for each in prospects.prospects
                ],
            }
            for name, prospects in forecast.studies.items()
        ],
    }


def refuse_hopeless(studies: Mapping[str, StudyProspects]) -> None:
    """Refuse plans under which every claim of a study is likely to stay undecided.

    Raises:
        RunError: there is such a study; the message names its claims and the replicates that
            would decide them.
    """
    reasons = [
        f"{name}: {_say_detectable(prospects)}"
        + "".join(f"\n  {_say_hopeless(prospect)}" for prospect in prospects.hopeless)
        for name, prospects in studies.items()
        if prospects.decides_nothing
    ]
    if reasons:
        raise RunError(
            f"trainings are not begun if no claim is decided in {100 * POWER:.0f} % of cases.\n"
            + "\n".join(reasons)
            + f"\n--replicates N takes more, up to {LOOKS[-1]}; --force trains all the same"
        )


def _find_noise(plans: Sequence[Plan], trainings: Sequence[Training]) -> dict[int, Noise]:
    """Return the noise that the studies' trainings tell of, and what is assumed of the rest."""
    info = plans[0].info
    by_key = {c.key: c for plan in plans for c in plan.candidates.values()}
    pairs = {
        (plan.candidates[claim.a].key, plan.candidates[claim.b].key)
        for plan in plans
        for claim in plan.claims
    }
    measured = measure_replicates(group_trainings(by_key, trainings), info.num_test)
    return assume_noise(info.kind, info.num_test) | measure_noise(pairs, measured)


def _say_span(next_look: str, whole_plan: str) -> str:
    if next_look == whole_plan:
        return f"{whole_plan} to the last look"
    return f"{next_look} to the next look, {whole_plan} if every claim stays open to the last one"


def _say_work(load: Workload) -> str:
    """Return the hours with two significant digits; below a tenth of an hour there are seconds."""
    is_short = load.whole_plan < FEWEST_HOURS
    unit, factor = ("seconds", 3600) if is_short else ("hours", 1)
    next_look, whole = (
        significant(float(f"{factor * hours:.1e}")) for hours in (load.next_look, load.whole_plan)
    )
    return f"{load.speed.device}-{unit}: {_say_span(next_look, whole)}"


def _say_detectable(prospects: StudyProspects) -> str:
    noise, last = prospects.noise[1], prospects.looks.looks[-1]
    if math.isinf(prospects.detectable):
        return (
            f"Found: nothing; {count(last, 'replicate')} can't decide any claim, "
            f"{fewest_replicates(1, prospects.looks.alpha)} are the fewest that can"
        )
    return (
        f"Found with 80 % power by {prospects.looks}: a difference of "
        f"{100 * prospects.detectable:.2f} points or more, if the difference of two networks "
        f"varies by {100 * noise.sd:.2f} points (standard deviation) from replicate to replicate "
        f"({noise.source})"
    )


def _say_hopeless(prospect: Prospect) -> str:
    assert prospect.power is not None
    if prospect.needed is None:
        return f"{prospect.claim} (the difference lies at its margin)"
    number = f"{prospect.needed:,}" if prospect.needed <= MAX_REPLICATES else "more than 10,000"
    most = "" if prospect.needed <= LOOKS[-1] else f"; a plan has {LOOKS[-1]} at most"
    return (
        f"{prospect.claim} (decided with a chance of {100 * prospect.power:.0f} %; about {number} "
        f"replicates would do{most})"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
