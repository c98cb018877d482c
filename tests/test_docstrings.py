"""The examples in docstrings of the public interface run."""

import doctest
import importlib

import pytest

MODULES = [
    "se_search.candidate",
    "se_search.cost",
    "se_search.models.catalogue",
    "se_search.models.surgery",
    "se_search.recipe",
    "se_search.space.bound",
    "se_search.space.schema",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_say(name):
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0
