"""What the page of a run shows, as values: the templates only lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from se_search.candidate import Candidate
from se_search.report.answer import Answer
from se_search.report.checklist import Item, list_items
from se_search.report.confirmation import confirmation_table
from se_search.report.confirmation_answer import answer_confirmation
from se_search.report.confirmed import describe_confirmation
from se_search.report.effects import caution, describe_figure, shown_effects
from se_search.report.figures.confirmation import prepare_confirmation
from se_search.report.figures.effects import prepare_effects
from se_search.report.figures.forest import Forest
from se_search.report.figures.front_points import FrontFigure, prepare_front
from se_search.report.format import count, gain, round_up, significant
from se_search.report.hardware import count_all_grounds, describe_hardware
from se_search.report.latency import describe_latency, latency_table, whole_table
from se_search.report.page.candidates import CandidateTable, list_candidates
from se_search.report.page.commands import Command, list_commands, locate_next_step
from se_search.report.page.failures import FailureGroup, group_failures, list_failures
from se_search.report.page.gates import GatesPart, prepare_gates_part
from se_search.report.page.ladder import LadderPart, prepare_ladder_part
from se_search.report.page.strip import WidthScale
from se_search.report.page.weights import WeightsPart, prepare_weights_part
from se_search.report.places import PlaceGain, list_places
from se_search.report.rungs import rung_warnings, rungs_table
from se_search.report.source import Source
from se_search.report.table import ResultTable
from se_search.run_config import name_data
from se_search.store.supernets import Supernets
from se_search.surrogate.history import History
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

VERDICTS = {"put": "Put SE in", "leave": "Leave SE out", "nothing": "Nothing can be said"}
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something to be seen at a glance: a word or a number, what it is, and what limits it."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConfirmationPart:
    """A confirmation: its answer, table, figure, and what fresh replicates have shown besides."""

    answer: Answer
    table: ResultTable
    figure: Forest
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LatencyPart:
    """What SE takes in time: tables of its blocks and of candidates measured whole, and words."""

    table: ResultTable
    whole: ResultTable | None
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that a page shows.

    Attributes:
        name: the run's.
        settings: names of what was searched and how, with their values.
        verdict: what to do, in a few words.
        answer: the three sentences; its command can be given in any folder.
        facts: where SE goes, what it gains and costs, and how sure that is.
        network: the candidate of the answer, or else the plain network.
        scale: of squeeze widths, in all drawings.
        parsed: candidates by their keys.
        front: its figure.
        front_table: what is listed.
        places: gains along the network.
        without_places: why there are none.
        effects: their figure; None: there is no model.
        effects_notes: what the effects rest on.
        history: how the run came to what it knows.
        confirmation: None: there is none with a result.
        confirmation_note: why there is none, or that it is stale.
        gates: of a candidate; None: none have been looked at.
        rungs: table of rungs; None: the run has none.
        rung_notes: rungs that mislead.
        ladder: what cheap scores are worth; None: the run was searched without supernets.
        latency: what SE takes in time; None: the run has measured none.
        candidates: all of them.
        weights: what is kept of them, and what was exported.
        failures: of the search, by reason.
        confirmation_failures: of the last confirmation.
        num_trials: of any state.
        checklist: items by heading.
        commands: how to go on.
    """

    name: str
    settings: tuple[tuple[str, str], ...]
    verdict: str
    answer: Answer
    facts: tuple[Fact, ...]
    network: Candidate
    scale: WidthScale
    parsed: Mapping[str, Candidate]
    front: FrontFigure
    front_table: CandidateTable
    places: tuple[PlaceGain, ...]
    without_places: str | None
    effects: Forest | None
    effects_notes: tuple[str, ...]
    history: History | None
    confirmation: ConfirmationPart | None
    confirmation_note: str
    gates: GatesPart | None
    rungs: ResultTable | None
    rung_notes: tuple[str, ...]
    ladder: LadderPart | None
    latency: LatencyPart | None
    candidates: CandidateTable
    weights: WeightsPart
    failures: tuple[FailureGroup, ...]
    confirmation_failures: tuple[str, ...]
    num_trials: int
    checklist: Mapping[str, Sequence[Item]]
    commands: tuple[Command, ...]


def prepare_page(source: Source) -> Page:
    """Return what the page of a run shows."""
    front, facts = source.front, source.facts
    backbone = facts.space.backbone
    parsed = {
        each.summary.key: Candidate.parse(each.summary.candidate, backbone)
        for each in front.candidates
    }
    last = source.rounds[-1] if source.rounds else None
    step = locate_next_step(front, facts, last)
    answer = replace(source.answer, next_step=step)
    scale = WidthScale.of(parsed.values())
    network = Candidate.plain(backbone)
    if answer.candidate is not None:
        network = Candidate.parse(answer.candidate, backbone)
    effects = front.effects
    places = () if effects is None else list_places(effects.main)
    return Page(
        name=facts.run.resolve().name,
        settings=_list_settings(source),
        verdict=_tell_verdict(source),
        answer=answer,
        facts=_list_facts(source),
        network=network,
        scale=scale,
        parsed=parsed,
        front=prepare_front(front, facts.costs, ""),
        front_table=list_candidates(front, parsed, scale, only_listed=True),
        places=places,
        without_places=None if places else (answer.without_places or front.reason),
        effects=None
        if effects is None
        else prepare_effects(shown_effects(effects), "", describe_figure(effects)),
        effects_notes=() if effects is None else tuple(caution(effects).splitlines()),
        history=source.history,
        confirmation=_prepare_confirmation(source),
        confirmation_note="\n".join(describe_confirmation(source.rounds, front)[1:])
        or _explain_no_confirmation(source),
        gates=prepare_gates_part(source.gates),
        rungs=rungs_table(source.rungs) if source.rungs else None,
        latency=_prepare_latency(source),
        rung_notes=tuple(rung_warnings(source.rungs, facts.epochs)),
        ladder=prepare_ladder_part(facts.evidence),
        candidates=list_candidates(front, parsed, scale),
        weights=prepare_weights_part(source),
        failures=tuple(group_failures(source.records)),
        confirmation_failures=tuple(list_failures(source.rounds)),
        num_trials=facts.num_trials,
        checklist=list_items(source.config, source.records, source.rounds, source.fresh),
        commands=tuple(list_commands(facts, answer)),
    )


def _tell_verdict(source: Source) -> str:
    evidence = source.facts.evidence
    if evidence is not None and evidence.is_alone:
        return "An order by supernets, and no gains"
    return VERDICTS[source.answer.kind]


def _list_settings(source: Source) -> tuple[tuple[str, str], ...]:
    identity, search = source.config["identity"], source.config["search"]
    facts, front = source.facts, source.front
    data = identity["data"]
    images = f"{facts.num_validation:,} validate"
    if "train" in data:
        images = f"{data['train']:,} train, {images}"
    settings = {
        "network": identity["backbone"]["name"],
        "images": f"{name_data(source.config)} ({images})",
        "space": f"{Path(search['space']).name}, {facts.space.size:,} candidates",
        "supernets": "" if facts.evidence is None else _tell_supernets(facts.evidence.supernets),
        "trainings": f"{facts.num_trainings:,} of {count(len(front.candidates), 'candidate')}",
        "replicates": f"{front.num_replicates:,}",
        "epochs": f"{facts.epochs:,}",
        "hardware": describe_hardware(
            source.config, *count_all_grounds(source.records, source.fresh)
        )
        or "",
    }
    return tuple((name, value) for name, value in settings.items() if value)


def _tell_supernets(supernets: Supernets) -> str:
    return f"{supernets.num_ended:,}, worth {supernets.spent:.1f} trainings"


def _list_facts(source: Source) -> tuple[Fact, ...]:
    front = source.front
    return (
        _tell_gain(source),
        _tell_cost(source),
        Fact(
            "How sure",
            "settled" if front.settled.is_settled else "not settled",
            _tell_certainty(front),
        ),
    )


def _tell_gain(source: Source) -> Fact:
    front, kind = source.front, source.answer.kind
    taken = _find_taken(front, kind)
    if taken is not None:
        value, _, ends = gain(taken.gain, taken.low, taken.high, "points").partition(" (")
        interval = f"95 % interval {ends.rstrip(')')}, in fresh replicates" if ends else ""
        return Fact("What it gains", value.replace("-", MINUS), interval.replace("-", MINUS))
    limit = front.decision.gain_limit
    if limit is None or front.unproven is not None:
        return Fact("What it gains", "not known", "")
    is_told = kind == "nothing"  # by the answer, in these digits
    most = f"{100 * limit:.1f}" if is_told else significant(round_up(100 * limit))
    detail = "the most that any trained candidate gains, 95 % limit"
    return Fact("What SE may gain", f"{most} points at most", detail)


def _tell_cost(source: Source) -> Fact:
    front, kind = source.front, source.answer.kind
    taken = _find_taken(front, kind)
    if taken is not None:
        summary = taken.summary
        share = 100 * summary.added_macs / max(1, summary.macs - summary.added_macs)
        slower = summary.added_latency_pct
        time = "" if slower is None else f", and {significant(slower)} % more time"
        return Fact(
            "What it costs",
            f"+{significant(summary.added_params_pct)} % parameters",
            f"{summary.added_params:,} parameters more, and {significant(share)} % more MACs{time}",
        )
    if kind == "leave":
        return Fact("What it costs", "nothing", "the network stays as it is")
    added = [each.summary.added_params_pct for each in front.candidates if not each.is_plain]
    if not added:
        return Fact("What it costs", "not known", "")
    return Fact(
        "What SE costs",
        f"{significant(min(added))} to {significant(max(added))} %",
        "more parameters, of the candidates that were trained",
    )


def _prepare_latency(source: Source) -> LatencyPart | None:
    table = source.latency
    if table is None:
        return None
    return LatencyPart(
        latency_table(table),
        whole_table(table, table.front) if table.front else None,
        tuple(describe_latency(table)),
    )


def _tell_certainty(front: PosteriorFront) -> str:
    gap, tolerance = front.settled.gap, front.settled.tolerance
    replicates = count(front.num_compared, "replicate")
    if gap is None:
        return "There is no model of the trainings yet."
    if front.unproven is not None:
        return f"Nothing is proven: {front.unproven}."
    return (
        f"Another candidate may be better by {significant(round_up(100 * gap))} points at most; "
        f"{100 * tolerance:g} are tolerated. SE was compared with the plain network in "
        f"{replicates}."
    )


def _find_taken(front: PosteriorFront, kind: str) -> PosteriorCandidate | None:
    return front.recommended if kind == "put" else None


def _prepare_confirmation(source: Source) -> ConfirmationPart | None:
    last = source.rounds[-1] if source.rounds else None
    if last is None or last.result is None:
        return None
    answer = answer_confirmation(source.rounds, source.facts)
    return ConfirmationPart(
        answer,
        confirmation_table(last),
        prepare_confirmation(last),
        tuple(answer.how_sure.splitlines()),
    )


def _explain_no_confirmation(source: Source) -> str:
    if source.rounds and source.rounds[-1].result is not None:
        return ""
    if source.rounds:
        return "A confirmation has begun, and has no result yet."
    return (
        "This run has not been confirmed, so that the test images have not been read. A "
        "confirmation trains what is listed again, in replicates that did not choose it."
    )
