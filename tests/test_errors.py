"""Guesses at what a user has meant."""

import pytest

from se_search.errors import explain, name_foreign, quote, suggest_nearest


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


class MuteError(Exception):
    """Foreign code's exception that can't even say what it is."""

    def __str__(self):
        raise RuntimeError("nothing to say")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("chosen"), "it has no 'chosen'"),
        (TypeError("'NoneType' object is not subscriptable"), "its values are not of the kinds"),
        (AttributeError("'str' object has no attribute 'items'"), "its values are not of the"),
        (IndexError("list index out of range"), "its values are not of the kinds"),
        (ValueError("the size is odd"), "the size is odd"),
        (ValueError(), "no reason is given"),
        (MuteError(), "no reason is given"),
    ],
)
def test_why_a_file_can_not_be_read_is_said_without_words_of_python(error, words):
    assert explain(error).startswith(words)
    assert "object" not in explain(error)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OSError("no such disk"), "OSError: no such disk"),
        (RuntimeError("first\nsecond"), "RuntimeError: first"),
        (RuntimeError(), "RuntimeError"),
        (MuteError(), "MuteError"),
    ],
)
def test_what_foreign_code_raises_is_named_in_one_line(error, name):
    assert name_foreign(error) == name


def test_an_exception_whose_text_raises_another_one_has_an_empty_text():
    assert quote(MuteError("x")) == ""
