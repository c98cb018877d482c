"""The checklist: filled in from the run, or plainly not known."""

import re
from dataclasses import replace

import pytest
from support.made_up_configs import CONFIG
from support.records import make_record

from se_search.analysis.confirmation import Chosen, Confirmation, Confirmed
from se_search.analysis.confirming import Stated
from se_search.analysis.sequential import LookPlan
from se_search.record import Effort
from se_search.report.checklist import list_items, write_checklist
from se_search.store.confirmations import Round
from se_search.store.training_log import LogContents, Training

RECORDS = [
    make_record("a", 0.8, seed=3),
    make_record("a", 0.81, seed=4),
    make_record("b", 0.82, seed=3),
    make_record("c", 0.7, seed=3, state="PRUNED", epochs=1),
    make_record("d", 0.0, seed=3, state="FAIL"),
]
COSTS = (100, 0, 0.0, 1000, 0)
PLAIN = Chosen("tiny", "p", "no SE", ("plain backbone",), *COSTS, None, 0)
FAILED = Chosen("tiny/e", "e", "all", ("SE everywhere",), *COSTS, None, 0)
ROUND = Round(
    started="2026-01-02T03:04:05+00:00",
    asked_for=("front",),
    chosen=(PLAIN, FAILED),
    stated=Stated(LookPlan((2,)), (), ()),
    seeds=(1_000_003, 1_000_004),
    epochs=4,
    num_trials=5,
    num_images=(287, 360),
    reads_test=True,
    failures=("all, seed 1000003: out of memory",),
    seconds=40.0,
    result=Confirmation(
        (
            Confirmed("tiny", "p", "no SE", ("plain backbone",), *COSTS, None, 0, num_replicates=2,
                      accuracy=0.8, test_accuracy=0.79),
            Confirmed("tiny/e", "e", "all", ("SE everywhere",), *COSTS, None, 0),
        ),
        (),
        None,
        0.01,
        0.01,
        2,
        0,
    ),
)  # fmt: skip


def items(config=CONFIG, records=RECORDS, rounds=(), fresh=None):
    """Return all items by their questions."""
    found = list_items(config, records, rounds, fresh)
    return {item.question: item for group in found.values() for item in group}


def test_every_line_is_filled_in_or_says_what_the_run_does_not_know(tmp_path):
    path = tmp_path / "checklist.md"
    for rounds in ((), (ROUND,)):
        write_checklist(path, CONFIG, RECORDS, rounds)
        lines = path.read_text().splitlines()
        marked = [line for line in lines if line.startswith("- ")]
        assert len(marked) == len(items())
        assert all(re.fullmatch(r"- \[[x ]\] \*\*.+\.\*\* .+[.?]", line) for line in marked)
        assert "None" not in "".join(marked).replace("None:", "").replace("None was", "")


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Code and versions.", ["python 3.11.9", "torch 2.9.0"]),
        ("Command line.", ["--data 'folder:my images'"]),
        ("Training pipeline.", ["ba9876543210", "4 epochs", "crop_padding 2", "batches of 64"]),
        ("Protocol.", ["0123456789ab"]),
        ("Data and split.", ["1,150 images train", "287 validate", "360 test"]),
        ("Weight sharing.", ["None"]),
        ("Hardware.", ["a CPU", "2 cores"]),
        ("Failures.", ["1 trial of the search failed"]),
    ],
)
def test_what_the_run_recorded_is_in_its_item(question, words):
    assert all(word in items()[question].answer for word in words)


def test_repeats_are_counted_over_full_trainings():
    """Two seeds of a and one of b; the short one of c and the failed one of d are none."""
    assert "2 candidates with 3 full trainings, 1 candidate in two" in items()["Repeats."].answer


def test_replicates_of_search_and_confirmation_stand_apart():
    answer = items(rounds=(ROUND,))["Replicates."].answer
    assert "took turns among 2 replicates, named by their seeds, 3 to 4 (2 in all)" in answer
    assert "1000003 to 1000004 (2 in all)" in answer
    assert answer.startswith("The sampler's seed is ")


def test_controls_are_full_trainings_of_the_plain_network_a_replicate():
    assert items()["Controls."].answer is None
    control = replace(make_record("plain", 0.8, seed=4), candidate="tiny")
    answer = items(records=[*RECORDS, control])["Controls."].answer
    assert answer.startswith("The plain network was trained in 1 of 2 replicates")
    short = replace(control, state="PRUNED", epochs=1)
    assert items(records=[*RECORDS, short])["Controls."].answer is None


def test_the_epochs_of_short_trainings_count_and_those_of_failed_ones_do_not():
    assert "13 epochs in all" in items()["Budget."].answer


def test_the_test_split_is_unread_until_a_confirmation_reads_it():
    assert "have not been read" in items()["Test split."].answer
    read = items(rounds=(ROUND,))["Test split."].answer
    assert "read by 1 confirmation" in read
    assert "2026-01-02T03:04:05+00:00 (2 candidates x 2 replicates)" in read


def test_a_confirmation_that_trained_nothing_has_not_read_the_test_split():
    unread = replace(ROUND, reads_test=False)
    assert "have not been read" in items(rounds=(unread,))["Test split."].answer


def test_baselines_are_those_that_ended_well():
    assert items()["Baselines."].answer is None
    answer = items(rounds=(ROUND,))["Baselines."].answer
    assert "plain backbone" in answer
    assert "everywhere" not in answer


def test_the_search_and_the_confirmation_are_timed_apart():
    answer = items(rounds=(ROUND,))["Time."].answer
    assert "Search: 5 s" in answer
    assert "confirmation: 40 s" in answer


def test_the_time_of_devices_counts_failed_trials_and_repeated_attempts():
    effort = {"attempts": 2, "wall_seconds": 3600.0, "device_seconds": 1800.0}
    failed = replace(make_record("c", 0.0, state="FAIL"), **effort)
    answer = items(records=[replace(make_record("a", 0.8), **effort), failed])["Time."].answer
    assert "Devices were taken for 1.00 h by the search" in answer
    assert "2 repeated attempts" in answer


def test_the_time_of_devices_counts_what_confirmations_lost():
    effort = Effort(attempts=1, wall_seconds=1800.0, device_seconds=1800.0)
    training = Training("a", "tiny/a", 4, 7, 0, (), b"", b"", 9.0, effort=effort + effort)
    fresh = LogContents({}, (), (training,), 0, lost=effort)
    answer = items(rounds=(ROUND,), fresh=fresh)["Time."].answer
    assert "Confirmations took them for 1.50 h, 2 failed or repeated attempts included" in answer


def test_operators_without_a_repeatable_version_are_named():
    assert "repeatable" not in items()["Confounding factors."].answer
    records = [
        replace(make_record("a", 0.8), unrepeatable="cumsum, put_"),
        replace(make_record("b", 0.8), unrepeatable="put_"),
        make_record("c", 0.8),
    ]
    answer = items(records=records)["Confounding factors."].answer
    assert "2 trainings used operators of CUDA without a repeatable version" in answer
    assert answer.endswith(": cumsum, put_")


def test_a_recipe_with_a_micro_batch_says_so():
    identity = CONFIG["identity"]
    recipe = identity["recipe"] | {"micro_batch": 16}
    config = CONFIG | {"identity": identity | {"recipe": recipe}}
    assert "batches of 64 in pieces of up to 16," in items(config)["Training pipeline."].answer
    assert "batches of 64, schedule" in items()["Training pipeline."].answer


def test_hardware_that_was_mixed_is_named_with_its_numbers_of_trainings():
    ground = {"precision": "32-true", "torch": "2.14.1", "cuda": "13.0", "device": "an A100"}
    records = [replace(make_record(str(n), 0.8), **ground) for n in range(3)]
    assert "mixed" not in items(records=records)["Hardware."].answer
    records[1] = replace(records[1], device="an H100")
    answer = items(records=records)["Hardware."].answer
    assert answer.endswith("mixed: 2 trainings on an A100, 1 training on an H100")
    records[1] = replace(records[0], cuda="13.1")
    answer = items(records=records)["Hardware."].answer
    assert "2 trainings on an A100 (CUDA 13.0), 1 training on an A100 (CUDA 13.1)" in answer


def test_what_was_tuned_is_left_to_the_authors():
    assert items()["What was tuned."].answer is None
    assert str(items()["What was tuned."]).startswith("- [ ]")


def test_a_random_search_is_its_own_baseline():
    assert items()["Random search."].answer is None
    config = CONFIG | {"search": CONFIG["search"] | {"sampler": "random"}}
    assert items(config)["Random search."].answer == "The sampler of this run is random"


def test_a_config_that_lacks_parts_leaves_their_items_open():
    bare = {"identity": CONFIG["identity"]}
    found = items(bare)
    for question in ("Code and versions.", "Command line.", "Protocol.", "Hardware."):
        assert found[question].answer is None
        assert "has not recorded" in str(found[question])


def test_a_question_to_the_reader_ends_with_its_question_mark(tmp_path):
    path = tmp_path / "checklist.md"
    write_checklist(path, CONFIG, RECORDS)
    asked = [line for line in path.read_text().splitlines() if "?" in line.split("** ")[-1]]
    assert len(asked) >= 2
    assert all(line.endswith("?") for line in asked)
