"""Judges a study: its candidates' accuracies, its claims, and what SE costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from se_search.analysis.claims import Claim
from se_search.analysis.comparison import MIN_PAIRED, PairedComparison, compare
from se_search.analysis.replicates import Replicates, shared_replicates
from se_search.analysis.verdicts import Verdict, judge_all
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
        seeds: the seeds that each candidate is to be trained with.
        num_images: numbers of images that train, validate and test.
    """

    name: str
    scale: str
    backbone: str
    data: str
    epochs: int
    recipe_hash: str
    seeds: tuple[int, ...]
    num_images: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """One candidate of a study with its trainings; accuracies are shares, 0..1.

    Attributes:
        name: the candidate's name in the study.
        candidate: the text form.
        added_params_pct: added parameters in per cent of the plain backbone's.
        seeds: the seeds that it has been trained with, ascending.
        validation: mean accuracy on the validation images; None: it has no training.
        top1: top-1 accuracy on the test images, one a seed.
        top5: top-5 accuracy on the test images, one a seed; empty where the data set has no more
            than five classes.
        against_baseline: of its top-1 accuracy with the baseline's; None: it is the baseline, or
            the two share fewer than two seeds.
        paper: figures of the paper; None: the paper has none for it.
    """

    name: str
    candidate: str
    placement: str
    params: int
    added_params: int
    added_params_pct: float
    macs: int
    seeds: tuple[int, ...]
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
        unjudged: texts of the claims whose candidates share fewer than two seeds.
        num_missing: number of trainings that the study still lacks.
        seconds: wall time of all trainings, added up.
        environments: versions and hardware of the trainings.
        folder: where the files of the results lie.
    """

    setting: Setting
    study: StudyFile
    candidates: tuple[CandidateResult, ...]
    verdicts: tuple[Verdict, ...]
    unjudged: tuple[str, ...]
    costs: tuple[CostRow, ...]
    num_missing: int
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
        trainings: finished trainings of these candidates, with the setting's seeds and epochs.
        environments: all environments of the trainings' log.
    """
    by_key: dict[str, list[Training]] = {}
    for training in sorted(trainings, key=lambda training: training.seed):
        by_key.setdefault(training.key, []).append(training)
    own = {name: by_key.get(candidate.key, []) for name, candidate in candidates.items()}
    top1 = _replicates(own, "test_accuracy", setting)
    top5 = _replicates(own, "test_top5", setting)
    results = []
    for name, candidate in candidates.items():
        cost = count_cost(candidate)
        against = None
        if name != study.baseline and _can_be_compared(top1, name, study.baseline):
            against = compare(top1[name], top1[study.baseline])
        results.append(
            CandidateResult(
                name=name,
                candidate=str(candidate),
                placement=candidate.placement,
                params=cost.params,
                added_params=cost.added_params,
                added_params_pct=cost.added_params_pct,
                macs=cost.macs,
                seeds=tuple(training.seed for training in own[name]),
                validation=_mean_validation(own[name]),
                top1=tuple(top1[name].accuracies.tolist()) if name in top1 else (),
                top5=tuple(top5[name].accuracies.tolist()) if name in top5 else (),
                against_baseline=against,
                paper=study.paper.figures.get(name),
            )
        )
    by_top = {1: top1, 5: top5}
    judged = [claim for claim in claims if _can_be_compared(by_top[claim.top], claim.a, claim.b)]
    verdicts = judge_all((c, by_top[c.top][c.a], by_top[c.top][c.b]) for c in judged)
    used = sorted({training.environment for training in trainings})
    return StudyReport(
        setting=setting,
        study=study,
        candidates=tuple(results),
        verdicts=tuple(verdicts),
        unjudged=tuple(str(claim) for claim in claims if claim not in judged),
        costs=() if study.costs is None else tuple(_count_costs(study.costs)),
        num_missing=len({c.key for c in candidates.values()}) * len(setting.seeds) - len(trainings),
        seconds=sum(training.seconds for training in trainings),
        environments=tuple(environments[number] for number in used),
        folder=folder,
    )


def _replicates(
    own: Mapping[str, Sequence[Training]], measure: Measure, setting: Setting
) -> dict[str, Replicates]:
    """Return the trainings that have a measure, of each name that has any."""
    num_test = setting.num_images[2]
    with_measure = {
        name: [training for training in trainings if measure in training.history[-1]]
        for name, trainings in own.items()
    }
    return {
        name: pack_replicates(trainings, measure, num_test)
        for name, trainings in with_measure.items()
        if trainings
    }


def _can_be_compared(replicates: Mapping[str, Replicates], a: str, b: str) -> bool:
    if a not in replicates or b not in replicates:
        return False
    return len(shared_replicates(replicates[a], replicates[b])) >= MIN_PAIRED


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
