"""Two runs side by side: only of one protocol, and paired where they share replicates."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from support.kept_runs import make_front, make_run, make_trial
from support.made_up_fronts import GOOD, PLAIN, make_candidate

from se_search.errors import RunChangedError, RunError
from se_search.report.run_comparison import (
    compare_fronts,
    comparison_event,
    print_comparison,
    read_compared,
    refuse_other_protocol,
)

OTHER = make_candidate("s3:8", 0.009, 0.004, added=300)
SEEDS = (0, 1, 2, 3)
FIRST = [0.811, 0.823, 0.802, 0.835]  # accuracies of s2:4, by seed
SECOND = [0.815, 0.820, 0.811, 0.829]  # of s3:8


def controls():
    return [make_trial("no SE", 0.80 + seed / 100, seed) for seed in SEEDS]


@pytest.fixture
def compare(tmp_path):
    def run(first, second, fronts=((PLAIN, GOOD), (PLAIN, OTHER))):
        runs = []
        for name, records, candidates in zip("ab", (first, second), fronts, strict=True):
            folder = make_run(tmp_path / name, records)
            front = make_front(candidates=candidates, recommended_key=candidates[-1].summary.key)
            runs.append(read_compared(folder, front))
        return compare_fronts(*runs, ["params"])

    return run


def trainings(placement, accuracies, seeds=SEEDS):
    return [make_trial(placement, a, seed) for seed, a in zip(seeds, accuracies, strict=True)]


def test_a_pair_is_the_difference_of_two_candidates_in_the_replicates_of_both(compare):
    found = compare(controls() + trainings("s2:4", FIRST), controls() + trainings("s3:8", SECOND))
    level = found.levels[-1]
    assert [level.a.summary.placement, level.b.summary.placement] == ["s2:4", "s3:8"]
    differences = np.subtract(FIRST, SECOND)
    assert level.difference.mean == pytest.approx(differences.mean())
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert level.difference.interval == pytest.approx((interval.low, interval.high))
    assert level.difference.seeds == SEEDS


def test_replicates_of_other_images_are_no_pairs(compare):
    moved = [replace(t, split_hash="others") for t in trainings("s3:8", SECOND)]
    moved[0] = replace(moved[0], split_hash="split of 0")
    found = compare(controls() + trainings("s2:4", FIRST), controls() + moved)
    assert found.levels[-1].difference.seeds == (0,)
    assert found.levels[-1].difference.interval is None


def test_runs_without_a_common_replicate_have_no_pairs(compare):
    late = trainings("s3:8", SECOND, (10, 11, 12, 13))
    found = compare(controls() + trainings("s2:4", FIRST), late)
    assert found.levels[-1].difference is None
    assert found.num_repeated == 0


def test_each_cost_at_which_a_front_rises_is_a_row_and_no_other(compare):
    found = compare(controls() + trainings("s2:4", FIRST), controls() + trainings("s3:8", SECOND))
    assert [level.cost for level in found.levels] == [
        PLAIN.summary.params,
        GOOD.summary.params,
        OTHER.summary.params,
    ]
    assert found.levels[0].difference is None  # both are the plain network
    same = compare(controls(), controls(), ((PLAIN, GOOD), (PLAIN, GOOD)))
    assert len(same.levels) == 2


def test_trainings_that_both_runs_made_are_checked_against_each_other(compare):
    found = compare(controls() + trainings("s2:4", FIRST), controls() + trainings("s3:8", SECOND))
    assert (found.num_repeated, found.num_equal) == (4, 4)
    other = [replace(trial, accuracy=trial.accuracy + 1e-4) for trial in controls()[:1]]
    found = compare(controls(), other + controls()[1:])
    assert (found.num_repeated, found.num_equal) == (4, 3)


@pytest.mark.parametrize("width", [80, 160])
def test_a_comparison_fits_the_terminal_and_names_both_runs(compare, width):
    found = compare(controls() + trainings("s2:4", FIRST), controls() + trainings("s3:8", SECOND))
    console = Console(file=io.StringIO(), width=width)
    print_comparison(console, found)
    text = console.file.getvalue()
    table = [line for line in text.splitlines() if line.startswith(("│", "┃"))]
    assert max(map(len, table)) <= width
    assert "+0.62" in text
    assert "+0.90" in text
    assert "accuracies are equal to the bit" in " ".join(text.split())


def test_json_has_both_fronts_and_each_row(compare):
    found = compare(controls() + trainings("s2:4", FIRST), controls() + trainings("s3:8", SECOND))
    event = json.loads(json.dumps(comparison_event(found)))
    assert [len(run["front"]) for run in event["runs"]] == [2, 2]
    assert event["levels"][-1]["difference"]["seeds"] == list(SEEDS)
    assert event["levels"][-1]["a"]["placement"] == "s2:4"


@pytest.mark.parametrize(
    ("identity", "line"),
    [
        ({"epochs": 8}, "epochs: 4 in .*, 8 in "),
        ({"recipe": {"split": {"draw": "fixed"}}}, 'recipe.split.draw: "replicate" in .*"fixed"'),
        ({"data": {"name": "mnist", "validation": 10, "test": 10, "pool_share": 0.2}}, "data.name"),
        ({"backbone": {"name": "other"}}, "backbone.name"),
        ({"precision": "bf16-mixed"}, "precision: nothing in .*bf16-mixed"),
    ],
)
def test_runs_of_two_protocols_are_refused_with_what_differs(tmp_path, identity, line):
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b", identity=identity)
    with pytest.raises(RunChangedError, match=line) as caught:
        refuse_other_protocol(first, second)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "identity",
    [
        {"seed": 5},
        {"objectives": ["accuracy", "macs"]},
        {"backbone": {"name": "net", "sites": "0123456789ab"}},
    ],
)
def test_runs_that_differ_in_what_they_may_train_are_compared(tmp_path, identity):
    first = make_run(tmp_path / "a", identity={"backbone": {"name": "net"}})
    second = make_run(tmp_path / "b", identity={"backbone": {"name": "net"}} | identity)
    refuse_other_protocol(first, second)


def test_a_run_is_not_compared_with_itself(tmp_path):
    folder = make_run(tmp_path / "a")
    with pytest.raises(RunError, match="are one run: a comparison takes two"):
        refuse_other_protocol(folder, folder)
