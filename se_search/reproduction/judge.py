"""Judges a study: its candidates' accuracies, its claims, and what SE costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from se_search.analysis.claims import Claim
from se_search.analysis.comparison import MIN_PAIRED, PairedComparison, compare
from se_search.analysis.replicates import Replicates, shared_replicates
from se_search.analysis.sequential import LookPlan
from se_search.analysis.verdicts import Case, Verdict, judge_all, judge_looks, replicates_wanted
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import backbone_in_channels, default_shape, describe_backbone
from se_search.reproduction.study_file import CostTable, PaperFigures, StudyFile
from se_search.store.replicates import Measure, pack_replicates
from se_search.store.training_log import Environment, Training


@dataclass(frozen=True, slots=True)
class Setting:
    """How the trainings of a study were made.

    Attributes:
        name: name of the study.
        scale: name of the scale.
        data: name of the data set.
        epochs: length of each training.
        looks: at how many replicates claims are looked at; None: the number of replicates was
            fixed beforehand.
        replicates: the replicates that trainings are of, or will be of at the last look.
        num_before: trainings that were there when the looks and claims were stated.
        num_images: numbers of images that train, validate and test.
    """

    name: str
    scale: str
    backbone: str
    data: str
    epochs: int
    recipe_hash: str
    looks: LookPlan | None
    replicates: tuple[int, ...]
    num_images: tuple[int, int, int]
    num_before: int = 0


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """One candidate of a study with its trainings; accuracies are shares, 0..1.

    Attributes:
        name: the candidate's name in the study.
        candidate: the text form.
        added_params_pct: added parameters in per cent of the plain backbone's.
        replicates: the replicates that it has been trained in, ascending.
        num_possible: how many replicates of it the plan may still take, those that it has
            included: fewer than the whole plan once every claim about it has ended.
        validation: mean accuracy on the validation images; None: it has no training.
        top1: top-1 accuracy on the test images, one a replicate.
        top5: top-5 accuracy on the test images, one a replicate; empty where the data set has no
            more than five classes.
        against_baseline: of its top-1 accuracy with the baseline's; None: it is the baseline, or
            the two share too few replicates. Under a plan of looks its interval is a repeated one.
        paper: figures of the paper; None: the paper has none for it.
    """

    name: str
    candidate: str
    placement: str
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    replicates: tuple[int, ...]
    num_possible: int
    validation: float | None
    top1: tuple[float, ...]
    top5: tuple[float, ...]
    against_baseline: PairedComparison | None
    paper: PaperFigures | None


@dataclass(frozen=True, slots=True)
class CostRow:
    """The parameters that one placement of SE adds to one backbone.

    Attributes:
        name: of the placement.
        added_params_pct: in per cent of the plain backbone's parameters.
        last_stage_share: share of the added parameters that lies in the last stage, 0..1.
    """

    backbone: str
    name: str
    params: int
    added_params: int
    added_params_pct: float
    last_stage_share: float


@dataclass(frozen=True, slots=True)
class StudyReport:
    """The results of a study at one scale.

    Attributes:
        verdicts: one a judged claim, in the order of the study.
        unjudged: claims whose candidates share fewer replicates than the first look needs, or
            fewer than two.
        num_missing: number of trainings that the next look still lacks.
        num_saved: number of trainings of the whole plan that no look can ask for any more.
        seconds: wall time of all trainings, added up.
        environments: versions and hardware of the trainings.
        folder: where the files of the results lie.
    """

    setting: Setting
    study: StudyFile
    candidates: tuple[CandidateResult, ...]
    verdicts: tuple[Verdict, ...]
    unjudged: tuple[Claim, ...]
    costs: tuple[CostRow, ...]
    num_missing: int
    num_saved: int
    seconds: float
    environments: tuple[Environment, ...]
    folder: Path


def judge_study(
    folder: Path,
    setting: Setting,
    study: StudyFile,
    claims: Sequence[Claim],
    candidates: Mapping[str, Candidate],
    trainings: Sequence[Training],
    environments: Sequence[Environment],
) -> StudyReport:
    """Summarise a study's candidates and judge its claims.

    Args:
        folder: where the files of the results are to lie; nothing is written here.
        setting: how the trainings were made.
        study: the study's file, which names the baseline and the paper's figures.
        claims: the study's claims.
        candidates: by their names in the study.
        trainings: finished trainings of these candidates, of the setting's replicates and epochs.
        environments: all environments of the trainings' log.
    """
    own = group_trainings(candidates, trainings)
    by_top = measure_replicates(own, setting.num_images[2])
    top1, top5 = by_top[1], by_top[5]
    cases = list_cases(claims, by_top)
    verdicts = _judge(cases, setting.looks)
    judged = {verdict.claim for verdict in verdicts}
    whole = dict.fromkeys(candidates, len(setting.replicates))
    wanted = whole if setting.looks is None else count_wanted(candidates, cases, setting.looks)
    possible = _count_possible(whole, wanted, claims, verdicts)
    results = []
    for name, candidate in candidates.items():
        cost = count_cost(candidate)
        against = None
        if name != study.baseline:
            against = _compare(top1.get(name), top1.get(study.baseline), setting.looks)
        results.append(
            CandidateResult(
                name=name,
                candidate=str(candidate),
                placement=candidate.placement,
                params=cost.params,
                added_params=cost.added_params,
                added_params_pct=cost.added_params_pct,
                macs=cost.macs,
                replicates=tuple(training.seed for training in own[name]),
                num_possible=max(possible[name], len(own[name])),
                validation=_mean_validation(own[name]),
                top1=tuple(top1[name].accuracies.tolist()) if name in top1 else (),
                top5=tuple(top5[name].accuracies.tolist()) if name in top5 else (),
                against_baseline=against,
                paper=study.figures.get(name),
            )
        )
    num_missing = _count_missing(candidates, own, wanted)
    used = sorted({training.environment for training in trainings})
    return StudyReport(
        setting=setting,
        study=study,
        candidates=tuple(results),
        verdicts=tuple(verdicts),
        unjudged=tuple(claim for claim in claims if claim not in judged),
        costs=() if study.costs is None else tuple(_count_costs(study.costs)),
        num_missing=num_missing,
        num_saved=_count_missing(candidates, own, whole)
        - _count_missing(candidates, own, possible),
        seconds=sum(training.seconds for training in trainings),
        environments=tuple(environments[number] for number in used),
        folder=folder,
    )


def group_trainings(
    candidates: Mapping[str, Candidate], trainings: Iterable[Training]
) -> dict[str, list[Training]]:
    """Return the trainings of each candidate by its name, replicates ascending."""
    by_key: dict[str, list[Training]] = {}
    for training in sorted(trainings, key=lambda training: training.seed):
        by_key.setdefault(training.key, []).append(training)
    return {name: by_key.get(candidate.key, []) for name, candidate in candidates.items()}


def measure_replicates(
    own: Mapping[str, Sequence[Training]], num_test: int
) -> dict[int, dict[str, Replicates]]:
    """Return the trainings by top-1 and by top-5 accuracy (keys 1 and 5), of each name with any.

    Args:
        own: the trainings of each candidate by its name.
        num_test: number of test images.
    """
    measures: dict[int, Measure] = {1: "test_accuracy", 5: "test_top5"}
    return {top: _replicates(own, measure, num_test) for top, measure in measures.items()}


def list_cases(
    claims: Iterable[Claim], by_top: Mapping[int, Mapping[str, Replicates]]
) -> list[Case | Claim]:
    """Return each claim with the trainings of its A and B, or alone if one of them has none."""
    cases: list[Case | Claim] = []
    for claim in claims:
        a, b = by_top[claim.top].get(claim.a), by_top[claim.top].get(claim.b)
        cases.append(claim if a is None or b is None else (claim, a, b))
    return cases


def count_wanted(
    names: Iterable[str], cases: Sequence[Case | Claim], looks: LookPlan
) -> dict[str, int]:
    """Return how many replicates of each candidate the next looks need.

    Every candidate is trained up to the first look, and further as long as an open claim is about
    it. Where there are no claims, nothing says when to stop, and all have the whole plan.
    """
    wanted = dict.fromkeys(names, looks.looks[0] if cases else looks.looks[-1])
    for case in cases:
        number = replicates_wanted(case, looks)
        claim = case if isinstance(case, Claim) else case[0]
        for name in (claim.a, claim.b):
            wanted[name] = max(wanted[name], number or 0)
    return wanted


def _judge(cases: Sequence[Case | Claim], looks: LookPlan | None) -> list[Verdict]:
    if looks is not None:
        return [verdict for verdict in judge_looks(cases, looks) if verdict is not None]
    return judge_all(
        case
        for case in cases
        if not isinstance(case, Claim) and len(shared_replicates(*case[1:])) >= MIN_PAIRED
    )


def _count_possible(
    whole: Mapping[str, int],
    wanted: Mapping[str, int],
    claims: Sequence[Claim],
    verdicts: Sequence[Verdict],
) -> dict[str, int]:
    """Return how many replicates of each candidate its plan may take at most, as things stand.

    That is the whole plan before the first look, and as long as a claim about a candidate is open.

    Args:
        whole: replicates of the whole plan.
        wanted: replicates up to the next look.
        claims: the study's claims.
        verdicts: of the claims that have been judged.
    """
    ended = {verdict.claim for verdict in verdicts if verdict.ending != "open"}
    still = {name for claim in claims if claim not in ended for name in (claim.a, claim.b)}
    return {
        name: number if name in still or not verdicts else wanted[name]
        for name, number in whole.items()
    }


def _compare(
    own: Replicates | None, base: Replicates | None, looks: LookPlan | None
) -> PairedComparison | None:
    if own is None or base is None:
        return None
    shared = shared_replicates(own, base)
    if looks is None:
        return compare(own, base) if len(shared) >= MIN_PAIRED else None
    reached = looks.num_reached(len(shared))
    if not reached:
        return None
    seen = shared[: looks.looks[reached - 1]]
    return compare(own.only(seen), base.only(seen), confidence=looks.confidence(reached - 1))


def _count_missing(
    candidates: Mapping[str, Candidate],
    own: Mapping[str, Sequence[Training]],
    wanted: Mapping[str, int],
) -> int:
    """Count the trainings that are wanted and not there; names of one network count once."""
    missing: dict[str, int] = {}
    for name, candidate in candidates.items():
        number = max(0, wanted[name] - len(own[name]))
        missing[candidate.key] = max(missing.get(candidate.key, 0), number)
    return sum(missing.values())


def _replicates(
    own: Mapping[str, Sequence[Training]], measure: Measure, num_test: int
) -> dict[str, Replicates]:
    """Return the trainings that have a measure, of each name that has any."""
    with_measure = {
        name: [training for training in trainings if measure in training.history[-1]]
        for name, trainings in own.items()
    }
    return {
        name: pack_replicates(trainings, measure, num_test)
        for name, trainings in with_measure.items()
        if trainings
    }


def _mean_validation(trainings: Sequence[Training]) -> float | None:
    if not trainings:
        return None
    return statistics.fmean(training.history[-1]["accuracy"] for training in trainings)


def _count_costs(table: CostTable) -> Iterator[CostRow]:
    for name in table.backbones:
        channels, image_size, num_classes = default_shape(name)
        backbone = describe_backbone(
            name,
            backbone_in_channels(name, channels, allow_code=False),
            image_size,
            num_classes,
            allow_code=False,
        )
        last = f"stage{backbone.stages[-1]}"
        for title, text in table.candidates.items():
            cost = count_cost(Candidate.parse(f"{name}/{text.format(last=last)}", backbone))
            yield CostRow(
                backbone=name,
                name=title,
                params=cost.params,
                added_params=cost.added_params,
                added_params_pct=cost.added_params_pct,
                last_stage_share=cost.by_stage[last].added_params / cost.added_params,
            )
