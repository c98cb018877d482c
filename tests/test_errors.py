"""Guesses at what a user has meant."""

import pytest

from se_search.errors import explain, suggest_nearest


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("parteo", ["tpe", "pareto", "random"], " (did you mean pareto?)"),
        ("Stages-Ratio", ["stages", "stages_ratio"], " (did you mean stages_ratio?)"),
        ("resnet5o", ["resnet50", "resnet50", "resnet51q"], " (did you mean resnet50?)"),
        ("xyz", ["pareto"], ""),
        ("pareto", [], ""),
        ("caf\udce9", ["cafe"], " (did you mean cafe?)"),
    ],
)
def test_the_nearest_name_is_suggested_once(name, known, expected):
    assert suggest_nearest(name, known) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.yaml"), "No such file or directory"),
        (OSError("odd"), "odd"),
        (ValueError("no number"), "no number"),
    ],
)
def test_a_reason_has_no_number_of_the_system_and_no_path(error, expected):
    assert explain(error) == expected
