"""NAS-Bench-SE: what is trained, what is kept through crashes, and what is published."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.nas_bench_se import definition, export
from benchmarks.nas_bench_se.definition import BACKBONE, FOLDER, SPACE, list_candidates
from benchmarks.nas_bench_se.export import read_table, write_table
from benchmarks.nas_bench_se.table import NASBenchSE, QueryError
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import CandidateError, DivergedError, RunError, TooManyFailuresError
from se_search.execution.missing import list_assignments, train_missing
from se_search.execution.serial import SerialExecutor
from se_search.record import Evaluation
from se_search.store.training_log import TrainingLog, read_log

IDENTITY = {
    "format": 1,
    **definition.describe_files(),
    "data": {"validation": 20, "test": 17},
}
HERE = {"torch": "2.9", "numpy": "2.0", "hardware": "a CPU", "workers": 1}
PLAIN = "resnet20_bottleneck"


def make_up(assignment):
    """Return a training whose numbers are a function of the assignment, and are no round ones."""
    rng = np.random.default_rng([int(assignment.candidate.key, 16), assignment.seed])
    correct, test_correct = rng.random(20) < 0.7, rng.random(17) < 0.6
    history = tuple(
        {
            "epoch": epoch,
            "train_loss": rng.random() / 3,
            "accuracy": correct.mean(),
            "loss": rng.random() / 3,
            "test_accuracy": test_correct.mean(),
            "test_loss": rng.random() / 3,
        }
        for epoch in range(1, assignment.epochs + 1)
    )
    return Evaluation(
        accuracy=correct.mean(),
        loss=history[-1]["loss"],
        history=history,
        correct=np.packbits(correct).tobytes(),
        seconds=rng.random(),
        test_correct=np.packbits(test_correct).tobytes(),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "raw" / "trainings.jsonl"


@pytest.fixture
def train(path):
    """Train what is missing, and return what was trained."""

    def run(
        candidates=3,
        seeds=1,
        epochs=2,
        evaluate=make_up,
        workers=1,
        identity=IDENTITY,
        environment=HERE,
        **options,
    ):
        trained = []

        def note_and_evaluate(assignment):
            outcome = evaluate(assignment)
            trained.append(assignment)
            return outcome

        assignments = list_assignments(list_candidates()[:candidates], range(seeds), epochs)
        with TrainingLog(path, identity, environment, **options) as log:
            executor = SerialExecutor(note_and_evaluate, workers)
            train_missing(assignments, log, executor)
        return trained

    return run


# --- what is trained ----------------------------------------------------------------------------


def test_the_space_has_four_integrations_of_three_choices_in_four_stages():
    """Without SE the integration does not matter: 4 * (3**4 - 1) + 1."""
    candidates = list_candidates()
    assert len(set(candidates)) == len(candidates) == 4 * (3**4 - 1) + 1


def test_the_plain_backbone_comes_first_and_the_order_is_the_same_everywhere():
    keys = [candidate.key for candidate in list_candidates()]
    assert keys[:3] == ["b094808e0ac0", "bce754ba4371", "d52cc0d246cb"]


def test_the_order_favours_no_integration():
    """Of 64 of 320 candidates each integration has 16 +- 3.1 (hypergeometric)."""
    texts = [str(candidate) for candidate in list_candidates()[1:65]]
    for name in SPACE.choices.integration:
        assert 8 <= sum(name in text for text in texts) <= 24


def test_all_candidates_are_trained_with_one_seed_before_the_next(train):
    trained = train(candidates=3, seeds=2)
    firsts = list_candidates()[:3]
    assert [(a.candidate, a.seed) for a in trained] == [(c, s) for s in (0, 1) for c in firsts]


# --- what is kept -------------------------------------------------------------------------------


def test_what_is_there_is_not_trained_again(train):
    train(candidates=2)
    assert [a.candidate for a in train(candidates=4)] == list_candidates()[2:4]
    assert train(candidates=4) == []


def test_another_budget_is_another_training(train):
    train(candidates=2, epochs=2)
    assert len(train(candidates=2, epochs=8)) == 2


def test_a_line_that_was_cut_off_is_dropped_and_trained_again(train, path):
    train(candidates=3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert len(read_log(path).trainings) == 2
    assert [a.candidate for a in train(candidates=3)] == [list_candidates()[2]]
    assert path.read_bytes() == whole


def test_a_log_that_was_cut_off_in_its_first_line_begins_anew(train, path):
    train(candidates=1)
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    assert len(train(candidates=1)) == 1
    assert path.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_named(train, path):
    train(candidates=3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3][:50] + b"\n", *lines[4:]]))
    with pytest.raises(RunError, match=r"trainings.jsonl:4 is not a line of a log"):
        train(candidates=3)


def test_a_training_is_on_disk_before_the_next_begins(train, path):
    found = []

    def evaluate(assignment):
        contents = read_log(path)
        found.append(len(contents.trainings))
        return make_up(assignment)

    train(candidates=3, evaluate=evaluate)
    assert found == [0, 1, 2]


def test_a_training_that_fails_is_not_in_the_table_and_the_others_are(train, path):
    second = list_candidates()[1]

    def evaluate(assignment):
        if assignment.candidate == second:
            raise DivergedError("the loss is nan")
        return make_up(assignment)

    assert len(train(candidates=4, evaluate=evaluate)) == 3
    assert [a.candidate for a in train(candidates=4)] == [second]


def test_three_failures_in_a_row_end_it(train):
    def fail(assignment):
        raise DivergedError("the loss is nan")

    with pytest.raises(TooManyFailuresError, match="3 trainings in a row failed"):
        train(candidates=9, evaluate=fail)


def test_one_process_writes_at_a_time(train, path):
    with (
        TrainingLog(path, IDENTITY, HERE),
        pytest.raises(RunError, match="written by another process"),
    ):
        train()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"recipe": {"batch_size": 32}}, "recipe.batch_size: 64 there, 32 asked for"),
        (
            {"space": {"granularity": "block"}},
            'space.granularity: "stage" there, "block" asked for',
        ),
    ],
)
def test_trainings_of_another_space_or_recipe_are_never_mixed(train, change, text):
    train()
    with pytest.raises(RunError, match=text):
        train(identity=IDENTITY | change, mix=True)


def test_the_landed_table_is_of_protocol_1_and_takes_no_new_trainings(tmp_path):
    published = read_table(FOLDER)
    identity = {**published.identity, "protocol": 2}
    with (
        pytest.raises(RunError, match=r"mix trainings of protocol 1, .* new ones of protocol 2"),
        TrainingLog(tmp_path / "log.jsonl", identity, HERE, mix=True, published=published),
    ):
        pass


def test_another_version_of_torch_is_refused_unless_asked_for(train, path):
    train(candidates=1)
    elsewhere = HERE | {"torch": "2.10"}
    with pytest.raises(RunError, match=r'torch: "2\.9" there, "2\.10" here.*--mix-environments'):
        train(candidates=2, environment=elsewhere)
    train(candidates=2, environment=elsewhere, mix=True)
    contents = read_log(path)
    assert contents.environments == (HERE, elsewhere)
    assert [training.environment for training in contents.trainings] == [0, 1]


def test_the_number_of_workers_may_change(train, path):
    train(candidates=1)
    train(candidates=2, environment=HERE | {"workers": 2})
    assert [training.environment for training in read_log(path).trainings] == [0, 1]


# --- what is published --------------------------------------------------------------------------


@pytest.fixture
def table(train, path, tmp_path):
    """A table of 4 candidates with 2 seeds, and a fifth with seed 0."""
    train(candidates=5)
    train(candidates=4, seeds=2)
    write_table(path, tmp_path)
    return NASBenchSE.read(tmp_path)


def test_a_table_is_read_back_without_loss(train, path, tmp_path):
    train(candidates=5, seeds=2)
    write_table(path, tmp_path)
    log, published = read_log(path), read_table(tmp_path)
    assert sorted(published.trainings, key=str) == sorted(log.trainings, key=str)
    assert published.environments == log.environments


def test_the_same_trainings_give_the_same_files_whatever_their_order(train, path, tmp_path):
    train(candidates=5, seeds=2)
    write_table(path, tmp_path / "one")
    head, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, lines[0], *reversed(lines[1:])]))
    write_table(path, tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_a_table_without_its_log_grows(train, path, tmp_path):
    """As in a fresh clone, which has no log."""
    train(candidates=2)
    write_table(path, tmp_path / "grown")
    path.unlink()
    published = read_table(tmp_path / "grown")
    elsewhere = HERE | {"workers": 4}
    trained = train(candidates=4, environment=elsewhere, published=published)
    assert [a.candidate for a in trained] == list_candidates()[2:4]
    write_table(path, tmp_path / "grown")
    grown = read_table(tmp_path / "grown")
    assert grown.environments == (HERE, elsewhere)
    assert [training.environment for training in grown.trainings] == [0, 0, 1, 1]


def test_a_published_table_from_elsewhere_is_not_grown_unless_asked_for(train, path, tmp_path):
    train(candidates=2)
    write_table(path, tmp_path)
    path.unlink()
    with pytest.raises(RunError, match=r'numpy: "2\.0" there, "3\.0" here'):
        train(published=read_table(tmp_path), environment=HERE | {"numpy": "3.0"})


def test_a_file_that_was_changed_is_refused(table, tmp_path):
    with (tmp_path / "nas_bench_se.csv").open("a") as file:
        file.write("1\n")
    with pytest.raises(RunError, match=r"nas_bench_se.csv is not the file that manifest.json"):
        NASBenchSE.read(tmp_path)


def test_without_trainings_there_is_no_table(path, tmp_path):
    with pytest.raises(RunError, match="there are no trainings yet"):
        write_table(path, tmp_path)


@pytest.mark.parametrize(
    "text", [PLAIN, f"{PLAIN}/all=none", f" {PLAIN}/stage2=pre:r4/stage2=none"]
)
def test_any_spelling_of_a_candidate_finds_its_training(table, text):
    expected = make_up(list_assignments([Candidate.plain(BACKBONE)], range(2), 2)[1])
    found = table.query(text, epochs=2, seed=1)
    assert found.validation_accuracy == expected.accuracy
    assert found.test_loss == expected.history[-1]["test_loss"]
    assert found.curve.train_loss.tolist() == [row["train_loss"] for row in expected.history]


def test_the_bits_are_those_of_the_images(table):
    found = table.query(PLAIN, epochs=2, seed=0)
    assert len(found.validation_correct) == 20
    assert found.validation_correct.mean() == found.validation_accuracy
    assert len(found.test_correct) == 17
    assert found.test_correct.mean() == found.test_accuracy


@pytest.mark.parametrize(
    ("candidate", "epochs", "seed", "text"),
    [
        (PLAIN, 2, 5, r"no training of 2 epochs with seed 5; of 2 epochs it has seeds 0, 1"),
        (PLAIN, 8, 0, r"no training of 8 epochs with seed 0; of 2 epochs it has seeds 0, 1"),
        (str(list_candidates()[9]), 2, 0, r"the table has 5 of 321 candidates so far"),
        (f"{PLAIN}/all=inner:r4", 2, 0, r"is not in the table's space: .* identity.* 4 or 16"),
        (f"{PLAIN}/stage3.block1=pre:r4", 2, 0, r"is not in the table's space: .* whole stage"),
    ],
)
def test_a_training_that_is_not_there_is_an_error_that_says_what_is(
    table, candidate, epochs, seed, text
):
    with pytest.raises(QueryError, match=text):
        table.query(candidate, epochs=epochs, seed=seed)


def test_a_text_that_is_no_candidate_is_an_error(table):
    with pytest.raises(CandidateError, match="is not of the backbone"):
        table.query("resnet50", epochs=2, seed=0)


def test_the_table_for_samplers_has_a_row_for_each_candidate_with_all_seeds(table, tmp_path):
    path = tmp_path / "samplers.csv"
    assert table.to_benchmark_csv(path, epochs=2, seeds=2) == 4
    rows = list(csv.DictReader(path.read_text().splitlines()))
    stages = [f"x_stage{stage}" for stage in (2, 3, 4, 5)]
    assert list(rows[0]) == ["x_integration", *stages, "cost", "accuracy_1", "accuracy_2"]
    for row, candidate in zip(rows, list_candidates()[:4], strict=True):
        blocks = [f"{s[2:]}={row['x_integration']}:{row[s]}" for s in stages if row[s] != "none"]
        assert Candidate.parse("/".join([PLAIN, *blocks]), BACKBONE) == candidate
        assert int(row["cost"]) == count_cost(candidate).params
        for seed in (0, 1):
            accuracy = table.query(candidate, epochs=2, seed=seed).validation_accuracy
            assert float(row[f"accuracy_{seed + 1}"]) == pytest.approx(100 * accuracy)


def test_a_table_for_samplers_needs_a_candidate_with_all_seeds(table, tmp_path):
    with pytest.raises(QueryError, match="no candidate has trainings of 2 epochs with 3 seeds"):
        table.to_benchmark_csv(tmp_path / "samplers.csv", epochs=2, seeds=3)


def test_a_table_for_samplers_has_shorter_trainings_where_they_are_asked_for(train, path, tmp_path):
    train(candidates=3, seeds=2, epochs=2)
    train(candidates=2, seeds=2, epochs=8)
    write_table(path, tmp_path)
    table, csv_path = NASBenchSE.read(tmp_path), tmp_path / "samplers.csv"
    assert table.to_benchmark_csv(csv_path, epochs=8, seeds=2, shorter=[2]) == 2
    row = list(csv.DictReader(csv_path.read_text().splitlines()))[1]
    for column, epochs, seed in (("accuracy_2", 8, 1), ("accuracy_1@2", 2, 0)):
        found = table.query(list_candidates()[1], epochs=epochs, seed=seed)
        assert float(row[column]) == pytest.approx(100 * found.validation_accuracy)
    assert list(row)[-4:] == ["accuracy_1", "accuracy_2", "accuracy_1@2", "accuracy_2@2"]


# --- the table that comes with the project ------------------------------------------------------


@pytest.fixture(scope="module")
def manifest():
    return json.loads((FOLDER / "manifest.json").read_text())


@pytest.fixture(scope="module")
def trainings():
    return pd.read_csv(FOLDER / "nas_bench_se.csv", dtype={"key": str})


def test_the_files_are_those_that_the_manifest_describes(manifest):
    assert set(manifest["files"]) == {"nas_bench_se.csv", "epochs.csv", "correct.npy"}
    for name, described in manifest["files"].items():
        data = (FOLDER / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == described["sha256"], name
        assert len(data) == described["bytes"]


def test_the_files_have_as_many_rows_as_the_manifest_says(manifest, trainings):
    correct = np.load(FOLDER / "correct.npy")
    curves = pd.read_csv(FOLDER / "epochs.csv", dtype={"key": str})
    rows = {name: described["rows"] for name, described in manifest["files"].items()}
    assert rows == {
        "nas_bench_se.csv": len(trainings),
        "epochs.csv": len(curves),
        "correct.npy": len(correct),
    }
    assert len(curves) == trainings.epochs.sum()
    assert manifest["counts"]["trainings"] == len(trainings)
    assert not trainings.duplicated(["key", "epochs", "seed"]).any()


def test_the_table_is_of_this_space_and_recipe(manifest):
    for name, value in definition.describe_files().items():
        assert manifest["table"][name] == value, name
    assert manifest["table"]["backbone"]["digest"] == definition.digest_backbone()
    sizes = {name: manifest["table"]["data"][name] for name in ("train", "validation", "test")}
    assert sizes == {"train": 10_000, "validation": 10_000, "test": 10_000}


def test_the_costs_in_the_table_are_those_of_the_candidates(trainings):
    for row in trainings.drop_duplicates("key").itertuples():
        candidate = Candidate.parse(row.candidate, BACKBONE)
        cost = count_cost(candidate)
        assert row.key == candidate.key
        assert candidate == list_candidates()[row.order]
        expected = (cost.params, cost.added_params, cost.macs, cost.added_macs)
        assert (row.params, row.added_params, row.macs, row.added_macs) == expected


def test_the_bits_of_the_table_count_to_its_accuracies(trainings):
    shares = np.unpackbits(np.load(FOLDER / "correct.npy"), axis=2).mean(axis=2)
    assert shares[:, 0] == pytest.approx(trainings.validation_accuracy.to_numpy())
    assert shares[:, 1] == pytest.approx(trainings.test_accuracy.to_numpy())


def test_the_last_epochs_are_the_values_of_the_trainings(trainings):
    curves = pd.read_csv(FOLDER / "epochs.csv", dtype={"key": str})
    last = curves[curves.epoch == curves.epochs]
    names = ["key", "epochs", "seed", *export.MEASURES.values()]
    assert last[names].reset_index(drop=True).equals(trainings[names])


def test_every_column_is_described(manifest, trainings):
    readme = Path(FOLDER / "README.md").read_text()
    assert list(manifest["columns"]) == list(trainings.columns)
    for name in trainings.columns:
        assert f"`{name}`" in readme, name


def test_the_networks_of_the_table_have_learnt(trainings):
    """Ten classes: chance is 10 %."""
    assert (trainings.validation_accuracy > 0.75).all()
    assert (trainings.test_accuracy > 0.75).all()
