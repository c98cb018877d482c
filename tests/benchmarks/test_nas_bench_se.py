"""NAS-Bench-SE: its space, how it is looked up, and what its files hold."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.nas_bench_se.definition import BACKBONE, FOLDER, SPACE, list_candidates
from benchmarks.nas_bench_se.table import MEASURES, NASBenchSE, QueryError
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import CandidateError, RunError
from se_search.recipe import read_recipe

PLAIN = "resnet20_bottleneck"


# --- the space ----------------------------------------------------------------------------------


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
    for name in SPACE.space.choices.integration:
        assert 8 <= sum(name in text for text in texts) <= 24


# --- how it is looked up ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return NASBenchSE.read()


def test_a_file_that_was_changed_is_refused(tmp_path):
    for name in ("nas_bench_se.csv", "epochs.csv", "correct.npy", "manifest.json"):
        shutil.copy(FOLDER / name, tmp_path)
    with (tmp_path / "nas_bench_se.csv").open("a") as file:
        file.write("1\n")
    with pytest.raises(RunError, match=r"nas_bench_se.csv is not the file that manifest.json"):
        NASBenchSE.read(tmp_path)


@pytest.mark.parametrize(
    "text", [PLAIN, f"{PLAIN}/all=none", f" {PLAIN}/stage2=pre:r4/stage2=none"]
)
def test_any_spelling_of_a_candidate_finds_its_training(table, text):
    """The numbers are copied from the files, by hand."""
    found = table.query(text, epochs=2, seed=1)
    assert found.validation_accuracy == 0.8702
    assert found.test_loss == 0.3787190673828125
    assert found.curve.train_loss.tolist() == [0.8870980739593506, 0.39186981320381165]


def test_the_bits_are_those_of_the_images(table):
    found = table.query(PLAIN, epochs=2, seed=0)
    assert len(found.validation_correct) == len(found.test_correct) == 10_000
    assert found.validation_correct.mean() == found.validation_accuracy
    assert found.test_correct.mean() == found.test_accuracy


@pytest.mark.parametrize(
    ("candidate", "epochs", "seed", "text"),
    [
        (PLAIN, 2, 5, r"no training of 2 epochs with seed 5; of 2 epochs it has seeds 0, 1"),
        (
            PLAIN,
            8,
            0,
            r"no training of 8 epochs with seed 0; of 2 epochs .* 0, 1; of 6 epochs .* 0",
        ),
        (str(list_candidates()[200]), 2, 0, r"the table has 128 of 321 candidates"),
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
    assert table.to_benchmark_csv(path, epochs=2, seeds=2) == 128
    rows = list(csv.DictReader(path.read_text().splitlines()))
    stages = [f"x_stage{stage}" for stage in (2, 3, 4, 5)]
    assert list(rows[0]) == ["x_integration", *stages, "cost", "accuracy_1", "accuracy_2"]
    for row, candidate in zip(rows, list_candidates()[:128], strict=True):
        blocks = [f"{s[2:]}={row['x_integration']}:{row[s]}" for s in stages if row[s] != "none"]
        assert Candidate.parse("/".join([PLAIN, *blocks]), BACKBONE) == candidate
        assert int(row["cost"]) == count_cost(candidate).params
        for seed in (0, 1):
            accuracy = table.query(candidate, epochs=2, seed=seed).validation_accuracy
            assert float(row[f"accuracy_{seed + 1}"]) == pytest.approx(100 * accuracy)


def test_a_table_for_samplers_needs_a_candidate_with_all_seeds(table, tmp_path):
    with pytest.raises(QueryError, match="no candidate has trainings of 2 epochs with 3 seeds"):
        table.to_benchmark_csv(tmp_path / "samplers.csv", epochs=2, seeds=3)


def test_a_table_for_samplers_has_shorter_trainings_where_they_are_asked_for(table, tmp_path):
    path = tmp_path / "samplers.csv"
    assert table.to_benchmark_csv(path, epochs=6, seeds=1, shorter=[2]) == 128
    row = list(csv.DictReader(path.read_text().splitlines()))[1]
    for column, epochs in (("accuracy_1", 6), ("accuracy_1@2", 2)):
        found = table.query(list_candidates()[1], epochs=epochs, seed=0)
        assert float(row[column]) == pytest.approx(100 * found.validation_accuracy)
    assert list(row)[-2:] == ["accuracy_1", "accuracy_1@2"]


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
    files = {
        "space": (SPACE.space, {"description"}),
        "recipe": (read_recipe(str(FOLDER / "recipe.yaml")), {"description", "epochs"}),
    }
    for name, (model, left_out) in files.items():
        fields = model.model_dump(mode="json", exclude=left_out, exclude_unset=True)
        assert manifest["table"][name] == fields, name
    keys = " ".join(sorted(candidate.key for candidate in list_candidates()))
    assert manifest["table"]["candidates"] == hashlib.sha256(keys.encode()).hexdigest()[:12]
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
    names = ["key", "epochs", "seed", *MEASURES]
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
