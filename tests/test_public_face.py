"""The public face: what ``se_search`` offers, that it is light, and a search from Python."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.commands import read_rows

import se_search
from se_search.candidate import Candidate
from se_search.commands.options import SearchOptions, read_search_options
from se_search.errors import RunError
from se_search.report.run import Run

HEAVY = ("torch", "numpy", "pandas", "matplotlib", "optuna", "typer", "rich")


def run_python(script, folder, environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )


def test_every_public_name_is_there_and_listed():
    for name in se_search.__all__:
        assert callable(getattr(se_search, name)), name
        assert name in dir(se_search)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'open_runs'"):
        se_search.open_runs  # noqa: B018  # the access is the test


def test_importing_the_package_loads_nothing_heavy(tmp_path, environment):
    script = f"import sys, se_search\nprint([n for n in {HEAVY} if n in sys.modules])"
    assert run_python(script, tmp_path, environment).stdout == "[]\n"


def test_pricing_a_candidate_loads_no_torch(tmp_path, environment):
    script = (
        "import sys\n"
        "from se_search import Candidate, count_cost\n"
        "from se_search.models.catalogue import describe_backbone\n"
        "backbone = describe_backbone('resnet50', 3, 224, 1000)\n"
        "everywhere = Candidate.parse('resnet50/all=standard:r16', backbone)\n"
        "print(count_cost(everywhere).params, 'torch' in sys.modules)\n"
    )
    # Table 10 of the paper, exactly.
    assert run_python(script, tmp_path, environment).stdout == "28071976 False\n"


def test_search_is_the_function_whatever_was_imported_before(tmp_path, environment):
    script = (
        "import se_search\n"
        "from se_search.search.loop import run_search\n"
        "from se_search import search, ExactCostSampler\n"
        "import se_search.search.registry\n"
        "print(se_search.search is search, callable(search), ExactCostSampler.__module__)\n"
    )
    expected = "True True se_search.search.exact_cost_sampler\n"
    assert run_python(script, tmp_path, environment).stdout == expected


def test_build_makes_the_network_that_count_cost_prices():
    from se_search.models.catalogue import describe_backbone

    backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    candidate = se_search.Candidate.parse("resnet20_bottleneck/stage5=standard:r4", backbone)
    assert isinstance(candidate, Candidate)
    network = se_search.build(candidate, 0)
    num_params = sum(parameter.numel() for parameter in network.parameters())
    assert num_params == se_search.count_cost(candidate).params


def test_a_search_from_python_is_quiet_and_returns_the_run(tmp_path, environment):
    script = (
        "import se_search\n"
        "if __name__ == '__main__':\n"
        "    run = se_search.search(space='stages', data='digits', epochs=1, trials=2,\n"
        "                           workers=2, runs_dir='here')\n"
        "    assert len(run.trials) == 2\n"
        "    assert set(run.front.candidate) <= set(run.trials.candidate)\n"
    )
    outcome = run_python(script, tmp_path, environment)
    assert (outcome.stdout, outcome.stderr) == ("", "")
    folder = tmp_path / "here" / "stages"
    assert {row["state"] for row in read_rows(folder / "trials.csv")} == {"COMPLETE"}
    assert isinstance(se_search.open_run(folder), Run)


def test_an_option_that_is_not_there_is_named_with_the_known_ones():
    with pytest.raises(TypeError, match=r"no option trails; it takes space, trials, "):
        se_search.search(trails=3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trials": "10"}, "trials '10' is not a whole number"),
        ({"trials": 2.5}, "trials 2.5 is not a whole number"),
        ({"trials": True}, "trials True is not a whole number"),
        ({"trials": None}, "trials None is not a whole number"),
        ({"epochs": [1]}, r"epochs \[1\] is not a whole number or None"),
        ({"timeout": "1h"}, "timeout '1h' is not a number or None"),
        ({"space": 3}, "space 3 is not a text"),
        ({"runs_dir": 3}, "runs_dir 3 is not a path"),
        ({"data_dir": b"x"}, "data_dir b'x' is not a path or None"),
        ({"repeat_candidates": "no"}, "repeat_candidates 'no' is not True or False"),
        ({"replicates": 2.5}, "replicates 2.5 is not a whole number or None"),
        ({"objectives": ["accuracy", "params"]}, "objectives .* is not a text"),
        ({"quiet": 1}, "quiet 1 is not True or False"),
    ],
)
def test_an_option_of_another_type_is_refused_in_a_sentence(options, sentence):
    with pytest.raises(RunError, match=f"^{sentence}$"):
        se_search.search(**options)


def test_numbers_of_numpy_and_paths_are_taken_as_what_they_stand_for():
    given = {"trials": np.int64(5), "tolerance": np.float32(0.5), "space": Path("a.yaml")}
    options = read_search_options(given | {"timeout": 3, "runs_dir": "there"})
    assert options == SearchOptions(
        trials=5, tolerance=0.5, space="a.yaml", timeout=3.0, runs_dir=Path("there")
    )
    assert type(options.trials) is int


@pytest.mark.parametrize("path", [5, None, b"runs", ["runs"]])
def test_what_is_no_path_opens_no_run(path):
    with pytest.raises(RunError, match="it takes the path of a run's folder, or its name"):
        se_search.open_run(path)


def test_an_option_beyond_its_limit_is_refused():
    with pytest.raises(RunError, match="trials 0 is below 1"):
        se_search.search(trials=0)
