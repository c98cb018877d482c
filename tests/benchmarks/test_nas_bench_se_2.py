"""NAS-Bench-SE 2: which networks come when, what is published, and how it is looked up."""

import csv
import json
import shutil
from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pytest

from benchmarks.nas_bench_se.table import QueryError
from benchmarks.nas_bench_se_2 import columns, definition
from benchmarks.nas_bench_se_2.definition import BACKBONE, RECIPE, SPACE, list_candidates
from benchmarks.nas_bench_se_2.export import find_crossed, read_table, write_table
from benchmarks.nas_bench_se_2.table import NASBenchSE2
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import CandidateError, DataError, RunError
from se_search.store.training_log import Training, TrainingLog, read_log
from se_search.training.datasets import PreparedData, describe_data
from se_search.training.split import draw_split

IDENTITY = {**definition.describe_files(), "format": 2, "data": {"validation": 20, "test": 17}}
HERE = {"torch": "2.9", "numpy": "2.0", "hardware": "a CPU", "workers": 1}
PLAIN = "resnet20_bottleneck"
CANDIDATES = list_candidates()
LABELS = np.random.default_rng(0).permutation(np.arange(60_000) % 10)


def make_up(order, replicate, epochs=3):
    """Return a training whose numbers are a function of the arguments, and are no round ones."""
    rng = np.random.default_rng([order, replicate, epochs])
    correct, test_correct = rng.random(20) < 0.7, rng.random(17) < 0.6
    history = tuple(
        {
            "epoch": epoch,
            **{name: rng.random() / 3 for name in columns.MEASURES},
            "accuracy": float(correct.mean()),
            "test_accuracy": float(test_correct.mean()),
        }
        for epoch in range(1, epochs + 1)
    )
    candidate = CANDIDATES[order]
    split = draw_split(RECIPE, LABELS, replicate)
    return Training(
        key=candidate.key,
        candidate=str(candidate),
        epochs=epochs,
        seed=replicate,
        environment=0,
        history=history,
        correct=np.packbits(correct).tobytes(),
        test_correct=np.packbits(test_correct).tobytes(),
        seconds=rng.random(),
        split_seed=split.seed,
        split_hash=split.hash,
    )


def cells(networks, replicates, epochs=3):
    return [(order, seed, epochs) for seed in range(replicates) for order in range(networks)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "raw" / "trainings.jsonl"


def append(path, wanted, identity=IDENTITY, environment=HERE, **options):
    """Append the trainings of some cells, each an order, a replicate and a number of epochs."""
    with TrainingLog(path, identity, environment, **options) as log:
        for cell in wanted:
            log.append(replace(make_up(*cell), environment=log.environment))


@pytest.fixture
def log(path):
    return partial(append, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of 4 networks in 2 replicates, a fifth in replicate 0, and shorter trainings."""
    folder = tmp_path_factory.mktemp("table")
    path = folder / "raw" / "trainings.jsonl"
    append(path, [*cells(4, 2), (4, 0, 3), *cells(2, 2, epochs=1)])
    write_table(path, folder)
    return folder


@pytest.fixture(scope="module")
def table(folder):
    return NASBenchSE2.read(folder)


# --- which networks come when -------------------------------------------------------------------


def test_the_space_has_five_choices_in_four_stages_and_begins_with_none_and_all():
    texts = [str(candidate) for candidate in CANDIDATES]
    assert len(set(texts)) == len(texts) == 5**4
    everywhere = Candidate.parse(f"{PLAIN}/all=standard:r16", BACKBONE)
    assert texts[:2] == [PLAIN, str(everywhere)]


def test_any_three_stages_of_a_balanced_part_meet_in_each_combination_once():
    codes = np.array([SPACE.codes_of(candidate) for candidate in CANDIDATES])
    ends = [0, *(definition.count_first(parts) for parts in range(1, 6))]
    parts = [codes[begin:end] for begin, end in pairwise(ends)]
    parts[0], parts[1] = np.delete(parts[0], 1, axis=0), np.vstack([parts[1], codes[1]])
    for part in parts:
        assert len(part) == 125
        for stages in combinations(range(4), 3):
            assert len({tuple(row) for row in part[:, list(stages)]}) == 125


# --- what is published --------------------------------------------------------------------------


def test_a_table_is_read_back_without_loss(log, path, tmp_path):
    log([*cells(5, 2), *cells(2, 1, epochs=1)])
    write_table(path, tmp_path)
    there, published = read_log(path), read_table(tmp_path)
    assert sorted(published.trainings, key=str) == sorted(there.trainings, key=str)
    assert published.environments == there.environments
    assert published.identity == there.identity


def test_equal_trainings_give_equal_files_whatever_their_order(log, path, tmp_path):
    log(cells(5, 2))
    write_table(path, tmp_path / "one")
    head, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, lines[0], *reversed(lines[1:])]))
    write_table(path, tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_a_table_grows_on_another_machine_without_its_log(log, path, tmp_path):
    log(cells(2, 1))
    write_table(path, tmp_path)
    path.unlink()
    elsewhere = HERE | {"workers": 4}
    log([(2, 0, 3), (3, 0, 3)], environment=elsewhere, published=read_table(tmp_path))
    write_table(path, tmp_path)
    grown = read_table(tmp_path)
    assert [training.key for training in grown.trainings] == [
        candidate.key for candidate in CANDIDATES[:4]
    ]
    assert grown.environments == (HERE, elsewhere)
    assert [training.environment for training in grown.trainings] == [0, 0, 1, 1]


def test_a_published_training_is_not_logged_again(log, path, tmp_path):
    log(cells(2, 1))
    write_table(path, tmp_path)
    path.unlink()
    with pytest.raises(RunError, match=r"has resnet20_bottleneck, .* already"):
        log(cells(1, 1), published=read_table(tmp_path))


def test_trainings_of_another_recipe_are_not_published(log, path, tmp_path):
    recipe = {**IDENTITY["recipe"], "batch_size": 32}
    log(cells(1, 1), identity={**IDENTITY, "recipe": recipe})
    with pytest.raises(RunError, match=r"recipe\.batch_size: 32 there, 64 here"):
        write_table(path, tmp_path)


def test_without_trainings_there_is_no_table(path, tmp_path):
    with pytest.raises(RunError, match="there are no trainings yet"):
        write_table(path, tmp_path)


def test_a_file_that_was_changed_is_refused(folder, tmp_path):
    for file in ("nas_bench_se_2.csv", "manifest.json"):
        shutil.copy(folder / file, tmp_path)
    with (tmp_path / "nas_bench_se_2.csv").open("a") as file:
        file.write("1\n")
    with pytest.raises(RunError, match=r"nas_bench_se_2.csv is not the file that manifest.json"):
        NASBenchSE2.read(tmp_path)


def test_the_manifest_counts_the_networks_of_each_replicate(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    counts = manifest["counts"]
    assert (counts["space"], counts["trainings"], counts["networks"]) == (625, 13, 5)
    assert counts["by_epochs"]["3"] == {
        "trainings": 9,
        "networks": 5,
        "networks_by_replicate": {"0": 5, "1": 4},
        "crossed": {"networks": 4, "replicates": [0, 1]},
        "is_crossed": False,
    }
    assert counts["by_epochs"]["1"]["is_crossed"]
    assert manifest["made_by"][1].endswith("make.py --parts 1 --replicates 2 --epochs 3")


@pytest.mark.parametrize(
    ("sizes", "networks", "replicates"),
    [
        ([6, 6, 2], 6, 2),  # 6, 12 or 6 trainings
        ([9, 4], 9, 1),  # 9 or 8
        ([6, 3], 3, 2),  # 6 either way: more replicates tell more
        ([5], 5, 1),
        ([], 0, 0),
    ],
)
def test_the_crossed_block_is_the_largest_without_a_gap(sizes, networks, replicates):
    there = [(order, seed) for seed, size in enumerate(sizes) for order in range(size)]
    assert find_crossed(there) == (list(range(networks)), list(range(replicates)))


# --- how it is looked up ------------------------------------------------------------------------


@pytest.mark.parametrize("text", [PLAIN, f"{PLAIN}/all=none", " no SE ", f"{PLAIN}/stage2=none"])
def test_any_spelling_of_a_network_finds_its_training(table, text):
    expected, found = make_up(0, 1), table.query(text, replicate=1)
    assert found.validation_accuracy == expected.history[-1]["accuracy"]
    assert found.test_accuracy == expected.history[-1]["test_accuracy"]
    for name, column in columns.MEASURES.items():
        assert found.curve[column].tolist() == [row[name] for row in expected.history]


def test_a_shorter_training_has_its_own_end(table):
    found = table.query(PLAIN, replicate=0, epochs=1)
    assert found.test_accuracy == make_up(0, 0, epochs=1).history[-1]["test_accuracy"]
    assert len(found.curve) == 1


def test_the_bits_are_those_of_the_images(table):
    found = table.query(PLAIN, replicate=0)
    assert len(found.validation_correct) == 20
    assert found.validation_correct.mean() == found.validation_accuracy
    assert len(found.test_correct) == 17
    assert found.test_correct.mean() == found.test_accuracy


@pytest.mark.parametrize(
    ("candidate", "epochs", "replicate", "text"),
    [
        (PLAIN, 3, 5, r"no training of 3 epochs in replicate 5; .* of 3 epochs it has .* 0, 1"),
        (PLAIN, 8, 0, r"no training of 8 epochs in replicate 0; of 1 epochs it has replicates 0"),
        (str(CANDIDATES[9]), 3, 0, r"the table has 5 of 625 networks so far"),
        (f"{PLAIN}/all=pre:r4", 3, 0, r"is not in the table's space: .* 4 or 8 or 16 or 32"),
        (f"{PLAIN}/stage3.block1=standard:r4", 3, 0, r"is not in the table's space: .* whole"),
    ],
)
def test_a_training_that_is_not_there_is_an_error_that_says_what_is(
    table, candidate, epochs, replicate, text
):
    with pytest.raises(QueryError, match=text):
        table.query(candidate, replicate=replicate, epochs=epochs)


def test_a_text_that_is_no_candidate_is_an_error(table):
    with pytest.raises(CandidateError, match="is not of the backbone"):
        table.query("resnet50", replicate=0)


@pytest.mark.parametrize(
    ("images", "name"), [("validation", "accuracy"), ("test", "test_accuracy")]
)
def test_accuracies_are_networks_by_replicates_without_a_gap(table, images, name):
    found = table.accuracies(images)
    expected = [[make_up(n, seed).history[-1][name] for seed in (0, 1)] for n in range(4)]
    assert found.index.tolist() == [0, 1, 2, 3]
    assert found.columns.tolist() == [0, 1]
    assert found.to_numpy().tolist() == expected


def test_all_accuracies_have_gaps_where_nothing_was_trained(table):
    found = table.accuracies("test", networks="all")
    assert found.shape == (5, 2)
    assert found.isna().to_numpy().nonzero() == (np.array([4]), np.array([1]))


def test_accuracies_of_a_length_that_is_not_there_are_an_error(table):
    with pytest.raises(QueryError, match="no trainings of 2 epochs; there are some of 1, 3"):
        table.accuracies(epochs=2)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"images": "train"}, "images 'train' is not one of validation, test"),
        ({"networks": "every"}, "networks 'every' is not one of crossed, all"),
    ],
)
def test_accuracies_of_images_or_networks_that_there_are_not_are_an_error(table, wanted, message):
    with pytest.raises(QueryError, match=message):
        table.accuracies(**wanted)


def test_the_networks_are_described_by_order(table):
    networks = table.networks()
    assert networks.index.tolist() == [0, 1, 2, 3, 4]
    assert networks.loc[1, ["x_stage2", "x_stage5", "part"]].tolist() == ["r16", "r16", 2]


@pytest.fixture
def fashion(tmp_path):
    """A data set with as many images of each class as Fashion-MNIST, in another order."""
    np.save(tmp_path / "train_labels.npy", LABELS)
    info = describe_data("fashion_mnist", RECIPE)[0]
    return PreparedData(info, "arrays", tmp_path, "made up")


def test_the_split_of_a_replicate_is_drawn_by_the_code_that_drew_it(table, fashion):
    drawn, expected = table.split(1, fashion), draw_split(RECIPE, LABELS, 1)
    assert drawn.train.tolist() == expected.train.tolist()
    assert drawn.validation.tolist() == expected.validation.tolist()


def test_a_split_of_other_images_is_refused(table, fashion):
    np.save(fashion.array_path("train_labels"), LABELS[::-1])
    with pytest.raises(DataError, match=r"replicate 1 splits .* split_hash \w+ here, \w+ there"):
        table.split(1, fashion)


def test_a_split_of_a_replicate_that_is_not_there_is_an_error(table, fashion):
    with pytest.raises(QueryError, match="no trainings in replicate 7; there are in 0, 1"):
        table.split(7, fashion)


def test_the_table_for_samplers_has_the_crossed_networks(table, tmp_path):
    path = tmp_path / "samplers.csv"
    assert table.to_benchmark_csv(path) == (4, 2)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    stages = [f"x_stage{stage}" for stage in (2, 3, 4, 5)]
    assert list(rows[0]) == [*stages, "cost", "accuracy_1", "accuracy_2"]
    for row, candidate in zip(rows, CANDIDATES[:4], strict=True):
        blocks = [f"{s[2:]}=standard:{row[s]}" for s in stages if row[s] != "none"]
        assert Candidate.parse("/".join([PLAIN, *blocks]), BACKBONE) == candidate
        assert int(row["cost"]) == count_cost(candidate).params
        for seed in (0, 1):
            accuracy = table.query(candidate, replicate=seed).validation_accuracy
            assert float(row[f"accuracy_{seed + 1}"]) == pytest.approx(100 * accuracy)


def test_a_table_for_samplers_has_shorter_trainings_where_they_are_asked_for(table, tmp_path):
    path = tmp_path / "samplers.csv"
    assert table.to_benchmark_csv(path, shorter=[1]) == (2, 2)
    row = list(csv.DictReader(path.read_text().splitlines()))[1]
    for column, epochs, seed in (("accuracy_2", 3, 1), ("accuracy_1@1", 1, 0)):
        found = table.query(CANDIDATES[1], replicate=seed, epochs=epochs)
        assert float(row[column]) == pytest.approx(100 * found.validation_accuracy)
    assert list(row)[-4:] == ["accuracy_1", "accuracy_2", "accuracy_1@1", "accuracy_2@1"]
