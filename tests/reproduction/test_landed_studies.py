"""The landed trainings were made by protocol 1: they are judged as before, and never continued."""

import json
import shutil
from collections import Counter

import pytest
from support.sessions import MadeUpSessions

from se_search.analysis.replicates import paired_differences
from se_search.analysis.verdicts import p_values_of
from se_search.errors import RunError, StudyFileError
from se_search.reproduction.judge import group_trainings, list_cases, measure_replicates
from se_search.reproduction.looks import read_trainings
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.plan import make_plan
from se_search.reproduction.reproduce import forecast_studies, reproduce
from se_search.reproduction.study_file import studies_folder
from se_search.store.training_log import TrainingLog, read_log

LANDED = studies_folder() / "protocol_1"
LOG = "resnet20_bottleneck-fashion_mnist-6305df1c1025.jsonl"


@pytest.fixture
def store(tmp_path):
    shutil.copy(LANDED / LOG, tmp_path / LOG)
    return tmp_path


def options(store, **changes):
    return ReproduceOptions(names=("gate",), store=store, **changes)


def carry_out(store, **changes):
    def train(assignment):
        raise AssertionError("trained")

    return reproduce(options(store, **changes), lambda _: None, MadeUpSessions(train))


def test_they_are_judged_with_the_results_that_were_landed(store):
    carry_out(store, train=False)
    landed = LANDED / "gate" / "desk" / "results.md"
    assert (store / "gate" / "desk" / "results.md").read_bytes() == landed.read_bytes()


def test_they_are_judged_without_training_as_a_fixed_number_of_replicates(store):
    (report,), _ = carry_out(store)
    assert report.num_missing == 0
    assert report.setting.looks is None
    assert {verdict.comparison.n for verdict in report.verdicts} == {9}
    assert not (store / "gate" / "desk" / "plan.yaml").exists()


def test_all_verdicts_are_those_that_were_published(tmp_path):
    shutil.copy(LANDED / LOG, tmp_path / LOG)
    landed = sorted(folder.parent.name for folder in LANDED.glob("*/desk"))
    assert len(landed) == 8
    words = Counter()
    for name in landed:
        plan = make_plan(name, ReproduceOptions(names=(name,), store=tmp_path))
        own = group_trainings(plan.candidates, read_trainings(plan).trainings)
        for claim, a, b in list_cases(plan.claims, measure_replicates(own, plan.info.num_test)):
            words[p_values_of(claim, paired_differences(a, b)).outcome(0.05)] += 1
    assert words == {"supported": 8, "refuted": 7, "undecided": 21}


def test_they_are_not_continued(store):
    before = (store / LOG).read_bytes()
    with pytest.raises(RunError, match=r"6305df1c1025.jsonl holds .*earlier protocol.*Without"):
        carry_out(store, replicates=12)
    assert (store / LOG).read_bytes() == before
    assert not [path for path in store.glob("*.jsonl") if path.name != LOG]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"data": {"name": "fashion_mnist", "train": 12_001, "validation": 10_000, "test": 10_000}},
        {"recipe": {}},
    ],
)
def test_trainings_of_any_other_identity_are_not_taken_for_them(store, change):
    lines = (store / LOG).read_text().splitlines(keepends=True)
    first = json.loads(lines[0])
    first["identity"] |= change
    (store / LOG).write_text(json.dumps(first) + "\n" + "".join(lines[1:]))
    assert read_trainings(make_plan("gate", options(store))) is None
    with pytest.raises(StudyFileError, match="no trainings of gate yet"):
        carry_out(store, train=False)


def test_new_trainings_of_the_same_recipe_have_a_log_of_their_own(tmp_path):
    plan = make_plan("gate", options(tmp_path))
    assert plan.earlier_log.name == LOG
    assert plan.log.name != LOG
    assert plan.identity["protocol"] == 3


def test_a_log_of_protocol_1_takes_no_new_training_under_any_name(store):
    plan = make_plan("gate", options(store))
    (store / LOG).rename(plan.log)
    with (
        pytest.raises(RunError, match=r"mix trainings of protocol 1, .* new ones of protocol 3"),
        TrainingLog(plan.log, plan.identity, {}, mix=True),
    ):
        pass
    assert len(read_log(plan.log).trainings) > 0


def test_there_is_nothing_to_plan_where_they_are(store):
    notes = []
    assert forecast_studies(options(store, only_plan=True), notes.append) == []
    assert "earlier protocol, which are judged as they are" in notes[0]
