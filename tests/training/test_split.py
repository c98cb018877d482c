"""The split has the documented sizes, and its images are a function of its seed."""

from __future__ import annotations

import numpy as np
import pytest
from support.data_sets import make_recipe

from se_search.errors import RecipeError
from se_search.training.split import split_indices, split_sizes


@pytest.mark.parametrize("fraction", [1.0, 0.3])
@pytest.mark.parametrize("num_train", [100, 20_000])
def test_the_parts_of_a_split_share_no_image(fraction: float, num_train: int) -> None:
    recipe = make_recipe(split={"validation": 500, "fraction": fraction})
    train, validation = (set(part.tolist()) for part in split_indices(recipe, num_train))
    assert not train & validation
    assert train | validation <= set(range(num_train))
    if fraction == 1 or num_train < 10_000:
        assert train | validation == set(range(num_train))


def test_a_larger_fraction_keeps_the_images_of_the_smaller_one() -> None:
    small, large = (
        split_indices(make_recipe(split={"validation": 500, "fraction": f}), 20_000)
        for f in (0.1, 0.2)
    )
    assert small[0].tolist() == large[0][: len(small[0])].tolist()
    assert small[1].tolist() == large[1].tolist()


def test_the_split_is_the_permutation_of_numpys_pcg64() -> None:
    # Written down: numpy does not promise this stream for ever (NEP 19), and a study must know.
    train, validation = split_indices(make_recipe(), 50)
    expected = np.random.default_rng(0).permutation(50)
    assert np.concatenate((validation, train)).tolist() == expected.tolist()
    assert validation[:4].tolist() == [18, 23, 36, 4]


def test_another_split_seed_draws_other_images() -> None:
    other = make_recipe(split={"validation": 10, "seed": 1})
    assert set(split_indices(make_recipe(), 50)[1]) != set(split_indices(other, 50)[1])


@pytest.mark.parametrize(
    ("split", "num_train", "expected"),
    [
        ({"validation": 10_000, "fraction": 0.12}, 60_000, (6000, 10_000)),
        ({"validation": 5000}, 50_000, (45_000, 5000)),
        ({"validation": 5000, "fraction": 0.1}, 10_000, (800, 2000)),  # at most a fifth
        ({"validation": 5000, "fraction": 0.1}, 9_999, (8000, 1999)),  # below 10,000: used whole
        ({"validation": 10, "fraction": 0.1}, 1437, (1427, 10)),
    ],
)
def test_the_split_has_the_documented_sizes(
    split: dict[str, float], num_train: int, expected: tuple[int, int]
) -> None:
    assert split_sizes(make_recipe(split=split), num_train) == expected


def test_less_than_two_batches_are_refused() -> None:
    assert split_sizes(make_recipe(), 10) == (8, 2)
    with pytest.raises(RecipeError, match=r"of 9 training images 1 validate and 8 train"):
        split_sizes(make_recipe(batch_size=5), 9)
