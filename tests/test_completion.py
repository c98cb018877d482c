"""Names that the shell completes: each is one that the command takes."""

import pytest

from se_search.completion import (
    SAMPLER_NAMES,
    complete_backbone,
    complete_data,
    complete_recipe,
    complete_run,
    complete_sampler,
    complete_samplers,
    complete_space,
)
from se_search.search.registry import SAMPLERS
from se_search.training.data_catalogue import DATA_SETS


def test_the_samplers_are_those_of_the_registry():
    assert set(SAMPLER_NAMES) == set(SAMPLERS)


def test_the_data_sets_are_those_of_the_catalogue():
    assert {name for name in complete_data("") if ":" not in name} == set(DATA_SETS)


@pytest.mark.parametrize(
    ("complete", "typed", "expected"),
    [
        (complete_space, "stages", ["stages", "stages_ratio"]),
        (complete_recipe, "qu", ["quick"]),
        (complete_sampler, "p", ["pareto"]),
        (complete_samplers, "tpe,ra", ["tpe,random"]),
        (complete_backbone, "resnet15", ["resnet152", "resnet152_v1"]),
        (complete_data, "fo", ["folder:"]),
        (complete_sampler, "x", []),
    ],
)
def test_what_begins_as_typed_is_offered(complete, typed, expected):
    assert complete(typed) == expected


def test_runs_are_offered_by_name_and_by_folder(tmp_path, monkeypatch):
    for name in ("runs/stages", "runs/other", "elsewhere/stages2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.yaml").touch()
    (tmp_path / "runs" / "stray").mkdir()
    monkeypatch.chdir(tmp_path)
    assert complete_run("st") == ["stages"]
    assert complete_run("runs/s") == ["runs/stages"]
    assert complete_run("elsewhere/") == ["elsewhere/stages2"]
    assert complete_run(f"{tmp_path}/runs/o") == [f"{tmp_path}/runs/other"]


def test_a_space_file_is_offered_where_a_path_is_typed(tmp_path):
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "mine.txt").touch()
    (tmp_path / "more").mkdir()
    assert complete_space(f"{tmp_path}/m") == [f"{tmp_path}/mine.yaml", f"{tmp_path}/more/"]
    assert complete_space(f"{tmp_path}/nowhere/m") == []
