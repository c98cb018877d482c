"""The split is drawn class by class in proportion, has the documented sizes, and has a seed."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.data_sets import make_recipe

from se_search.errors import DataError, RecipeError
from se_search.training.split import (
    draw_split,
    pool_share,
    share_out,
    split_indices,
    split_seed,
    split_sizes,
)

COUNTS = st.lists(st.integers(2, 60), min_size=4, max_size=12)


def make_labels(*counts: int) -> NDArray[np.int64]:
    """Return labels in a random order, as many of each class as asked for."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).permutation(labels)


@pytest.mark.parametrize("fraction", [1.0, 0.3])
@pytest.mark.parametrize("counts", [(60, 40), (12_000, 8_000)])
def test_the_parts_of_a_split_share_no_image(fraction: float, counts: tuple[int, ...]) -> None:
    recipe = make_recipe(split={"validation": 500, "fraction": fraction})
    parts = split_indices(recipe, make_labels(*counts), seed=0)
    train, validation = (set(part.tolist()) for part in parts)
    everything = set(range(sum(counts)))
    assert not train & validation
    assert train | validation <= everything
    if fraction == 1 or sum(counts) < 10_000:
        assert train | validation == everything


def test_a_larger_fraction_keeps_the_images_of_the_smaller_one() -> None:
    labels = make_labels(15_000, 4_000, 1_000)
    small, large = (
        split_indices(make_recipe(split={"validation": 500, "fraction": f}), labels, seed=0)
        for f in (0.1, 0.2)
    )
    assert small[0].tolist() == large[0][: len(small[0])].tolist()
    assert small[1].tolist() == large[1].tolist()


@given(COUNTS, st.integers(0, 200), st.integers(0, 5))
def test_each_part_has_the_classes_in_proportion(
    counts: list[int], validation: int, seed: int
) -> None:
    """Rounded, each share is less than one image off, but for the one that each class gets."""
    recipe = make_recipe(batch_size=2, split={"validation": max(1, validation)})
    labels = make_labels(*counts)
    train, held_out = split_indices(recipe, labels, seed)
    found = np.bincount(labels[held_out], minlength=len(counts))
    exact = len(held_out) * np.array(counts) / sum(counts)
    raised = np.maximum(1 - exact, 0).sum()  # what the smallest classes got beyond their shares
    assert (found >= 1).all()
    assert (np.bincount(labels[train], minlength=len(counts)) >= 1).all()
    assert (np.abs(found - np.maximum(exact, 1)) < 1 + raised).all()


def test_shares_are_rounded_by_the_largest_remainders() -> None:
    """By hand: 10 of 100 are 4.7, 1.6, 1.6 and 2.1 of the classes; the floors leave 2 to give."""
    assert share_out((47, 16, 16, 21), 10) == [5, 2, 1, 2]


def test_a_rare_class_has_an_image_that_validates() -> None:
    assert share_out((76, 4), 12) == [11, 1]
    assert share_out((1_000, 2, 2), 10) == [8, 1, 1]


def test_a_class_with_one_image_is_refused_by_its_name() -> None:
    with pytest.raises(DataError, match=r"one that validates.*: cat \(1\). Add images"):
        share_out((1, 9), 2, ("cat", "dog"))


def test_every_beginning_of_the_training_images_has_the_classes_in_proportion() -> None:
    counts = (9_000, 3_000, 900)
    labels = make_labels(*counts)
    train, _ = split_indices(make_recipe(split={"validation": 129}), labels, seed=3)
    for size in (3, 10, 129, 1_000):
        found = np.bincount(labels[train[:size]], minlength=3)
        exact = size * np.array(counts) / sum(counts)
        assert (found >= 1).all()
        assert (np.abs(found - exact) <= 1.5).all()


def test_the_split_is_the_permutation_of_numpys_pcg64() -> None:
    # Written down: numpy does not promise this stream for ever (NEP 19), and a study must know.
    labels = np.arange(50) % 2
    recipe = make_recipe(split={"validation": 4})
    train, validation = split_indices(recipe, labels, seed=0)
    order = np.random.default_rng(0).permutation(50)
    even, odd = (order[order % 2 == parity] for parity in (0, 1))
    assert validation.tolist() == sorted([*even[:2], *odd[:2]])
    assert train[:4].tolist() == [even[2], odd[2], even[3], odd[3]]
    assert validation.tolist() == [3, 18, 23, 36]


def test_another_seed_draws_other_images() -> None:
    labels = make_labels(25, 25)
    first, other = (split_indices(make_recipe(), labels, seed)[1] for seed in (0, 1))
    assert first.tolist() != other.tolist()


def test_a_part_of_its_own_that_validates_leaves_all_training_images_to_train() -> None:
    train, validation = split_indices(make_recipe(), make_labels(9, 3), 0, own_validation=True)
    assert sorted(train) == list(range(12))
    assert not len(validation)


@pytest.mark.parametrize(
    ("split", "num_train", "expected"),
    [
        ({"validation": 10_000, "fraction": 0.12}, 60_000, (6000, 10_000)),
        ({"validation": 5000}, 50_000, (45_000, 5000)),
        ({"validation": 5000, "fraction": 0.1}, 10_000, (800, 2000)),  # at most a fifth
        ({"validation": 5000, "fraction": 0.1}, 9_998, (7999, 1999)),  # below 10,000: used whole
        ({"validation": 10, "fraction": 0.1}, 1438, (1428, 10)),
        ({"validation": 1}, 100, (98, 2)),  # one of each class
    ],
)
def test_the_split_has_the_documented_sizes(
    split: dict[str, float], num_train: int, expected: tuple[int, int]
) -> None:
    assert split_sizes(make_recipe(split=split), (num_train // 2,) * 2) == expected


def test_less_than_two_batches_are_refused() -> None:
    assert split_sizes(make_recipe(), (5, 5)) == (8, 2)
    with pytest.raises(RecipeError, match=r"of 10 training images 2 validate and 8 train"):
        split_sizes(make_recipe(batch_size=5), (5, 5))


def test_fewer_training_images_than_classes_are_refused() -> None:
    recipe = make_recipe(split={"validation": 100, "fraction": 0.005})
    with pytest.raises(RecipeError, match=r"50 train, which is less than one for each of 60 clas"):
        split_sizes(recipe, (168,) * 60)


def test_a_replicate_always_draws_the_same_images() -> None:
    labels = make_labels(300, 200)
    first = draw_split(make_recipe(), labels, replicate=7)
    draw_split(make_recipe(), labels, replicate=8)
    again = draw_split(make_recipe(), labels, replicate=7)
    assert (first.seed, first.hash) == (again.seed, again.hash)
    assert first.train.tolist() == again.train.tolist()
    assert first.validation.tolist() == again.validation.tolist()


def test_the_split_of_a_replicate_is_written_down() -> None:
    """A study must be able to find its images again: SHA-256 of ``split/SEED/REPLICATE``."""
    recipe = make_recipe(split={"validation": 4})
    expected = int.from_bytes(hashlib.sha256(b"split/0/3").digest()[:8], "big") >> 33
    assert split_seed(recipe.split, 3) == expected == 912744994
    drawn = draw_split(recipe, np.arange(50) % 2, replicate=3)
    train, validation = split_indices(recipe, np.arange(50) % 2, expected)
    assert drawn.train.tolist() == train.tolist()
    assert drawn.validation.tolist() == validation.tolist()


@pytest.mark.parametrize("split", [{"validation": 40}, {"validation": 40, "seed": 5}])
def test_replicates_validate_on_other_images(split: dict[str, int]) -> None:
    """Of 100 of 500 images another draw has 20 on average, and 80 never by chance."""
    labels = make_labels(300, 200)
    recipe = make_recipe(split=split | {"validation": 100})
    drawn = [draw_split(recipe, labels, replicate) for replicate in range(6)]
    assert len({each.hash for each in drawn}) == 6
    shared = [
        len(np.intersect1d(a.validation, b.validation)) for a, b in itertools.combinations(drawn, 2)
    ]
    assert max(shared) < 40
    assert 10 < np.mean(shared) < 30


def test_every_image_validates_in_as_many_replicates_as_any_other() -> None:
    """A fifth of the images validates: over 400 replicates each one does 80 +- 8 times."""
    labels = make_labels(30, 20)
    counts = np.zeros(50)
    for replicate in range(400):
        counts[draw_split(make_recipe(split={"validation": 10}), labels, replicate).validation] += 1
    assert counts.mean() == 80
    assert (np.abs(counts - 80) < 4.5 * 8).all()


def test_the_seed_of_the_recipe_changes_all_replicates() -> None:
    labels = make_labels(30, 20)
    one, other = (
        draw_split(make_recipe(split={"validation": 10, "seed": seed}), labels, 0)
        for seed in (0, 1)
    )
    assert one.hash != other.hash


@pytest.mark.parametrize("replicate", range(5))
def test_each_replicate_has_the_classes_in_proportion(replicate: int) -> None:
    recipe = make_recipe(split={"validation": 1_000, "fraction": 0.25})
    labels = make_labels(12_000, 6_000, 2_000)
    drawn = draw_split(recipe, labels, replicate)
    assert np.bincount(labels[drawn.validation]).tolist() == [600, 300, 100]
    assert np.bincount(labels[drawn.train]).tolist() == [2850, 1425, 475]


def test_a_fixed_split_is_that_of_the_recipes_seed_in_all_replicates() -> None:
    labels = make_labels(30, 20)
    recipe = make_recipe(split={"draw": "fixed", "validation": 10, "seed": 4})
    drawn = [draw_split(recipe, labels, replicate) for replicate in (0, 1, 1_000_000)]
    assert len({(each.seed, each.hash) for each in drawn}) == 1
    assert drawn[0].seed == 4
    assert drawn[0].validation.tolist() == split_indices(recipe, labels, 4)[1].tolist()


def test_a_fixed_split_with_the_seed_of_a_replicate_is_the_replicates() -> None:
    labels = make_labels(30, 20)
    drawn = draw_split(make_recipe(split={"validation": 10}), labels, 3)
    fixed = make_recipe(split={"draw": "fixed", "validation": 10, "seed": drawn.seed})
    assert draw_split(fixed, labels, 0).hash == drawn.hash


def test_a_part_of_its_own_that_validates_is_left_and_the_images_that_train_are_drawn() -> None:
    recipe = make_recipe(split={"validation": 10, "fraction": 0.5})
    labels = make_labels(6_000, 6_000)
    drawn = [draw_split(recipe, labels, replicate, own_validation=True) for replicate in (0, 1)]
    assert [(len(each.train), len(each.validation)) for each in drawn] == [(6_000, 0)] * 2
    assert drawn[0].hash != drawn[1].hash


def test_splits_of_the_same_images_have_one_hash_in_whatever_order_they_were_drawn() -> None:
    """Where all images of a folder train, replicates differ in their order alone."""
    drawn = [draw_split(make_recipe(), make_labels(9, 3), r, own_validation=True) for r in (0, 1)]
    assert drawn[0].train.tolist() != drawn[1].train.tolist()
    assert drawn[0].hash == drawn[1].hash


@pytest.mark.parametrize(
    ("split", "class_counts", "own_validation", "expected"),
    [
        ({"validation": 5000, "fraction": 2000 / 55_000}, (6_000,) * 10, False, 7000 / 60_000),
        ({"validation": 5000}, (5_000,) * 10, False, 1.0),
        ({"validation": 50, "fraction": 0.1}, (50, 50), False, 1.0),  # below 10,000: used whole
        ({"validation": 50, "fraction": 0.1}, (9_000, 9_000), True, 1.0),
    ],
)
def test_a_replicate_uses_the_documented_share_of_the_images(
    split: dict[str, float], class_counts: tuple[int, ...], own_validation: bool, expected: float
) -> None:
    assert pool_share(make_recipe(split=split), class_counts, own_validation) == expected
