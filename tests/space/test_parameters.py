"""The parameters of a sampler: which there are, which are asked for, and what they spell."""

import pytest
from hypothesis import given
from support.spaces import (
    SHARED,
    TINY,
    all_draws,
    as_tuples,
    bind,
    choose_from,
    few_examples,
    listed_spaces,
)

from se_search.candidate import Candidate


@few_examples
@given(listed_spaces())
def test_the_ways_to_draw_a_candidate_are_the_raw_points(listed):
    bound, points = listed
    assert bound.raw_size == len(points)
    drawn = [as_tuples(candidate) for candidate in all_draws(bound)]
    assert sorted(drawn, key=repr) == sorted(points, key=repr)


@few_examples
@given(listed_spaces())
def test_the_parameters_of_a_candidate_are_the_choices_that_make_it(listed):
    bound, _ = listed
    assert all(choose_from(bound, bound.encode(each)) == each for each in bound)


@few_examples
@given(listed_spaces())
def test_encoding_gives_parameters_of_the_space_with_values_they_can_take(listed):
    bound, _ = listed
    choices = {parameter.name: parameter.choices for parameter in bound.parameters}
    for candidate in bound:
        for name, value in bound.encode(candidate).items():
            assert value in choices[name]


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        (
            {"choices": {"width": [2]}, "sites": ["stage2", "stage4"]},
            {"stage2.se": ("none", "on"), "stage4.se": ("none", "on")},
        ),
        (
            {"choices": {"width": [2, 3], "bias": [False, True]}, "granularity": "network"},
            {"network.width": ("none", 2, 3), "network.bias": (False, True)},
        ),
        (
            {"choices": {"width": [2, 3], "none": False}, "granularity": "block"},
            {f"stage{place}.width": (2, 3) for place in ("2.block1", "3.block1", "3.block2")}
            | {"stage4.block1.width": (2, 3)},
        ),
        (
            SHARED | {"sites": ["stage2"]},
            {"integration": ("standard", "pre"), "stage2.reduction": ("none", 2, 4)},
        ),
        (
            {"choices": {"width": [2, 3]}, "shared": ["width"], "sites": ["stage2"]},
            {"width": (2, 3), "stage2.se": ("none", "on")},
        ),
        # A squeeze "none" is not the "none" of no SE at all.
        (
            {"choices": {"width": [2], "squeeze": ["avg", "none"]}, "sites": ["stage2"]},
            {"stage2.se": ("none", "on"), "stage2.squeeze": ("avg", "none")},
        ),
        (
            {
                "choices": {"none": False, "width": [2], "squeeze": ["avg", "none"]},
                "sites": ["stage2"],
            },
            {"stage2.squeeze": ("avg", "none")},
        ),
        (
            {"choices": {"kind": ["se", "eca"], "width": [2, "original"]}, "sites": ["stage2"]},
            {"stage2.kind": ("none", "se", "eca"), "stage2.width": (2, "original")},
        ),
    ],
)
def test_the_parameters_are_the_axes_with_more_than_one_value(fields, parameters):
    bound = bind(TINY, **fields)
    assert {parameter.name: parameter.choices for parameter in bound.parameters} == parameters


def test_only_parameters_that_matter_are_asked_for():
    bound = bind(TINY, choices={"integration": ["standard", "pre"], "reduction": [2, 4]})
    answers = {
        "stage2.integration": "none",
        "stage3.integration": "pre",
        "stage3.reduction": 4,
        "stage4.integration": "none",
    }
    asked = []

    def choose(parameter):
        asked.append(parameter.name)
        return answers[parameter.name]

    assert str(bound.choose(choose)) == "tiny/stage3=pre:4"
    assert asked == list(answers)


def test_a_shared_parameter_is_asked_for_once_and_first():
    asked = []

    def choose(parameter):
        asked.append(parameter.name)
        return parameter.choices[-1]

    assert str(bind(TINY, **SHARED).choose(choose)) == (
        "tiny/stage2=pre:2/stage3=pre:4/stage4=pre:8"
    )
    assert asked == ["integration", "stage2.reduction", "stage3.reduction", "stage4.reduction"]


def test_parameters_that_do_not_matter_are_not_spelled():
    bound = bind(TINY, choices={"integration": ["standard", "pre"], "reduction": [2, 4]})
    params = {f"stage{stage}.integration": "none" for stage in (2, 3, 4)}
    assert bound.encode(Candidate.plain(TINY)) == params
    assert choose_from(bound, params) == Candidate.plain(TINY)
