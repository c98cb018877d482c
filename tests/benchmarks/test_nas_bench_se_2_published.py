"""The file and the README of NAS-Bench-SE 2 that come with the project."""

import base64
import hashlib
import json
import re
from contextlib import chdir

import pandas as pd
import pytest

from benchmarks.nas_bench_se_2 import definition
from benchmarks.nas_bench_se_2.definition import BACKBONE, FOLDER, RECIPE, list_candidates
from benchmarks.nas_bench_se_2.short_trainings import compare_short
from benchmarks.nas_bench_se_2.table import NASBenchSE2
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.training.split import split_seed

CANDIDATES = list_candidates()


@pytest.fixture(scope="module")
def manifest():
    return json.loads((FOLDER / "manifest.json").read_text())


@pytest.fixture(scope="module")
def trainings():
    return pd.read_csv(FOLDER / "nas_bench_se_2.csv", dtype={"key": str, "split_hash": str})


def test_the_file_is_the_one_that_the_manifest_describes(manifest, trainings):
    data = (FOLDER / "nas_bench_se_2.csv").read_bytes()
    assert manifest["files"] == {
        "nas_bench_se_2.csv": {
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "rows": len(trainings),
        }
    }
    assert len(data) < 20e6
    assert manifest["counts"]["trainings"] == len(trainings)
    assert not trainings.duplicated(["key", "epochs", "replicate"]).any()


def test_the_table_is_of_this_space_and_recipe(manifest):
    for name, value in definition.describe_files().items():
        assert manifest["table"][name] == value, name
    sizes = {name: manifest["table"]["data"][name] for name in ("train", "validation", "test")}
    assert sizes == {"train": 6_000, "validation": 10_000, "test": 10_000}


def test_the_costs_in_the_table_are_those_of_the_networks(trainings):
    for row in trainings.drop_duplicates("key").itertuples():
        candidate = Candidate.parse(row.candidate, BACKBONE)
        cost = count_cost(candidate)
        assert row.key == candidate.key
        assert candidate == CANDIDATES[row.order]
        expected = (cost.params, cost.added_params, cost.macs, cost.added_macs)
        assert (row.params, row.added_params, row.macs, row.added_macs) == expected


@pytest.mark.parametrize("images", ["validation", "test"])
def test_the_bits_of_the_table_count_to_its_accuracies(trainings, images):
    whole = trainings[trainings.epochs == RECIPE.epochs]
    bits = [base64.b64decode(text) for text in whole[f"{images}_correct"]]
    shares = [sum(byte.bit_count() for byte in row) / (8 * len(row)) for row in bits]
    assert shares == pytest.approx(whole[f"{images}_accuracy_{RECIPE.epochs}"].to_numpy())


def test_networks_share_the_split_of_a_replicate_and_replicates_draw_their_own(trainings):
    splits = trainings.groupby("replicate").agg({"split_hash": set, "split_seed": set})
    assert all(len(hashes) == 1 for hashes in splits.split_hash)
    assert len(set.union(*splits.split_hash)) == len(splits)
    for replicate, seeds in splits.split_seed.items():
        assert seeds == {split_seed(RECIPE.split, replicate)}


def test_every_column_is_described(manifest, trainings):
    readme = (FOLDER / "README.md").read_text()
    assert list(manifest["columns"]) == list(trainings.columns)
    for name in trainings.columns:
        assert f"`{name}`" in readme, name


def test_the_networks_of_the_table_have_learnt(trainings):
    """Ten classes: chance is 10 %."""
    whole = trainings[trainings.epochs == RECIPE.epochs]
    assert (whole.validation_accuracy_3 > 0.75).all()
    assert (whole.test_accuracy_3 > 0.75).all()


def test_the_reader_s_example_gives_what_the_table_says(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    found = {}
    with chdir(FOLDER):
        exec(blocks[0], found)
    table = NASBenchSE2.read()
    crossed = table.accuracies("test")
    expected = 100 * (crossed.loc[1] - crossed.loc[0])
    assert found["gains"].loc[1, expected.index].tolist() == pytest.approx(expected.tolist())
    first = found["whole"].iloc[0]
    training = table.query(first.candidate, replicate=first.replicate)
    assert found["right"][0].tolist() == training.test_correct.tolist()
    assert capsys.readouterr().out.count("sem") == 5


def test_the_networks_that_the_readme_asks_for_are_in_the_table():
    readme = (FOLDER / "README.md").read_text()
    asked = re.search(r'table\.query\("(.*?)", replicate=0\)', readme).group(1)
    spelt = re.search(r"any spelling .*?: `(.*?)`, or `(.*?)`", readme, re.DOTALL).groups()
    table = NASBenchSE2.read()
    found = [table.query(text, replicate=0).candidate for text in (asked, *spelt)]
    assert found[0] == found[2] != found[1]


def test_trainings_of_one_epoch_tell_what_the_page_of_measured_figures_says():
    found = compare_short(NASBenchSE2.read(), 1)
    assert (found.num_networks, found.num_replicates) == (126, 6)
    page = " ".join((FOLDER.parents[1] / "docs" / "measured.md").read_text().split())
    spread = found.spread
    assert f"deviation {spread.networks.value:.2f} points, a training's noise" in page
    assert f"a training's noise {spread.rest.value:.2f})" in page
    assert f"(Kendall's tau {found.tau:.2f})" in page
