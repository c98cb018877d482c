"""The parsers on broken inputs, and the benchmark that makes these."""

import pytest

from benchmarks import fuzz_parsers
from benchmarks.fuzz_parsers import CANDIDATES, PARSERS, RECIPES, SITES, SPACES, Fault, fuzz
from se_search.errors import SESearchError

WHOLE = {"space": SPACES[:1], "recipe": RECIPES, "sites": SITES, "candidate": CANDIDATES}


@pytest.mark.parametrize("name", PARSERS)
def test_broken_inputs_end_in_a_value_or_an_error_of_our_own(name):
    read, refused = fuzz(name, 120, first=1)
    assert read + refused == 120
    assert refused > 60


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_broken_is_whole_before(name):
    for text in WHOLE[name]:
        PARSERS[name][1](text)


def test_another_exception_is_a_fault_that_names_the_input_and_exits_with_1(capsys):
    def parse(content):
        if "x" in str(content):
            raise KeyError("raw")
        raise SESearchError("refused")

    parsers = {"recipe": (PARSERS["recipe"][0], parse)}
    with pytest.raises(Fault, match="recipe: the input ") as caught:
        fuzz("recipe", 200, parsers=parsers)
    assert "KeyError: 'raw'" in str(caught.value)
    with pytest.raises(SystemExit) as ended:
        fuzz_parsers.main(["1000"], parsers)
    assert ended.value.code == 1
    assert "KeyError: 'raw'" in capsys.readouterr().err
